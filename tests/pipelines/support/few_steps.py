"""Print the table of few steps of ``docs/diffusers.md``.

python -m tests.pipelines.support.few_steps
"""

from __future__ import annotations

import logging

import diffusers
import torch

from ilvr_latent import InputError, LowPass, Reference, Window
from ilvr_latent.pipelines import ILVRCallback
from tests.pipelines.support.exact import ExactPipeline, draw, exact_pipeline
from tests.pipelines.support.scheduler_table import residual

NETWORKS = {
    "DDIM (epsilon)": ("DDIMScheduler", "epsilon"),
    "DPM-Solver++ (epsilon)": ("DPMSolverMultistepScheduler", "epsilon"),
    "LCM (epsilon)": ("LCMScheduler", "epsilon"),
    "Euler (flow)": ("FlowMatchEulerDiscreteScheduler", "flow"),
}
STEPS, ENDS, SEEDS = (1, 2, 4, 8, 20), (1.0, 0.8, 0.5, 0.25), 6
PHI = LowPass(4)


def mean_residual(pipe: ExactPipeline, steps: int, end: float) -> str:
    """Of a few references; a dash where the range holds no step."""
    found = 0.0
    for seed in range(SEEDS):
        y = draw(4 + seed)
        try:
            with ILVRCallback(pipe, Reference(y, 4, window=Window(0, end))):
                found += residual(PHI, pipe(steps=steps, seed=seed), y)
        except InputError:
            return "–"
    return f"{found / SEEDS:.3f}"


def main() -> None:
    """Print it."""
    logging.disable()
    diffusers.utils.logging.set_verbosity_error()
    torch.set_num_threads(1)
    print("| scheduler | end |", " | ".join(f"{steps} steps" for steps in STEPS), "|")
    print("|" + "---|" * (2 + len(STEPS)))
    for label, (name, prediction) in NETWORKS.items():
        pipe = exact_pipeline(name, prediction)
        for end in ENDS:
            cells = " | ".join(mean_residual(pipe, steps, end) for steps in STEPS)
            print(f"| {label} | {end:g} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
