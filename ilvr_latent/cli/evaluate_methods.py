"""``ilvr evaluate --methods``: a leaderboard."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image
from torch import Tensor

from ..errors import InputError
from ..evaluation.leaderboard import Entry, Jury, rank_correlation, ranks, table
from ..evaluation.store import Batch, Gallery, hold_to
from ..metrics.distribution import require_torchmetrics
from ..metrics.imagenet import PACKAGE, load_imagenet_network
from ..metrics.protocols import FeatureExtractor
from ..pictures.files import output_folder, written_whole
from ..pictures.images import save_png, to_images
from ..pictures.sheet import Column, contact_sheet
from ..recipe import TRANSLATE
from .common import check_counts, progress, report
from .evaluate_networks import find_pictures, load_networks, measured_domain
from .evaluate_rows import gallery_of
from .maker import load_maker
from .method_settings import of_others
from .settings import Settings

SAMPLES, SEEDS, STEPS, QUICK_STEPS = 6, 3, "50", "20"
SHOWN_REFERENCES, CELL = 12, 128


@dataclass(frozen=True)
class Contestant:
    """A method with its settings; see :class:`..evaluation.store.RowKind`.

    Attributes:
        name: as ``--methods`` takes it.
        title: what the table calls it.
        heading: what the sheet calls it, in two lines at most.
        options: of ``ilvr sample``.
    """

    name: str
    title: str
    heading: str
    options: dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)


_RANGE = {"timestep_range": TRANSLATE.timesteps}
CONTESTANTS = (
    Contestant("ilvr", "ILVR", "ILVR", _RANGE),
    Contestant("ddnm", "ILVR on the prediction (DDNM)", "DDNM", {**_RANGE, "method": "ddnm"}),
    Contestant(
        "ilvr-classifier",
        "ILVR + classifier",
        "ILVR +\nclassifier",
        {**_RANGE, "class_": "auto", "classifier_scale": 4.0},
    ),
    Contestant("sdedit", "SDEdit", "SDEdit", {"method": "sdedit"}),
    Contestant("egsde", "EGSDE", "EGSDE", {"method": "egsde"}),
    Contestant("sddm", "SDDM, no energy", "SDDM,\nno energy", {"method": "sddm"}),
    Contestant("sddm-energy", "SDDM", "SDDM", {"method": "sddm", "energy_weight": 25.0}),
)
NAMES = tuple(each.name for each in CONTESTANTS)
SHARED = ("model", "steps")
# Options of methods that a classifier is asked in, and EGSDE, which always does.
ASKING = {"class_", "energy_weight"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the leaderboard."""
    add = parser.add_argument_group("methods against each other").add_argument
    methods_help = f"a leaderboard in place of the tables; without names all: {', '.join(NAMES)}"
    add("--methods", nargs="*", choices=NAMES, metavar="NAME", help=methods_help)
    seeds_help = f"equal groups of --samples ({SAMPLES}) that intervals are taken over"
    add("--seeds", type=int, default=SEEDS, metavar="G", help=seeds_help)


