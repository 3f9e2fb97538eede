"""``ilvr report``: one sample with ILVR and without, looked into."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image
from torch import Tensor

from ..errors import InputError
from ..guides.recorder import Recorder, Recording
from ..pictures.files import written_whole
from ..pictures.images import find_one_image, fit_to, save_png, to_images, to_tensor
from ..pictures.recording_plot import below, figure
from ..pictures.sheet import Column, contact_sheet
from . import options as table
from .batches import MOST, batches, pictures_at_a_time
from .common import Advance, check_counts, choose_device, output_png, progress, report
from .maker import load_maker
from .making import PictureMaker, matched_part
from .settings import Settings

EXAMPLE = "ilvr report --reference apple.png --factor 4 --end 0.7 --output report.png"
CELL = 192


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    add = parser.add_argument
    add("--reference", required=True, metavar="PATH", help="one picture")
    add("--factor", type=float, default=4.0, metavar="N", help="larger leaves more to the model")
    add("--samples", type=int, default=1, metavar="K", help="pictures to take the mean over")
    add("--seed", type=int, default=0, help="sample k uses seed + k")
    output_help = "the report; its numbers are written to a .json file of the same name"
    add("--output", type=Path, required=True, metavar="PNG", help=output_help)
    table.add_arguments(parser)


def run(options: argparse.Namespace) -> None:
    """Check everything, sample twice, and write the figure and its numbers."""
    check_counts(options, "samples", "batch_size")
    most = options.batch_size or MOST
    if options.samples > most:
        raise InputError(
            f"--samples is {options.samples}, more than the --batch-size of {most} "
            "that is sampled at once; raise that or take fewer."
        )
    chosen = Settings.of(options, options.factor)
    path, picture = find_one_image(options.reference)
    output_png(options.output)

    maker = load_maker(chosen)
    reference = to_tensor(fit_to(picture, maker.size, options.fit))
    maker.check(reference, chosen)

    seeds = [options.seed + k for k in range(options.samples)]
    size = pictures_at_a_time(options.batch_size, maker.size, choose_device(options.device))
    # The numbers of a kind are over its samples, which are sampled at once.
    kinds = [chosen, chosen.without_reference()]
    runs = list(batches(kinds, lambda kind: kind, maker, max(1, size // len(seeds))))
    with progress("sampling", len(runs) * maker.calls(chosen)) as advance:
        found = [one for run in runs for one in _recorded(maker, reference, run, seeds, advance)]
    (pictures, recording), (plain, without) = found

    held_to = matched_part(maker, reference, chosen.factor, chosen.kernel, chosen.band)
    shown = [to_images(reference)[0], held_to[0], plain[0], pictures[0]]
    heads = [Column(label) for label in ("reference", "matched", "without ILVR", "with ILVR")]
    plots = figure(recording, without, unit="pixel" if maker.cell == 1 else "latent cell")
    sheet = below([contact_sheet([shown], heads, cell=CELL), plots])
    own = {"reference": path.name, "factor": options.factor, "seed": options.seed}
    record: dict[str, object] = {"settings": chosen.written() | own}
    save_png(sheet, options.output, record)
    record |= {
        "with": dataclasses.asdict(recording),
        "without": dataclasses.asdict(without),
    }
    numbers = options.output.with_suffix(".json")
    with written_whole(numbers) as partial:
        partial.write_text(json.dumps(record, indent=2) + "\n")
    report(options.json, {"report": str(options.output), **record}, _sentence(options, recording))


def _recorded(
    maker: PictureMaker,
    reference: Tensor,
    kinds: Sequence[Settings],
    seeds: Sequence[int],
    advance: Advance,
) -> Iterator[tuple[list[Image.Image], Recording]]:
    """Pictures of each kind, one for each seed, all of them sampled at once."""
    recordings: list[Recording] = []
    pictures = maker.make(
        reference,
        [kind for kind in kinds for _ in seeds],
        [*seeds] * len(kinds),
        advance,
        watch=lambda guide, compared: Recorder(
            guide, compared, lambda recording, *_: recordings.append(recording)
        ),
    )
    if not recordings:
        raise InputError(
            "This pipeline does not finish the picture by itself, so there is nothing to report; "
            "use one that denoises to the end."
        )
    for place in range(len(kinds)):
        own = slice(place * len(seeds), (place + 1) * len(seeds))
        # Kinds that are the same are recorded once.
        yield pictures[own], recordings[min(place, len(recordings) - 1)]


def _sentence(options: argparse.Namespace, recording: Recording) -> str:
    return (
        f"{len(recording.matched)} of {recording.steps + 1} states matched, distance "
        f"{recording.residuals[recording.steps]:.3f} at the end: {options.output}"
    )
