"""What an ADM checkpoint is, in guided-diffusion's own words."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ..errors import InputError

NoiseSchedule = Literal["linear", "cosine"]
PredictionType = Literal["epsilon", "sample", "v_prediction"]

# Flags of the authors' scripts that say how to train or how to compute, not what the network is.
WITHOUT_EFFECT = frozenset(
    {"use_kl", "rescale_learned_sigmas", "use_checkpoint", "use_fp16", "dropout"}
)

# Far above any network that there is: a claim beyond it is none.
LARGEST = 2**24


@dataclass(frozen=True)
class ADMConfig:
    """Architecture and diffusion process of one checkpoint.

    The names are guided-diffusion's flags, except where the flags say one thing in two places:
    ``attention_levels`` holds the levels (0 = full resolution) that ``attention_resolutions``
    and ``image_size`` select together, and ``prediction_type`` (diffusers' word) replaces
    ``predict_xstart``.

    Attributes:
        image_size: side of the training images in pixels.
        image_channels: channels of the image, 3 for RGB.
        num_channels: width of the first level before its multiplier.
        num_res_blocks: residual blocks per level.
        channel_mult: width of each level as a multiple of ``num_channels``.
        attention_levels: levels with attention.
        num_heads: attention heads; ignored where ``num_head_channels`` is given.
        num_head_channels: width of one head, or -1.
        num_heads_upsample: heads on the way up, or -1 for the same as ``num_heads``.
        use_new_attention_order: order of q, k, v in the fused weight.
        use_scale_shift_norm: FiLM-like conditioning on time.
        resblock_updown: residual blocks, not convolutions, change the resolution.
        num_classes: number of class labels, or ``None`` for an unconditional network.
        learn_sigma: the network also gives the variance (IDDPM, arXiv 2102.09672, eq. 15).
        sigma_small: where no variance is learned, sample with the smaller of the two fixed ones:
            less grain with few steps. guided-diffusion's default is the larger.
        super_resolution: the network takes a low-resolution image beside the state.
        patch: the network sees ``patch x patch`` pixels as channels (1: plain guided-diffusion).
        noise_schedule: the betas of the forward process.
        diffusion_steps: number of timesteps of the forward process.
        prediction_type: what the network's output is.
        rescale_timesteps: the network was given timesteps scaled to 0..1000.
    """

    image_size: int
    num_channels: int
    num_res_blocks: int
    channel_mult: tuple[float, ...]
    attention_levels: tuple[int, ...]
    noise_schedule: NoiseSchedule
    image_channels: int = 3
    num_heads: int = 1
    num_head_channels: int = -1
    num_heads_upsample: int = -1
    use_new_attention_order: bool = False
    use_scale_shift_norm: bool = True
    resblock_updown: bool = False
    num_classes: int | None = None
    learn_sigma: bool = False
    sigma_small: bool = False
    super_resolution: bool = False
    patch: int = 1
    diffusion_steps: int = 1000
    prediction_type: PredictionType = "epsilon"
    rescale_timesteps: bool = False

    def __post_init__(self) -> None:
        self._check_kinds()
        for name, allowed in (
            ("noise_schedule", get_args(NoiseSchedule)),
            ("prediction_type", get_args(PredictionType)),
        ):
            if getattr(self, name) not in allowed:
                raise InputError(f"{name} is {getattr(self, name)!r}; use one of {list(allowed)}.")
        if self.diffusion_steps < 1:
            raise InputError(f"diffusion_steps is {self.diffusion_steps}; use 1 or more.")
        downscale = self.patch * 2 ** (len(self.channel_mult) - 1)
        if self.image_size < 1 or self.image_size % downscale:
            raise InputError(
                f"image_size is {self.image_size}, but this network halves the picture "
                f"{len(self.channel_mult) - 1} times: use a multiple of {downscale}."
            )
        for width in self.attention_widths:
            for upsample in (False, True):
                self.heads(width, upsample=upsample)

    def _check_kinds(self) -> None:
        """Values come from files and command lines, which know no types.

        Raises:
            InputError: one is of another kind than its field, or no network could have it.
        """
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            kind = str(field.type)
            whole = isinstance(value, int) and not isinstance(value, bool)
            fits = {
                "int": whole and -1 <= value <= LARGEST,
                "int | None": value is None or (whole and 1 <= value <= LARGEST),
                "bool": isinstance(value, bool),
                "tuple[float, ...]": _numbers(value, 0.0) and len(value) > 0,
                "tuple[int, ...]": _numbers(value, -1),
            }
            if not fits.get(kind, isinstance(value, str)):
                raise InputError(
                    f"{field.name} is {str(value)[:40]!r}, which is no {kind} that a network has; "
                    "correct the flag, or save the checkpoint again with save_adm."
                )
        if min(self.num_channels, self.num_res_blocks, self.image_channels, self.patch) < 1:
            raise InputError(
                f"num_channels is {self.num_channels}, num_res_blocks {self.num_res_blocks}, "
                f"image_channels {self.image_channels} and patch {self.patch}; use at least 1."
            )
        if any(level not in range(len(self.channel_mult)) for level in self.attention_levels):
            raise InputError(
                f"attention_levels is {self.attention_levels}, but there are "
                f"{len(self.channel_mult)} levels, from 0; use those."
            )

    @property
    def block_out_channels(self) -> tuple[int, ...]:
        """Width of each level."""
        return tuple(int(multiplier * self.num_channels) for multiplier in self.channel_mult)

    @property
    def attention_widths(self) -> tuple[int, ...]:
        """Width at each attention level, and in the middle (which always attends)."""
        widths = self.block_out_channels
        return (*(widths[level] for level in self.attention_levels), widths[-1])

    @property
    def in_channels(self) -> int:
        """Channels that the first convolution takes."""
        return self.image_channels * self.patch**2 * (2 if self.super_resolution else 1)

    @property
    def out_channels(self) -> int:
        """Channels that the last convolution gives."""
        return self.image_channels * self.patch**2 * (2 if self.learn_sigma else 1)

    @property
    def downscale(self) -> int:
        """Image sides must be a multiple of this."""
        halvings = len(self.channel_mult) - 1
        return self.patch << halvings

    def heads(self, width: int, *, upsample: bool = False) -> int:
        """Number of attention heads at a level of ``width`` channels.

        Raises:
            InputError: the width is not a multiple of the heads.
        """
        if self.num_head_channels != -1:
            divisor, heads = self.num_head_channels, width // max(self.num_head_channels, 1)
        else:
            heads = self.num_heads
            if upsample and self.num_heads_upsample != -1:
                heads = self.num_heads_upsample
            divisor = heads
        if divisor < 1 or width % divisor:
            raise InputError(
                f"num_heads={self.num_heads}, num_head_channels={self.num_head_channels} cannot "
                f"split an attention layer of {width} channels; use a divisor of {width}."
            )
        return heads

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ADMConfig:
        """From the fields as JSON holds them, with lists for tuples."""
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**fields)

    def to_metadata(self) -> dict[str, str]:
        """The configuration as the string metadata of a safetensors file."""
        return {"ilvr_adm_config": json.dumps(dataclasses.asdict(self))}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str] | None) -> ADMConfig | None:
        """The inverse of :meth:`to_metadata`; ``None`` where the file says nothing.

        Raises:
            InputError: the metadata is there but cannot be used.
        """
        if not metadata or "ilvr_adm_config" not in metadata:
            return None
        try:
            return cls.from_dict(json.loads(metadata["ilvr_adm_config"]))
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise InputError(
                f"The checkpoint's metadata 'ilvr_adm_config' cannot be read ({error}); "
                "save the checkpoint again with save_adm."
            ) from error


def _numbers(value: object, above: float) -> bool:
    """Whether it is a tuple of finite numbers above a bound."""
    return isinstance(value, tuple) and all(
        isinstance(one, (int, float)) and not isinstance(one, bool) and above < one <= LARGEST
        for one in value
    )
