"""ILVR Resample: a sampler of the host that goes back, alone and with ILVR Apply."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

JUMPS = (3, 2)  # of eight steps: 0 1 2 3 | 1 2 3 4 5 6 | 4 5 6 7
VISITED = [*range(4), *range(1, 7), *range(4, 8)]
FORMS = ("eps", "v", "flow")


def wrapped(pack: ModuleType, sampler: str, *jumps: int) -> Any:
    import comfy.samplers

    inner = comfy.samplers.sampler_object(sampler)
    return pack.nodes.guides.resample.ILVRResample.execute(inner, *jumps)[0] if jumps else inner


def sampled(
    model: Any, sampler: Any, steps: int = 8, *, scheduler: str = "normal", callback: Any = None,
    seed: int = 7, denoise_mask: Tensor | None = None, latent: Tensor | None = None,
    sigmas: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """One run of the stock SamplerCustom's inside."""
    import comfy.sample
    import comfy.samplers
    import mixture

    if sigmas is None:
        sampling = model.get_model_object("model_sampling")
        sigmas = comfy.samplers.calculate_sigmas(sampling, scheduler, steps)
    latent = torch.zeros(mixture.SHAPE) if latent is None else latent
    noise = comfy.sample.prepare_noise(latent, seed)
    cond = mixture.conditioning()
    return comfy.sample.sample_custom(
        model, noise, 1.0, sampler, sigmas, cond, cond, latent, noise_mask=denoise_mask,
        callback=callback, disable_pbar=True, seed=seed,
    )  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sampler", ["euler", "euler_ancestral", "dpmpp_2m_sde", "uni_pc"])
def test_without_jumps_it_is_the_inner_sampler(pack: ModuleType, form: str, sampler: str) -> None:
    import graph
    import mixture

    guided = graph.applied(pack, mixture.mixture(form), mixture.draw(4))
    for model in (mixture.mixture(form), guided):
        plain, off, on = (
            sampled(model, wrapped(pack, sampler, *jumps)) for jumps in ((), (3, 1), JUMPS)
        )
        assert torch.equal(plain, off)
        assert torch.isfinite(on).all()
        assert not torch.equal(plain, on)


@pytest.mark.parametrize("form", FORMS)
def test_it_takes_the_steps_that_the_plan_says(pack: ModuleType, form: str) -> None:
    import mixture

    model = mixture.mixture(form)
    sampled(model, wrapped(pack, "euler"))
    levels = list(model.model.calls)
    del model.model.calls[:]
    sampled(model, wrapped(pack, "euler", *JUMPS))
    assert model.model.calls == pytest.approx([levels[i] for i in VISITED])
    assert len(VISITED) == pack.ilvr_latent.Resampling(*JUMPS).calls(8)


def test_every_sampler_can_be_begun_again(pack: ModuleType, sampler_name: str) -> None:
    """Also with the shortest stretches, of a single step."""
    import mixture

    for form, jumps in (("eps", (1, 2)), ("flow", JUMPS)):
        plain, out = (
            float(sampled(mixture.mixture(form), wrapped(pack, sampler_name, *j)).std())
            for j in ((), jumps)
        )
        # Some solvers of higher order are not stable in so few steps, with jumps or without.
        assert plain / 2.5 < out < plain * 1.5


