"""What is probably a mistake, in one sentence: said on the node and in the log, never refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..ilvr_latent.diffusion.guide import Guide
from ..ilvr_latent.guides.reference import Reference
from ..ilvr_latent.phrases import Phrase
from .run import HostRun

# Samplers that leave noise in the embedded pixel model's pictures, and in how many steps no more.
ENOUGH_STEPS = {"sample_heun": 40, "sample_dpm_2_ancestral": 15}


def hints(run: HostRun, guide: Guide) -> list[Phrase]:
    """Of one run and one of its guides."""
    pixels = getattr(run.model, "trained_size", None)
    return [
        *_of_size(run.shape, pixels),
        *(_of_sampler(run.sampler, len(run.schedule)) if pixels is not None else ()),
        *_of_references(run, getattr(guide, "references", ())),
    ]


def _of_size(shape: Sequence[int], trained: int | None) -> Iterator[Phrase]:
    height, width = shape[-2:]
    if trained is not None and max(height, width) < trained // 2:
        yield Phrase(
            "The picture is {width}x{height} pixels, and this model is for {trained}x{trained}: "
            "use Empty Pixel Latent.",
            width=width,
            height=height,
            trained=trained,
        )


def _of_sampler(sampler: Any, steps: int) -> Iterator[Phrase]:
    name = getattr(getattr(sampler, "sampler_function", None), "__name__", "")
    if steps < ENOUGH_STEPS.get(name, 0):
        yield Phrase(
            "{sampler} leaves noise with a pixel model in fewer than {count} steps: "
            "use ddpm, euler or dpmpp_2m.",
            sampler=name.removeprefix("sample_"),
            count=ENOUGH_STEPS[name],
        )


def _of_references(run: HostRun, references: Sequence[Any]) -> Iterator[Phrase]:
    pictures = run.shape[0]
    whole = run.rows is not None and run.rows.pictures == [*range(pictures)]
    for reference in references:
        clip = isinstance(reference, Reference) and reference.takes_batch_for_clip(run.shape)
        count = len(reference.image) if whole else 1
        if not bool(reference.image.any()):
            yield Phrase(
                "The reference is an empty latent: use that of ILVR Reference (VAE Encode)."
            )
        elif clip:
            continue
        elif 1 < count < pictures and pictures % count:
            yield Phrase(
                "{count} references for {pictures} pictures: some serve more often than others.",
                count=count,
                pictures=pictures,
            )
        elif count > pictures:
            yield Phrase(
                "{count} references for {pictures} pictures: the last ones are not used.",
                count=count,
                pictures=pictures,
            )
