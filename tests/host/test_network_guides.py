"""Guidance by networks in the host: classifier, universal and CLIP guidance as nodes."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

SHAPE = (1, 3, 16, 16)
FORMS = ("eps", "v", "flow")
CLASSIFIER = {
    "image_size": 16, "width": 32, "depth": 1, "channel_mult": (1, 2),
    "attention_downsampling": (2,), "num_head_channels": 32, "num_classes": 5,
}  # fmt: skip


@pytest.fixture
def classifier(pack: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Loaded by the node, from a file of random weights in models/adm."""
    import folder_paths
    from safetensors.torch import save_file

    adm = pack.ilvr_latent.adm
    generator = torch.Generator().manual_seed(0)
    shapes = adm.ADMClassifier(adm.ClassifierConfig(**CLASSIFIER)).state_dict()
    weights = {
        name: torch.randn(each.shape, generator=generator)
        / max(each.numel() / each.shape[0], 1) ** 0.5
        for name, each in shapes.items()
    }
    save_file(weights, tmp_path / "classifier.safetensors")
    monkeypatch.setitem(
        folder_paths.folder_names_and_paths, "adm", ([str(tmp_path)], {".safetensors"})
    )
    node = pack.nodes.models.classifier.ILVRLoadClassifier
    assert "classifier.safetensors" in node.define_schema().inputs[0].options
    with pytest.raises(pack.ilvr_latent.InputError, match="give num_head_channels"):
        node.execute("classifier.safetensors")
    return node.execute("classifier.safetensors", num_head_channels=32)[0]


@pytest.fixture
def clip_vision(host: ModuleType, tmp_path: Path) -> Any:
    """The host's own CLIP_VISION, small and with random weights, made in its inference mode."""
    import comfy.clip_vision
    import tiny

    config = {
        "num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 2, "patch_size": 4,
        "intermediate_size": 48, "hidden_act": "quick_gelu", "num_channels": 3, "image_size": 16,
        "model_type": "clip_vision_model", "projection_dim": 8,
    }  # fmt: skip
    path = tmp_path / "vision.json"
    path.write_text(json.dumps(config))
    vision = comfy.clip_vision.ClipVisionModel(str(path))
    tiny.with_random_weights(vision.model)
    for name, parameter in vision.model.named_parameters():
        if "norm" in name and name.endswith("weight"):
            parameter.fill_(1)
    return vision


def classified(pack: ModuleType, model: Any, classifier: Any, label: int, scale: float) -> Any:
    node = pack.nodes.guides.classifier.ILVRClassifierGuidance
    return node.execute(model, classifier, label, scale)[0]


def universal(pack: ModuleType, model: Any, target: Tensor, loss: str, **settings: Any) -> Any:
    settings = {"weight": 0.0, "backward_steps": 0, "backward_lr": 1.0} | settings
    vae = settings.pop("vae", None) or pack.nodes.models.pixel_vae.pixel_vae()
    node = pack.nodes.guides.universal.ILVRUniversalGuidance
    return node.execute(model, vae, target, loss, **settings)[0]


def clip_guided(pack: ModuleType, model: Any, clip_vision: Any, **settings: Any) -> Any:
    vae = settings.pop("vae", None) or pack.nodes.models.pixel_vae.pixel_vae()
    node = pack.nodes.guides.clip.ILVRClipGuidance
    return node.execute(model, vae, clip_vision, **settings)[0]


def picture(seed: int, size: int = 16) -> Tensor:
    """An IMAGE of smooth colours."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 2, 2, generator=generator)
    return torch.nn.functional.interpolate(coarse, (size, size), mode="bilinear").movedim(1, -1)


class Clip:
    """What the node asks of the host's CLIP."""

    def __init__(self, size: int) -> None:
        self._size = size

    def tokenize(self, text: str) -> str:
        return text

    def encode_from_tokens(self, tokens: str, return_pooled: bool) -> tuple[Tensor, Tensor]:
        assert return_pooled
        generator = torch.Generator().manual_seed(len(tokens))
        return torch.zeros(1, 1, 8), torch.randn(1, self._size, generator=generator)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "ddpm"])
