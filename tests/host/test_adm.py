"""ADM checkpoints as native models: the stock KSampler draws with the embedded one."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor


@pytest.fixture(scope="module")
def loaded(pack: ModuleType) -> tuple[Any, Any]:
    adm = pack.nodes.models.adm
    with torch.inference_mode():
        return adm.ILVRLoadADM.execute(adm.EMBEDDED).args


def drawn(pack: ModuleType, model: Any, label: int = -1, size: int = 64, **options: Any) -> Tensor:
    import mixture

    positive, _ = pack.nodes.models.adm.ILVRADMConditioning.execute(label).args
    latent = pack.nodes.models.adm.ILVREmptyPixels.execute(size, size, 1)[0]["samples"]
    settings = {"steps": 12, "seed": 3, "latent": latent} | options
    return mixture.sampled(model, settings.pop("sampler", "euler"), cond=positive, **settings)


def test_the_network_is_given_what_it_was_trained_on(
    pack: ModuleType, loaded: tuple[Any, Any]
) -> None:
    """One call through ComfyUI is the network's own reading of x_t, t."""
    model = loaded[0].model
    adm, sampling = model.diffusion_model.adm, model.model_sampling
    t = torch.tensor([400])
    sigma = sampling.sigma(t)
    a_bar = 1 / (1 + sigma**2)
    expected = pack.ilvr_latent.diffusion.schedule.alphas_cumprod(adm.config.noise_schedule, 1000)[
        400
    ]
    assert float(a_bar) == pytest.approx(float(expected), rel=1e-5)
    x_t = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    x_0 = model.apply_model(x_t / a_bar.sqrt(), sigma)
    output = adm(x_t, t)
    wanted = pack.ilvr_latent.diffusion.reverse.predicted_x_0(
        output, x_t, float(a_bar), adm.config.prediction_type
    )
    assert torch.allclose(x_0, wanted, atol=1e-4)


def test_pixels_through_the_vae_are_the_same_pixels(loaded: tuple[Any, Any]) -> None:
    vae = loaded[1]
    image = torch.rand(1, 64, 48, 3, generator=torch.Generator().manual_seed(0))
    assert vae.encode(image).shape == (1, 3, 64, 48)
    assert torch.allclose(vae.decode(vae.encode(image)), image, atol=1e-6)


@pytest.mark.parametrize("sampler", ["euler", "ddpm", "dpmpp_2m"])
def test_the_stock_sampler_draws_and_follows_a_reference(
    pack: ModuleType, loaded: tuple[Any, Any], sampler: str
) -> None:
    model, vae = loaded
    plain = drawn(pack, model, sampler=sampler)
    assert torch.isfinite(plain).all()
    assert plain.abs().max() < 1.2
    assert plain.std() > 0.2
    image = torch.ones(1, 100, 100, 3)
    image[:, 20:80, 20:80] = torch.tensor([0.9, 0.2, 0.1])
    latent = {"samples": torch.zeros(1, 3, 64, 64)}
    reference, shown = pack.nodes.tools.reference.ILVRReferenceEncode.execute(
        image, vae, latent
    ).args
    assert shown.shape == (1, 64, 64, 3)
    guided = pack.nodes.guides.ilvr.ILVRApply.execute(model, reference, 8, 0.0, 1.0, 1.0)[0]
    out, phi = drawn(pack, guided, sampler=sampler), pack.ilvr_latent.LowPass(8)
    difference = (phi(out) - phi(reference["samples"])).norm()
    assert difference / phi(reference["samples"]).norm() < 0.06


def test_inputs_that_the_model_cannot_use_are_refused(
    pack: ModuleType, loaded: tuple[Any, Any]
) -> None:
    error = pack.ilvr_latent.InputError
    with pytest.raises(error, match="knows no classes"):
        drawn(pack, loaded[0], label=3)
    with pytest.raises(error, match=r"66x66 pixels, .* multiple of 8"):
        drawn(pack, loaded[0], latent=torch.zeros(1, 3, 66, 66))
    with pytest.raises(error, match=r"4 channels, .* samples 3"):
        pack.nodes.guides.ilvr.ILVRApply.execute(
            loaded[0], {"samples": torch.zeros(1, 4, 64, 64)}, 8, 0.0, 1.0, 1.0
        )


