"""Every kind of latent that ComfyUI samples, against the exact denoiser."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

N, FRAMES = 4, 3
# Its VAE gives latents of half the channels and twice the frames.
FOLDED = "HunyuanImage21Refiner"
# Points of an object in space, not pictures.
POINTS = "Trellis2"


def model_of(latent_format: Any, shape: tuple[int, ...], model: Any = None) -> Any:
    import comfy.model_management
    import comfy.model_patcher
    import mixture

    device = comfy.model_management.get_torch_device()
    made = (model or mixture.MixtureModel)("flow", shape, latent_format)
    return comfy.model_patcher.ModelPatcher(made, device, device)


def test_the_reference_is_followed_or_refused(pack: ModuleType, format_name: str) -> None:
    import comfy.latent_formats
    import graph
    import mixture

    latent_format = getattr(comfy.latent_formats, format_name)
    has = latent_format()
    if format_name == FOLDED or pack.nodes.nested.has_parts(has):
        pytest.skip("sampled in another shape than that of its VAE")
    if format_name.startswith(POINTS):
        pytest.skip("no pictures")
    channels, dimensions = has.latent_channels, has.latent_dimensions
    if dimensions == 1:
        model = model_of(latent_format, (1, channels, 16, 16))
        with pytest.raises(pack.ilvr_latent.InputError, match=r"does not sample pictures"):
            graph.applied(pack, model, torch.randn(1, channels, 32))
        return
    shape = (1, channels, *([FRAMES] if dimensions == 3 else []), 16, 16)
    model = model_of(latent_format, shape)
    reference = has.process_out(mixture.draw(4, shape))
    out = mixture.sampled(graph.applied(pack, model, reference, kernel="box"), shape=shape)
    x, y = has.process_in(out), has.process_in(reference)
    assert graph.residual(pack, x, y) < 1e-3
    plain = has.process_in(mixture.sampled(model, shape=shape))
    assert graph.residual(pack, plain, y) > 0.1
    phi = pack.ilvr_latent.LowPass(N, "spectral")
    high = [(z - phi(z)).square().mean() for z in (x, plain)]
    assert high[0] / high[1] == pytest.approx(1, abs=0.15)


def test_sound_is_refused_where_only_the_sampler_knows(pack: ModuleType) -> None:
    """A format that does not say that its latents have one dimension."""
    import graph
    import mixture

    model = mixture.mixture("flow")
    guided = graph.applied(pack, model, mixture.draw(4))
    model.model.means = torch.zeros(3, 4, 32)
    with pytest.raises(pack.ilvr_latent.InputError, match=r"samples 3 dimensions; remove"):
        mixture.sampled(guided, shape=(1, 4, 32))


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m_sde", "uni_pc", "euler_cfg_pp"])
@pytest.mark.parametrize("space", ["state", "prediction"])
def test_of_video_with_sound_only_the_video_is_matched(
    pack: ModuleType, sampler: str, space: str
) -> None:
    import graph
    import mixture

    nested = pytest.importorskip("comfy.nested_tensor", reason="no nested latents in this version")
    import comfy.latent_formats
    import comfy.utils

    channels = 24
    video, sound = (2, channels, FRAMES, 16, 16), (2, 8, 6, 5)

    class VideoWithSound(mixture.MixtureModel):
        def _apply_model(self, x: Tensor, t: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            first, second = comfy.utils.unpack_latents(x, self.latent_shapes)
            x_0 = super()._apply_model(first, t, *args, **kwargs)
            return comfy.utils.pack_latents([x_0, second * (1 - t.reshape(-1, 1, 1, 1))])[0]

    latent_format = getattr(comfy.latent_formats, "MiniMaxH3AV", None)
    if latent_format is None:
        pytest.skip("no format of video with sound in this version")
    model = model_of(latent_format, video, VideoWithSound)
    references = torch.cat([mixture.draw(seed, (1, *video[1:])) for seed in (3, 4)])
    guided = graph.applied(pack, model, references, kernel="box", space=space)
    outs = []
    for one in (model, guided):
        latent = nested.NestedTensor([torch.zeros(video), torch.zeros(sound)])
        outs.append(mixture.sampled(one, sampler, latent=latent).unbind())
    (_, plain_sound), (out, out_sound) = outs
    assert out.shape == video
    assert torch.equal(out_sound, plain_sound)
    # Where uni_pc stops there is a little noise left.
    assert graph.residual(pack, out, references) < (0.02 if sampler == "uni_pc" else 1e-3)
    assert graph.residual(pack, outs[0][0], references) > 0.1


def test_a_part_is_unpacked_and_packed_again(pack: ModuleType) -> None:
    part = pack.nodes.nested.FirstPart((2, 3, 4, 5))
    packed = torch.arange(2.0 * 70).reshape(2, 1, 70)
    shown = part.of(packed)
    assert shown.shape == (2, 3, 4, 5)
    assert torch.equal(part.into(packed, shown), packed)
    changed = part.into(packed, shown + 1)
    assert torch.equal(changed[..., :60], packed[..., :60] + 1)
    assert torch.equal(changed[..., math.prod((3, 4, 5)) :], packed[..., 60:])