@pytest.mark.parametrize("form", FORMS)
def test_a_jump_brings_the_state_to_the_noise_of_its_level(pack: ModuleType, form: str) -> None:
    """With a network that always sees the same picture, what is left of x is its noise."""
    import mixture

    class Denoiser:
        """As KSAMPLER shows it to a sampler function."""

    model = Denoiser()
    model.inner_model = Denoiser()
    model.inner_model.inner_model = mixture.mixture(form).model
    sampling, shape = model.inner_model.inner_model.model_sampling, (1, 1, 400, 400)
    top = 0.9 if form == "flow" else 3.0
    sigmas = top * torch.tensor([1.0, 0.7, 0.4, 0.2])
    x_0 = torch.full(shape, 0.6)
    seen = []

    def inner(model: Any, x: Tensor, sigmas: Tensor, **_: Any) -> Tensor:
        seen.append((sigmas, x))
        eps = torch.randn(shape, generator=torch.Generator().manual_seed(len(seen)))
        return sampling.noise_scaling(sigmas[-1], eps, x_0)

    resampling = pack.ilvr_latent.Resampling(2, 2)
    pack.nodes.guides.resample.resampled(inner, resampling)(
        model, x_0, sigmas, {"seed": 5}, None, True
    )
    assert [len(s) for s, _ in seen] == [3, 4]
    (levels, x), alpha = seen[1], 1 - top if form == "flow" else 1.0
    assert torch.equal(levels, sigmas)
    assert float(x.mean()) == pytest.approx(alpha * 0.6, abs=0.02)
    assert float(x.std()) == pytest.approx(top, rel=0.01)


