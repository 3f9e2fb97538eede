"""Networks of the host that a guide takes gradients through.

x_0   clean estimate in the MODEL's scale       pictures   (B, 3, H, W) in [-1, 1]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.model_management
import torch
import torch.nn.functional as F
from comfy.model_patcher import ModelPatcher
from torch import Tensor, nn

from ...ilvr_latent import Guide, InputError
from ...ilvr_latent.adm.classifier_network import ADMClassifier
from ...ilvr_latent.diffusion.gradients import ordinary_weights
from ..differentiable import differentiable
from ..driver import KEY, guided


def guided_with(
    model: ModelPatcher, guide: Guide, networks: list[ModelPatcher], node_id: str | None
) -> ModelPatcher:
    """A MODEL that samples with ``guide``, beside which the host loads some networks.

    Args:
        model: stays as it is.
        guide: the method.
        networks: that it needs while the sampler runs.
        node_id: of the node in the graph.
    """
    clone = guided(model, guide, node_id)
    clone.set_additional_models(KEY, [*clone.get_additional_models_with_key(KEY), *networks])
    return clone


class NoisyClassifier:
    """A classifier of the host as a network that gradients go through.

    Args:
        classifier: from the pack's loader.
        model: whose states it looks at.

    Raises:
        InputError: it is not for what the model samples.
    """

    def __init__(self, classifier: ModelPatcher, model: ModelPatcher) -> None:
        self._network: ADMClassifier = classifier.model
        self.config = self._network.config
        channels = model.get_model_object("latent_format").latent_channels
        if self.config.in_channels != channels:
            raise InputError(
                f"The classifier is for pictures of {self.config.in_channels} channels, but this "
                f"model samples {channels}; use it with a pixel model (Load ADM Checkpoint)."
            )

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Logits, (B, K)."""
        # The host may have moved the weights in its inference mode.
        with ordinary_weights(self._network):
            logits: Tensor = self._network(x_t, t)
        return logits

    def features(self, x_t: Tensor, t: Tensor) -> Tensor:
        """What it sees before its head, (B, C', h, w)."""
        with ordinary_weights(self._network):
            return self._network.features(x_t, t)


class Decoder:
    """A VAE as a function of x_0 that gradients go through.

    Args:
        vae: of the model.
        model: whose estimates are decoded.

    Raises:
        InputError: the model does not sample pictures.
    """

    def __init__(self, vae: Any, model: ModelPatcher) -> None:
        self._vae, self._format = vae, model.get_model_object("latent_format")
        if self._format.latent_dimensions != 2:
            raise InputError(
                "This guidance looks at decoded pictures one by one, and this model samples "
                f"{self._format.latent_dimensions}-dimensional latents; use an image model."
            )

    @property
    def networks(self) -> list[ModelPatcher]:
        """What the host must load."""
        patcher = getattr(self._vae, "patcher", None)
        return [] if patcher is None else [patcher]

    def __call__(self, x_0: Tensor) -> Tensor:
        """Pictures, without the host's chunks, tiles and clamp, which have no slope."""
        latent = self._format.process_out(x_0)
        network: nn.Module | None = getattr(self._vae, "first_stage_model", None)
        if network is None:
            pixels = self._vae.decode(latent).movedim(-1, 1) * 2 - 1
        else:
            with differentiable(network):
                decode: Callable[..., Tensor] = network.decode  # type: ignore[assignment]
                pixels = decode(latent.to(self._vae.device, self._vae.vae_dtype))
        if pixels.ndim != 4 or pixels.shape[1] < 3:
            raise InputError("This VAE does not decode to pictures; use that of an image model.")
        return pixels[:, :3].to(x_0)


class Encoder:
    """The way back from :class:`Decoder`, without gradients.

    Args:
        vae: of the model.
        model: whose estimates are encoded.
    """

    def __init__(self, vae: Any, model: ModelPatcher) -> None:
        self._vae, self._format = vae, model.get_model_object("latent_format")

    def __call__(self, pictures: Tensor) -> Tensor:
        """Latents in the MODEL's scale, without the host's chunks and tiles."""
        network: nn.Module | None = getattr(self._vae, "first_stage_model", None)
        if network is None:
            latent = self._vae.encode(pictures.movedim(1, -1) / 2 + 0.5)
        else:
            encode: Callable[..., Tensor] = network.encode  # type: ignore[assignment]
            with torch.no_grad():
                latent = encode(pictures.to(self._vae.device, self._vae.vae_dtype))
        return self._format.process_in(latent.to(pictures))


class PictureEncoder:
    """A CLIP_VISION as a function of pictures that gradients go through.

    The host's own preparation rounds to 255 steps, which has no slope.

    Args:
        clip_vision: the host's.
    """

    def __init__(self, clip_vision: Any) -> None:
        self._clip = clip_vision

    @property
    def networks(self) -> list[ModelPatcher]:
        """What the host must load."""
        return [self._clip.patcher]

    def now(self, pictures: Tensor) -> Tensor:
        """Embeddings before a sampler runs, for which the host must load it."""
        comfy.model_management.load_model_gpu(self._clip.patcher)
        with torch.no_grad():
            return self(pictures)

    def __call__(self, pictures: Tensor) -> Tensor:
        """Embeddings, (B, D)."""
        return self._outputs(pictures)[2].float().to(pictures.device)

    def features(self, pictures: Tensor) -> Tensor:
        """What it sees in each patch, (B, D, 1, patches)."""
        # The first token stands for the whole picture.
        patches: Tensor = self._outputs(pictures)[1][:, 1:]
        return patches.float().mT[:, :, None].to(pictures.device)

    def _outputs(self, pictures: Tensor) -> Any:
        side, network = self._clip.image_size, self._clip.model
        x = F.interpolate(
            pictures.float(), (side, side), mode="bicubic", antialias=True, align_corners=False
        )
        colours = (self._clip.image_mean, self._clip.image_std)
        mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in colours)
        x = ((x + 1) / 2 - mean.to(x)) / std.to(x)
        with differentiable(network):
            return network(pixel_values=x.to(self._clip.load_device), intermediate_output=-2)


def as_pictures(image: Tensor) -> Tensor:
    """The host's IMAGE (B, H, W, C) as pictures, ordinary tensors."""
    with torch.inference_mode(False):
        return image[..., :3].float().movedim(-1, 1).clone() * 2 - 1
