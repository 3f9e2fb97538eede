"""``ilvr evaluate``: quality, diversity and faithfulness by N and by conditioning range."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import time
from pathlib import Path

import torch
from PIL import Image

from .. import __version__
from ..adm import load_adm
from ..embedded import PIXEL_MODEL, REFERENCES
from ..errors import InputError
from ..evaluation.measure import Judge, Row
from ..evaluation.pictures import SEEDS_OF_A_REFERENCE, Gallery, claim
from ..evaluation.plan import UNGUIDED, Plan, Setting
from ..evaluation.tables import markdown
from ..files import output_folder, written_whole
from ..images import find_images, fit_to, read_image, save_png, to_images, to_tensor
from ..metrics.distribution import require_torchmetrics
from ..metrics.domain import Domain, load_embedded_domain, read_domain
from ..metrics.network import load_feature_network
from ..sheet import Column, contact_sheet
from .common import DTYPES, choose_device, choose_dtype, progress, report
from .pictures import parse_flags

HELP = "Measure what ILVR does: FID, KID, diversity and faithfulness by N and by range."
EXAMPLE = "ilvr evaluate --quick --output evaluation"

FACTORS = (2.0, 4.0, 8.0, 16.0)
RANGES = ("1000-0", "1000-250", "1000-500", "1000-750")
SAMPLES, QUICK_SAMPLES = 10, 4
STEPS, QUICK_STEPS = "100", "20"
SHOWN_SAMPLES, SHOWN_REFERENCES = 2, 24

Tables = tuple[list[Row], list[Row], list[Row]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    add = parser.add_argument
    quick_help = f"{QUICK_SAMPLES} samples a reference and {QUICK_STEPS} steps: a few minutes"
    add("--quick", action="store_true", help=quick_help)
    add("--model", default="embedded", help="'embedded' or a guided-diffusion checkpoint")
    flag_help = "a flag the checkpoint can't tell, such as num_head_channels=64; may be repeated"
    add("--flag", action="append", default=[], metavar="NAME=VALUE", help=flag_help)
    add("--references", type=Path, metavar="DIR", help="pictures; by default those shipped")
    domain_help = "pictures of what the model draws; those of the embedded model are known"
    add("--domain", type=Path, metavar="DIR", help=domain_help)
    add("--factors", nargs="+", type=float, default=FACTORS, metavar="N")
    range_help = "conditioning ranges in timesteps, such as 1000-0 1000-500"
    add("--ranges", nargs="*", default=RANGES, metavar="HI-LO", help=range_help)
    add("--range-factor", type=float, default=4.0, metavar="N", help="N of the ranges")
    samples_help = f"pictures for each reference and row ({SAMPLES}; quick: {QUICK_SAMPLES})"
    add("--samples", type=int, metavar="K", help=samples_help)
    add("--steps", help=f"network calls ({STEPS}; quick: {QUICK_STEPS})")
    seed_help = f"sample k of reference r has seed + k + {SEEDS_OF_A_REFERENCE} r"
    add("--seed", type=int, default=0, help=seed_help)
    add("--batch-size", type=int, default=10, metavar="B", help="pictures at a time")
    add("--class-label", type=int, help="for class-conditional models")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    add("--dtype", choices=("auto", *DTYPES), default="auto")
    add("--output", type=Path, required=True, metavar="DIR", help="finished pictures are reused")
    add("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> None:
    """Check everything, sample what is missing, measure, write the tables."""
    started = time.monotonic()
    _complete(options)
    require_torchmetrics()
    domain = _domain(options)
    gallery, settings = _gallery(options)
    plan = _plan(options, gallery)
    gallery.check(plan.settings)
    output_folder(options.output)
    claim(options.output, settings)

    batches = gallery.missing(plan.settings)
    with progress("sampling", len(batches) * len(gallery.schedule)) as advance:
        for batch in batches:
            gallery.make(batch, advance)
    save_png(_sheet(gallery, plan), options.output / "sheet.png")

    judge = Judge(load_feature_network(), domain, gallery.references)
    tables = _measured(judge, plan, gallery)
    record = _record(judge, tables, settings)
    text = markdown(*tables, _note(judge, settings))
    _write(options.output / "evaluation.json", json.dumps(record, indent=2) + "\n")
    _write(options.output / "evaluation.md", text)
    made = sum(batch.last - batch.first for batch in batches)
    took = f"{made} pictures made in {time.monotonic() - started:.0f} s"
    report(options.json, record, f"{text}\n{took}; in {options.output}")


def _complete(options: argparse.Namespace) -> None:
    """Fill in what ``--quick`` decides, and refuse numbers that cannot be."""
    quick = options.quick
    if options.samples is None:
        options.samples = QUICK_SAMPLES if quick else SAMPLES
    options.steps = options.steps or (QUICK_STEPS if quick else STEPS)
    if not 2 <= options.samples <= SEEDS_OF_A_REFERENCE:
        raise InputError(
            f"--samples is {options.samples}; use 2 (for a pair) to {SEEDS_OF_A_REFERENCE}."
        )
    if options.batch_size < 1:
        raise InputError(f"--batch-size is {options.batch_size}; use 1 or more.")


def _domain(options: argparse.Namespace) -> Domain:
    if options.domain is not None:
        return read_domain(options.domain, load_feature_network())
    if options.model == "embedded":
        return load_embedded_domain()
    raise InputError(
        f"It is not known what {options.model!r} should draw; give a folder of such pictures "
        "with --domain DIR."
    )


def _gallery(options: argparse.Namespace) -> tuple[Gallery, dict[str, object]]:
    """The samples, and everything that they depend on."""
    paths = find_images([str(options.references or REFERENCES)])
    opened = [read_image(path) for path in paths]
    device = choose_device(options.device)
    dtype = choose_dtype(options.dtype, device)
    path = PIXEL_MODEL if options.model == "embedded" else Path(options.model)
    model = load_adm(path, device=device, dtype=dtype, **parse_flags(options.flag))
    size = model.config.image_size, model.config.image_size
    references = torch.cat([to_tensor(fit_to(picture, size)) for picture in opened])
    names = [f"{index:02d}_{path.stem}" for index, path in enumerate(paths)]
    gallery = Gallery(
        options.output / "pictures",
        model,
        names,
        references,
        options.samples,
        options.steps,
        options.seed,
        options.batch_size,
        options.class_label,
    )
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    settings: dict[str, object] = {
        "ilvr": __version__,
        "model": options.model,
        "model_sha256": digest,
        "flags": parse_flags(options.flag),
        "references": names,
        "references_sha256": hashlib.sha256(references.numpy().tobytes()).hexdigest(),
        "samples": options.samples,
        "steps": options.steps,
        "seed": options.seed,
        "class_label": options.class_label,
        "batch_size": options.batch_size,
        "device": device.type,
        "dtype": str(dtype).removeprefix("torch."),
    }
    return gallery, settings


def _plan(options: argparse.Namespace, gallery: Gallery) -> Plan:
    timesteps = gallery.model.config.diffusion_steps
    return Plan.of(options.factors, options.ranges, options.range_factor, timesteps)


def _measured(judge: Judge, plan: Plan, gallery: Gallery) -> Tables:
    """The rows of the three tables: yardsticks, by factor, by range."""
    rows = {setting: judge.row(setting, gallery.read(setting)) for setting in plan.settings}
    return (
        [*judge.yardsticks(gallery.samples), rows[UNGUIDED]],
        [rows[setting] for setting in plan.by_factor],
        [rows[setting] for setting in plan.by_range],
    )


def _record(judge: Judge, tables: Tables, settings: dict[str, object]) -> dict[str, object]:
    names = ("yardsticks", "by_factor", "by_range")
    return {
        "settings": settings,
        "network": judge.network.name,
        "domain": {"name": judge.domain.name, "pictures": len(judge.domain.features)},
        **{
            name: [dataclasses.asdict(row) for row in rows]
            for name, rows in zip(names, tables, strict=True)
        },
    }


def _note(judge: Judge, settings: dict[str, object]) -> str:
    """What the numbers were measured with: above the tables."""
    return (
        f"Feature network: **{judge.network.name}**. Domain: {judge.domain.name} "
        f"({len(judge.domain.features)} pictures). Model: {settings['model']}, "
        f"{settings['steps']} steps, {settings['samples']} samples of each of "
        f"{len(judge.references)} references, seed {settings['seed']}, {settings['dtype']} on "
        f"{settings['device']}."
    )


def _write(path: Path, text: str) -> None:
    with written_whole(path) as partial:
        partial.write_text(text)


def _sheet(gallery: Gallery, plan: Plan) -> Image.Image:
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
    return contact_sheet(rows, columns, cell=64)


def _title(setting: Setting) -> str:
    if setting.factor is None:
        return "unguided"
    return f"N = {setting.factor:g}, {setting.hi}-{setting.lo}"