def test_noise_is_never_used_twice_and_comes_from_the_seed(pack: ModuleType) -> None:
    """A sampler seeds its own noise anew in every stretch."""
    import comfy.samplers

    drawn: list[Tensor] = []

    def inner(model: Any, x: Tensor, sigmas: Tensor, extra_args: Any, **_: Any) -> Tensor:
        generator = torch.Generator().manual_seed(extra_args["seed"])
        drawn.append(torch.randn(x.shape, generator=generator))
        return x

    import mixture

    sampler = pack.nodes.guides.resample.ILVRResample.execute(comfy.samplers.KSAMPLER(inner), 2, 3)[
        0
    ]
    outs = [sampled(mixture.mixture("eps"), sampler, seed=seed) for seed in (7, 7, 8)]
    assert torch.equal(outs[0], outs[1])
    assert not torch.equal(outs[0], outs[2])
    own = torch.randn(drawn[0].shape, generator=torch.Generator().manual_seed(7))
    assert torch.equal(drawn[0], own)
    first = drawn[: len(drawn) // 3]
    assert len({draw[0, 0, 0, 0].item() for draw in first}) == len(first) > 3


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("space", ["state", "prediction"])
def test_ilvr_apply_acts_in_every_stretch_and_at_the_end(
    pack: ModuleType, form: str, space: str
) -> None:
    """At N = 1 the white half of the mask is the reference."""
    import graph
    import mixture

    reference = mixture.draw(4) / 0.8
    mask = torch.zeros(1, 16, 16)
    mask[..., :8] = 1
    guided = graph.applied(
        pack, mixture.mixture(form), reference, factor=1.0, mask=mask, space=space
    )
    out = sampled(guided, wrapped(pack, "euler", *JUMPS))
    torch.testing.assert_close(out[..., :8], reference[..., :8], rtol=0, atol=1e-2)
    assert float((out - reference)[..., 8:].abs().mean()) > 0.1


def test_the_steps_that_are_matched_are_those_of_the_sigmas(
    pack: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A range in steps holds its steps at every visit, and the noise of each visit is its own."""
    import graph
    import mixture

    visits: list[tuple[int, int, bool]] = []
    run = pack.ilvr_latent.guides.ilvr.ILVRRun
    original = run.state

    def spy(self: Any, x_t: Tensor, step: Any) -> Tensor:
        out = original(self, x_t, step)
        visits.append((step.index, step.gone_back, out is not x_t))
        return out

    monkeypatch.setattr(run, "state", spy)
    guided = graph.applied(
        pack, mixture.mixture("eps"), mixture.draw(4), range_unit="steps", start_step=2,
        end_step=5, noise="fresh",
    )  # fmt: skip
    sampled(guided, wrapped(pack, "euler", *JUMPS))
    assert [index for index, _, _ in visits] == VISITED
    assert [back for _, back, _ in visits] == [0] * 4 + [3] * 6 + [6] * 4
    assert [matched for _, _, matched in visits] == [2 <= index < 5 for index in VISITED]


def test_a_step_taken_twice_in_a_row_is_matched_with_fresh_noise(
    pack: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    import graph
    import mixture

    asked: list[int] = []

    class Noise(pack.ilvr_latent.SeededNoise):  # type: ignore[misc, name-defined]
        """Keeps count."""

        def reference(self, i: int, shape: Any) -> Tensor:
            asked.append(i)
            return super().reference(i, shape)

    monkeypatch.setattr(pack.nodes.run, "SeededNoise", Noise)
    guided = graph.applied(pack, mixture.mixture("eps"), mixture.draw(4), noise="fresh")
    sampled(guided, wrapped(pack, "euler", 1, 2), 3)  # 0 | 0 1 | 1 2
    # Under the call that made the state; -1 made the pure noise.
    assert asked == [-1, 0, 1, 2, 3]


def test_previews_and_the_progress_bar_count_every_step(pack: ModuleType) -> None:
    import graph
    import mixture

    told: list[tuple[int, int]] = []
    for model in (
        mixture.mixture("eps"),
        graph.applied(pack, mixture.mixture("eps"), mixture.draw(4)),
    ):
        del told[:]
        sampled(
            model, wrapped(pack, "euler", *JUMPS),
            callback=lambda step, x_0, x, total: told.append((step, total)),
        )  # fmt: skip
        assert told == [(i, len(VISITED)) for i in range(len(VISITED))]


def test_cancel_stops_it(pack: ModuleType) -> None:
    import mixture

    class Cancelled(Exception):
        """As the host raises in its callback."""

    def cancel(step: int, *_: Any) -> None:
        if step == 5:
            raise Cancelled

    model = mixture.mixture("eps")
    sampler = wrapped(pack, "euler", *JUMPS)
    before = sampled(model, sampler)
    del model.model.calls[:]
    with pytest.raises(Cancelled):
        sampled(model, sampler, callback=cancel)
    assert len(model.model.calls) == 6
    assert torch.equal(sampled(model, sampler), before)


def test_the_hosts_own_inpainting_keeps_what_it_keeps(pack: ModuleType) -> None:
    """A noise mask and jumps, without ILVR Apply, are RePaint with the host's noise."""
    import mixture

    latent = mixture.draw(4) / 0.8
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 8:] = 1
    for form in FORMS:
        out = sampled(
            mixture.mixture(form), wrapped(pack, "euler", *JUMPS), latent=latent, denoise_mask=mask
        )
        torch.testing.assert_close(out[..., :8], latent[..., :8], rtol=0, atol=1e-4)
        assert float((out - latent)[..., 8:].abs().mean()) > 0.1


def test_the_sampler_that_was_plugged_in_stays_as_it_is(pack: ModuleType) -> None:
    import comfy.samplers

    inner = comfy.samplers.ksampler("euler", {"s_noise": 1.0}, {"random": True})
    function = inner.sampler_function
    outer = pack.nodes.guides.resample.ILVRResample.execute(inner, 3, 2)[0]
    assert inner.sampler_function is function
    assert outer.extra_options == inner.extra_options
    assert outer.inpaint_options == inner.inpaint_options


def test_what_cannot_be_resampled_is_refused_in_a_sentence(pack: ModuleType) -> None:
    import mixture

    error = pack.ilvr_latent.InputError
    with pytest.raises(error, match="KSamplerSelect"):
        pack.nodes.guides.resample.ILVRResample.execute(SimpleNamespace(sample=print), 3, 2)
    with pytest.raises(error, match=r"jump_length is 8, .* 8 steps"):
        sampled(mixture.mixture("eps"), wrapped(pack, "euler", 8, 2))
    with pytest.raises(error, match="SIGMAS rise"):
        sampled(
            mixture.mixture("eps"), wrapped(pack, "euler", 1, 2),
            sigmas=torch.tensor([0.1, 1.0, 4.0, 9.0]),
        )  # fmt: skip
