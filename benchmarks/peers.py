"""The loops that ours is beside: the paper authors' and diffusers'.

The authors' code (github.com/jychoi118/ilvr_adm) is taken from a checkout that the user names.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import diffusers
import torch
from torch import Tensor, nn

from ilvr_latent.adm.unet import ADM


def _module(peer: Path, name: str) -> ModuleType:
    if not (peer / "resizer.py").is_file():
        raise SystemExit(f"There is no resizer.py in {str(peer)!r}; give a checkout of ilvr_adm.")
    if str(peer) not in sys.path:
        sys.path.append(str(peer))
    return importlib.import_module(name)


def low_pass(peer: Path, shape: tuple[int, ...], n: int) -> Callable[[Tensor], Tensor]:
    """phi_N as the authors compute it for one shape."""
    resizer = _module(peer, "resizer").Resizer
    down = resizer(shape, 1 / n)
    up = resizer((*shape[:2], shape[2] // n, shape[3] // n), n)
    return lambda x: up(down(x))


def sampler(peer: Path, model: ADM, y_0: Tensor, *, n: int, steps: int) -> Callable[[], Tensor]:
    """A run of the authors' sampling loop with their network and our weights.

    Args:
        peer: the checkout.
        model: the network whose weights and configuration to take.
        y_0: references, (B, 3, H, W).
        n: the factor N.
        steps: respaced steps.
    """
    script = _module(peer, "guided_diffusion.script_util")
    config = model.config
    flags = script.model_and_diffusion_defaults() | {
        "image_size": config.image_size,
        "num_channels": config.num_channels,
        "num_res_blocks": config.num_res_blocks,
        "channel_mult": ",".join(map(str, config.channel_mult)),
        "attention_resolutions": ",".join(
            str(config.image_size >> level) for level in config.attention_levels
        ),
        "num_head_channels": config.num_head_channels,
        "resblock_updown": config.resblock_updown,
        "use_scale_shift_norm": config.use_scale_shift_norm,
        "learn_sigma": config.learn_sigma,
        "noise_schedule": config.noise_schedule,
        "timestep_respacing": str(steps),
    }
    network, diffusion = script.create_model_and_diffusion(**flags)
    network.load_state_dict(model.unet.state_dict())
    network.eval()
    shape = tuple(y_0.shape)
    resizer = _module(peer, "resizer").Resizer
    resizers = resizer(shape, 1 / n), resizer((*shape[:2], shape[2] // n, shape[3] // n), n)

    @torch.no_grad()
    def run() -> Tensor:
        out: Tensor = diffusion.p_sample_loop(
            network, shape, model_kwargs={"ref_img": y_0}, resizers=resizers, range_t=0
        )
        return out

    return run


class _Network(nn.Module):
    """Our network as diffusers' pipelines ask for it."""

    def __init__(self, model: ADM) -> None:
        super().__init__()
        config = model.config
        self.model, self.dtype, self.device = model, torch.float32, model.device
        self.config = SimpleNamespace(sample_size=config.image_size, in_channels=3)

    def forward(self, x: Tensor, t: Tensor) -> Any:
        return SimpleNamespace(sample=self.model(x, t.expand(len(x))))


def pipeline(model: ADM) -> Any:
    """diffusers' DDPMPipeline with our network.

    Args:
        model: of a linear schedule, with learned variance.
    """
    scheduler = diffusers.DDPMScheduler(variance_type="learned_range", beta_schedule="linear")
    pipe: Any = diffusers.DDPMPipeline(_Network(model), scheduler)
    pipe.set_progress_bar_config(disable=True)
    return pipe
