"""Every sampler of ComfyUI with every kind of model, against an exact denoiser."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch
from torch import Tensor

N = 4
# With cubic, which is no projector, a little of the first difference is left.
RESIDUAL = {"eps": 0.06, "v": 0.08, "flow": 0.12}


def with_reference(
    pack: ModuleType, model: object, reference: Tensor, **settings: object
) -> object:
    apply = pack.nodes.guides.ilvr.ILVRApply
    settings = {"factor": N, "start_percent": 0.0, "end_percent": 1.0, "weight": 1.0} | settings
    return apply.execute(model, {"samples": reference}, **settings)[0]


@pytest.mark.parametrize("form", ["eps", "v", "flow"])
def test_the_sample_has_the_low_frequencies_of_the_reference(
    pack: ModuleType, form: str, sampler_name: str
) -> None:
    import mixture

    lowpass = pack.ilvr_latent.LowPass
    model, reference = mixture.mixture(form), mixture.draw(4) / 0.8
    plain = mixture.sampled(model, sampler_name)
    for kernel, bound in (("cubic", RESIDUAL[form]), ("box", 1e-3)):
        out = mixture.sampled(with_reference(pack, model, reference, kernel=kernel), sampler_name)
        phi = lowpass(N, kernel)
        assert torch.isfinite(out).all()
        assert (phi(out) - phi(reference)).norm() / phi(reference).norm() <= bound
        above = [(x - lowpass(N, "spectral")(x)).square().mean() for x in (out, plain)]
        assert above[0] / above[1] == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("form", ["eps", "flow"])
def test_a_matched_prediction_is_what_the_run_ends_with(
    pack: ModuleType, form: str, sampler_name: str
) -> None:
    """Also where the sampler stops above level 0, or adds older predictions."""
    import mixture

    model, reference = mixture.mixture(form), mixture.draw(4) / 0.8
    phi = pack.ilvr_latent.LowPass(N, "box")
    matched = with_reference(pack, model, reference, kernel="box", space="prediction")
    out = mixture.sampled(matched, sampler_name)
    assert (phi(out) - phi(reference)).norm() / phi(reference).norm() <= 2e-3


@pytest.mark.parametrize("form", ["eps", "v", "flow"])
def test_the_sampler_goes_on_from_what_was_matched(
    pack: ModuleType, form: str, sampler_name: str
) -> None:
    """A range that ends early has no last match: what is left comes through the sampler."""
    import mixture

    phi = pack.ilvr_latent.LowPass(N, "box")
    model, reference = mixture.mixture(form), mixture.draw(4) / 0.8
    plain = mixture.sampled(model, sampler_name)
    out = mixture.sampled(
        with_reference(pack, model, reference, kernel="box", end_percent=0.8), sampler_name
    )
    distance = [(phi(x) - phi(reference)).norm() for x in (out, plain)]
    # These two keep older predictions for long, or do not follow the flow themselves.
    slow = "3m_sde" in sampler_name or "res_multistep_ancestral" in sampler_name
    sampler_finds_it_alone = distance[1] / phi(reference).norm() < 0.6
    assert distance[0] < 0.35 * distance[1] or slow or sampler_finds_it_alone


@pytest.mark.parametrize("form", ["eps", "flow"])
def test_weight_zero_is_no_node(pack: ModuleType, form: str, sampler_name: str) -> None:
    import mixture

    model, reference = mixture.mixture(form), mixture.draw(4)
    off = with_reference(pack, model, reference, weight=0.0)
    assert torch.equal(mixture.sampled(off, sampler_name), mixture.sampled(model, sampler_name))


@pytest.mark.parametrize("sampler", ["dpm_2", "dpm_fast"])
def test_levels_may_lie_far_apart(pack: ModuleType, sampler: str) -> None:
    """These take slopes at trial states; this model's levels begin at 20,000."""
    import comfy.sample

    images, embedded = pack.ilvr_latent.pictures.images, pack.ilvr_latent.embedded
    apple = images.read_image(embedded.REFERENCES / "noto_apple.png")
    reference = images.to_tensor(images.fit_to(apple, (64, 64)))
    generator = torch.Generator().manual_seed(0)
    adm = pack.nodes.models.adm
    model, _ = adm.ILVRLoadADM.execute(adm.EMBEDDED).args
    prompts = adm.ILVRADMConditioning.execute(-1).args
    x_T, phi = torch.randn(reference.shape, generator=generator), pack.ilvr_latent.LowPass(8)
    residuals = []
    for weight in (0.0, 1.0):
        guided = with_reference(pack, model, reference, factor=8, end_percent=0.5, weight=weight)
        x = comfy.sample.sample(
            guided, x_T, 10, 1.0, sampler, "normal", *prompts, torch.zeros_like(reference),
            seed=0, disable_pbar=True,
        )  # fmt: skip
        residuals.append((phi(x) - phi(reference)).square().mean().sqrt())
    assert residuals[1] < 0.8 * residuals[0]
