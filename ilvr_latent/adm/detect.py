"""What keys and shapes tell about a guided-diffusion checkpoint.

Nearly everything is read from ``output_blocks``: there each level has ``num_res_blocks + 1``
blocks, and the last block of every level but the first ends in the module that doubles the
resolution. What cannot be read (heads, the order of q, k and v, image size, noise schedule) is
not guessed here: see ``known.py`` and ``flags.py``.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise

from ..errors import InputError
from .config import ADMConfig

Shapes = Mapping[str, tuple[int, ...]]

NORM_GROUPS = 32
STEM_KEYS = ("time_embed.0.weight", "input_blocks.0.0.weight", "out.2.weight")
ATTEND_KEY = "middle_block.1.qkv.weight"


@dataclass(frozen=True)
class Detected:
    """The part of an :class:`ADMConfig` that the file itself tells; same names, same meanings."""

    num_channels: int
    num_res_blocks: int
    channel_mult: tuple[float, ...]
    attention_levels: tuple[int, ...]
    image_channels: int = 3
    resblock_updown: bool = True
    use_scale_shift_norm: bool = True
    num_classes: int | None = None
    learn_sigma: bool = True
    super_resolution: bool = False

    @classmethod
    def of(cls, config: ADMConfig) -> Detected:
        """The detectable part of a configuration that is known as a whole."""
        return cls(**{f.name: getattr(config, f.name) for f in dataclasses.fields(cls)})

    def placeholder(self) -> ADMConfig:
        """A configuration with these shapes and arbitrary values for what shapes don't tell."""
        return ADMConfig(
            **dataclasses.asdict(self),
            image_size=2 ** (len(self.channel_mult) - 1),
            noise_schedule="linear",
        )


def detect(shapes: Shapes, *, super_resolution: bool | None = None) -> Detected:
    """Read the architecture from a state dict's keys and shapes.

    Args:
        shapes: shape of each parameter under guided-diffusion's name.
        super_resolution: what the caller knows; decides where the channels alone do not.

    Returns:
        What the file tells. :func:`verify` then accounts for every other key.

    Raises:
        InputError: these are not the parameters of a guided-diffusion network.

    Source: the constructor of ``UNetModel``, openai/guided-diffusion ``unet.py``.
    """
    _refuse_foreign(shapes)
    num_channels = shapes["time_embed.0.weight"][1]
    runs, resblock_updown = _levels(shapes)
    widths = [shapes[f"output_blocks.{run[-1]}.0.out_layers.3.weight"][0] for run in runs]
    for width in (num_channels, *widths):
        if width < 1 or width % NORM_GROUPS:
            raise InputError(
                f"This network has a layer of {width} channels, but guided-diffusion's norms need "
                f"a multiple of {NORM_GROUPS}; it is not a guided-diffusion (ADM) checkpoint."
            )
    image_channels, learn_sigma, takes_low_res = _channels(shapes, super_resolution)
    label_emb = shapes.get("label_emb.weight")
    return Detected(
        num_channels=num_channels,
        num_res_blocks=len(runs[0]) - 1,
        channel_mult=tuple(_ratio(width, num_channels) for width in widths),
        attention_levels=tuple(
            level
            for level, run in enumerate(runs)
            if f"output_blocks.{run[0]}.1.qkv.weight" in shapes
        ),
        image_channels=image_channels,
        resblock_updown=resblock_updown,
        use_scale_shift_norm=shapes["middle_block.0.emb_layers.1.weight"][0] == 2 * widths[-1],
        num_classes=label_emb[0] if label_emb else None,
        learn_sigma=learn_sigma,
        super_resolution=takes_low_res,
    )


def check_size(config: ADMConfig, shapes: Shapes) -> None:
    """Hold the size of a network against the tensors that there are, before it is built.

    Raises:
        InputError: it would have more residual blocks than the file has tensors.
    """
    blocks = len(config.channel_mult) * (2 * config.num_res_blocks + 1)
    widest = config.num_channels * max(config.channel_mult, default=0)
    numbers = max((max(shape, default=0) for shape in shapes.values()), default=0)
    if blocks > len(shapes) or widest > numbers:
        raise InputError(
            f"The file's configuration is of {blocks} residual blocks of up to {widest:g} "
            f"channels, but it has {len(shapes)} tensors of at most {numbers}; give the unchanged "
            "file."
        )


