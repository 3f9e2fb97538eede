"""The guides that the options name, for pictures from a checkpoint."""

from __future__ import annotations

from functools import cached_property, lru_cache

import torch
from torch import Tensor

from ..adm import load_adm_classifier
from ..adm.classifier_network import ADMClassifier
from ..defaults import ReferenceNoise
from ..diffusion.guide import Guide, Guides
from ..embedded import load_embedded_classifier
from ..errors import InputError
from ..guides import ClassifierGuidance, UniversalGuidance, losses
from ..metrics.network import FeatureNetwork, load_feature_network
from ..pictures.images import fit_to, read_image, to_tensor
from .method_settings import class_number, method_of
from .settings import Settings

# Of the feature network's four: large enough to hold texture, small enough to be more than edges.
STYLE_LEVEL = 1
# The class that the reference is of.
AUTO = "auto"


def parse_flags(pairs: tuple[str, ...], option: str = "--flag") -> dict[str, str]:
    """NAME=VALUE pairs as a dict.

    Raises:
        InputError: a pair has no '='.
    """
    for pair in pairs:
        if "=" not in pair:
            raise InputError(f"{option} is {pair!r}; write NAME=VALUE, such as num_heads=4.")
    return dict(pair.split("=", 1) for pair in pairs)


class Guiding:
    """Makes the guide of a run; networks are loaded once.

    Args:
        size: width and height of the pictures.
        device: where the networks shall be.
        embedded: the model is the embedded one, which the embedded classifier is for.
    """

    def __init__(self, size: tuple[int, int], device: torch.device, *, embedded: bool) -> None:
        self._size, self._device, self._embedded = size, device, embedded
        self._classifier_at = lru_cache(self._load)

    def method(
        self, settings: Settings, references: Tensor, mask: Tensor | None, noise: ReferenceNoise
    ) -> Guide:
        """How the reference is followed.

        Args:
            settings: that were checked.
            references: (B, 3, H, W) in [-1, 1].
            mask: where, or ``None``: everywhere.
            noise: of ILVR's reference.

        Raises:
            InputError: a network cannot be loaded, or an option cannot be used.
        """
        chosen = method_of(settings)
        features = self._classifier(settings).features if chosen.asks_for_features else None
        reference = settings.reference(references, mask)
        return chosen.guide(reference, features=features, reference_noise=noise)

    def around(
        self, settings: Settings, method: Guide, references: Tensor, mask: Tensor | None
    ) -> Guide:
        """The method with what else leads the picture: it has the last word.

        Args:
            settings: that were checked.
            method: what follows the reference.
            references: (B, 3, H, W) in [-1, 1], the targets of a loss that has none of its own.
            mask: where the loss ``picture`` compares, or ``None``: everywhere.

        Raises:
            InputError: see :meth:`method`.
        """
        guides: list[Guide] = []
        if settings.loss is not None:
            guides.append(self._universal(settings, references, mask))
        if settings.class_ is not None:
            guides.append(self._towards_class(settings, settings.class_, references))
        return Guides(*guides, method) if guides else method

    def _towards_class(
        self, settings: Settings, name: str, references: Tensor
    ) -> ClassifierGuidance:
        network = self._classifier(settings)
        if name == AUTO:
            t = torch.zeros(len(references), dtype=torch.int64, device=self._device)
            with torch.no_grad():
                found = network(references.to(self._device), t).argmax(dim=1)
            return ClassifierGuidance(network, found, scale=settings.classifier_scale)
        embedded = settings.classifier in (None, "embedded")
        label = class_number(name, network.config.num_classes, embedded=embedded)
        return ClassifierGuidance(network, label, scale=settings.classifier_scale)

    def _universal(
        self, settings: Settings, references: Tensor, mask: Tensor | None
    ) -> UniversalGuidance:
        target = references
        if settings.target is not None:
            picture = fit_to(read_image(settings.target), self._size, settings.fit)
            target = to_tensor(picture)
        target = target.to(self._device)
        if settings.loss == "colours":
            loss = losses.colour_histogram(target)
        elif settings.loss == "edges":
            loss = losses.edges(target)
        elif settings.loss == "style":
            network = self._feature_network
            loss = losses.style(lambda x: network.levels(x)[STYLE_LEVEL], target)
        else:
            area = torch.ones(1) if mask is None else mask
            loss = losses.masked_distance(target, area.to(self._device))
        return UniversalGuidance(
            loss,
            weight=settings.loss_weight,
            backward_steps=settings.backward_steps,
            backward_lr=settings.backward_lr,
            recurrence=settings.recurrence,
            clip=True,
        )

    @cached_property
    def _feature_network(self) -> FeatureNetwork:
        return load_feature_network(self._device)

    def _classifier(self, settings: Settings) -> ADMClassifier:
        return self._classifier_at(settings.classifier, settings.classifier_flag)

    def _load(self, name: str | None, flags: tuple[str, ...]) -> ADMClassifier:
        if name is None and not self._embedded:
            raise InputError(
                "There is no classifier for this model; give one with --classifier FILE, or leave "
                "out what asks for it (--class, --energy-weight, and of egsde --realism 0)."
            )
        if name in (None, "embedded"):
            return load_embedded_classifier(device=self._device)
        assert name is not None
        given = {key: _value(text) for key, text in parse_flags(flags, "--classifier-flag").items()}
        return load_adm_classifier(name, device=self._device, **given)


def _value(text: str) -> object:
    """A flag as it is meant: a number, numbers, a truth, or a word."""
    if "," in text:
        return tuple(_value(part) for part in text.split(","))
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
