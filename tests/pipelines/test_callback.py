"""The callback: Algorithm 1, runs that start late or stop early, what it refuses."""

from __future__ import annotations

from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from ilvr_latent import InputError, LowPass, RecordedNoise, Reference, Window, sample
from ilvr_latent.pipelines import ILVRCallback
from ilvr_latent.pipelines.calls import plan_run
from tests.pipelines.support.exact import SHAPE, ExactPipeline, draw, exact_pipeline

PHI = LowPass(4, "box")


def distance(x: Tensor, y: Tensor) -> float:
    return float((PHI(x) - PHI(y)).norm() / PHI(y).norm())


class SameDenoiser:
    """The formula behind a pipeline as the core's sampler takes it."""

    device = torch.device("cpu")

    def __init__(self, pipe: ExactPipeline) -> None:
        self._pipe = pipe
        self.config = type(
            "Config",
            (),
            {
                "image_size": 16,
                "image_channels": 4,
                "noise_schedule": "linear",
                "diffusion_steps": 1000,
                "prediction_type": "epsilon",
                "learn_sigma": False,
                "sigma_small": True,
                "num_classes": None,
            },
        )()

    def __call__(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        return self._pipe.network(x, float(t[0]), self._pipe.scheduler, "epsilon").float()


@pytest.mark.parametrize("window", [Window(), Window(0, 0.6), Window.steps(2, 5)])
@pytest.mark.parametrize("space", ["state", "prediction"])
def test_with_ddpm_and_the_same_noise_it_is_algorithm_1(window: Window, space: Any) -> None:
    process: dict[str, Any] = {
        "beta_start": 1e-4,
        "beta_end": 0.02,
        "beta_schedule": "linear",
        "steps_offset": 0,
    }
    pipe = exact_pipeline("DDPMScheduler", variance_type="fixed_small", **process)
    generator = torch.Generator().manual_seed(7)
    x_t, *z = (torch.randn(SHAPE, generator=generator) for _ in range(11))
    reference_noise = {i: torch.randn(SHAPE, generator=generator) for i in range(10)}
    noise = RecordedNoise(x_t, z, reference_noise)
    reference = Reference(draw(4), 4, window=window)
    callback = ILVRCallback(pipe, reference, space=space, reference_noise="fresh", noise=noise)
    with callback:
        out = pipe(steps=10, seed=7)
    wanted = sample(
        SameDenoiser(pipe),
        reference,
        steps="ddim10",
        space=space,
        clip_denoised=False,
        noise=noise,
    )
    assert (out - wanted).abs().max() < 2e-4 * wanted.abs().max()


@pytest.mark.parametrize(
    "name", ["DDIMScheduler", "EulerDiscreteScheduler", "HeunDiscreteScheduler", "PNDMScheduler"]
)
def test_a_run_that_starts_late(name: str) -> None:
    pipe = exact_pipeline(name)
    start: dict[str, Any] = {"start": 10, "image": draw(3)}
    out = pipe(
        **start, callback_on_step_end=ILVRCallback(pipe, Reference(draw(4), 4, kernel="box"))
    )
    assert distance(out, draw(4)) < 1e-3
    # Half of the process is over when it starts.
    with pytest.raises(InputError, match="holds none of the"):
        over = Reference(draw(4), 4, window=Window(0, 0.3))
        pipe(**start, callback_on_step_end=ILVRCallback(pipe, over))


def test_a_run_that_stops_early_is_matched_at_its_noise_level() -> None:
    pipe = exact_pipeline("EulerDiscreteScheduler")
    pipe.scheduler.set_timesteps(20)
    plan = plan_run(pipe.scheduler, 0, 12)
    assert plan.after is not None
    assert plan.after.sigma == pytest.approx(float(pipe.scheduler.sigmas[12]))
    assert len(plan.schedule) == 12
    assert plan_run(pipe.scheduler, 0, 20).after is None


@pytest.mark.parametrize("name", ["HeunDiscreteScheduler", "KDPM2DiscreteScheduler"])
def test_steps_of_a_window_are_whole_steps_of_the_solver(name: str) -> None:
    pipe = exact_pipeline(name)
    pipe.scheduler.set_timesteps(20)
    plan = plan_run(pipe.scheduler, 0, len(pipe.scheduler.timesteps))
    assert len(plan.calls) == 39
    assert len(plan.schedule) == 20
    assert [step.index for step in plan.schedule.steps] == list(range(20))


def test_only_states_in_the_window_are_edited() -> None:
    pipe = exact_pipeline("DDIMScheduler")
    pipe()
    before = list(pipe.inputs)
    reference = Reference(draw(4), 4, window=Window.steps(3, 5))
    pipe(callback_on_step_end=ILVRCallback(pipe, reference))
    same = [torch.equal(a, b) for a, b in zip(before, pipe.inputs, strict=True)]
    assert same == [True] * 4 + [False] * 16


def test_half_precision_is_matched_in_fp32_and_stays_half() -> None:
    pipe = exact_pipeline("DDIMScheduler")
    callback = ILVRCallback(pipe, Reference(draw(4), 4, kernel="box"))
    out = pipe(dtype=torch.bfloat16, callback_on_step_end=callback)
    assert out.dtype == torch.bfloat16
    assert distance(out.float(), draw(4)) < 5e-3


def test_pictures_of_a_batch_do_not_depend_on_each_other() -> None:
    pipe = exact_pipeline("DDIMScheduler")
    both = Reference(torch.cat([draw(4), draw(3)]), 4, kernel="box")
    out = pipe(batch=2, callback_on_step_end=ILVRCallback(pipe, both, seed=[1, 2]))
    assert distance(out[:1], draw(4)) < 1e-3
    assert distance(out[1:], draw(3)) < 1e-3


def test_a_failure_leaves_the_scheduler_as_it_was() -> None:
    pipe = exact_pipeline("DDIMScheduler")
    plain = pipe()
    callback = ILVRCallback(pipe, Reference(draw(4), 4))

    def broken(*_: Any) -> Tensor:
        raise RuntimeError("out of something")

    network, pipe.network = pipe.network, broken
    with pytest.raises(RuntimeError, match="out of something"), callback:
        pipe()
    pipe.network = network
    assert torch.equal(pipe(), plain)
    first = pipe(callback_on_step_end=callback)
    with callback:
        assert torch.equal(pipe(), first)


def test_two_callbacks_one_in_the_other() -> None:
    pipe = exact_pipeline("DDIMScheduler")
    plain = pipe()
    left = torch.zeros(1, 1, *SHAPE[-2:])
    left[..., :8] = 1
    with (
        ILVRCallback(pipe, Reference(draw(4), 4, mask=left, kernel="box")),
        ILVRCallback(pipe, Reference(draw(3), 4, mask=1 - left, kernel="box")),
    ):
        out = pipe()
    assert distance(out[..., :8], draw(4)[..., :8]) < 1e-3
    assert distance(out[..., 8:], draw(3)[..., 8:]) < 1e-3
    assert torch.equal(pipe(), plain)


def test_diffusers_own_callbacks_can_stand_beside_it() -> None:
    from diffusers.callbacks import MultiPipelineCallbacks

    pipe = exact_pipeline("DDIMScheduler")
    callback = ILVRCallback(pipe, Reference(draw(4), 4))
    several = MultiPipelineCallbacks([callback])
    assert several.tensor_inputs == ["latents"]
    assert torch.equal(pipe(callback_on_step_end=several), pipe(callback_on_step_end=callback))


def test_what_it_refuses() -> None:
    pipe = exact_pipeline("DDIMScheduler")
    reference = Reference(draw(4), 4)
    needs_with = ILVRCallback(pipe, reference, space="prediction")
    with pytest.raises(InputError, match="write 'with callback:'"):
        _ = needs_with.tensor_inputs  # what a pipeline reads before anything else
    with pytest.raises(InputError, match="shape"):
        small = Reference(draw(4)[..., :8], 4)
        pipe(callback_on_step_end=ILVRCallback(pipe, small))
    assert len(pipe.inputs) == 1  # what the size is, the first step shows
    with pytest.raises(InputError, match="use one, or a number that divides the batch"):
        three = Reference(draw(4).repeat(3, 1, 1, 1), 4)
        pipe(batch=2, callback_on_step_end=ILVRCallback(pipe, three))
    with pytest.raises(InputError, match="does not hand its latents"):
        ILVRCallback(pipe, reference)(pipe, 0, torch.tensor(1), {})
    pipe.scheduler = diffusers.VQDiffusionScheduler(num_vec_classes=4)
    with pytest.raises(InputError, match="does not know the scheduler VQDiffusionScheduler"):
        ILVRCallback(pipe, reference)
    pipe.scheduler = None
    with pytest.raises(InputError, match="has no scheduler"):
        ILVRCallback(pipe, reference)