def test_a_classifier_leads_to_its_class(
    pack: ModuleType, classifier: Any, form: str, sampler: str
) -> None:
    import mixture

    model = mixture.mixture(form, SHAPE)

    def likelihood(scale: float) -> float:
        out = mixture.sampled(classified(pack, model, classifier, 3, scale), sampler, shape=SHAPE)
        logits = classifier.model(0.8 * out, torch.zeros(1))
        return float(torch.log_softmax(logits, -1)[0, 3])

    assert likelihood(0.0) < likelihood(2.0) < likelihood(8.0)
    plain = mixture.sampled(model, sampler, shape=SHAPE)
    off = mixture.sampled(classified(pack, model, classifier, 3, 0.0), sampler, shape=SHAPE)
    assert torch.equal(off, plain)


def test_in_the_adm_sampler_the_classifier_is_the_core(pack: ModuleType, classifier: Any) -> None:
    """Number for number what `sample_with` gives: the posterior mean is shifted."""
    import comfy.sample

    core, nodes, seed = pack.ilvr_latent, pack.nodes, 3
    adm, weak = nodes.models.adm_sampling, 0.5
    with torch.inference_mode(False):
        model = nodes.models.adm.ILVRLoadADM.execute(nodes.models.adm.EMBEDDED)[0]
    positive = nodes.models.adm.ILVRADMConditioning.execute(-1)[0]
    sigmas = adm.ILVRADMSchedule.execute(model, "4")[0]
    noise = comfy.sample.prepare_noise(torch.zeros(SHAPE), seed)
    out = comfy.sample.sample_custom(
        classified(pack, model, classifier, 1, weak), noise, 1.0,
        adm.ILVRADMSampler.execute("ddpm", 0.0, True)[0], sigmas, positive, positive,
        torch.zeros(SHAPE), seed=seed, disable_pbar=True,
    )  # fmt: skip
    steps = core.SeededNoise(seed + adm.SEED_OFFSET)
    wanted = core.sample_with(
        model.model.diffusion_model.adm,
        core.guides.ClassifierGuidance(classifier.model, 1, scale=weak),
        shape=SHAPE, steps="4", sampler="ddpm",
        noise=core.RecordedNoise(noise, [steps.step(i, SHAPE) for i in range(4)], {}),
    )  # fmt: skip
    torch.testing.assert_close(out, wanted, atol=1e-4, rtol=1e-4)


def test_weights_that_the_host_moved_in_inference_mode(pack: ModuleType, classifier: Any) -> None:
    import mixture

    model = mixture.mixture("eps", SHAPE)
    out = mixture.sampled(classified(pack, model, classifier, 0, 2.0), shape=SHAPE)
    network = classifier.model
    for name, parameter in [*network.named_parameters()]:
        owner = network.get_submodule(name.rpartition(".")[0])
        owner._parameters[name.rpartition(".")[2]] = torch.nn.Parameter(
            parameter.clone(), requires_grad=False
        )
    assert all(parameter.is_inference() for parameter in network.parameters())
    again = mixture.sampled(classified(pack, model, classifier, 0, 2.0), shape=SHAPE)
    assert torch.equal(out, again)


# Weight, or moves and their length, of each loss.
WAYS = {
    ("colours", "forward"): {"weight": 40.0},
    ("picture", "forward"): {"weight": 20.0},
    ("edges", "forward"): {"weight": 40.0},
    ("colours", "backward"): {"backward_steps": 5, "backward_lr": 2.0},
    ("picture", "backward"): {"backward_steps": 5, "backward_lr": 20.0},
    ("edges", "backward"): {"backward_steps": 5, "backward_lr": 20.0},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("loss", "way"), WAYS)
def test_a_loss_of_the_picture_falls(pack: ModuleType, form: str, loss: str, way: str) -> None:
    import mixture

    losses = pack.ilvr_latent.guides.losses
    target = picture(1)
    with torch.inference_mode(False):
        y = target.movedim(-1, 1) * 2 - 1
    measured = {
        "colours": losses.colour_histogram(y),
        "picture": losses.masked_distance(y, torch.ones(1)),
        "edges": losses.edges(y),
    }[loss]
    model = mixture.mixture(form, SHAPE)
    plain = mixture.sampled(model, shape=SHAPE)
    out = mixture.sampled(universal(pack, model, target, loss, **WAYS[loss, way]), shape=SHAPE)
    assert float(measured(out)) < 0.9 * float(measured(plain))
    off = mixture.sampled(universal(pack, model, target, loss), shape=SHAPE)
    assert torch.equal(off, plain)


