"""Predictor-corrector, the probability flow and cold diffusion in SamplerCustom."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

FORMS = ["eps", "v", "flow"]
NODES = {
    "ILVRPredictorCorrectorSampler": ("ancestral", 1, 0.16),
    "ILVRProbabilityFlowSampler": (0.0,),
    "ILVRColdSampler": ("2", "implied"),
}


def sampler(pack: ModuleType, node: str, *settings: Any) -> Any:
    return getattr(pack.nodes.models.score_samplers, node).execute(*(settings or NODES[node]))[0]


def levels(model: Any, steps: int, scheduler: str = "normal") -> Tensor:
    import comfy.samplers

    sampling = model.get_model_object("model_sampling")
    return comfy.samplers.calculate_sigmas(sampling, scheduler, steps)


def drawn(model: Any, chosen: Any, sigmas: Tensor, **options: Any) -> Tensor:
    """As SamplerCustom does."""
    import comfy.sample
    import mixture

    settings = {"seed": 7, "latent": torch.zeros(mixture.SHAPE), "callback": None} | options
    latent, prompt = settings["latent"], mixture.conditioning()
    noise = settings.get("noise", None)
    noise = comfy.sample.prepare_noise(latent, settings["seed"]) if noise is None else noise
    return comfy.sample.sample_custom(
        model, noise, 1.0, chosen, sigmas, prompt, prompt, latent,
        callback=settings["callback"], disable_pbar=True, seed=settings["seed"],
    )  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("node", NODES)
def test_every_form_of_model_is_drawn_from(pack: ModuleType, node: str, form: str) -> None:
    """What comes out is near one of the three pictures that the model knows."""
    import mixture

    model = mixture.mixture(form)
    out = 0.8 * drawn(model, sampler(pack, node), levels(model, 50)).double()
    distance = ((out - mixture.means()).square().flatten(1).mean(1)).min().sqrt()
    assert float(distance) == pytest.approx(mixture.SPREAD, abs=0.12)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("space", ["state", "prediction"])
@pytest.mark.parametrize("node", NODES)
def test_ilvr_apply_guides_them(pack: ModuleType, node: str, form: str, space: str) -> None:
    import graph
    import mixture

    model, reference = mixture.mixture(form), mixture.draw(4) / 0.8
    sigmas, chosen = levels(model, 30), sampler(pack, node)
    guided = graph.applied(pack, model, reference, kernel="box", space=space)
    out = drawn(guided, chosen, sigmas)
    bound = 0.1 if space == "prediction" and node == "ILVRPredictorCorrectorSampler" else 1e-3
    assert graph.residual(pack, out, reference) < bound
    plain = drawn(model, chosen, sigmas)
    assert graph.residual(pack, plain, reference) > 0.2
    nothing = graph.applied(pack, model, reference, weight=0.0, space=space)
    assert torch.equal(drawn(nothing, chosen, sigmas), plain)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("node", ["ILVRProbabilityFlowSampler", "ILVRColdSampler"])
def test_a_run_in_two_parts_is_one_run(pack: ModuleType, node: str, form: str) -> None:
    import mixture

    model = mixture.mixture(form)
    chosen, sigmas = sampler(pack, node), levels(model, 12)
    whole = drawn(model, chosen, sigmas)
    # The state is handed on as the host does between two nodes: in the scale of a latent.
    first = drawn(model, chosen, sigmas[:7])
    second = drawn(model, chosen, sigmas[6:], latent=first, noise=torch.zeros_like(first))
    torch.testing.assert_close(second, whole, atol=1e-4, rtol=0)


def test_pictures_do_not_change_with_their_batch(pack: ModuleType) -> None:
    import comfy.sample
    import mixture

    model = mixture.mixture("eps")
    batch = torch.zeros(3, *mixture.SHAPE[1:])
    noise = comfy.sample.prepare_noise(batch, 7)
    for node in NODES:
        chosen, sigmas = sampler(pack, node), levels(model, 10)
        together = drawn(model, chosen, sigmas, latent=batch, noise=noise)
        assert not torch.equal(together[0], together[1])
        first = drawn(model, chosen, sigmas, latent=batch[:1], noise=noise[:1])
        torch.testing.assert_close(first[0], together[0], atol=1e-5, rtol=0)
        assert torch.equal(drawn(model, chosen, sigmas, latent=batch[:1], noise=noise[:1]), first)


def test_cold_with_implied_noise_is_ddim(pack: ModuleType) -> None:
    import comfy.samplers
    import mixture

    for form in FORMS:
        model = mixture.mixture(form)
        sigmas = levels(model, 20)
        # ddim of the host is euler.
        wanted = drawn(model, comfy.samplers.sampler_object("euler"), sigmas)
        for algorithm in ("1", "2"):
            out = drawn(model, sampler(pack, "ILVRColdSampler", algorithm, "implied"), sigmas)
            torch.testing.assert_close(out, wanted, atol=1e-4, rtol=0)
        fixed = [
            drawn(model, sampler(pack, "ILVRColdSampler", algorithm, "fixed"), sigmas)
            for algorithm in ("1", "2")
        ]
        assert float((fixed[0] - fixed[1]).abs().max()) > 1e-2


def test_the_host_and_the_core_draw_the_same(pack: ModuleType) -> None:
    """The embedded model, the same random numbers: one picture through both doors."""
    import comfy.sample

    core, nodes, seed, shape = pack.ilvr_latent, pack.nodes, 3, (1, 3, 64, 64)
    model = nodes.models.adm.ILVRLoadADM.execute(nodes.models.adm.EMBEDDED)[0]
    sigmas = nodes.models.adm_sampling.ILVRADMSchedule.execute(model, "8")[0]
    positive = nodes.models.adm.ILVRADMConditioning.execute(-1)[0]
    latent = torch.zeros(shape)
    noise = comfy.sample.prepare_noise(latent, seed)
    own = core.SeededNoise(seed + nodes.models.score_sampling.SEED_OFFSET)
    moves = [(own.corrector(i, 0, shape), own.step(i, shape)) for i in range(8)]

    class Recorded(core.RecordedNoise):  # type: ignore[misc, name-defined]
        def corrector(self, i: int, j: int, shape: Any) -> Tensor:
            return moves[i][0]

    recorded = Recorded(noise, [step for _, step in moves], {})
    adm = model.model.diffusion_model.adm
    for node, name in (("ILVRPredictorCorrectorSampler", "pc"), ("ILVRColdSampler", "cold")):
        out = comfy.sample.sample_custom(
            model, noise, 1.0, sampler(pack, node), sigmas, positive, positive, latent,
            seed=seed, disable_pbar=True,
        )  # fmt: skip
        wanted = core.diffusion.LOOPS[name](
            adm, shape=shape, steps="8", noise=recorded, clip_denoised=True
        )
        torch.testing.assert_close(out, wanted, atol=2e-3, rtol=0)


def test_the_flow_is_what_many_steps_of_euler_come_to(pack: ModuleType) -> None:
    import comfy.samplers
    import mixture

    for form in FORMS:
        model = mixture.mixture(form)
        exact = drawn(model, sampler(pack, "ILVRProbabilityFlowSampler", 1e-6), levels(model, 8))
        euler = drawn(model, comfy.samplers.sampler_object("euler"), levels(model, 800))
        torch.testing.assert_close(exact, euler, atol=0.03, rtol=0)
        model.model.calls.clear()
        quick = drawn(model, sampler(pack, "ILVRProbabilityFlowSampler"), levels(model, 8))
        assert len(model.model.calls) == 7 * 6 + 1
        assert float((quick - exact).abs().max()) < 0.1


@pytest.mark.parametrize("form", FORMS)
def test_a_picture_is_turned_into_noise_and_back(pack: ModuleType, form: str) -> None:
    import mixture

    model, picture = mixture.mixture(form), mixture.draw(4) / 0.8
    chosen, sigmas = sampler(pack, "ILVRProbabilityFlowSampler"), levels(model, 20)
    # The host cannot hand on pure noise of a flow model between two nodes.
    sigmas = sigmas[1:] if form == "flow" else sigmas
    silent = torch.zeros_like(picture)
    encoded = drawn(model, chosen, sigmas.flip(0), latent=picture, noise=silent)
    of_latent = 1 - sigmas[0] if form == "flow" else 1.0
    spread = 0.8 * encoded.std() * of_latent / sigmas[0]
    assert float(spread) == pytest.approx(1, abs=0.15)
    back = drawn(model, chosen, sigmas, latent=encoded, noise=silent)
    torch.testing.assert_close(back, picture, atol=0.05, rtol=0)


@pytest.mark.parametrize("node", NODES)
def test_every_step_is_shown_and_an_interruption_is_noticed_within_one(
    pack: ModuleType, node: str
) -> None:
    import comfy.model_management
    import mixture

    model, told = mixture.mixture("eps"), list[tuple[int, int]]()
    sigmas = levels(model, 6)

    def callback(step: int, x_0: Tensor, x: Tensor, total: int) -> None:
        assert x_0.shape == x.shape == mixture.SHAPE
        told.append((step, total))

    drawn(model, sampler(pack, node), sigmas, callback=callback)
    assert told == [(i, 6) for i in range(6)]

    def stop(step: int, *_: Any) -> None:
        comfy.model_management.interrupt_current_processing()

    model.model.calls.clear()
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        drawn(model, sampler(pack, node), sigmas, callback=stop)
    assert len(model.model.calls) <= 6
    assert not comfy.model_management.processing_interrupted()


def test_a_mean_is_offered_by_ancestral_alone(pack: ModuleType) -> None:
    import mixture

    core = pack.ilvr_latent

    class Shifted(core.GuideRun):  # type: ignore[misc, name-defined]
        def begin(self, run: Any) -> Any:
            return self

        def mean(self, mu: Tensor, variance: Any, x_t: Tensor, x_0: Tensor, step: Any) -> Tensor:
            return mu + 0.25 if step.index == 9 else mu

    model = mixture.mixture("eps")
    guided, sigmas = pack.nodes.driver.guided(model, Shifted()), levels(model, 10)
    chosen = sampler(pack, "ILVRPredictorCorrectorSampler")
    plain = drawn(model, chosen, sigmas)
    torch.testing.assert_close(0.8 * drawn(guided, chosen, sigmas), 0.8 * plain + 0.25)
    other = sampler(pack, "ILVRPredictorCorrectorSampler", "reverse_diffusion", 1, 0.16)
    with pytest.raises(core.InputError, match="mean"):
        drawn(guided, other, sigmas)


@pytest.mark.parametrize("node", NODES)
def test_jumps_of_resample_go_around_them(pack: ModuleType, node: str) -> None:
    import graph
    import mixture

    model, reference = mixture.mixture("eps"), mixture.draw(4) / 0.8
    resample = pack.nodes.guides.resample.ILVRResample
    chosen = resample.execute(sampler(pack, node), 3, 2)[0]
    guided = graph.applied(pack, model, reference, kernel="box")
    out = drawn(guided, chosen, levels(model, 12))
    assert graph.residual(pack, out, reference) < 1e-3


def test_what_cannot_be_sampled_is_named(pack: ModuleType) -> None:
    import mixture

    error, model = pack.ilvr_latent.InputError, mixture.mixture("eps")
    sigmas = levels(model, 6)
    for node in ("ILVRPredictorCorrectorSampler", "ILVRColdSampler"):
        with pytest.raises(error, match="do not fall"):
            drawn(model, sampler(pack, node), sigmas.flip(0))
    flow = mixture.mixture("flow")
    with pytest.raises(error, match="begins at pure noise"):
        drawn(
            flow, sampler(pack, "ILVRPredictorCorrectorSampler", "reverse_diffusion", 1, 0.16),
            levels(flow, 6),
        )  # fmt: skip
    with pytest.raises(error, match="tolerance is -1"):
        sampler(pack, "ILVRProbabilityFlowSampler", -1.0)
    for settings in (("3", "implied"), ("2", "fresh")):
        with pytest.raises(error, match="use one of"):
            sampler(pack, "ILVRColdSampler", *settings)
    assert not model.model.calls
