"""``ilvr evaluate``: quality, diversity and faithfulness by N and by conditioning range."""

from __future__ import annotations

import argparse
import dataclasses
import html
import json
import time
from pathlib import Path

from PIL import Image

from ..errors import InputError
from ..evaluation.curves import curves
from ..evaluation.measure import Judge
from ..evaluation.rows import UNGUIDED, Plan, Setting
from ..evaluation.store import SEEDS_OF_A_REFERENCE, Gallery, hold_to
from ..evaluation.tables import Tables, markdown
from ..metrics.distribution import require_torchmetrics
from ..pictures.files import output_folder, written_whole
from ..pictures.images import save_png, to_images
from ..pictures.sheet import Column, contact_sheet
from . import evaluate_methods, evaluate_networks
from . import options as table
from .batches import MOST
from .common import check_counts, progress, report
from .evaluate_networks import find_pictures, load_networks, measured_domain
from .evaluate_rows import RowMaker, gallery_of
from .method_settings import MATCHED
from .settings import Settings

EXAMPLE = "ilvr evaluate --quick --output evaluation"

# N and the N of the ranges, in pixels and in latent cells.
FACTORS, RANGE_FACTOR = (2.0, 4.0, 8.0, 16.0), 4.0
LATENT_FACTORS, LATENT_RANGE_FACTOR = (1.0, 2.0, 4.0, 8.0), 2.0
RANGES = ("1000-0", "1000-250", "1000-500", "1000-750")
SAMPLES, QUICK_SAMPLES = 10, 4
STEPS, QUICK_STEPS = "100", "20"
SHOWN_SAMPLES, SHOWN_REFERENCES = 2, 24
SMALLEST_CELL, LARGEST_CELL = 64, 128


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    add = parser.add_argument
    quick_help = f"{QUICK_SAMPLES} samples a reference and {QUICK_STEPS} steps: a few minutes"
    add("--quick", action="store_true", help=quick_help)
    add("--references", type=Path, metavar="DIR", help="pictures; by default those shipped")
    add("--factors", nargs="+", type=float, metavar="N", help="2 4 8 16; latents: 1 2 4 8")
    range_help = "conditioning ranges in timesteps, such as 1000-0 1000-500"
    add("--ranges", nargs="*", default=RANGES, metavar="HI-LO", help=range_help)
    add("--range-factor", type=float, metavar="N", help="N of the ranges: 4; latents: 2")
    samples_help = f"pictures for each reference and row ({SAMPLES}; quick: {QUICK_SAMPLES})"
    add("--samples", type=int, metavar="K", help=samples_help)
    seed_help = f"sample k of reference r has seed + k + {SEEDS_OF_A_REFERENCE} r"
    add("--seed", type=int, default=0, help=seed_help)
    add("--output", type=Path, required=True, metavar="DIR", help="finished pictures are reused")
    evaluate_methods.add_arguments(parser)
    evaluate_networks.add_arguments(parser)
    table.add_arguments(parser)
    # --steps and its default depend on --quick. The size of a batch is written down with the
    # samples, so it does not depend on the memory that is free.
    parser.set_defaults(steps=None, batch_size=MOST)


def run(options: argparse.Namespace) -> None:
    """Check everything, sample what is missing, measure, write the tables."""
    if options.methods is not None:
        evaluate_methods.run(options)
        return
    started = time.monotonic()
    _complete(options)
    _refuse_methods(options)
    require_torchmetrics()
    pictures = find_pictures(options)
    networks = load_networks(options)
    maker = RowMaker(options)
    written = Settings.of(options, 1).written()
    del written["window"]
    gallery, made_with = gallery_of(options, maker, written)
    plan = Plan.of(options.factors, options.ranges, options.range_factor, maker.timesteps)
    gallery.check(plan.settings)
    domain = measured_domain(options, pictures, networks.extractor, maker.size)
    output_folder(options.output)
    hold_to(options.output, made_with)

    batches = gallery.missing(plan.settings)
    total = sum(maker.calls(batch.setting) for batch in batches)
    with progress("sampling", total) as advance:
        for batch in batches:
            gallery.make(batch, advance)
    save_png(_sheet(gallery, plan), options.output / "sheet.png")

    judge = Judge(networks.extractor, networks.perception, domain, gallery.references, maker.cell)
    tables = _measured(judge, plan, gallery)
    record = _record(judge, tables, made_with)
    text = markdown(tables, networks.sentence, _note(judge, made_with))
    _write(options.output / "evaluation.json", json.dumps(record, indent=2) + "\n")
    _write(options.output / "evaluation.md", text)
    save_png(curves(tables, networks.sentence.replace("*", "")), options.output / "evaluation.png")
    made = sum(len(batch.places) for batch in batches)
    took = f"{made} pictures made in {time.monotonic() - started:.0f} s"
    report(options.json, record, f"{text}\n{took}; in {options.output}")