def test_only_what_the_mask_shows_is_compared(pack: ModuleType) -> None:
    import mixture

    model, target = mixture.mixture("eps", SHAPE), picture(1, 40)
    mask = torch.zeros(1, 40, 40)
    mask[..., :20] = 1
    settings = {"backward_steps": 5, "backward_lr": 50.0}
    out = mixture.sampled(
        universal(pack, model, target, "picture", mask=mask, **settings), shape=SHAPE
    )
    resized = pack.nodes.fitting.resized(target.movedim(-1, 1), 16, 16) * 2 - 1
    away = (out - resized).abs().mean((0, 1, 2))
    assert away[:6].mean() < 0.3 * away[10:].mean()


def test_style_and_clip_look_through_the_host_s_clip_vision(
    pack: ModuleType, clip_vision: Any
) -> None:
    import mixture

    assert all(parameter.is_inference() for parameter in clip_vision.model.parameters())
    model, target = mixture.mixture("eps", SHAPE), picture(2)
    networks = pack.nodes.guides.networks
    encode, style = networks.PictureEncoder(clip_vision), pack.ilvr_latent.guides.losses.style
    y = networks.as_pictures(target)
    embedded = encode.now(y)
    with torch.no_grad():
        wanted = style(encode.features, y)
    plain = mixture.sampled(model, shape=SHAPE)
    styled = universal(
        pack, model, target, "style", clip_vision=clip_vision, backward_steps=5, backward_lr=20.0
    )
    with torch.no_grad():
        assert wanted(mixture.sampled(styled, shape=SHAPE)) < 0.9 * wanted(plain)

    distance = pack.ilvr_latent.guides.spherical_distance
    out = mixture.sampled(
        clip_guided(pack, model, clip_vision, scale=20.0, image=target), shape=SHAPE
    )
    assert distance(encode.now(out), embedded) < 0.9 * distance(encode.now(plain), embedded)
    off = clip_guided(pack, model, clip_vision, scale=0.0, image=target)
    assert torch.equal(mixture.sampled(off, shape=SHAPE), plain)


def test_clip_s_gradient_is_the_slope_of_its_embedding(pack: ModuleType, clip_vision: Any) -> None:
    """The host's layers overwrite what they have saved, which must not be seen."""
    encode = pack.nodes.guides.networks.PictureEncoder(clip_vision)
    gradient = pack.ilvr_latent.diffusion.gradient
    x = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
    way = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))

    def energy(x: Tensor) -> Tensor:
        return encode(x).square().sum(1)

    slope = (gradient(energy, x) * way).sum()
    step = 1e-3
    with torch.no_grad():
        measured = (energy(x + step * way) - energy(x - step * way)) / (2 * step)
    torch.testing.assert_close(slope, measured[0], rtol=2e-2, atol=1e-3)


def test_text_leads_too(pack: ModuleType, clip_vision: Any) -> None:
    import mixture

    model, clip = mixture.mixture("eps", SHAPE), Clip(8)
    encode = pack.nodes.guides.networks.PictureEncoder(clip_vision)
    wanted = clip.encode_from_tokens("a cat", return_pooled=True)[1]
    distance = pack.ilvr_latent.guides.spherical_distance
    plain = mixture.sampled(model, shape=SHAPE)
    guided = clip_guided(pack, model, clip_vision, scale=20.0, clip=clip, text="a cat")
    out = mixture.sampled(guided, shape=SHAPE)
    assert distance(encode.now(out), wanted) < distance(encode.now(plain), wanted)


