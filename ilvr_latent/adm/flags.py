"""guided-diffusion's command line flags, and what a file tells, to an :class:`ADMConfig`."""

from __future__ import annotations

import dataclasses
import difflib
import logging
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import InputError
from .config import WITHOUT_EFFECT, ADMConfig
from .detect import Detected
from .known import Known

HEADS = ("num_heads", "num_head_channels", "num_heads_upsample")
COMMON_SIZES = (64, 128, 256, 512)
# The small image is resized to the state, so its size says nothing about the network.
IGNORED = WITHOUT_EFFECT | {"small_size"}
BELONGS_TO_SAMPLING = {
    "timestep_respacing": "steps",
    "use_ddim": "sampler",
    "clip_denoised": "clip_denoised",
    "batch_size": "shape",
    "range_t": "range_t",
}

logger = logging.getLogger(__name__)


class MissingFlags(InputError):
    """The file cannot tell everything, and the flags that would are not given."""


def parse(flags: Mapping[str, object]) -> dict[str, Any]:
    """Flags as typed on guided-diffusion's command line, or as Python values.

    Args:
        flags: guided-diffusion's flags or fields of :class:`ADMConfig`; ``None`` counts as left
            out, and so do "" for ``channel_mult`` and -1 for the heads (guided-diffusion's words
            for "the default").

    Returns:
        Fields of :class:`ADMConfig`, and ``attention_resolutions`` and ``class_cond`` as given.

    Raises:
        InputError: an unknown flag, a value of the wrong type, or two flags that disagree.
    """
    parsed: dict[str, Any] = {}

    def put(name: str, value: object, origin: str) -> None:
        if parsed.setdefault(name, value) != value:
            raise InputError(f"{origin} says {name}={value}, but {name}={parsed[name]} was given.")

    # Sorted, so that a field's own name comes before the flags that imply it.
    for name in sorted(flags, key=lambda name: name in ("predict_xstart", "large_size")):
        text = flags[name]
        if name in IGNORED or text is None:
            continue
        value = _value(name, text)
        if value is None:
            continue
        if name == "predict_xstart":
            put("prediction_type", "sample" if value else "epsilon", f"{name}={text}")
        elif name == "large_size":
            put("image_size", value, f"{name}={text}")
            put("super_resolution", True, f"{name}={text}")
        else:
            parsed[name] = value
    return parsed


def resolve(detected: Detected, known: Known | None, parsed: Mapping[str, Any]) -> ADMConfig:
    """The whole configuration from the file, the table of known checkpoints, and the user.

    The user's word counts for more than the table's, and must agree with the file.

    Args:
        detected: what the file tells.
        known: the published checkpoint with these shapes, if any.
        parsed: from :func:`parse`.

    Returns:
        The configuration.

    Raises:
        MissingFlags: one sentence that names each flag that nobody gave, and common values.
        InputError: a flag contradicts the file.
    """
    values: dict[str, Any] = dict(known.undetectable) if known else {}
    own = {field.name for field in dataclasses.fields(Detected)}
    given = {k: v for k, v in parsed.items() if k not in own}
    if "num_heads" in given or "num_head_channels" in given:
        for name in HEADS:
            values.pop(name, None)
    values |= {k: v for k, v in given.items() if k not in ("attention_resolutions", "class_cond")}
    shapes = dataclasses.asdict(_without_patch(detected, values.get("patch", 1)))
    _require(shapes, values)
    config = ADMConfig(**shapes, **values)
    agree(config, parsed)
    if known:
        published = ADMConfig(**dataclasses.asdict(detected), **known.undetectable)
        if difference := _contradiction(published, parsed):
            logger.warning("This looks like %s: %s.", known.name, difference)
    return config


def agree(config: ADMConfig, parsed: Mapping[str, Any]) -> None:
    """Hold flags against what is certain.

    Args:
        config: what the file says.
        parsed: what the user says, from :func:`parse`.

    Raises:
        InputError: they differ; names both values.
    """
    if difference := _contradiction(config, parsed):
        raise InputError(f"{difference}: leave the flag out, or check that this is the right file.")


def _contradiction(config: ADMConfig, parsed: Mapping[str, Any]) -> str | None:
    for name, value in parsed.items():
        if name in HEADS or name == "attention_resolutions":
            continue
        found = config.num_classes is not None if name == "class_cond" else getattr(config, name)
        if value != found:
            return (
                f"{name}={_as_typed(value)} was given, but the file has {name}={_as_typed(found)}"
            )
    return _heads_contradiction(config, parsed) or _attention_contradiction(config, parsed)


def _heads_contradiction(config: ADMConfig, parsed: Mapping[str, Any]) -> str | None:
    """Heads are compared by their effect: num_heads is idle where num_head_channels is given."""
    given = {name: parsed[name] for name in HEADS if name in parsed}
    if not given:
        return None
    reset = {"num_head_channels": -1} if "num_heads" in given else {}
    claimed = dataclasses.replace(config, **(reset | given))
    for width in config.attention_widths:
        for upsample in (False, True):
            if claimed.heads(width, upsample=upsample) != config.heads(width, upsample=upsample):
                mine = ", ".join(f"{name}={getattr(config, name)}" for name in HEADS)
                theirs = ", ".join(f"{name}={value}" for name, value in given.items())
                return f"{theirs} was given, but the file has {mine}"
    return None


