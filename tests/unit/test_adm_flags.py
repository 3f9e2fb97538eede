"""guided-diffusion's flags, held against the file and the table of published checkpoints."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import pytest

from ilvr_latent import InputError
from ilvr_latent.adm import ADMConfig
from ilvr_latent.adm.config import WITHOUT_EFFECT
from ilvr_latent.adm.detect import Detected
from ilvr_latent.adm.flags import MissingFlags, agree, parse, resolve
from ilvr_latent.adm.known import KNOWN, recognise

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
TINY_FLAGS: dict[str, Any] = {
    "image_size": 32,
    "num_head_channels": 16,
    "use_new_attention_order": False,
    "noise_schedule": "linear",
}
ILVR = next(known for known in KNOWN if "ffhq_10m" in known.name)


def resolved(detected: Detected | None = None, **flags: Any) -> ADMConfig:
    detected = detected or Detected.of(TINY)
    return resolve(detected, recognise(detected), parse(flags))


AUTHORS_FLAGS: dict[str, Any] = {  # the README of jychoi118/ilvr_adm, as argparse hands them over
    "attention_resolutions": "16",
    "class_cond": "False",
    "diffusion_steps": "1000",
    "dropout": "0.0",
    "image_size": "256",
    "learn_sigma": "True",
    "noise_schedule": "linear",
    "num_channels": "128",
    "num_head_channels": "64",
    "num_res_blocks": "1",
    "resblock_updown": "True",
    "use_fp16": "False",
    "use_scale_shift_norm": "True",
    "channel_mult": "",
    "num_heads": "4",
    "num_heads_upsample": "-1",
}


def test_the_authors_command_line_agrees_with_their_checkpoint() -> None:
    plain = resolved(ILVR.detected)
    full = resolved(ILVR.detected, **AUTHORS_FLAGS)
    # Without use_new_attention_order among the flags the table's word is taken.
    assert full == dataclasses.replace(plain, num_heads=4)


def test_python_values_and_none_are_taken_as_well() -> None:
    without_effect: dict[str, Any] = dict.fromkeys(WITHOUT_EFFECT, "whatever")
    config = resolved(
        **TINY_FLAGS,
        channel_mult=(1, 2),
        attention_resolutions=16,
        learn_sigma=True,
        class_cond=False,
        num_classes=None,
        predict_xstart=True,
        rescale_timesteps="true",
        diffusion_steps=500,
        **without_effect,
    )
    expected: dict[str, Any] = {
        "prediction_type": "sample",
        "rescale_timesteps": True,
        "diffusion_steps": 500,
    }
    assert config == dataclasses.replace(TINY, **expected)


def test_large_size_is_the_image_size_of_an_upsampler() -> None:
    detected = dataclasses.replace(Detected.of(TINY), super_resolution=True)
    flags = {name: value for name, value in TINY_FLAGS.items() if name != "image_size"}
    config = resolved(detected, **flags, large_size=64, small_size=16)
    assert (config.image_size, config.super_resolution) == (64, True)


def test_a_patch_divides_the_channels() -> None:
    detected = dataclasses.replace(Detected.of(TINY), image_channels=12)
    assert resolved(detected, **TINY_FLAGS, patch=2).image_channels == 3
    with pytest.raises(InputError, match=r"patch=5 .* 12 channels"):
        resolved(detected, **TINY_FLAGS, patch=5)


@pytest.mark.parametrize(
    ("flag", "given", "found"),
    [
        ("num_channels", 64, "num_channels=32"),
        ("num_res_blocks", "2", "num_res_blocks=1"),
        ("channel_mult", "1,4", "channel_mult=1,2"),
        ("learn_sigma", "False", "learn_sigma=True"),
        ("class_cond", True, "class_cond=False"),
        ("num_classes", 10, "num_classes=None"),
        ("resblock_updown", False, "resblock_updown=True"),
        ("use_scale_shift_norm", False, "use_scale_shift_norm=True"),
        ("attention_resolutions", "16,32", r"it at \[1\]"),
        ("super_resolution", True, "super_resolution=False"),
        ("image_channels", 1, "image_channels=3"),
    ],
)
def test_a_flag_that_contradicts_the_file_is_refused_with_both_values(
    flag: str, given: Any, found: str
) -> None:
    with pytest.raises(InputError, match=found) as caught:
        resolved(**TINY_FLAGS, **{flag: given})
    assert f"{flag}={given}" in str(caught.value)


def test_missing_flags_are_named_in_one_sentence() -> None:
    with pytest.raises(MissingFlags) as caught:
        resolved()
    sentence = str(caught.value)
    for name in ("num_heads", "num_head_channels=64", "use_new_attention_order", "image_size"):
        assert name in sentence
    assert "noise_schedule (commonly linear" in sentence
    assert "\n" not in sentence

    with pytest.raises(MissingFlags) as caught:
        resolved(**{k: v for k, v in TINY_FLAGS.items() if k != "image_size"})
    assert str(caught.value).endswith("give image_size (commonly 64, 128, 256, 512).")


def test_the_order_of_q_k_v_is_asked_for_only_where_it_matters() -> None:
    without_order: dict[str, Any] = {"image_size": 32, "noise_schedule": "linear"}
    assert resolved(**without_order, num_heads=1).use_new_attention_order is False
    with pytest.raises(MissingFlags, match="give use_new_attention_order"):
        resolved(**without_order, num_heads=2)


def test_the_users_word_on_heads_counts_for_more_than_the_tables(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        config = resolved(ILVR.detected, num_heads=4, use_new_attention_order=False)
    assert (config.num_heads, config.num_head_channels) == (4, -1)
    assert "ffhq_10m" in caplog.text


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"num_head": 4}, "'num_head'; did you mean .*num_heads"),
        ({"zzz": 4}, "no flag 'zzz'"),
        ({"timestep_respacing": "100"}, "how to sample.*'steps'"),
        ({"image_size": "big"}, "image_size='big' cannot be used"),
        ({"image_size": 33}, "image_size is 33"),
        ({"num_channels": 32.5}, "num_channels=32.5 cannot be used"),
        ({"learn_sigma": "maybe"}, "learn_sigma='maybe' cannot be used"),
        ({"channel_mult": "1;2"}, "channel_mult='1;2' cannot be used"),
        ({"attention_resolutions": "0"}, "attention_resolutions='0' cannot be used"),
        ({"noise_schedule": "sigmoid"}, "noise_schedule is 'sigmoid'"),
        ({"num_head_channels": 24}, "cannot split an attention layer of 64"),
        ({"predict_xstart": True, "prediction_type": "epsilon"}, "prediction_type=sample"),
        ({"large_size": 64, "image_size": 32}, "large_size=64 says image_size=64"),
        ({"patch": 0}, "patch=0"),
    ],
)
def test_unusable_flags_are_named(flags: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        resolved(**(TINY_FLAGS | flags))


@pytest.mark.parametrize(
    ("flags", "same"),
    [
        ({"num_heads": 4, "num_head_channels": 16}, True),
        ({"num_heads": 4}, True),
        ({"num_heads": 2}, False),
        ({"num_heads_upsample": 2}, True),
        ({"num_head_channels": 32}, False),
        ({"image_size": 64}, False),
        ({"noise_schedule": "cosine"}, False),
        ({"use_new_attention_order": True}, False),
        ({"dropout": 0.5, "use_fp16": True}, True),
    ],
    ids=str,
)
def test_flags_against_a_file_that_says_everything(flags: dict[str, Any], same: bool) -> None:
    config = dataclasses.replace(TINY, num_heads=7)  # idle: num_head_channels is given
    if same:
        agree(config, parse(flags))
    else:
        with pytest.raises(InputError, match="was given, but the file has"):
            agree(config, parse(flags))
