"""SDDM and EGSDE in the host's samplers, and in the pack's own against the core."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

FORMS = ("eps", "v", "flow")
SAMPLERS = ("euler", "ddpm", "dpmpp_2m", "heun", "uni_pc")


def rough(x: Tensor) -> Tensor:
    """An energy against smooth pictures."""
    return -x.diff(dim=-1).square().flatten(1).sum(1)


def held(pack: ModuleType, model: Any, reference: Tensor, **settings: Any) -> Any:
    settings = {
        "blocks": 4,
        "start_percent": 0.0,
        "end_percent": 1.0,
        "deviations": True,
    } | settings
    node = pack.nodes.guides.sddm.ILVRBlockStatistics
    return node.execute(model, {"samples": reference}, **settings)[0]


def pulled(pack: ModuleType, model: Any, source: Tensor, **settings: Any) -> Any:
    settings = {"factor": 4.0, "faithful": 1.0} | settings
    return pack.nodes.guides.egsde.ILVREGSDE.execute(model, {"samples": source}, **settings)[0]


def distance(pack: ModuleType, x: Tensor, y: Tensor) -> float:
    """Of the block means and deviations of two latents."""
    statistics = [pack.ilvr_latent.guides.block_statistics(z, 4) for z in (x, y)]
    return sum(float((a - b).abs().mean()) for a, b in zip(*statistics, strict=True))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_blocks_take_over_the_statistics_of_the_reference(
    pack: ModuleType, form: str, sampler: str
) -> None:
    import mixture

    model, reference = mixture.mixture(form), mixture.draw(4) / 0.8
    plain = mixture.sampled(model, sampler)
    out = mixture.sampled(held(pack, model, reference), sampler)
    means = mixture.sampled(held(pack, model, reference, deviations=False), sampler)
    assert distance(pack, out, reference) < 0.6 * distance(pack, plain, reference)
    assert not torch.equal(out, means)
    assert torch.equal(mixture.sampled(model, sampler), plain)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_egsde_is_image_to_image_that_keeps_to_its_source(
    pack: ModuleType, form: str, sampler: str
) -> None:
    import mixture

    model, source = mixture.mixture(form), mixture.draw(4) / 0.8
    phi = pack.ilvr_latent.LowPass(4, "linear")

    def image_to_image(model: Any) -> Tensor:
        return mixture.sampled(model, sampler, latent=source, denoise=0.7)

    def away(x: Tensor) -> float:
        return float((phi(x) - phi(source)).norm())

    plain, off = image_to_image(model), pulled(pack, model, source, faithful=0.0)
    assert torch.equal(image_to_image(off), plain)
    outs = [image_to_image(pulled(pack, model, source, faithful=w)) for w in (0.5, 2.0)]
    assert away(plain) > away(outs[0]) > away(outs[1])
    assert away(plain) > 1.2 * away(outs[1])


class Domain(nn.Module):
    """Features that know the timestep."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(4, 8, 3, padding=1)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        assert t.dtype == torch.int64
        return self.conv(x).tanh() * (1 + t.view(-1, 1, 1, 1) / 1000)


@pytest.mark.parametrize("form", FORMS)
def test_networks_made_in_inference_mode_serve_as_features(pack: ModuleType, form: str) -> None:
    import mixture

    guides, guided = pack.ilvr_latent.guides, pack.nodes.driver.guided
    assert torch.is_inference_mode_enabled()
    domain, reference = Domain(), mixture.draw(4) / 0.8
    energy = guides.feature_energy(domain.conv, reference, blocks=4)
    model = mixture.mixture(form)
    outs = [
        mixture.sampled(guided(model, guide), latent=reference, denoise=0.7)
        for guide in (
            guides.SDDM(reference, blocks=4),
            guides.SDDM(reference, blocks=4, energies=[energy, rough]),
            guides.EGSDE(reference, factor=4, realism=0),
            guides.EGSDE(reference, factor=4, features=domain),
        )
    ]
    assert all(bool(out.isfinite().all()) for out in outs)
    assert not torch.equal(outs[0], outs[1])
    assert not torch.equal(outs[2], outs[3])
    assert all(parameter.is_inference() for parameter in domain.parameters())


@pytest.fixture
def classifier(pack: ModuleType) -> Any:
    """A random one of four channels, as the pack's loader hands it on."""
    from comfy.model_patcher import ModelPatcher

    network = pack.ilvr_latent.adm.classifier_network
    torch.manual_seed(0)
    with torch.inference_mode(False):
        made = network.ADMClassifier(
            network.ClassifierConfig(
                image_size=16, width=32, depth=1, channel_mult=(1, 2), attention_downsampling=(2,),
                num_head_channels=32, num_classes=3, in_channels=4,
            )
        )  # fmt: skip
    return ModelPatcher(made.eval(), torch.device("cpu"), torch.device("cpu"))


@pytest.mark.parametrize(("node", "strength"), [(held, "energy"), (pulled, "realism")])
def test_what_a_classifier_sees_takes_part(
    pack: ModuleType, classifier: Any, node: Any, strength: str
) -> None:
    import mixture

    model, reference = mixture.mixture("eps"), mixture.draw(4) / 0.8

    def sampled(**settings: Any) -> Tensor:
        guided = node(pack, model, reference, **settings)
        return mixture.sampled(guided, "euler", latent=reference, denoise=0.7)

    without = sampled()
    assert torch.equal(sampled(classifier=classifier, **{strength: 0.0}), without)
    out = sampled(classifier=classifier)
    assert bool(out.isfinite().all())
    assert not torch.equal(out, without)
    classifier.model.config = dataclasses.replace(classifier.model.config, in_channels=3)
    with pytest.raises(pack.ilvr_latent.InputError, match=r"pictures of 3 channels.* samples 4"):
        node(pack, model, reference, classifier=classifier)