def _attention_contradiction(config: ADMConfig, parsed: Mapping[str, Any]) -> str | None:
    resolutions = parsed.get("attention_resolutions")
    if resolutions is None:
        return None
    rates = {config.image_size // side for side in resolutions}
    levels = [level for level in range(len(config.channel_mult)) if 2**level in rates]
    if levels == list(config.attention_levels):
        return None
    return (
        f"attention_resolutions={_as_typed(resolutions)} with image_size={config.image_size} means "
        f"attention at levels {levels}, but the file has it at {list(config.attention_levels)}"
    )


def _without_patch(detected: Detected, patch: int) -> Detected:
    """What the file says about the image, where the network sees patches of it as channels."""
    if patch < 1 or detected.image_channels % patch**2:
        raise InputError(
            f"patch={patch} was given, but the file's network takes {detected.image_channels} "
            f"channels, which is not a multiple of {patch}x{patch}."
        )
    return dataclasses.replace(detected, image_channels=detected.image_channels // patch**2)


def _require(shapes: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    downscale = values.get("patch", 1) * 2 ** (len(shapes["channel_mult"]) - 1)
    sizes = [str(size) for size in COMMON_SIZES if size % downscale == 0] or [str(downscale)]
    missing = []
    if "num_heads" not in values and "num_head_channels" not in values:
        missing.append(
            "num_heads or num_head_channels (commonly num_head_channels=64 or num_heads=4)"
        )
    # With a single head everywhere both orders are the same.
    single_head = {name: values[name] for name in HEADS if name in values} == {"num_heads": 1}
    if "use_new_attention_order" not in values and not single_head:
        missing.append(
            "use_new_attention_order (False, guided-diffusion's default, unless it was "
            "trained with True)"
        )
    if "image_size" not in values:
        missing.append(f"image_size (commonly {', '.join(sizes)})")
    if "noise_schedule" not in values:
        missing.append("noise_schedule (commonly linear, else cosine)")
    if missing:
        raise MissingFlags(
            "This checkpoint is not one of the published ones, and what it was trained with cannot "
            f"be told from the file: give {', '.join(missing)}."
        )


def _value(name: str, text: object) -> object:
    """One flag's value in its Python type; ``None`` where it means the default."""
    if name not in PARSERS:
        raise InputError(_unknown(name))
    try:
        value = PARSERS[name](text)
    except (ValueError, TypeError) as error:
        raise InputError(f"{name}={text!r} cannot be used: {error}.") from error
    return None if name in HEADS and value == -1 else value


def _unknown(name: str) -> str:
    if name in BELONGS_TO_SAMPLING:
        return (
            f"{name!r} says how to sample, not what the checkpoint is: give it to sample() as "
            f"{BELONGS_TO_SAMPLING[name]!r}."
        )
    close = difflib.get_close_matches(name, [*PARSERS, *IGNORED]) or sorted(PARSERS)
    return f"There is no flag {name!r}; did you mean {' or '.join(close)}?"


def _integer(value: object) -> int:
    try:
        # By way of text: int() alone would take True for 1 and cut 0.5 down to 0.
        return int(str(value))
    except ValueError:
        raise ValueError("give a whole number") from None


def _truth(value: object) -> bool:
    text = str(value).strip().lower()
    if text in ("yes", "true", "t", "y", "1"):
        return True
    if text in ("no", "false", "f", "n", "0"):
        return False
    raise ValueError("give True or False")


def _word(value: object) -> str:
    return str(value).strip()


def _numbers(value: object) -> tuple[float, ...] | None:
    """``"16,8"``, a sequence or one number; ``None`` for the empty string."""
    if value == "":
        return None
    items = str(value).split(",") if isinstance(value, (str, int, float)) else value
    try:
        numbers = [float(item) for item in items]  # type: ignore[attr-defined]
    except (ValueError, TypeError):
        raise ValueError("give numbers separated by commas") from None
    return tuple(int(number) if number.is_integer() else number for number in numbers)


def _resolutions(value: object) -> tuple[float, ...] | None:
    numbers = _numbers(value)
    if numbers and not all(number >= 1 for number in numbers):
        raise ValueError("give sides in pixels, separated by commas")
    return numbers


def _as_typed(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


PARSERS: Mapping[str, Callable[[object], object]] = {
    **dict.fromkeys(
        ("image_size", "large_size", "num_channels", "num_res_blocks", "num_classes"), _integer
    ),
    **dict.fromkeys((*HEADS, "diffusion_steps", "patch", "image_channels"), _integer),
    **dict.fromkeys(
        ("use_new_attention_order", "use_scale_shift_norm", "resblock_updown", "learn_sigma"),
        _truth,
    ),
    **dict.fromkeys(
        ("class_cond", "super_resolution", "predict_xstart", "rescale_timesteps", "sigma_small"),
        _truth,
    ),
    **dict.fromkeys(("noise_schedule", "prediction_type"), _word),
    **dict.fromkeys(("channel_mult", "attention_levels"), _numbers),
    "attention_resolutions": _resolutions,
}
