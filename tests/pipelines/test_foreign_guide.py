"""A guide that is not ours, in diffusers pipelines and chained with ILVR."""

from __future__ import annotations

import pytest
import torch

from ilvr_latent import ILVR, GuideRun, Guides, InputError, LowPass, Reference, Run
from ilvr_latent.diffusion import Step
from ilvr_latent.diffusion.guide import Denoise
from ilvr_latent.guides import ClassifierGuidance, ClipGuidance, UniversalGuidance
from ilvr_latent.pipelines import GuideCallback
from tests.example_guide import example_guide
from tests.pipelines.support.exact import draw, exact_pipeline


@pytest.mark.parametrize(
    "name", ["DDIMScheduler", "EulerDiscreteScheduler", "DPMSolverMultistepScheduler"]
)
def test_it_runs_alone_and_after_ilvr(name: str) -> None:
    pipe, mean_colour, colour, layout = exact_pipeline(name), example_guide(), draw(5), draw(4)
    plain = pipe()
    with GuideCallback(pipe, mean_colour(colour), colour):
        out = pipe()
    wanted = colour.mean((-2, -1))
    assert (out.mean((-2, -1)) - wanted).abs().max() < 0.1
    assert (plain.mean((-2, -1)) - wanted).abs().max() > 0.2
    matched = ILVR(Reference(layout, 4, kernel="box"))
    with GuideCallback(pipe, Guides(mean_colour(colour), matched), layout):
        both = pipe()
    phi = LowPass(4, "box")
    torch.testing.assert_close(phi(both), phi(layout), atol=1e-3, rtol=0)
    with GuideCallback(pipe, matched, layout):
        assert not torch.equal(both, pipe())


class Through(GuideRun):
    """Wants the network itself."""

    def denoise(self, denoiser: Denoise, x_t: torch.Tensor, step: Step) -> torch.Tensor:
        return denoiser(x_t)


class ThroughTheNetwork:
    """Its guide."""

    def begin(self, run: Run) -> GuideRun:
        return Through()


def test_a_guide_that_needs_the_network_is_refused_with_the_place_where_it_works() -> None:
    pipe = exact_pipeline("DDIMScheduler")
    with (
        GuideCallback(pipe, ThroughTheNetwork(), draw(4)),
        pytest.raises(InputError, match=r"denoise.*sample_with.*ComfyUI"),
    ):
        pipe()


def test_without_with_a_guide_of_predictions_is_refused() -> None:
    pipe = exact_pipeline("DDIMScheduler")
    callback = GuideCallback(pipe, example_guide()(draw(5)), draw(5), predictions=False)
    with pytest.raises(InputError, match=r"prediction.*with callback"):
        pipe(callback_on_step_end=callback)


def test_classifier_guidance_where_predictions_can_be_exchanged() -> None:
    """A classifier of dark latents makes them darker, by its scale."""
    pipe = exact_pipeline("DDIMScheduler")

    def logits(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        brightness = x.mean((1, 2, 3)) * 50
        return torch.stack([-brightness, brightness], dim=1)

    def mean_with(scale: float) -> float:
        with GuideCallback(pipe, ClassifierGuidance(logits, 0, scale=scale), draw(4)):
            return float(pipe().mean())

    plain = float(pipe().mean())
    assert mean_with(0.0) == plain
    assert mean_with(3.0) < mean_with(1.0) < plain - 0.02


def test_guides_through_the_network_are_refused() -> None:
    pipe = exact_pipeline("DDIMScheduler")

    def loss(x_0: torch.Tensor) -> torch.Tensor:
        return x_0.flatten(1).sum(1)

    guides = UniversalGuidance(loss, weight=1.0), ClipGuidance(lambda x: x, torch.ones(1, 4))
    for guide in guides:
        with (
            GuideCallback(pipe, guide, draw(4)),
            pytest.raises(InputError, match=r"denoise.*sample_with.*ComfyUI"),
        ):
            pipe()