def verify(shapes: Shapes, expected: Shapes) -> None:
    """Account for every key and shape of a file.

    Args:
        shapes: what the file has.
        expected: what the network that was detected needs.

    Raises:
        InputError: something is missing, unexpected or of another shape.
    """
    wrong = [
        f"{name} {shapes[name]} should be {expected[name]}"
        for name in shapes
        if name in expected and shapes[name] != expected[name]
    ]
    complaints = [
        f"{what} {_some(names)}"
        for what, names in (
            ("missing", [name for name in expected if name not in shapes]),
            ("unexpected", [name for name in shapes if name not in expected]),
            ("of another shape:", wrong),
        )
        if names
    ]
    if complaints:
        raise InputError(
            f"These are not the tensors of a guided-diffusion (ADM) network: "
            f"{'; '.join(complaints)}. Use the unchanged file that the training script wrote."
        )


def _levels(shapes: Shapes) -> tuple[list[range], bool]:
    """Output blocks of each level, full resolution first, and whether ResBlocks resize."""
    count, ends, resblock_updown = 0, set[int](), False
    for key in shapes:
        if match := re.match(r"output_blocks\.(\d{1,9})\.(\d{1,9})\.(.*)", key):
            block, position, rest = int(match[1]), int(match[2]), match[3]
            count = max(count, block + 1)
            if position >= 1 and rest.startswith(("in_layers.", "conv.")):
                ends.add(block + 1)
                resblock_updown |= rest.startswith("in_layers.")
    if count > len(shapes):
        raise InputError(
            f"The names of the tensors claim {count} output blocks, but there are only "
            f"{len(shapes)} tensors; give the unchanged file of a guided-diffusion (ADM) network."
        )
    bounds = [0, *sorted(ends | {count})]
    runs = [range(first, last) for first, last in pairwise(bounds)]
    needed = [f"output_blocks.{run[-1]}.0.out_layers.3.weight" for run in runs]
    uneven = len({len(run) for run in runs}) > 1 or len(runs[0]) < 2
    if uneven or not all(name in shapes for name in needed):
        raise InputError(
            f"The {count} output blocks of this network do not form equal levels (they have "
            f"{[len(run) for run in runs]} blocks); it is not a guided-diffusion (ADM) checkpoint, "
            "or tensors are missing."
        )
    return runs[::-1], resblock_updown


def _channels(shapes: Shapes, super_resolution: bool | None) -> tuple[int, bool, bool]:
    """(image channels, learned sigma, super-resolution).

    Input and output each are once or twice the image's channels. Equal numbers are ambiguous:
    6 and 6 is then RGB with both doubled, as in OpenAI's upsamplers.
    """
    taken, given = shapes["input_blocks.0.0.weight"][1], shapes["out.2.weight"][0]
    if given == 2 * taken:
        return taken, True, False
    if taken == 2 * given:
        return given, False, True
    if taken == given:
        doubled = super_resolution if super_resolution is not None else taken == 6
        if doubled and taken % 2 == 0:
            return taken // 2, True, True
        return taken, False, False
    raise InputError(
        f"The network takes {taken} channels and gives {given}; a guided-diffusion (ADM) network "
        "gives as many as it takes, twice or half as many."
    )


def _ratio(width: int, num_channels: int) -> float:
    return width // num_channels if width % num_channels == 0 else width / num_channels


def _refuse_foreign(shapes: Shapes) -> None:
    """Name what the file is, if it is something else than a guided-diffusion network."""
    ours = (*STEM_KEYS, ATTEND_KEY, "middle_block.0.emb_layers.1.weight")
    missing = [key for key in ours if key not in shapes]
    misshapen = [key for key in ours if key in shapes and len(shapes[key]) < 2]
    kind = _foreign_kind(shapes)
    if kind:
        raise InputError(f"This is not a guided-diffusion (ADM) network but {kind}.")
    if missing or misshapen:
        raise InputError(
            "These are not the tensors of a guided-diffusion (ADM) network: missing "
            f"{_some(missing + misshapen)}; the file has {_some(list(shapes))}. "
            "Give a checkpoint of openai/guided-diffusion or of a network trained with it."
        )


def _foreign_kind(shapes: Shapes) -> str | None:
    def has(*parts: str) -> bool:
        return any(part in key for key in shapes for part in parts)

    if has("model.diffusion_model.", "first_stage_model.", "transformer_blocks."):
        return "a latent diffusion checkpoint (Stable Diffusion or alike); load it as such"
    if has("down_blocks.", "conv_in.weight"):
        return "a network under diffusers' names; write it with save_adm first"
    if "time_embed.0.weight" in shapes and has("input_blocks.") and not has("output_blocks."):
        return "a guided-diffusion classifier; give the diffusion model that goes with it"
    if has("lora_", ".lora"):
        return "a LoRA; give the whole network"
    return None


def _some(names: Collection[str], limit: int = 3) -> str:
    shown = ", ".join(list(names)[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown
