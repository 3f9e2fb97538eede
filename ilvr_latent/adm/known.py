"""Published checkpoints, recognised by their shapes, and what their shapes do not tell.

Flags are those of the READMEs of openai/guided-diffusion and jychoi118/ilvr_adm, and for the
unconditional 512x512 network (a fine-tune by Katherine Crowson) those of Disco Diffusion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from .detect import Detected


@dataclass(frozen=True)
class Known:
    """A published architecture.

    Attributes:
        name: what to call it.
        detected: its shapes.
        undetectable: the fields of :class:`ADMConfig` that shapes do not tell.
    """

    name: str
    detected: Detected
    undetectable: Mapping[str, Any]


def _undetectable(image_size: int, **values: object) -> Mapping[str, Any]:
    usual = {"noise_schedule": "linear", "use_new_attention_order": False}
    return MappingProxyType({"image_size": image_size, **usual, **values})


IMAGENET_CLASSES = 1000
CHANNEL_MULT_256 = (1, 1, 2, 2, 4, 4)
CHANNEL_MULT_512 = (0.5, 1, 1, 2, 2, 4, 4)

KNOWN: tuple[Known, ...] = (
    Known(
        "OpenAI ImageNet 64x64",
        Detected(192, 3, (1, 2, 3, 4), (1, 2, 3), num_classes=IMAGENET_CLASSES),
        _undetectable(
            64, num_head_channels=64, noise_schedule="cosine", use_new_attention_order=True
        ),
    ),
    Known(
        "OpenAI ImageNet 128x128",
        Detected(256, 2, (1, 1, 2, 3, 4), (2, 3, 4), num_classes=IMAGENET_CLASSES),
        _undetectable(128, num_heads=4),
    ),
    Known(
        "OpenAI ImageNet 256x256",
        Detected(256, 2, CHANNEL_MULT_256, (3, 4, 5), num_classes=IMAGENET_CLASSES),
        _undetectable(256, num_head_channels=64),
    ),
    Known(
        "OpenAI 256x256 unconditional (ImageNet or LSUN)",
        Detected(256, 2, CHANNEL_MULT_256, (3, 4, 5)),
        _undetectable(256, num_head_channels=64),
    ),
    Known(
        "OpenAI ImageNet 512x512",
        Detected(256, 2, CHANNEL_MULT_512, (4, 5, 6), num_classes=IMAGENET_CLASSES),
        _undetectable(512, num_head_channels=64),
    ),
    Known(
        "512x512 unconditional (fine-tune of OpenAI's)",
        Detected(256, 2, CHANNEL_MULT_512, (4, 5, 6)),
        _undetectable(512, num_head_channels=64),
    ),
    Known(
        "OpenAI upsampler 64 to 256",
        Detected(
            192, 2, CHANNEL_MULT_256, (3, 4, 5), num_classes=IMAGENET_CLASSES, super_resolution=True
        ),
        _undetectable(256, num_heads=4),
    ),
    Known(
        "OpenAI upsampler 128 to 512",
        Detected(
            192, 2, CHANNEL_MULT_256, (4, 5), num_classes=IMAGENET_CLASSES, super_resolution=True
        ),
        _undetectable(512, num_head_channels=64),
    ),
    Known(
        "ILVR / P2-weighting 256x256 (ffhq_10m, afhq_dog_4m and siblings)",
        Detected(128, 1, CHANNEL_MULT_256, (4,)),
        _undetectable(256, num_head_channels=64),
    ),
)


def recognise(detected: Detected) -> Known | None:
    """The published architecture with exactly these shapes, if there is one.

    Args:
        detected: what the file tells.

    Returns:
        The entry of :data:`KNOWN`, or ``None``.
    """
    return next((known for known in KNOWN if known.detected == detected), None)
