"""Quality against the number of network calls, as a table and a plot.

    python -m benchmarks.quality --output DIR [--quick]
    python -m benchmarks.quality --output DIR [--quick] --comfyui PATH
    python -m benchmarks.quality unguided --output DIR [--quick]
    python -m benchmarks.quality attention --output DIR [--quick]
    python -m benchmarks.quality failures --output FILE.png

The first samples the rows of the core's samplers, and measures every row that is in the folder. The
second, with ComfyUI's Python, samples those of ComfyUI's samplers; run the first again for the
table with both. What is there is not made again. The third has no reference, nor has
the fourth, of guidance by perturbed attention, but for its picture; the last makes the figure of
failure modes.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

from ilvr_latent import InputError
from ilvr_latent.embedded import PIXEL_MODEL, load_embedded
from ilvr_latent.evaluation.measure import Sampled
from ilvr_latent.evaluation.store import hold_to
from ilvr_latent.metrics.distribution import require_torchmetrics
from ilvr_latent.metrics.domain import load_embedded_domain
from ilvr_latent.metrics.network import load_feature_network
from ilvr_latent.pictures.files import output_folder, written_whole
from ilvr_latent.pictures.images import save_png

from . import attention, failures, table, unguided
from .against_baseline import measured
from .core_maker import CoreMaker
from .host_maker import HostMaker
from .rows import BASELINE, Row, core_rows, host_rows
from .study import FACTOR, Study, make_missing, shipped_references

CALLS, QUICK_CALLS = (10, 20, 50, 100, 250), (10, 20, 50)
SAMPLES, QUICK_SAMPLES = 4, 2
SIDE = 64
DOCUMENT, ATTENTION_DOCUMENT = Path("docs/steps.md"), Path("docs/attention.md")
PLOTS = {1.0: "steps-whole.png", 0.5: "steps-half.png"}


def main() -> None:
    """Read the options and do what they say."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("what", nargs="?", choices=("table", "unguided", "attention", "failures"), default="table")
    add("--output", type=Path, required=True, help="a folder; of failures, a PNG file")
    add("--quick", action="store_true", help="fewer pictures and calls: for a look")
    add("--comfyui", type=Path, metavar="PATH", help="sample with this checkout, and only that")
    add("--docs", action="store_true", help=f"put tables and plots into {DOCUMENT} too")
    options = parser.parse_args()
    try:
        run(options)
    except InputError as error:
        raise SystemExit(str(error)) from None


def run(options: argparse.Namespace) -> None:
    """Make the figure, or the rows that are missing and the table.

    Raises:
        InputError: the folder holds rows of something else, or a package is missing.
    """
    if options.what == "failures":
        save_png(failures.figure(), options.output)
        return
    if options.what == "unguided":
        _unguided(output_folder(options.output), options)
        return
    if options.what == "attention":
        _attention(output_folder(options.output), options)
        return
    if options.comfyui is None:
        require_torchmetrics()
    study = _study(options)
    calls = QUICK_CALLS if options.quick else CALLS
    if options.comfyui is not None:
        maker = HostMaker.at(options.comfyui.expanduser().resolve(), study.references)
        make_missing(study, host_rows(calls), maker)
        print("Sampled; without --comfyui, and with the package's own Python, they are measured.")
        return
    make_missing(study, core_rows(calls), CoreMaker(load_embedded(), study.references))
    write_table(study, docs=options.docs)


def _study(options: argparse.Namespace) -> Study:
    references = shipped_references(SIDE)
    samples = QUICK_SAMPLES if options.quick else SAMPLES
    folder = output_folder(options.output)
    with PIXEL_MODEL.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    hold_to(folder, {"model_sha256": digest, "references": len(references), "samples": samples})
    return Study(folder, references, samples)


def _unguided(folder: Path, options: argparse.Namespace) -> None:
    text = unguided.markdown(load_embedded(), _unguided_samples(options))
    _write(folder / "unguided.md", text)
    if options.docs:
        table.put_into(DOCUMENT, text, table.UNGUIDED)
    print(text)


def _attention(folder: Path, options: argparse.Namespace) -> None:
    model = load_embedded()
    save_png(attention.figure(model), folder / "attention.png")
    text = attention.markdown(model, _unguided_samples(options))
    _write(folder / "attention.md", text)
    if options.docs:
        table.put_into(ATTENTION_DOCUMENT, text, table.ATTENTION)
    print(text)


def _unguided_samples(options: argparse.Namespace) -> int:
    return unguided.QUICK_SAMPLES if options.quick else unguided.SAMPLES


def write_table(study: Study, *, docs: bool = False) -> None:
    """Measure the rows that are there, and write the table and the plots.

    Args:
        study: where they are.
        docs: put both into the documentation too.
    """
    entries = _entries(study)
    digest = hashlib.sha256(PIXEL_MODEL.read_bytes()).hexdigest()[:12]
    note = (
        f"Embedded pixel model {digest}, N = {FACTOR:g}, {study.samples} samples of each of "
        f"{len(study.references)} references, feature network *{load_feature_network().name}*."
    )
    text = table.markdown(entries, note)
    _write(study.folder / "steps.md", text)
    _write(study.folder / "steps.json", table.record(entries, {"samples": study.samples}))
    folders = [study.folder, DOCUMENT.parent / "images"] if docs else [study.folder]
    for end in {row.end for row, _, _ in entries}:
        for folder in folders:
            save_png(table.plot(entries, end), folder / PLOTS[end])
    if docs:
        table.put_into(DOCUMENT, text)
    print(text)


def _entries(study: Study) -> list[table.Entry]:
    network, domain = load_feature_network(), load_embedded_domain()
    read = {row: study.read(row) for row in study.finished()}
    sampled = {row: Sampled(pictures, network, domain) for row, (pictures, _) in read.items()}
    baselines = {
        end: max((row for row in read if row == Row(BASELINE, row.steps, end)), key=_steps)
        for end in {row.end for row in read}
    }
    return [
        (
            row,
            calls,
            measured(sampled[row], sampled[baselines[row.end]], study.references, network),
        )
        for row, (_, calls) in read.items()
    ]


def _steps(row: Row) -> int:
    return row.steps


def _write(path: Path, text: str) -> None:
    with written_whole(path) as partial:
        partial.write_text(text)


if __name__ == "__main__":
    main()