def test_latents_are_decoded_by_the_model_s_own_vae(pack: ModuleType) -> None:
    """As the host decodes them, with a slope."""
    import mixture

    model, _, vae = pack.nodes.models.demo.ILVRLoadDemo.execute("text to image (latent)").args
    decode = pack.nodes.guides.networks.Decoder(vae, model)
    x_0 = torch.randn(1, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    shown = vae.decode(model.get_model_object("latent_format").process_out(x_0))
    torch.testing.assert_close(
        ((decode(x_0) + 1) / 2).clamp(0, 1), shown.movedim(-1, 1).to(x_0), atol=1e-3, rtol=0
    )
    slope = pack.ilvr_latent.diffusion.gradient(lambda x: decode(x).flatten(1).sum(1), x_0)
    assert bool(slope.isfinite().all()) and bool(slope.any())
    pixels = pack.nodes.guides.networks.Decoder(
        pack.nodes.models.pixel_vae.PixelVAE(), mixture.mixture("eps", SHAPE)
    )
    assert pixels.networks == [] and pixels(torch.zeros(SHAPE)).abs().max() < 1e-6


@pytest.mark.parametrize("family", ["sd15", "flux"])
def test_gradients_go_through_the_host_s_networks(pack: ModuleType, family: str) -> None:
    import mixture
    import tiny

    class Vae:
        """Three channels of a latent, as a picture."""

        def decode(self, latent: Tensor) -> Tensor:
            return latent[:, :3].tanh().movedim(1, -1)

    model, shape = tiny.network(family), tiny.FAMILIES[family][2]
    options = {"shape": shape, "cond": tiny.prompt(family=family), "steps": 3}
    plain = mixture.sampled(model, **options)
    guided = universal(pack, model, picture(1), "colours", weight=20.0, vae=Vae())
    out = mixture.sampled(guided, **options)
    assert bool(out.isfinite().all()) and not torch.equal(out, plain)
    assert torch.equal(mixture.sampled(model, **options), plain)


def test_networks_are_loaded_beside_the_model(pack: ModuleType, clip_vision: Any) -> None:
    import mixture

    model = mixture.mixture("eps", SHAPE)
    vae = pack.nodes.models.demo.ILVRLoadDemo.execute("text to image (latent)").args[2]
    first = clip_guided(pack, model, clip_vision, vae=vae, scale=1.0, image=picture(1))
    both = universal(pack, first, picture(1), "colours", weight=1.0, vae=vae)
    beside = [each.model for each in both.get_additional_models()]
    assert vae.first_stage_model in beside and clip_vision.model in beside
    assert not model.get_additional_models()


def test_all_stand_in_one_graph_with_ilvr(
    pack: ModuleType, classifier: Any, clip_vision: Any
) -> None:
    import graph
    import mixture

    model, layout = mixture.mixture("eps", SHAPE), mixture.draw(4, SHAPE) / 0.8
    chain = classified(pack, model, classifier, 1, 1.0)
    chain = universal(pack, chain, picture(1), "colours", weight=10.0)
    chain = clip_guided(pack, chain, clip_vision, scale=5.0, image=picture(2))
    out = mixture.sampled(graph.applied(pack, chain, layout, kernel="box"), shape=SHAPE)
    matched = mixture.sampled(graph.applied(pack, model, layout, kernel="box"), shape=SHAPE)
    assert graph.residual(pack, out, layout) < 1e-2
    assert not torch.equal(out, matched)


def test_the_embedded_classifier_leads_the_embedded_model(pack: ModuleType) -> None:
    """With nothing downloaded, as a loader of models lists its own."""
    import comfy.sample

    loader = pack.nodes.models.classifier
    options = loader.ILVRLoadClassifier.define_schema().inputs[0].options
    assert options[0] == loader.EMBEDDED
    classifier = loader.ILVRLoadClassifier.execute(loader.EMBEDDED)[0]
    demo, shape = pack.nodes.models.demo, (1, 3, 64, 64)
    model = demo.ILVRLoadDemo.execute(demo.PIXELS)[0]
    positive = pack.nodes.models.adm.ILVRADMConditioning.execute(-1)[0]

    def likelihood(scale: float) -> float:
        noise = comfy.sample.prepare_noise(torch.zeros(shape), 1)
        out = comfy.sample.sample(
            classified(pack, model, classifier, 0, scale), noise, 4, 1.0, "ddpm", "normal",
            positive, positive, torch.zeros(shape), seed=1, disable_pbar=True,
        )  # fmt: skip
        logits = classifier.model(out, torch.zeros(1))
        return float(torch.log_softmax(logits, -1)[0, 0])

    assert likelihood(0.0) < likelihood(10.0)


def test_a_classifier_of_another_noise_or_size_is_refused(pack: ModuleType) -> None:
    import mixture

    loader, error = pack.nodes.models.classifier, pack.ilvr_latent.InputError
    classifier = loader.ILVRLoadClassifier.execute(loader.EMBEDDED)[0]
    for shape, named in (((1, 3, 64, 64), "cosine schedule"), (SHAPE, "3x64x64, not of 3x16x16")):
        model = mixture.mixture("eps", shape)
        with pytest.raises(error, match=named):
            mixture.sampled(classified(pack, model, classifier, 0, 1.0), shape=shape)


def test_a_picture_does_not_depend_on_its_batch(pack: ModuleType, clip_vision: Any) -> None:
    import mixture

    model, shape = mixture.mixture("eps", SHAPE), (3, *SHAPE[1:])
    guided = universal(pack, model, picture(1), "colours", weight=40.0)
    guided = clip_guided(pack, guided, clip_vision, scale=5.0, image=picture(2))
    alone = mixture.sampled(guided, shape=SHAPE)
    together = mixture.sampled(guided, shape=shape)
    torch.testing.assert_close(together[:1], alone, atol=1e-4, rtol=0)


def test_what_cannot_be_used_is_refused_before_sampling(
    pack: ModuleType, classifier: Any, clip_vision: Any
) -> None:
    import mixture

    error, model = pack.ilvr_latent.InputError, mixture.mixture("eps", SHAPE)
    target = picture(1)
    with pytest.raises(error, match=r"class label is 5; this classifier has 0 to 4"):
        classified(pack, model, classifier, 5, 1.0)
    with pytest.raises(error, match=r"pictures of 3 channels, but this model samples 4"):
        classified(pack, mixture.mixture("eps"), classifier, 0, 1.0)
    with pytest.raises(error, match="ckpt_name is 'nothing'; use one of "):
        pack.nodes.models.classifier.ILVRLoadClassifier.execute("nothing")
    with pytest.raises(error, match="loss is 'colors'"):
        universal(pack, model, target, "colors")
    with pytest.raises(error, match="plug one in"):
        universal(pack, model, target, "style")
    with pytest.raises(error, match="'edges' has no mask"):
        universal(pack, model, target, "edges", mask=torch.ones(1, 8, 8))
    with pytest.raises(error, match="mask is black"):
        universal(pack, model, target, "picture", mask=torch.zeros(1, 8, 8))
    with pytest.raises(error, match="3-dimensional latents"):
        universal(pack, mixture.mixture("eps", (1, 3, 2, 16, 16)), target, "colours")
    with pytest.raises(error, match="nothing to be led to"):
        clip_guided(pack, model, clip_vision, scale=1.0)
    with pytest.raises(error, match="needs a CLIP"):
        clip_guided(pack, model, clip_vision, scale=1.0, text="a cat")
    with pytest.raises(error, match=r"to 7 numbers and the CLIP_VISION a picture to 8"):
        clip_guided(pack, model, clip_vision, scale=1.0, text="a cat", clip=Clip(7))


def test_weights_are_not_copied_for_a_gradient(pack: ModuleType) -> None:
    """What autograd keeps of a layer are its own weights, but its input as it was."""
    layer = torch.nn.Linear(4, 4)
    assert layer.weight.is_inference()
    with torch.inference_mode(False), pack.nodes.differentiable.differentiable(layer):
        x = torch.ones(1, 4, requires_grad=True)
        h = x * 1
        out = layer(h).sum() + h.square().sum()
        weight = out.grad_fn.next_functions[0][0].next_functions[0][0]._saved_mat2
        h.mul_(5)
        (slope,) = torch.autograd.grad(out, x)
    assert weight.data_ptr() == layer.weight.data_ptr()
    torch.testing.assert_close(slope, layer.weight.sum(0, keepdim=True) + 2)
