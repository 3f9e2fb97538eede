"""Print the table of ``docs/diffusers.md``: `python -m tests.pipelines.support.scheduler_table`."""

from __future__ import annotations

import logging
from typing import Any

import diffusers
import torch
from torch import Tensor

from ilvr_latent import LowPass, Reference, Window
from ilvr_latent.pipelines import ILVRCallback
from tests.pipelines.support.exact import ExactPipeline, cases, draw, exact_pipeline

HEAD = (
    *("scheduler (network, if not epsilon)", "state", "energy above the cut"),
    *("state, end 0.8", "prediction", "prediction, end 0.8"),
)
SHARP = LowPass(4, "spectral")


def residual(phi: LowPass, x: Tensor, y: Tensor) -> float:
    return float((phi(x) - phi(y)).norm() / phi(y).norm())


def above(x: Tensor) -> float:
    return float((x - SHARP(x)).square().mean())


def row(pipe: ExactPipeline) -> tuple[str, float, float]:
    """What ILVR does in both spaces; the residual of box, and that without ILVR."""
    y, plain, cubic, box = draw(4), pipe(), LowPass(4), LowPass(4, "box")

    def out(space: Any = "state", end: float = 1.0, phi: LowPass = cubic) -> Tensor:
        reference = Reference(y, 4, window=Window(0, end), kernel=phi.kernel)
        with ILVRCallback(pipe, reference, space=space):
            return pipe()

    whole = out()
    values = [
        f"{residual(cubic, whole, y):.3f}",
        f"{above(whole) / above(plain) - 1:+.1%}",
        f"{residual(cubic, out(end=0.8), y):.2f}",
        f"{residual(cubic, out('prediction'), y):.3f}",
        f"{residual(cubic, out('prediction', 0.8), y):.2f}",
    ]
    return " | ".join(values), residual(box, out(phi=box), y), residual(cubic, plain, y)


def main() -> None:
    """Print the table, schedulers that agree in one line, and the worst of box."""
    logging.disable()
    diffusers.utils.logging.set_verbosity_error()
    torch.set_num_threads(1)
    rows: dict[str, list[str]] = {}
    exact, without = [], []
    for name, prediction, config in cases():
        if prediction == "v_prediction" and not config:
            continue  # the same as epsilon to the last digit shown, but for PNDM
        settings = "".join(f", {key}={value}" for key, value in config.items())
        network = "" if prediction == "epsilon" else f" ({prediction})"
        values, box, plain = row(exact_pipeline(name, prediction, **config))
        rows.setdefault(values, []).append(f"{name}{network}{settings}")
        exact.append(box)
        without.append(plain)
    print("|", " | ".join(HEAD), "|")
    print("|" + "---|" * len(HEAD))
    for values, names in rows.items():
        print(f"| {'; '.join(names)} | {values} |")
    print(f"box, worst: {max(exact):.0e}")
    print(f"without: {min(without):.2f} to {max(without):.2f}")


if __name__ == "__main__":
    main()