class MethodMaker:
    """Makes the pictures of methods; see :class:`..evaluation.store.Maker`.

    Args:
        options: the command's.

    Raises:
        InputError: the model cannot be loaded, or an option cannot be used.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self._options, self._factor = options, 1.0
        if options.pipeline is not None:
            raise InputError("--methods compares methods on a checkpoint; leave --pipeline out.")
        self._maker = load_maker(self.settings(CONTESTANTS[0]))
        self.size = self._maker.size
        (self._factor,) = TRANSLATE.factors(min(self.size))

    def settings(self, row: Contestant) -> Settings:
        """What the command says that the method has a use for, with what it needs.

        Raises:
            InputError: they do not go together.
        """
        own = {**vars(self._options), **row.options}
        defaults = {field.name: field.default for field in dataclasses.fields(Settings)}
        for name in of_others(own["method"], asks=bool(row.options.keys() & ASKING)):
            own[name] = defaults[name]
        return Settings.of(argparse.Namespace(**own), self._factor)

    def written(self) -> dict[str, object]:
        """The settings of all methods, of which some may be added later."""
        of_each = {each.name: self.settings(each).written() for each in CONTESTANTS}
        return {"methods": of_each, **{name: of_each[NAMES[0]][name] for name in SHARED}}

    def check(self, references: Tensor, setting: Contestant) -> None:
        """See :class:`..evaluation.store.Maker`."""
        self._maker.check(references, self.settings(setting))

    def calls(self, setting: Contestant) -> int:
        """See :class:`..evaluation.store.Maker`."""
        return self._maker.calls(self.settings(setting))

    def make(
        self,
        references: Tensor,
        setting: Contestant,
        seeds: Sequence[int],
        advance: Callable[[], None],
    ) -> list[Image.Image]:
        """See :class:`..evaluation.store.Maker`."""
        settings = self.settings(setting)
        return self._maker.make(references, settings, seeds, lambda _=1: advance())


def run(options: argparse.Namespace) -> None:
    """Check everything, sample what is missing, measure, write the leaderboard."""
    rows = _complete(options)
    require_torchmetrics()
    pictures, networks = find_pictures(options), load_networks(options)
    maker = MethodMaker(options)
    gallery, made_with = gallery_of(options, maker, maker.written())
    gallery.check(rows)
    extractors: list[FeatureExtractor] = [networks.extractor]
    if importlib.util.find_spec(PACKAGE) is not None and not options.imagenet:
        extractors.append(load_imagenet_network())
    domains = [(e, measured_domain(options, pictures, e, maker.size)) for e in extractors]
    output_folder(options.output)
    hold_to(options.output, made_with)

    batches = gallery.missing(rows)
    with progress("sampling", sum(maker.calls(batch.setting) for batch in batches)) as advance:
        for batch in batches:
            _make(gallery, batch, advance, on_cpu=made_with["device"] == "cpu")
    save_png(_sheet(gallery, rows), options.output / "leaderboard.png")

    jury = Jury(domains, networks.perception, gallery.references, options.seeds)
    entries = _measured(jury, gallery, rows, maker)
    names = [extractor.name for extractor in extractors]
    record: dict[str, object] = {
        "settings": made_with,
        "networks": names,
        "rows": [dataclasses.asdict(entry) for entry in entries],
    }
    text = f"{_note(entries, names, made_with)}\n\n{table(entries, _short(names))}\n"
    for name, content in (("json", json.dumps(record, indent=2) + "\n"), ("md", text)):
        with written_whole(options.output / f"leaderboard.{name}") as partial:
            partial.write_text(content)
    report(options.json, record, f"{text}\nin {options.output}")


def _complete(options: argparse.Namespace) -> list[Contestant]:
    """Fill in what other options decide, and refuse numbers that cannot be."""
    if options.factors is not None or options.range_factor is not None:
        raise InputError("--methods has settings of its own; leave --factors and the ranges out.")
    for name in ("method", "class_", "strength", "energy_weight"):
        if getattr(options, name) not in (None, "ilvr", 0.0):
            raise InputError(
                f"--{name.rstrip('_').replace('_', '-')} is what --methods compares; leave it out."
            )
    options.samples = SAMPLES if options.samples is None else options.samples
    options.steps = options.steps or (QUICK_STEPS if options.quick else STEPS)
    check_counts(options, "batch_size", "seeds")
    if options.samples % options.seeds or options.samples < 2 * options.seeds:
        raise InputError(
            f"--samples is {options.samples} for {options.seeds} seeds; use a multiple of "
            f"{options.seeds}, from {2 * options.seeds}."
        )
    chosen = options.methods or NAMES
    return [each for each in CONTESTANTS if each.name in chosen]


def _make(
    gallery: Gallery[Contestant],
    batch: Batch[Contestant],
    advance: Callable[[], None],
    *,
    on_cpu: bool,
) -> None:
    """One batch, and what it cost, which is kept beside the pictures."""
    clock = time.process_time if on_cpu else time.perf_counter
    begun = clock()
    gallery.make(batch, advance)
    store, name = gallery.store, batch.setting.name
    known = store.records().get(name, {"seconds": 0.0, "pictures": 0})
    known["seconds"] += clock() - begun
    known["pictures"] += len(batch.places)
    store.record(name, known)


def _measured(
    jury: Jury, gallery: Gallery[Contestant], rows: Sequence[Contestant], maker: MethodMaker
) -> list[Entry]:
    entries, costs = [], gallery.store.records()
    with progress("measuring", len(rows)) as advance:
        for row in rows:
            cost = costs.get(row.name)
            seconds = None if cost is None else cost["seconds"] / cost["pictures"]
            entries.append(
                jury.entry(row.title, gallery.read(row), maker.calls(row), seconds),
            )
            advance()
    names = [extractor.name for extractor, _ in jury.extractors]
    places = {name: ranks([entry.kid[name].value for entry in entries]) for name in names}
    ranked = [
        dataclasses.replace(entry, rank={name: places[name][k] for name in names})
        for k, entry in enumerate(entries)
    ]
    copies = gallery.references[:, None].expand(-1, gallery.store.samples, -1, -1, -1)
    return [*ranked, jury.entry("the references themselves", copies, 0, None)]


def _short(names: Sequence[str]) -> dict[str, str]:
    return {name: "ImageNet" if "ImageNet" in name else "domain" for name in names}


def _note(entries: Sequence[Entry], names: Sequence[str], made_with: dict[str, object]) -> str:
    pictures, methods = entries[0].pictures, [entry for entry in entries if entry.rank]
    note = (
        f"Model: {made_with['model']}, {made_with['steps']} steps; {pictures} pictures a method, "
        f"{made_with['samples']} of each reference, seed {made_with['seed']}, "
        f"{made_with['dtype']} on {made_with['device']}. FID and KID by {' and '.join(names)}; "
        "± is the 95 % interval over seeds."
    )
    if len(names) < 2 or len(methods) < 2:
        return note
    orders = [[entry.rank[name] for entry in methods] for name in names]
    return f"{note} The orders by KID agree with Spearman's {rank_correlation(*orders):.2f}."


def _sheet(gallery: Gallery[Contestant], rows: Sequence[Contestant]) -> Image.Image:
    """The first sample of every method, a row for each of the first references."""
    shown = to_images(gallery.references[:SHOWN_REFERENCES])
    pictures: list[list[Image.Image | None]] = [[y_0] for y_0 in shown]
    columns = [Column("reference")]
    for row in rows:
        columns.append(Column(row.heading))
        for line, of_one in zip(pictures, gallery.read(row), strict=False):
            line += to_images(of_one[:1])
    return contact_sheet(pictures, columns, cell=CELL)
