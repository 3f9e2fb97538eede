"""Pictures of help pages, by the embedded model.

``python docs/help_pictures.py FOLDER [PAGE ...]``, as ``make gallery`` calls it. A row for each
drawing, and what each setting makes of it, with the same noise in all columns.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ilvr_latent import (
    EGSDE,
    ILVR,
    SDDM,
    Guide,
    Guides,
    Reference,
    SeededNoise,
    Start,
    Window,
    load_embedded,
    sample_with,
)
from ilvr_latent.diffusion.loops import LOOPS
from ilvr_latent.embedded import GROUPS, load_embedded_classifier
from ilvr_latent.guides import ClassifierGuidance, UniversalGuidance, losses
from ilvr_latent.pictures.images import fit_to, read_image, to_images, to_tensor
from ilvr_latent.pictures.sheet import Column, contact_sheet

REFERENCES = Path(__file__).parent.parent / "ilvr_latent" / "assets" / "references"
SAMPLES, SIDE = 2, 64
SHAPE = (SAMPLES, 3, SIDE, SIDE)
# Of 50 steps: the paper's end of SDDM, and a start that leaves EGSDE something to do.
STEPS, HALF, START = 50, 25, 10

MODEL = load_embedded()
Columns = dict[str, Tensor]
"""Pictures (SAMPLES, 3, SIDE, SIDE) by their labels."""


def picture(name: str) -> Tensor:
    """A shipped reference, (1, 3, SIDE, SIDE) in [-1, 1]."""
    return to_tensor(fit_to(read_image(REFERENCES / f"{name}.png"), (SIDE, SIDE)))


def sampled(guide: Guide, first: Start | None = None) -> Tensor:
    """What the paper's sampler makes of a guide."""
    noise = SeededNoise(0)
    return sample_with(MODEL, guide, shape=SHAPE, steps=STEPS, noise=noise, start=first)


def looped(name: str, y_0: Tensor, steps: int, end: float = 0.6, **settings: object) -> Tensor:
    """What a sampler that is a loop of its own makes of a reference."""
    guide = ILVR(Reference(y_0, 8, window=Window(0.0, end)), reference_noise="hybrid")
    return LOOPS[name](
        MODEL, guide=guide, shape=SHAPE, steps=steps, noise=SeededNoise(0), **settings
    )


def blocks(y_0: Tensor) -> Columns:
    """SDDM, half the run; and all of it."""
    half = {f"{n} blocks": sampled(SDDM(y_0, blocks=n, range_t=HALF)) for n in (4, 8, 16)}
    return {**half, "8, to the end": sampled(SDDM(y_0, blocks=8))}


def pulls(y_0: Tensor) -> Columns:
    """EGSDE; without a weight it is SDEdit."""
    start = Start(y_0.expand(SHAPE), START)
    return {
        f"faithful {w:g}": sampled(EGSDE(y_0, factor=8, faithful=w), start) for w in (0, 0.5, 1, 2)
    }


def classes(y_0: Tensor) -> Columns:
    """The colours of a reference, and the class of a classifier."""
    layout = ILVR(Reference(y_0, 16, window=Window(0.0, 0.3)))
    classifier = load_embedded_classifier()
    made = {"no class": sampled(layout)}
    for label, name in ((0, "smileys"), (2, "animals"), (3, "food")):
        assert GROUPS[label].lower().startswith(name)
        guide = Guides(layout, ClassifierGuidance(classifier, label, scale=10.0))
        made[f"{label} ({name})"] = sampled(guide)
    return made


def palettes(y_0: Tensor) -> Columns:
    """The shape of the reference, and the colours of a frog."""
    layout = ILVR(Reference(y_0, 8, window=Window(0.0, 0.25)))
    loss = losses.colour_histogram(picture("noto_frog"))

    def towards(rate: float) -> Tensor:
        with torch.inference_mode(False):
            palette = UniversalGuidance(loss, backward_steps=4, backward_lr=rate, clip=True)
            return sampled(Guides(layout, palette))

    return {f"backward_lr {rate:g}": towards(rate) for rate in (0, 5, 20, 60)}


def corrections(y_0: Tensor) -> Columns:
    """Predictor and corrector, by the number of moves."""
    return {
        f"corrector_steps {n}": looped("pc", y_0, 25, corrector_steps=n, clip_denoised=True)
        for n in (0, 1, 3)
    }


def flows(y_0: Tensor) -> Columns:
    """Probability flow, by the number of steps."""
    return {f"{n} steps": looped("ode", y_0, n) for n in (3, 8, 16)}


def degradations(y_0: Tensor) -> Columns:
    """Cold diffusion."""
    return {
        "implied": looped("cold", y_0, 25),
        "fixed, 2": looped("cold", y_0, 25, fixed_noise=True),
        "fixed, 1": looped("cold", y_0, 25, fixed_noise=True, algorithm=1),
    }


Sheet = tuple[tuple[str, ...], Callable[[Tensor], Columns], str]
SHEETS: dict[str, Sheet] = {
    "ILVRBlockStatistics": (("scribble_smiley", "noto_apple"), blocks, "reference"),
    "ILVREGSDE": (("scribble_smiley", "noto_apple"), pulls, "source"),
    "ILVRClassifierGuidance": (("noto_pumpkin", "noto_apple"), classes, "reference"),
    "ILVRUniversalGuidance": (("noto_pumpkin", "scribble_smiley"), palettes, "reference"),
    "ILVRPredictorCorrectorSampler": (
        ("scribble_apple", "scribble_car"),
        corrections,
        "reference",
    ),
    "ILVRProbabilityFlowSampler": (("scribble_apple", "noto_frog"), flows, "reference"),
    "ILVRColdSampler": (("scribble_smiley", "noto_apple"), degradations, "reference"),
}
"""Help page: drawings, what is made of them, and what a drawing is called there."""


def draw(page: str, path: Path) -> None:
    """Draw the picture of one page."""
    drawings, make, called = SHEETS[page]
    rows, labels = [], list[str]()
    for name in drawings:
        y_0 = picture(name)
        made = make(y_0)
        labels = list(made)
        images = [image for pictures in made.values() for image in to_images(pictures)]
        rows.append([*to_images(y_0), *images])
    columns = [Column(called)]
    for label in labels:
        columns += [Column(label, gap=20), *[Column("") for _ in range(SAMPLES - 1)]]
    contact_sheet(rows, columns, cell=96).save(path, quality=90, optimize=True, progressive=True)


def main(folder: Path, pages: list[str]) -> None:
    """Draw these, or all."""
    for page in pages or SHEETS:
        draw(page, folder / f"{page}.jpg")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