def test_both_stand_in_one_graph_with_ilvr(pack: ModuleType) -> None:
    import graph
    import mixture

    model, layout = mixture.mixture("eps"), mixture.draw(4) / 0.8
    chain = held(pack, pulled(pack, model, mixture.draw(5) / 0.8), mixture.draw(6) / 0.8)
    out = mixture.sampled(graph.applied(pack, chain, layout, kernel="box"))
    assert graph.residual(pack, out, layout) < 1e-2
    assert not torch.equal(out, mixture.sampled(graph.applied(pack, model, layout, kernel="box")))


@pytest.mark.parametrize("shape", [(3, 4, 16, 16), (1, 4, 3, 16, 16)])
def test_batches_and_videos(pack: ModuleType, shape: tuple[int, ...]) -> None:
    import mixture

    model, reference = mixture.mixture("eps", shape), mixture.draw(4) / 0.8
    for node in (held, pulled):
        out = mixture.sampled(node(pack, model, reference), shape=shape)
        assert out.shape == shape
        assert bool(out.isfinite().all())


def test_what_cannot_be_used_is_refused_before_sampling(pack: ModuleType) -> None:
    import mixture

    error, model, reference = pack.ilvr_latent.InputError, mixture.mixture("eps"), mixture.draw(4)
    with pytest.raises(error, match=r"16x16 .* 5x5 .* use 1, 2, 4 or 8 blocks"):
        mixture.sampled(held(pack, model, reference, blocks=5))
    assert not model.model.calls
    with pytest.raises(error, match=r"start_percent is 0.5 and end_percent 0.5"):
        held(pack, model, reference, start_percent=0.5, end_percent=0.5)
    with pytest.raises(error, match="mask is black"):
        held(pack, model, reference, mask=torch.zeros(1, 16, 16))
    for node in (held, pulled):
        with pytest.raises(error, match=r"3 channels, .* samples 4"):
            node(pack, model, reference[:, :3])
    with pytest.raises(error, match="source is an empty latent"):
        pack.nodes.guides.egsde.ILVREGSDE.execute(model, {}, 4.0, 1.0)
    with pytest.raises(error, match="faithful is -1"):
        pulled(pack, model, reference, faithful=-1.0)


def test_a_node_says_what_it_does(pack: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    import mixture

    lines: list[str] = []
    monkeypatch.setattr(pack.nodes.driver, "show", lambda node_id, text: lines.append(text))
    model, reference = mixture.mixture("eps"), mixture.draw(4)
    mixture.sampled(held(pack, model, reference, end_percent=0.5))
    mixture.sampled(pulled(pack, model, reference, faithful=50.0))
    assert lines[0] == "Holds blocks of 4x4 cells in steps 1 to 10 of 20."
    assert lines[1].startswith("Follows the source for 20 steps. faithful = 50 overshoots")


@pytest.fixture
def tiny_adm(pack: ModuleType, tmp_path: Path) -> Any:
    """An ADM with learned variance and random weights."""
    core = pack.ilvr_latent
    config = core.ADMConfig(
        image_size=16, num_channels=32, num_res_blocks=1, channel_mult=(1, 2),
        attention_levels=(1,), noise_schedule="linear", learn_sigma=True,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    weights = {
        name: torch.randn(tensor.shape, generator=generator) * 0.05
        for name, tensor in core.adm.load._blueprint(config).state_dict().items()
    }
    core.save_adm(weights, tmp_path / "tiny.safetensors", config=config)
    return pack.nodes.models.adm_model.adm_model(str(tmp_path / "tiny.safetensors"))


@pytest.mark.parametrize("method", ["sddm", "egsde"])
@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
def test_in_the_adm_sampler_they_are_the_core(
    pack: ModuleType, tiny_adm: Any, method: str, sampler: str
) -> None:
    """Number for number what `sample_with` gives, energies and start included."""
    import comfy.sample
    import mixture

    core, nodes, seed, shape = pack.ilvr_latent, pack.nodes, 3, (1, 3, 16, 16)
    image, domain = mixture.draw(4, shape).clamp(-1, 1), Domain()
    domain.conv = nn.Conv2d(3, 8, 3, padding=1)
    first = 4 if method == "egsde" else 0

    def guide() -> Any:
        if method == "egsde":
            return core.EGSDE(image, features=domain, factor=4)
        energy = core.guides.feature_energy(domain.conv, image, blocks=4)
        return core.SDDM(image, blocks=4, energies=[energy, rough], range_t=2)

    adm = nodes.models.adm_sampling
    positive = nodes.models.adm.ILVRADMConditioning.execute(-1)[0]
    sigmas = adm.ILVRADMSchedule.execute(tiny_adm, "10")[0][first:]
    noise = comfy.sample.prepare_noise(torch.zeros(shape), seed)
    out = comfy.sample.sample_custom(
        nodes.driver.guided(tiny_adm, guide()), noise, 1.0,
        adm.ILVRADMSampler.execute(sampler, 0.5, True)[0], sigmas, positive, positive,
        image if first else torch.zeros(shape), seed=seed, disable_pbar=True,
    )  # fmt: skip

    steps = core.SeededNoise(seed + adm.SEED_OFFSET)
    recorded = core.RecordedNoise(noise, [steps.step(i, shape) for i in range(10 - first)], {})
    wanted = core.sample_with(
        tiny_adm.model.diffusion_model.adm, guide(), shape=shape, steps="10", sampler=sampler,
        eta=0.5, noise=recorded, start=core.Start(image, first) if first else None,
    )  # fmt: skip
    assert torch.allclose(out, wanted, atol=1e-4 * float(wanted.abs().max()))
