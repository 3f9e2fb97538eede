"""The loop of every training run here: one process a core, resumable, logged.

One single-threaded process a core, which average their gradients, degrade gracefully beside other
work; two OpenMP threads do not.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Generator, Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from training import data
from training.diffusion import learning_rate_factor, update_ema

CHECKPOINT_EVERY = 300.0  # seconds
LOG_EVERY = 50  # steps

Loss = Callable[[nn.Module, int, Generator], Tensor]


@dataclass(frozen=True)
class Recipe:
    """What a run does; everything else is shared.

    Args:
        name: folder of the run under the cache.
        images: pictures the whole run sees, by default.
        batch_size: pictures a step, over all processes.
        learning_rate: of AdamW, after ``warm_up`` steps and before the decay.
        decay: share of the run over which the learning rate falls to 2 %.
        ema: decay of the averaged weights.
        beta_2: of AdamW.
        warm_up: steps.
        clip: largest norm of the gradient.
    """

    name: str
    images: int
    batch_size: int
    learning_rate: float
    decay: float
    ema: float
    beta_2: float = 0.999
    warm_up: int = 100
    clip: float = 1.0


def save_checkpoint(path: Path, **state: object) -> None:
    """Write whole or not at all."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def averaged_weights(name: str, cache: Path) -> tuple[dict[str, Tensor], int]:
    """The averaged weights of a run's last checkpoint, and how many pictures they have seen."""
    state = torch.load(cache / name / "checkpoint.pt", weights_only=True)
    return state["ema"], state["seen"]


def train(
    model: nn.Module,
    loss: Loss,
    recipe: Recipe,
    *,
    images: int,
    cache: Path,
    restart: bool = False,
) -> None:
    """Train until ``images`` pictures have been seen, going on where the last run stopped.

    Args:
        model: freshly built, with the same weights in every process.
        loss: ``loss(model, pictures, generator)`` draws that many pictures and returns a scalar.
        recipe: the hyperparameters.
        images: length of the whole run; the learning rate falls towards its end.
        cache: where checkpoints and the log go, in a folder of the recipe's name.
        restart: begin at the averaged weights with a fresh optimiser and another warm-up: how to
            prolong a run that has decayed, and the only safe way to change its loss (the second
            moments of AdamW belong to the old one).
    """
    if "RANK" in os.environ:
        dist.init_process_group("gloo")
    rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    path = cache / recipe.name / "checkpoint.pt"
    path.parent.mkdir(parents=True, exist_ok=True)

    ema = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, betas=(0.9, recipe.beta_2), fused=True
    )
    step, seen, seconds, warm_up_from = 0, 0, 0.0, 0
    if path.exists():
        state = torch.load(path, weights_only=True)
        model.load_state_dict(state["ema" if restart else "model"])
        ema.load_state_dict(state["ema"])
        step, seen, seconds = state["step"], state["seen"], state["seconds"]
        warm_up_from = step if restart else state.get("warm_up_from", 0)
        if not restart:
            optimizer.load_state_dict(state["optimizer"])
    # A resumed process must not repeat the batches of the first: its stream depends on the step.
    generator = Generator().manual_seed(1_000_003 * (step + 1) + rank)
    trained = DistributedDataParallel(model) if world > 1 else model

    log = path.with_name("log.jsonl").open("a")
    running, logged_at = 0.0, step
    since_log = since_save = time.monotonic()
    while seen < images:
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * learning_rate_factor(
                seen / images, step - warm_up_from, warm_up=recipe.warm_up, decay=recipe.decay
            )
        error = loss(trained, recipe.batch_size // world, generator)
        error.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        optimizer.step()
        optimizer.zero_grad()
        step, seen = step + 1, seen + recipe.batch_size
        update_ema(ema, model, min(recipe.ema, (step + 1) / (step + 10)))
        running += error.item()
        if step - logged_at == LOG_EVERY:
            elapsed = time.monotonic() - since_log
            seconds, since_log = seconds + elapsed, time.monotonic()
            record = {
                "step": step,
                "seen": seen,
                "seconds": round(seconds),
                "loss": running / LOG_EVERY,
                "images_per_second": round(LOG_EVERY * recipe.batch_size / elapsed, 1),
            }
            running, logged_at = 0.0, step
            if rank == 0:
                print(json.dumps(record), file=log, flush=True)
        if rank == 0 and (time.monotonic() - since_save > CHECKPOINT_EVERY or seen >= images):
            since_save = time.monotonic()
            save_checkpoint(
                path,
                model=model.state_dict(),
                ema=ema.state_dict(),
                optimizer=optimizer.state_dict(),
                step=step,
                seen=seen,
                seconds=seconds,
                warm_up_from=warm_up_from,
            )
    if dist.is_initialized():
        dist.destroy_process_group()


def options(description: str | None, recipe: Recipe) -> argparse.Namespace:
    """The command line of every run: ``--images``, ``--restart`` and ``--cache``."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--images", type=int, default=recipe.images, help="length of the whole run in pictures"
    )
    parser.add_argument(
        "--restart", action="store_true", help="from the averaged weights, with a fresh optimiser"
    )
    parser.add_argument("--cache", type=Path, default=data.CACHE)
    return parser.parse_args()
