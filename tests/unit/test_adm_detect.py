"""What keys and shapes tell, and the table of published checkpoints."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from ilvr_latent import InputError
from ilvr_latent.adm import ADMConfig
from ilvr_latent.adm.detect import Detected, detect, verify
from ilvr_latent.adm.flags import resolve
from ilvr_latent.adm.known import KNOWN, Known, recognise
from ilvr_latent.adm.unet import ADMUNet

TINY = ADMConfig(
    image_size=32,
    num_channels=32,
    num_res_blocks=1,
    channel_mult=(1, 2),
    attention_levels=(1,),
    noise_schedule="linear",
    num_head_channels=16,
    resblock_updown=True,
    learn_sigma=True,
)


def shapes_of(config: ADMConfig) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        unet = ADMUNet(config)
    return {name: tuple(t.shape) for name, t in unet.state_dict().items()}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"resblock_updown": False},
        {"use_scale_shift_norm": False},
        {"learn_sigma": False},
        {"num_classes": 10},
        {"super_resolution": True},
        {"super_resolution": True, "learn_sigma": False},
        {"image_channels": 1},
        {"image_channels": 4, "learn_sigma": False},
        {"attention_levels": ()},
        {"attention_levels": (0, 1), "resblock_updown": False},
        {"channel_mult": (1, 1, 2), "attention_levels": (0, 2), "num_res_blocks": 3},
        {"channel_mult": (0.5, 1, 1.5), "num_channels": 64},
        {"channel_mult": (1,), "attention_levels": (0,), "resblock_updown": False},
    ],
    ids=str,
)
def test_shapes_tell_what_built_them(changes: dict[str, Any]) -> None:
    config = dataclasses.replace(TINY, **changes)
    assert detect(shapes_of(config)) == Detected.of(config)


def test_equal_channels_are_super_resolution_only_if_told_or_rgb() -> None:
    doubled: dict[str, Any] = {"super_resolution": True, "image_channels": 1}
    shapes = shapes_of(dataclasses.replace(TINY, **doubled))
    assert not detect(shapes).super_resolution
    assert detect(shapes, super_resolution=True).image_channels == 1


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.name)
def test_published_checkpoints_need_no_flags(known: Known) -> None:
    config = ADMConfig(**dataclasses.asdict(known.detected), **known.undetectable)
    found = detect(shapes_of(config))
    assert recognise(found) is known
    assert resolve(found, known, {}) == config


def test_the_table_says_what_the_readmes_say() -> None:
    def heads(name: str) -> list[int]:
        known = next(known for known in KNOWN if name in known.name)
        config = resolve(known.detected, known, {})
        return [config.heads(width) for width in config.attention_widths]

    assert heads("ImageNet 64x64") == [6, 9, 12, 12]
    assert heads("ImageNet 128x128") == [4, 4, 4, 4]
    assert heads("64 to 256") == [4, 4, 4, 4]
    assert heads("ffhq_10m") == [8, 8]
    assert heads("128 to 512") == [12, 12, 12]
    assert heads("512x512 uncond") == [8, 16, 16, 16]
    assert len({known.detected for known in KNOWN}) == len(KNOWN)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (["model.diffusion_model.out.2.weight"], "Stable Diffusion"),
        (["input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"], "Stable Diffusion"),
        (["time_embed.0.weight", "input_blocks.0.0.weight", "out.0.weight"], "classifier"),
        (["conv_in.weight", "down_blocks.0.resnets.0.conv1.weight"], "diffusers' names"),
        (["lora_unet_up.weight"], "a LoRA"),
        (["fc.weight", "fc.bias"], "missing time_embed.0.weight.*the file has fc.weight, fc.bias"),
    ],
)
def test_other_networks_are_named(keys: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        detect(dict.fromkeys(keys, (4, 4)))


def test_every_tensor_is_accounted_for() -> None:
    expected = shapes_of(TINY)
    verify(expected, expected)
    lacking = {name: shape for name, shape in expected.items() if name != "time_embed.2.bias"}
    with pytest.raises(InputError, match=r"missing time_embed\.2\.bias"):
        verify(lacking, expected)
    with pytest.raises(InputError, match="unexpected extra"):
        verify(expected | {"extra": (1,)}, expected)
    with pytest.raises(InputError, match=r"time_embed\.2\.bias \(7,\) should be \(128,\)"):
        verify(expected | {"time_embed.2.bias": (7,)}, expected)


def test_levels_and_channels_that_no_such_network_has() -> None:
    shapes = shapes_of(TINY)
    fewer = {k: v for k, v in shapes.items() if not k.startswith("output_blocks.3.")}
    with pytest.raises(InputError, match="equal levels"):
        detect(fewer)
    with pytest.raises(InputError, match="takes 3 channels and gives 5"):
        detect(shapes | {"out.2.weight": (5, 32, 3, 3)})
    with pytest.raises(InputError, match="layer of 48 channels"):
        detect(shapes | {"time_embed.0.weight": (192, 48)})