def _complete(options: argparse.Namespace) -> None:
    """Fill in what other options decide, and refuse numbers that cannot be."""
    quick, latent = options.quick, options.pipeline is not None
    if options.samples is None:
        options.samples = QUICK_SAMPLES if quick else SAMPLES
    if options.factors is None:
        options.factors = LATENT_FACTORS if latent else FACTORS
    if options.range_factor is None:
        options.range_factor = LATENT_RANGE_FACTOR if latent else RANGE_FACTOR
    options.steps = options.steps or (QUICK_STEPS if quick else STEPS)
    if not 2 <= options.samples <= SEEDS_OF_A_REFERENCE:
        raise InputError(
            f"--samples is {options.samples}; use 2 (for a pair) to {SEEDS_OF_A_REFERENCE}."
        )
    check_counts(options, "batch_size")


def _refuse_methods(options: argparse.Namespace) -> None:
    """The tables are about N and the range.

    Raises:
        InputError: the method has neither.
    """
    if options.method not in MATCHED:
        raise InputError(
            f"--method {options.method} has no N and no range to vary; compare methods with "
            "--methods."
        )


def _measured(judge: Judge, plan: Plan, gallery: Gallery[Setting]) -> Tables:
    with progress("measuring", len(plan.settings)) as advance:
        rows = {}
        for setting in plan.settings:
            rows[setting] = judge.row(setting, gallery.read(setting))
            advance()
    return Tables(
        [*judge.yardsticks(gallery.store.samples), rows[UNGUIDED]],
        [rows[setting] for setting in plan.by_factor],
        [rows[setting] for setting in plan.by_range],
    )


def _record(judge: Judge, tables: Tables, made_with: dict[str, object]) -> dict[str, object]:
    return {
        "settings": made_with,
        "networks": {"fid_kid": judge.extractor.name, "perceptual": judge.perception.name},
        "domain": {"name": judge.domain.name, "pictures": len(judge.domain.features)},
        "pixels_of_a_cell": judge.cell,
        **dataclasses.asdict(tables),
    }


def _note(judge: Judge, made_with: dict[str, object]) -> str:
    """What was measured, above the tables."""
    model = made_with.get("model") or f"{made_with['pipeline']}, prompt {made_with['prompt']!r}"
    note = html.escape(
        f"Domain: {judge.domain.name} ({len(judge.domain.features)} pictures). Model: {model}, "
        f"{made_with['steps']} steps, {made_with['samples']} samples of each of "
        f"{len(judge.references)} references, seed {made_with['seed']}, {made_with['dtype']} on "
        f"{made_with['device']}.",
        quote=False,
    )
    if judge.cell == 1:
        return note
    return (
        f"{note} N counts latent cells of {judge.cell} pixels; the residual is that of the decoded "
        f"pictures, with {judge.cell} N."
    )


def _write(path: Path, text: str) -> None:
    with written_whole(path) as partial:
        partial.write_text(text)


def _sheet(gallery: Gallery[Setting], plan: Plan) -> Image.Image:
    """The first samples of every row of the tables, a row for each of the first references."""
    columns = [Column("reference")]
    references = to_images(gallery.references[:SHOWN_REFERENCES])
    rows: list[list[Image.Image | None]] = [[y_0] for y_0 in references]
    for setting in plan.settings:
        columns += [
            Column(f"sample {k + 1}", gap=6 if k else 20, group="" if k else _title(setting))
            for k in range(SHOWN_SAMPLES)
        ]
        for row, of_one in zip(rows, gallery.read(setting), strict=False):
            row += to_images(of_one[:SHOWN_SAMPLES])
    side = min(max(*gallery.references.shape[-2:], SMALLEST_CELL), LARGEST_CELL)
    return contact_sheet(rows, columns, cell=side)


def _title(setting: Setting) -> str:
    if setting.factor is None:
        return "unguided"
    return f"N = {setting.factor:g}, {setting.hi}-{setting.lo}"
