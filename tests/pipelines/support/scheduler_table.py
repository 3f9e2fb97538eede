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
    *("scheduler", "network", "without", "state", "state, box", "energy above the cut"),
    *("state, end 0.8", "prediction", "prediction, end 0.8"),
)
SHARP = LowPass(4, "spectral")


def residual(phi: LowPass, x: Tensor, y: Tensor) -> float:
    return float((phi(x) - phi(y)).norm() / phi(y).norm())


def above(x: Tensor) -> float:
    return float((x - SHARP(x)).square().mean())


def row(pipe: ExactPipeline) -> list[str]:
    """What ILVR does in the two spaces, range to the end and to 0.8."""
    y, plain, cubic, box = draw(4), pipe(), LowPass(4), LowPass(4, "box")

    def out(space: Any = "state", end: float = 1.0, phi: LowPass = cubic) -> Tensor:
        reference = Reference(y, 4, window=Window(0, end), kernel=phi.kernel)
        with ILVRCallback(pipe, reference, space=space):
            return pipe()

    whole, exact = out(), residual(box, out(phi=box), y)
    return [
        f"{residual(cubic, plain, y):.2f}",
        f"{residual(cubic, whole, y):.3f}",
        "< 1e-6" if exact < 1e-6 else f"{exact:.0e}",
        f"{above(whole) / above(plain) - 1:+.1%}",
        f"{residual(cubic, out(end=0.8), y):.2f}",
        f"{residual(cubic, out('prediction'), y):.3f}",
        f"{residual(cubic, out('prediction', 0.8), y):.2f}",
    ]


def main() -> None:
    """Print the table, one line for each scheduler and kind of network."""
    logging.disable()
    diffusers.utils.logging.set_verbosity_error()
    torch.set_num_threads(1)
    print("|", " | ".join(HEAD), "|")
    print("|" + "---|" * len(HEAD))
    for name, prediction, config in cases():
        if prediction == "v_prediction" and not config:
            continue  # the same as epsilon to the last digit shown, but for PNDM
        settings = "".join(f", {key}={value}" for key, value in config.items())
        values = row(exact_pipeline(name, prediction, **config))
        print("|", f"{name}{settings}", "|", prediction, "|", " | ".join(values), "|", flush=True)


if __name__ == "__main__":
    main()
