"""Train the embedded pixel model: 64x64 RGB, v-prediction, cosine schedule, patch of 2.

    OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 -m training.train_pixel --images 120000

One process a core: two single-threaded processes that average their gradients degrade gracefully
beside other work, two OpenMP threads do not. Stopped or killed, the same command goes on from the
last checkpoint (at most five minutes are lost). About 20 images a second on two idle cores.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import os
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Generator, Tensor
from torch.nn.parallel import DistributedDataParallel

from ilvr_latent.adm.config import ADMConfig
from ilvr_latent.adm.unet import ADM, ADMUNet
from ilvr_latent.schedule import alphas_cumprod
from training import data
from training.augment import view
from training.diffusion import (
    learning_rate_factor,
    min_snr_weight,
    noised,
    update_ema,
    velocity,
)

CONFIG = ADMConfig(
    image_size=64,
    num_channels=64,
    num_res_blocks=1,
    channel_mult=(1, 2, 2),
    attention_levels=(1, 2),
    num_head_channels=32,
    resblock_updown=True,
    patch=2,
    noise_schedule="cosine",
    prediction_type="v_prediction",
    sigma_small=True,
)
LEARNING_RATE, WARM_UP, DECAY, EMA, CLIP = 7e-4, 100, 0.3, 0.999, 1.0
CHECKPOINT_EVERY = 300.0  # seconds


def build() -> ADM:
    """A fresh network whose residual branches and output start at zero, as in guided-diffusion."""
    torch.manual_seed(0)
    model = ADM(ADMUNet(adm=dataclasses.asdict(CONFIG)), CONFIG)
    for name, parameter in model.named_parameters():
        if any(part in name for part in (".conv2.", ".to_out.", ".conv_out.")):
            torch.nn.init.zeros_(parameter)
    # torch types Module.to without its memory_format.
    return model.to(memory_format=torch.channels_last)  # type: ignore


def batch(pictures: dict[str, Tensor], size: int, generator: Generator) -> Tensor:
    """Random views of pictures that are not held out, (size, 3, 64, 64) in [-1, 1]."""
    weights = pictures["weights"] * ~pictures["held_out"]
    chosen = torch.multinomial(weights, size, replacement=True, generator=generator)
    side = CONFIG.image_size
    return torch.stack([view(pictures["images"][index], side, generator) for index in chosen])


def loss(model: torch.nn.Module, x_0: Tensor, a_bars: Tensor, generator: Generator) -> Tensor:
    """Min-SNR weighted error of the predicted velocity, a scalar."""
    t = torch.randint(len(a_bars), (len(x_0),), generator=generator)
    eps = torch.randn(x_0.shape, generator=generator)
    a_bar = a_bars[t]
    v = model(noised(x_0, eps, a_bar), t)
    error = (v - velocity(x_0, eps, a_bar)).square().mean(dim=(1, 2, 3))
    weighted: Tensor = (min_snr_weight(a_bar) * error).mean()
    return weighted


def save_checkpoint(path: Path, **state: object) -> None:
    """Write whole or not at all."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def main() -> None:
    """Train until ``--images`` pictures have been seen, going on where the last run stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200_000, help="length of the whole run")
    parser.add_argument("--batch-size", type=int, default=32, help="over all processes")
    parser.add_argument("--cache", type=Path, default=data.CACHE)
    options = parser.parse_args()
    if "RANK" in os.environ:
        dist.init_process_group("gloo")
    rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    path = options.cache / "pixel" / "checkpoint.pt"
    path.parent.mkdir(parents=True, exist_ok=True)

    pictures = data.load(options.cache)
    a_bars = alphas_cumprod(CONFIG.noise_schedule, CONFIG.diffusion_steps).float()
    model = build()
    ema = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, fused=True)
    step, seen, seconds = 0, 0, 0.0
    if path.exists():
        state = torch.load(path, weights_only=True)
        model.load_state_dict(state["model"])
        ema.load_state_dict(state["ema"])
        optimizer.load_state_dict(state["optimizer"])
        step, seen, seconds = state["step"], state["seen"], state["seconds"]
    # A resumed process must not repeat the batches of the first: its stream depends on the step.
    generator = Generator().manual_seed(1_000_003 * (step + 1) + rank)
    trained = DistributedDataParallel(model) if world > 1 else model

    log = path.with_name("log.jsonl").open("a")
    running, logged_at = 0.0, step
    since_log = since_save = time.monotonic()
    while seen < options.images:
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * learning_rate_factor(
                seen / options.images, step, warm_up=WARM_UP, decay=DECAY
            )
        error = loss(
            trained, batch(pictures, options.batch_size // world, generator), a_bars, generator
        )
        error.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad()
        step, seen = step + 1, seen + options.batch_size
        update_ema(ema, model, min(EMA, (step + 1) / (step + 10)))
        running += error.item()
        if step - logged_at == 50:
            elapsed = time.monotonic() - since_log
            seconds, since_log = seconds + elapsed, time.monotonic()
            rate = 50 * options.batch_size / elapsed
            record = {"step": step, "seen": seen, "seconds": round(seconds), "loss": running / 50}
            running, logged_at = 0.0, step
            if rank == 0:
                print(
                    json.dumps(record | {"images_per_second": round(rate, 1)}), file=log, flush=True
                )
        if rank == 0 and (
            time.monotonic() - since_save > CHECKPOINT_EVERY or seen >= options.images
        ):
            since_save = time.monotonic()
            save_checkpoint(
                path,
                model=model.state_dict(),
                ema=ema.state_dict(),
                optimizer=optimizer.state_dict(),
                step=step,
                seen=seen,
                seconds=seconds,
            )
    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
