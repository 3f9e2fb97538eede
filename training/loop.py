"""The loop of every training run here: any device, resumable, limited in pictures and in time.

On a CPU, single-threaded processes (torchrun) average their gradients and degrade gracefully beside
other work, which OpenMP threads do not. On a GPU, one process, compiled, in bf16.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.distributed as dist
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Generator, Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from training import data
from training.cpu import fast_on_cpu, multiplies_bf16
from training.diffusion import ema_decay, learning_rate_factor, update_ema

LOG_EVERY = 50  # steps
AVERAGED, CHECKPOINT, LOG, SHEET = "averaged.safetensors", "checkpoint.pt", "log.jsonl", "sheet.jpg"

Loss = Callable[[nn.Module, int, Generator], Tensor]
Report = Callable[[nn.Module], tuple[dict[str, float], Image.Image | None]]


@dataclass(frozen=True)
class Recipe:
    """What a run does; everything else is shared.

    Args:
        name: folder of the run under the cache.
        images: pictures the whole run sees, by default.
        batch_size: pictures a step, over all processes.
        learning_rate: of AdamW, after ``warm_up`` steps and before the decay.
        decay: share of the run over which the learning rate falls to 2 %.
        ema_span: of the averaged weights, as a share of the steps so far (EDM2's sigma_rel).
        beta_2: of AdamW.
        warm_up: steps.
        clip: largest norm of the gradient.
    """

    name: str
    images: int
    batch_size: int
    learning_rate: float
    decay: float
    ema_span: float = 0.05
    beta_2: float = 0.99
    warm_up: int = 200
    clip: float = 1.0


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        step: optimiser steps done.
        seen: pictures seen.
        seconds: spent training.
        warm_up_from: step of the last fresh optimiser.
    """

    step: int = 0
    seen: int = 0
    seconds: float = 0.0
    warm_up_from: int = 0


@dataclass(frozen=True)
class Options:
    """Where and how long a run goes.

    Attributes:
        cache: where checkpoints and logs go, in a folder of the recipe's name.
        device: to train on.
        images: pictures the whole run sees.
        minutes: the run ends after this time in all even so, the learning rate falls towards the
            end that comes first; one process only.
        restart: begin at the averaged weights with a fresh optimiser and another warm-up: how to
            prolong a run that has decayed, and the only safe way to change its loss (the second
            moments of AdamW belong to the old one).
        every: seconds between checkpoints and reports.
        compile: the network, which pays on a GPU.
        flags: of this run alone, those that were given.
    """

    cache: Path
    device: torch.device
    images: int
    minutes: float | None = None
    restart: bool = False
    every: float = 300.0
    compile: bool = False
    flags: frozenset[str] = frozenset()

    def done(self, progress: Progress) -> float:
        """The share of the run that is done."""
        by_time = progress.seconds / (60 * self.minutes) if self.minutes else 0.0
        return max(progress.seen / self.images, by_time)


def averaged_weights(name: str, cache: Path) -> tuple[dict[str, Tensor], int]:
    """The averaged weights of a run, and how many pictures they have seen."""
    with safe_open(cache / name / AVERAGED, framework="pt") as file:
        seen = int((file.metadata() or {})["seen"])
        return {key: file.get_tensor(key).float() for key in file.keys()}, seen  # noqa: SIM118


def write_averaged(model: nn.Module, seen: int, folder: Path) -> None:
    """In fp16, whole or not at all."""
    weights = {name: w.half().contiguous() for name, w in model.state_dict().items()}
    save_file(weights, folder / "partial", metadata={"seen": str(seen)})
    (folder / "partial").replace(folder / AVERAGED)


class Training:
    """One run: its network, optimiser, averaged weights, and what lies on disk.

    Args:
        model: freshly built, with the same weights in every process.
        recipe: the hyperparameters.
        options: where and how long.
        seen: pictures that the model has seen before the run.
    """

    def __init__(self, model: nn.Module, recipe: Recipe, options: Options, seen: int = 0) -> None:
        self.recipe, self.options = recipe, options
        self.folder = options.cache / recipe.name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.model = model.to(options.device)
        on_cpu = options.device.type == "cpu"
        self.in_bf16 = multiplies_bf16() if on_cpu else options.device.type == "cuda"
        if on_cpu and self.in_bf16:
            fast_on_cpu(self.model)
        self.ema = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=recipe.learning_rate, betas=(0.9, recipe.beta_2), fused=True
        )
        self.progress = self._after(seen)
        self._go_on()
        torch.backends.cudnn.benchmark = True
        torch.set_float32_matmul_precision("high")
        if options.compile:
            self.model.compile()

    def _go_on(self) -> None:
        """From the checkpoint, or where there is none from averaged weights."""
        path, averaged = self.folder / CHECKPOINT, self.folder / AVERAGED
        if path.exists() and not self.options.restart:
            state = torch.load(path, weights_only=True, map_location=self.options.device)
            self.model.load_state_dict(state["model"])
            self.ema.load_state_dict(state["ema"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.progress = Progress(**state["progress"])
        elif averaged.exists():
            weights, seen = averaged_weights(self.recipe.name, self.options.cache)
            self.model.load_state_dict(weights)
            self.ema.load_state_dict(weights)
            self.progress = self._after(seen)

    def _after(self, seen: int) -> Progress:
        """With a fresh optimiser."""
        step = seen // self.recipe.batch_size
        return Progress(step, seen, warm_up_from=step)

    def step(self, loss: Loss, trained: nn.Module, size: int, generator: Generator) -> Tensor:
        """One step of the optimiser; the loss, on the device."""
        recipe, progress = self.recipe, self.progress
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.learning_rate * learning_rate_factor(
                self.options.done(progress),
                progress.step - progress.warm_up_from,
                warm_up=recipe.warm_up,
                decay=recipe.decay,
            )
        device = self.options.device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.in_bf16):
            error = loss(trained, size, generator)
        error.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        progress.step, progress.seen = progress.step + 1, progress.seen + recipe.batch_size
        update_ema(self.ema, self.model, ema_decay(progress.step, recipe.ema_span))
        return error.detach()

    def save(self) -> None:
        """Write checkpoint and averaged weights, each whole or not at all."""
        partial = self.folder / "partial"
        state = {
            "model": self.model.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": vars(self.progress),
        }
        torch.save(state, partial)
        partial.replace(self.folder / CHECKPOINT)
        write_averaged(self.ema, self.progress.seen, self.folder)

    def log(self, record: dict[str, float]) -> None:
        """Add a line to the log."""
        line = {**vars(self.progress), **record}
        with (self.folder / LOG).open("a") as log:
            print(json.dumps({k: round(v, 5) for k, v in line.items()}), file=log)


def train(
    model: nn.Module,
    loss: Loss,
    recipe: Recipe,
    options: Options,
    report: Report | None = None,
    *,
    seen: int = 0,
) -> None:
    """Train until enough pictures have been seen or time is up, from where the last run stopped.

    Args:
        model: with the same weights in every process.
        loss: ``loss(model, pictures, generator)`` draws that many pictures and returns a scalar.
        recipe: the hyperparameters.
        options: where and how long.
        report: figures and a sheet of the averaged network, made at every checkpoint.
        seen: pictures that the model has seen before, where no run is there to go on.
    """
    if "RANK" in os.environ:
        if options.minutes is not None:
            raise SystemExit("--minutes is for one process: several would not stop together.")
        dist.init_process_group("gloo")
    rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    training = Training(model, recipe, options, seen)
    progress = training.progress
    generator = Generator(options.device)
    # A resumed process must not repeat the batches of the first: its stream depends on the step.
    generator.manual_seed(1_000_003 * (progress.step + 1) + rank)
    trained = DistributedDataParallel(training.model) if world > 1 else training.model

    running = torch.zeros((), device=options.device)
    logged = replace(progress)
    saved = time.monotonic()
    begun = saved - progress.seconds
    while options.done(progress) < 1:
        running += training.step(loss, trained, recipe.batch_size // world, generator)
        progress.seconds = time.monotonic() - begun
        if rank == 0 and progress.step - logged.step == LOG_EVERY:
            rate = (progress.seen - logged.seen) / (progress.seconds - logged.seconds)
            training.log({"loss": (running / LOG_EVERY).item(), "images_per_second": rate})
            running.zero_()
            logged = replace(progress)
        if rank == 0 and time.monotonic() - saved > options.every:
            saved = time.monotonic()
            record(training, report)
    if rank == 0:
        record(training, report)
    if dist.is_initialized():
        dist.destroy_process_group()


def record(training: Training, report: Report | None) -> None:
    """Checkpoint, figures and sheet."""
    training.save()
    if report is None:
        return
    figures, sheet = report(training.ema)
    training.log(figures)
    if sheet is not None:
        sheet.save(training.folder / SHEET, quality=90)


def read_options(
    description: str | None, recipe: Recipe, flags: Mapping[str, str] | None = None
) -> tuple[Recipe, Options]:
    """The command line of every run; ``flags`` are those of one alone, with their help."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--images", type=int, default=recipe.images, help="length of the whole run in pictures")
    add("--minutes", type=float, help="end after this time even so")
    add("--batch-size", type=int, default=recipe.batch_size)
    add("--learning-rate", type=float, default=recipe.learning_rate)
    add("--restart", action="store_true", help="averaged weights, with a fresh optimiser")
    add("--cache", type=Path, default=data.CACHE)
    add("--device", type=torch.device, default=torch.device("cpu"))
    add("--every", type=float, default=300.0, help="seconds between checkpoints")
    add("--compile", action="store_true", help="compile the network")
    for name, help_text in (flags or {}).items():
        add(f"--{name}", action="store_true", help=help_text)
    chosen = vars(parser.parse_args())
    given = frozenset(name for name in flags or {} if chosen.pop(name))
    changed = {name: chosen.pop(name) for name in ("batch_size", "learning_rate")}
    return replace(recipe, **changed), Options(**chosen, flags=given)
