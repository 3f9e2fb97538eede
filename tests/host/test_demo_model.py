"""The embedded latent model in the host's own nodes: the diffusers pipeline, number for number."""

from __future__ import annotations

import itertools
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

PROMPTS = ("", "red apple", "a big, red apple", "kiwi, red apple, plum")


class Demo(NamedTuple):
    """The outputs of the node, and the folder they are from."""

    model: Any
    clip: Any
    vae: Any
    folder: Path


class Peers(NamedTuple):
    """The same model as diffusers reads it, fp32."""

    unet: Any
    text_encoder: Any
    tokenizer: Any
    vae: Any

    def states(self, text: str) -> Tensor:
        tokens = self.tokenizer(
            text, padding="max_length", truncation=True, max_length=16, return_tensors="pt"
        )
        return self.text_encoder(tokens.input_ids).last_hidden_state


@pytest.fixture(scope="module")
def folder(pack: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model; where there is none, random weights in its place."""
    shipped = pack.ilvr_latent.embedded.LATENT_MODEL
    if shipped.is_dir():
        return shipped
    import small_pipeline

    return small_pipeline.write(tmp_path_factory.mktemp("demo") / "model")


@pytest.fixture(scope="module")
def demo(pack: ModuleType, folder: Path) -> Demo:
    with torch.inference_mode(), pytest.MonkeyPatch.context() as patched:
        patched.setattr(pack.nodes.models.demo, "LATENT_MODEL", folder)
        return Demo(*pack.nodes.models.demo.ILVRLoadDemo.execute().args, folder)


@pytest.fixture(scope="module")
def peers(folder: Path) -> Peers:
    from diffusers import AutoencoderTiny, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    parts = (
        UNet2DConditionModel.from_pretrained(folder / "unet"),
        CLIPTextModel.from_pretrained(folder / "text_encoder"),
        CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        AutoencoderTiny.from_pretrained(folder / "vae"),
    )
    unet, text_encoder, tokenizer, vae = parts
    return Peers(unet.float().eval(), text_encoder.float().eval(), tokenizer, vae.float().eval())


def encoded(clip: Any, text: str) -> list[Any]:
    import nodes

    return nodes.CLIPTextEncode().encode(clip, text)[0]


def drawn(demo: Demo, model: Any = None, sampler: str = "euler", **options: Any) -> Tensor:
    """One run of the graph that everybody builds: two prompts, an empty latent, the KSampler."""
    import nodes

    latent = nodes.EmptyLatentImage().generate(128, 128)[0]
    prompts = encoded(demo.clip, "red apple"), encoded(demo.clip, "")
    settings = {"steps": 8, "cfg": 3.0, "scheduler": "simple"} | options
    return nodes.common_ksampler(
        demo.model if model is None else model, 5, settings["steps"], settings["cfg"],
        sampler, settings["scheduler"], *prompts, latent,
    )[0]["samples"]  # fmt: skip


def noise(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_text_encoder_is_transformers(demo: Demo, peers: Peers, prompt: str) -> None:
    (states, pooled), wanted = encoded(demo.clip, prompt)[0], peers.states(prompt)
    assert states.shape == wanted.shape
    assert torch.allclose(states, wanted, atol=1e-4)
    end = len(peers.tokenizer(prompt)["input_ids"]) - 1
    assert torch.allclose(pooled["pooled_output"], wanted[:, end], atol=1e-4)


def test_emphasis_counts_and_long_prompts_go_on(demo: Demo) -> None:
    plain, strong = (encoded(demo.clip, text)[0][0] for text in ("red apple", "(red:1.4) apple"))
    assert plain.shape == strong.shape
    assert not torch.allclose(plain, strong, atol=1e-3)
    long = encoded(demo.clip, ", ".join(["red apple"] * 12))[0][0]
    assert long.shape[1] > 16
    assert long.shape[1] % 16 == 0


@pytest.mark.parametrize("t", [0, 400, 999])
def test_the_unet_is_diffusers(demo: Demo, peers: Peers, t: int) -> None:
    x_t, states = noise(t, 2, 8, 16, 16), peers.states("red apple").expand(2, -1, -1)
    v = demo.model.model.diffusion_model(x_t, torch.tensor([t, t]).float(), context=states)
    wanted = peers.unet(x_t, t, encoder_hidden_states=states).sample
    assert wanted.std() > 0.01
    assert torch.allclose(v, wanted, atol=1e-4)


def test_the_vae_is_diffusers(demo: Demo, peers: Peers) -> None:
    image = torch.rand(1, 128, 96, 3, generator=torch.Generator().manual_seed(0))
    z = demo.vae.encode(image)
    wanted = peers.vae.encode(image.movedim(-1, 1) * 2 - 1).latents
    assert z.shape == (1, 8, 16, 12)
    assert torch.allclose(z, wanted, atol=1e-4)
    decoded = ((peers.vae.decode(z).sample + 1) / 2).clamp(0, 1).movedim(1, -1)
    assert torch.allclose(demo.vae.decode(z), decoded, atol=1e-4)


@pytest.mark.parametrize(
    ("sampler", "scheduler"), [("euler", "simple"), ("ddim", "simple"), ("euler", "normal")]
)
def test_the_stock_sampler_is_ddim_over_diffusers(
    demo: Demo, peers: Peers, sampler: str, scheduler: str
) -> None:
    """x_t = sqrt(a_bar) x_0 + sqrt(1 - a_bar) eps; v = sqrt(a_bar) eps - sqrt(1 - a_bar) x_0."""
    import comfy.samplers

    levels = demo.model.model.model_sampling
    sigmas = comfy.samplers.calculate_sigmas(levels, scheduler, 8)
    states = torch.cat([peers.states(""), peers.states("red apple")])
    # comfy.sample.prepare_noise: what the seed means in this host.
    x_t = torch.randn(1, 8, 16, 16, generator=torch.manual_seed(5))
    for sigma, following in itertools.pairwise(sigmas):
        a_bar, next_a_bar = 1 / (1 + sigma**2), 1 / (1 + following**2)
        t = levels.timestep(sigma)
        without, with_prompt = peers.unet(
            x_t.expand(2, -1, -1, -1), t, encoder_hidden_states=states
        ).sample.chunk(2)
        v = without + 3.0 * (with_prompt - without)
        x_0 = a_bar.sqrt() * x_t - (1 - a_bar).sqrt() * v
        eps = a_bar.sqrt() * v + (1 - a_bar).sqrt() * x_t
        x_t = next_a_bar.sqrt() * x_0 + (1 - next_a_bar).sqrt() * eps
    wanted = x_t / peers.vae.config.scaling_factor
    assert torch.allclose(
        drawn(demo, sampler=sampler, scheduler=scheduler), wanted, atol=1e-3 * wanted.abs().max()
    )


def lora(peers: Peers, style: str, rank: int = 2) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A random one for all attention: as a file of that style, and the change of each weight."""
    file, changes = {}, {}
    for part, network, mark in (("unet", peers.unet, ".to_"), ("te", peers.text_encoder, "_attn.")):
        for key, weight in network.state_dict().items():
            name = key.removesuffix(".weight")
            if mark not in name or weight.ndim != 2:
                continue
            up, down = (
                0.3 * noise(len(file), *shape)
                for shape in ((weight.shape[0], rank), (rank, weight.shape[1]))
            )
            changes[f"{part}.{key}"] = up @ down
            told = name if part == "unet" else f"text_model.{name.removeprefix('text_model.')}"
            names = STYLES[style](part, told)
            file |= {names.format("up"): up, names.format("down"): down}
    return file, changes


def kohya(part: str, name: str) -> str:
    return f"lora_{part}_{name.replace('.', '_')}.lora_{{}}.weight"


def diffusers(part: str, name: str) -> str:
    if part == "te":
        return f"text_encoder.{name}.lora_linear_layer.{{}}.weight"
    name = name.removesuffix(".0").replace(".to_", ".processor.to_")
    return f"unet.{name}_lora.{{}}.weight"


STYLES = {"kohya": kohya, "diffusers": diffusers}


@pytest.mark.parametrize("style", STYLES)
def test_a_lora_finds_every_weight(
    demo: Demo, peers: Peers, style: str, caplog: pytest.LogCaptureFixture
) -> None:
    import comfy.model_management
    import comfy.sd

    file, changes = lora(peers, style)
    with caplog.at_level(logging.WARNING):
        model, clip = comfy.sd.load_lora_for_models(demo.model, demo.clip, file, 1.0, 1.0)
    assert not caplog.records
    assert len(model.patches) + len(clip.patcher.patches) == len(changes)

    before = drawn(demo)
    with changed(peers.text_encoder, changes, "te"), changed(peers.unet, changes, "unet"):
        states = peers.states("red apple")
        # The host keeps text encoders in fp16, changed ones as well.
        assert torch.allclose(encoded(clip, "red apple")[0][0], states, atol=0.02)
        x_t = noise(1, 1, 8, 16, 16)
        wanted = peers.unet(x_t, 400, encoder_hidden_states=states).sample
    comfy.model_management.load_model_gpu(model)
    v = model.model.diffusion_model(x_t, torch.tensor([400.0]), context=states)
    assert torch.allclose(v, wanted, atol=1e-3)
    assert not torch.equal(drawn(demo, model), before)
    assert torch.equal(drawn(demo), before)


@contextmanager
def changed(network: Any, changes: dict[str, Tensor], part: str) -> Iterator[None]:
    """The network with the changes added."""
    weights = network.state_dict()
    kept = {key: value.clone() for key, value in weights.items()}
    network.load_state_dict({k: v + changes.get(f"{part}.{k}", 0) for k, v in weights.items()})
    try:
        yield
    finally:
        network.load_state_dict(kept)


def test_ilvr_apply_follows_a_reference_and_weight_zero_is_no_node(
    pack: ModuleType, demo: Demo
) -> None:
    image = torch.ones(1, 100, 100, 3)
    image[:, 20:80, 20:80] = torch.tensor([0.9, 0.2, 0.1])
    latent = {"samples": torch.zeros(1, 4, 16, 16)}
    reference = pack.nodes.tools.reference.ILVRReferenceEncode.execute(image, demo.vae, latent)[0]
    plain, phi = drawn(demo), pack.ilvr_latent.LowPass(4, "box")

    def applied(weight: float) -> Tensor:
        node = pack.nodes.guides.ilvr.ILVRApply
        return drawn(
            demo, node.execute(demo.model, reference, 4, 0.0, 1.0, weight, kernel="box")[0]
        )

    assert torch.equal(applied(0.0), plain)
    out, wanted = applied(1.0), phi(reference["samples"])
    assert (phi(out) - wanted).abs().max() < 1e-3 * wanted.abs().max()
    assert (out - phi(out)).std() > 0.01
    assert torch.equal(drawn(demo), plain)


def test_every_step_has_a_preview(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    import comfy.utils
    import latent_preview

    auto = latent_preview.LatentPreviewMethod.Auto
    monkeypatch.setattr(latent_preview.args, "preview_method", auto)
    shown: list[Any] = []
    monkeypatch.setattr(
        comfy.utils, "PROGRESS_BAR_HOOK", lambda step, total, preview, **_: shown.append(preview)
    )
    drawn(demo, steps=5)
    assert [preview[1].size for preview in shown] == [(16, 16)] * 5


def test_previews_show_the_mean_colours(demo: Demo) -> None:
    """What the autoencoder was trained for: z is 1.5 times the colour."""
    import latent_preview

    latent_format = demo.model.model.latent_format
    colour = torch.tensor([0.8, -0.2, -0.6])
    z = torch.cat([1.5 * colour, torch.ones(5)]).reshape(1, 8, 1, 1)
    previewer = latent_preview.Latent2RGBPreviewer(latent_format.latent_rgb_factors)
    pixel = previewer.decode_latent_to_preview(latent_format.process_in(z)).getpixel((0, 0))
    assert pixel == pytest.approx(((colour + 1) / 2 * 255).tolist(), abs=1)


def test_the_model_leaves_the_device_and_comes_back(demo: Demo) -> None:
    import comfy.model_management

    before = drawn(demo)
    comfy.model_management.unload_all_models()
    assert not comfy.model_management.current_loaded_models
    assert torch.equal(drawn(demo), before)


def test_pixels_come_with_an_error_in_place_of_prompts(pack: ModuleType) -> None:
    node = pack.nodes.models.demo
    model, clip, vae = node.ILVRLoadDemo.execute(node.PIXELS).args
    assert model.model.latent_format.latent_channels == 3
    assert vae.encode(torch.zeros(1, 64, 64, 3)).shape == (1, 3, 64, 64)
    with pytest.raises(pack.ilvr_latent.InputError, match="takes no prompt"):
        encoded(clip, "red apple")


def test_a_missing_or_damaged_file_is_named(pack: ModuleType, demo: Demo, tmp_path: Path) -> None:
    error, nodes = pack.ilvr_latent.InputError, pack.nodes
    with pytest.raises(error, match=r"unet.*cannot be read \(FileNotFoundError\); install"):
        nodes.models.demo_unet.demo_unet(tmp_path)
    shutil.copytree(demo.folder / "vae", tmp_path / "vae")
    (tmp_path / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(b"half a file")
    with pytest.raises(error, match=r"vae.*cannot be read \(SafetensorError\)"):
        nodes.models.demo_vae.demo_vae(tmp_path)


def test_stored_names_with_and_without_prefix_are_read(pack: ModuleType) -> None:
    """transformers has written both."""
    named = pack.nodes.models.demo_text._in_the_hosts_words
    for prefix in ("", "text_model."):
        weights = {f"{prefix}final_layer_norm.weight": torch.ones(3)}
        assert set(named(weights)) == {
            "text_model.final_layer_norm.weight",
            "text_projection.weight",
        }
