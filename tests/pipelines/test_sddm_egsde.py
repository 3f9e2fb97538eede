"""SDDM and EGSDE in diffusers pipelines, as far as pipelines can be reached."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ilvr_latent import EGSDE, SDDM, InputError, LowPass, Window
from ilvr_latent.guides import block_statistics
from ilvr_latent.pipelines import GuideCallback
from tests.pipelines.support.exact import draw, exact_pipeline

SCHEDULERS = ("DDIMScheduler", "EulerDiscreteScheduler", "DPMSolverMultistepScheduler")


def rough(x: Tensor) -> Tensor:
    return -x.diff(dim=-1).square().flatten(1).sum(1)


def distance(x: Tensor, y: Tensor) -> float:
    """Of the block means and standard deviations."""
    return sum(
        float((own - other).abs().mean())
        for own, other in zip(block_statistics(x, 4), block_statistics(y, 4), strict=True)
    )


@pytest.mark.parametrize("name", SCHEDULERS)
def test_blocks_are_held_through_the_callback_alone(name: str) -> None:
    pipe, y_0 = exact_pipeline(name), draw(5)
    callback = GuideCallback(pipe, SDDM(y_0, blocks=4), y_0, predictions=False)
    out, plain = pipe(callback_on_step_end=callback), pipe()
    assert distance(out, y_0) < 0.5 * distance(plain, y_0)


def test_energies_need_the_scheduler() -> None:
    pipe, y_0 = exact_pipeline("DDIMScheduler"), draw(5)
    guide = SDDM(y_0, blocks=4, energies=[rough])
    callback = GuideCallback(pipe, guide, y_0, predictions=False)
    with pytest.raises(InputError, match=r"prediction.*with callback"):
        pipe(callback_on_step_end=callback)
    with GuideCallback(pipe, guide, y_0):
        out = pipe()
    with GuideCallback(pipe, SDDM(y_0, blocks=4), y_0):
        assert not torch.equal(out, pipe())
    assert bool(out.isfinite().all())
    assert distance(out, y_0) < 0.5 * distance(pipe(), y_0)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_egsde_follows_the_source_under_with(name: str) -> None:
    pipe, y_0, phi = exact_pipeline(name), draw(5), LowPass(4, "linear")

    def away(x: Tensor) -> float:
        return float((phi(x) - phi(y_0)).norm())

    distances = [away(pipe())]
    for faithful in (0.5, 2.0):
        with GuideCallback(pipe, EGSDE(y_0, factor=4, faithful=faithful), y_0):
            distances.append(away(pipe()))
    assert distances[0] > 1.2 * distances[1] > 1.2**2 * distances[2]


def test_a_window_ends_the_guidance() -> None:
    pipe, y_0 = exact_pipeline("DDIMScheduler"), draw(5)
    outs = []
    for end in (0.2, 1.0):
        guide = SDDM(y_0, blocks=4, window=Window(0, end))
        outs.append(pipe(callback_on_step_end=GuideCallback(pipe, guide, y_0, predictions=False)))
    assert distance(outs[1], y_0) < distance(outs[0], y_0)
