"""The network of FID (arXiv 1706.08500) and KID, with the user's own copy of its weights.

torchmetrics' wrapper of torch-fidelity's Inception is the network. Left alone, that package would
download its weights, and open any file as a pickle; so it is given a file that is written here, of
tensors that were read without running anything.
"""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from ..adm.weights import read_weights
from ..errors import InputError
from .provenance import named

FEATURES = "2048"


class Inception:
    """The last pooled layer of FID's Inception; see :class:`.protocols.FeatureExtractor`.

    Args:
        path: the state dict, as torch-fidelity and pytorch-fid publish it.
        device: where to put the network.

    Raises:
        InputError: the file can't be read or is another network's, or a package is missing.
    """

    def __init__(self, path: Path, device: torch.device | str = "cpu") -> None:
        if importlib.util.find_spec("torch_fidelity") is None:
            raise InputError(
                "Inception needs the package torch-fidelity, which is not installed; "
                "run: pip install 'torch-fidelity>=0.3'."
            )
        self._network = _loaded(path).to(device)
        self._device = device
        self.name = f"Inception (FID's own, {named(path)})"

    @torch.inference_mode()
    def features(self, x: Tensor) -> Tensor:
        """See :class:`.protocols.FeatureExtractor`; the network resamples to 299x299 itself."""
        # Rounded as pictures are when they are written.
        pixels = ((x.clamp(-1, 1) + 1) * 127.5 + 0.5).byte()
        z: Tensor = self._network(pixels.to(self._device))
        return z.float().cpu()


def _loaded(path: Path) -> torch.nn.Module:
    from torchmetrics.image.fid import NoTrainInceptionV3

    tensors = read_weights(path).tensors
    # Its random weights, replaced at once, come from the global generator.
    with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng(devices=[]):
        plain = Path(folder) / "inception.pth"
        torch.save(tensors, plain)
        try:
            return NoTrainInceptionV3(
                name="inception-v3-compat",
                features_list=[FEATURES],
                feature_extractor_weights_path=str(plain),
            )
        except RuntimeError as error:
            if "state_dict" not in str(error):
                raise
            raise InputError(
                f"'{path}' does not hold the Inception of FID (torchvision's is another one); give "
                "the file that ends in inception-2015-12-05-6726825d.pth."
            ) from None