def test_a_class_conditional_checkpoint_takes_its_label(pack: ModuleType, tiny_adm: Any) -> None:
    core, model = pack.ilvr_latent, tiny_adm
    two, four = (drawn(pack, model, label, size=16) for label in (2, 4))
    assert two.shape == (1, 3, 16, 16)
    assert torch.isfinite(two).all()
    assert not torch.equal(two, four)
    with pytest.raises(core.InputError, match="label from 0 to 4"):
        drawn(pack, model, -1, size=16)
    with pytest.raises(core.InputError, match="label from 0 to 4"):
        drawn(pack, model, 5, size=16)


@pytest.fixture
def tiny_adm(pack: ModuleType, tmp_path: Path) -> Any:
    """Class-conditional, with learned variance and random weights."""
    core = pack.ilvr_latent
    config = core.ADMConfig(
        image_size=16, num_channels=32, num_res_blocks=1, channel_mult=(1, 2),
        attention_levels=(1,), noise_schedule="linear", num_classes=5, learn_sigma=True,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    weights = {
        name: torch.randn(tensor.shape, generator=generator) * 0.05
        for name, tensor in core.adm.load._blueprint(config).state_dict().items()
    }
    core.save_adm(weights, tmp_path / "tiny.safetensors", config=config)
    return pack.nodes.models.adm_model.adm_model(str(tmp_path / "tiny.safetensors"))


def noise_of_the_graph(pack: ModuleType, first: Tensor, seed: int) -> Any:
    """What ten steps of ADM Sampler and ILVR Apply draw, for the core."""
    core, nodes, shape = pack.ilvr_latent, pack.nodes, tuple(first.shape)
    steps = core.SeededNoise(seed + nodes.models.adm_sampling.SEED_OFFSET)
    matches = core.SeededNoise(seed + nodes.rows.SEED_OFFSET)
    return core.RecordedNoise(
        first,
        [steps.step(i, shape) for i in range(10)],
        {i: matches.reference(i, shape) for i in range(9)},
    )


@pytest.mark.parametrize(
    ("sampler", "eta", "clip", "respacing"),
    [
        ("ddpm", 0, True, "10"),
        ("ddim", 0.5, False, "10"),
        ("dpmpp_2m", 0, True, "10"),
        ("unipc", 0, True, "10"),
        ("unipc_damped", 0, True, "early10"),
    ],
)
def test_the_adm_sampler_with_ilvr_is_the_core(
    pack: ModuleType, tiny_adm: Any, sampler: str, eta: float, clip: bool, respacing: str
) -> None:
    """The paper's setup in the graph gives what `ilvr_latent.sample` gives, number for number."""
    import comfy.sample
    import mixture

    core, nodes, seed, shape = pack.ilvr_latent, pack.nodes, 3, (1, 3, 16, 16)
    image = mixture.draw(4, shape).clamp(-1, 1)
    positive = nodes.models.adm.ILVRADMConditioning.execute(2)[0]
    guided = nodes.guides.ilvr.ILVRApply.execute(
        tiny_adm, {"samples": image}, 4, 0.001, 1.0, 1.0, noise="fresh"
    )[0]
    sigmas = nodes.models.adm_sampling.ILVRADMSchedule.execute(tiny_adm, respacing)[0]
    noise = comfy.sample.prepare_noise(torch.zeros(shape), seed)
    out = comfy.sample.sample_custom(
        guided, noise, 1.0, nodes.models.adm_sampling.ILVRADMSampler.execute(sampler, eta, clip)[0],
        sigmas, positive, positive, torch.zeros(shape), seed=seed, disable_pbar=True,
    )  # fmt: skip

    recorded = noise_of_the_graph(pack, noise, seed)
    wanted = core.sample(
        tiny_adm.model.diffusion_model.adm, core.Reference(image, 4), steps=respacing,
        sampler=sampler, eta=eta, class_labels=2, clip_denoised=clip, noise=recorded,
    )  # fmt: skip
    assert torch.allclose(out, wanted, atol=1e-4 * float(wanted.abs().max()))


def test_the_adm_sampler_needs_an_adm_model(pack: ModuleType) -> None:
    import mixture

    with pytest.raises(pack.ilvr_latent.InputError, match="Load ADM Checkpoint"):
        pack.nodes.models.adm_sampling.ILVRADMSchedule.execute(mixture.mixture("eps"), "10")


def guided_by_the_host(name: str, model: Any, *settings: Any) -> Any:
    """The model after one of ComfyUI's nodes for attention."""
    from graph import after_node

    module = {"PerturbedAttentionGuidance": "nodes_pag", "SelfAttentionGuidance": "nodes_sag"}[name]
    return after_node(model, module, name, *settings)


def test_the_hosts_perturbed_attention_is_the_cores(pack: ModuleType, tiny_adm: Any) -> None:
    """Number for number, the learned variance of the network itself included."""
    import comfy.sample
    import mixture

    core, nodes, seed, shape = pack.ilvr_latent, pack.nodes, 3, (1, 3, 16, 16)
    image = mixture.draw(4, shape).clamp(-1, 1)
    positive = nodes.models.adm.ILVRADMConditioning.execute(2)[0]
    noise = comfy.sample.prepare_noise(torch.zeros(shape), seed)
    sampler = nodes.models.adm_sampling.ILVRADMSampler.execute("ddpm", 0, False)[0]
    sigmas = nodes.models.adm_sampling.ILVRADMSchedule.execute(tiny_adm, "10")[0]

    def by_the_host(model: Any) -> Tensor:
        guided = nodes.guides.ilvr.ILVRApply.execute(
            model, {"samples": image}, 4, 0.001, 1.0, 1.0, noise="fresh"
        )[0]
        return comfy.sample.sample_custom(
            guided, noise, 1.0, sampler, sigmas, positive, positive, torch.zeros(shape), seed=seed,
            disable_pbar=True,
        )  # fmt: skip

    recorded = noise_of_the_graph(pack, noise, seed)
    wanted = core.sample(
        core.with_perturbed_attention(tiny_adm.model.diffusion_model.adm, 2.0),
        core.Reference(image, 4), steps="10", class_labels=2, clip_denoised=False, noise=recorded,
    )  # fmt: skip
    out = by_the_host(guided_by_the_host("PerturbedAttentionGuidance", tiny_adm, 2.0))
    assert torch.allclose(out, wanted, atol=1e-4 * float(wanted.abs().max()))
    assert not torch.allclose(out, by_the_host(tiny_adm), atol=1e-2)
    other = by_the_host(guided_by_the_host("SelfAttentionGuidance", tiny_adm, 0.5, 2.0))
    assert torch.isfinite(other).all()


@pytest.mark.parametrize(
    ("name", "settings"),
    [("PerturbedAttentionGuidance", (2.0,)), ("SelfAttentionGuidance", (0.5, 2.0))],
)
def test_the_hosts_attention_nodes_act_beside_a_reference(
    pack: ModuleType, loaded: tuple[Any, Any], name: str, settings: tuple[float, ...]
) -> None:
    """In either order; the reference is held all the same."""
    model, phi = loaded[0], pack.ilvr_latent.LowPass(8, "box")
    reference = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    low = phi(reference)

    def applied(model: Any) -> Any:
        return pack.nodes.guides.ilvr.ILVRApply.execute(
            model, {"samples": reference}, 8, 0.0, 1.0, 1.0, kernel="box"
        )[0]

    bare = drawn(pack, applied(model), steps=4)
    for guided in (
        applied(guided_by_the_host(name, model, *settings)),
        guided_by_the_host(name, applied(model), *settings),
    ):
        out = drawn(pack, guided, steps=4)
        assert torch.isfinite(out).all()
        assert (out - bare).abs().max() > 0.02
        assert (phi(out) - low).abs().max() < 0.05
    assert torch.equal(drawn(pack, applied(model), steps=4), bare)
