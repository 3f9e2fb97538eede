"""What ILVR adds to one step of Stable Diffusion 1.5: `python -m benchmarks.callback`."""

from __future__ import annotations

import argparse
from types import SimpleNamespace
from typing import Any

import diffusers
import torch

from ilvr_latent import Reference
from ilvr_latent.pipelines import ILVRCallback

from .timing import seconds

# Stable Diffusion 1.5's network; its other settings are diffusers' defaults.
UNET = {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8}
STEPS = 20


def callback_seconds(latents: torch.Tensor, runs: int) -> float:
    """Mean seconds of one call of the callback, over whole runs of 20 steps."""
    scheduler = diffusers.DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False
    )
    scheduler.set_timesteps(STEPS)
    pipe: Any = SimpleNamespace(scheduler=scheduler, num_timesteps=STEPS)
    callback = ILVRCallback(pipe, Reference(torch.randn(1, *latents.shape[1:]), 8))

    def run() -> None:
        for i, t in enumerate(scheduler.timesteps):
            callback(pipe, i, t, {"latents": latents})

    run()
    return seconds(run, runs) / STEPS


@torch.no_grad()
def network_seconds(latents: torch.Tensor, calls: int) -> float:
    """Mean seconds of one network call with prompt and negative prompt."""
    network = diffusers.UNet2DConditionModel(**UNET).eval().requires_grad_(False)
    x, text = torch.cat([latents] * 2), torch.randn(2, 77, 768)
    return seconds(lambda: network(x, 500, text), calls)


def main() -> None:
    """Measure and print one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1, help="of the network")
    options = parser.parse_args()
    torch.manual_seed(0)
    latents = torch.randn(1, 4, 64, 64)
    ours, network = callback_seconds(latents, 10), network_seconds(latents, options.calls)
    print(
        f"callback {1e3 * ours:.2f} ms, network {1e3 * network:.0f} ms: "
        f"{ours / network:.2%} of a step ({torch.get_num_threads()} threads)"
    )


if __name__ == "__main__":
    main()
