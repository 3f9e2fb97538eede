"""The table as Markdown, the plot, and their place in the documentation."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from PIL import Image

from ilvr_latent import InputError
from ilvr_latent.evaluation.tables import markdown_table
from ilvr_latent.pictures.files import written_whole
from ilvr_latent.pictures.plot import BLUE, ORANGE, Colour, Line, Scale, line_plot

from .against_baseline import Estimate, Measured
from .rows import SECOND_ORDER, USUAL_SCHEDULER, WHOLE, Row

# A row, its calls of the network, and what was measured.
Entry = tuple[Row, int, Measured]

HEADINGS = (
    *("sampler", "matching", "calls", "FID / baseline", "KID x 1000 - baseline"),
    *("diversity", "low-pass residual", "fine", "contrast"),
)
PLOT = 620, 340
GUIDED, UNGUIDED, ATTENTION = "table", "table without a reference", "table of scales"
# Samplers of the plot; what a plot shows is matched on the state.
COLOURS: dict[str, Colour] = {
    "ddpm": BLUE,
    "ddim, eta 0": ORANGE,
    "unipc_damped": (190, 30, 45),
    "comfyui dpmpp_2m": (20, 130, 60),
    "comfyui uni_pc": (160, 40, 150),
}


def sampler_label(row: Row) -> str:
    """What the table calls a row's sampler."""
    if not row.scheduler:
        return row.sampler
    scheduler = "" if row.scheduler == USUAL_SCHEDULER else f", {row.scheduler}"
    return f"comfyui {row.sampler}{scheduler}"


def title(end: float) -> str:
    """Of the table of a range."""
    return "Whole range" if end == WHOLE else f"Range to {end:g}"


def _baseline(found: Measured) -> str:
    """What the rows are measured against, by any of them."""
    fid, kid = found.fid / found.ratio.value, found.kid - found.more_kid.value
    return f"baseline: FID {fid:.2f}, KID x 1000 {1000 * kid:.0f}"


def markdown(entries: Sequence[Entry], note: str) -> str:
    """A table for each range; samplers with the same numbers share a line.

    Args:
        entries: in the order that they shall have.
        note: what the numbers were measured with.
    """
    parts = [note]
    for end in dict.fromkeys(row.end for row, _, _ in entries):
        own = [entry for entry in entries if entry[0].end == end]
        names: dict[tuple[str, ...], list[str]] = {}
        for entry in own:
            names.setdefault(_cells(*entry), []).append(sampler_label(entry[0]))
        rows = [("; ".join(labels), *cells) for cells, labels in names.items()]
        parts += [f"### {title(end)} ({_baseline(own[0][2])})", markdown_table(HEADINGS, rows)]
    return "\n\n".join(parts) + "\n"


def _cells(row: Row, calls: int, found: Measured) -> tuple[str, ...]:
    return (
        row.matching,
        str(calls),
        _with_error(found.ratio, ".3f"),
        _with_error(Estimate(1000 * found.more_kid.value, 1000 * found.more_kid.error), "+.0f"),
        f"{found.diversity:.3f}",
        f"{found.residual:.3f}",
        f"{found.fine:.2f}",
        f"{found.contrast:.2f}",
    )


def _with_error(estimate: Estimate, form: str) -> str:
    return f"{estimate.value:{form}} ± {estimate.error:{form.lstrip('+')}}"


def plot(entries: Sequence[Entry], end: float) -> Image.Image:
    """FID and fine structure against calls, a line for each sampler as it is by default."""
    axes = (Scale("FID, domain features"), Scale("fine: below 1 blurred, above 1 noisy"))
    numbers: tuple[Callable[[Measured], float], ...] = (lambda m: m.fid, lambda m: m.fine)
    width, height = PLOT
    both = Image.new("RGB", (2 * width, height), "white")
    for place, (axis, number) in enumerate(zip(axes, numbers, strict=True)):
        lines = [line for label in COLOURS if (line := _line(entries, label, end, number)).points]
        calls = Scale("calls of the network", log=True)
        one = line_plot(lines, calls, axis, title=f"{title(end)}, N = 8", size=PLOT)
        both.paste(one, (place * width, 0))
    return both


def _line(
    entries: Sequence[Entry], label: str, end: float, number: Callable[[Measured], float]
) -> Line:
    points = sorted(
        (float(calls), number(found))
        for row, calls, found in entries
        if (sampler_label(row), row.end, row.space) == (label, end, "state")
        and row.noise == ("hybrid" if row.scheduler or row.sampler in SECOND_ORDER else "fresh")
        and not row.picture
    )
    return Line(label, points, COLOURS[label], frozenset(x for x, _ in points))


def record(entries: Sequence[Entry], settings: Mapping[str, object]) -> str:
    """Everything as JSON."""
    rows = [{**asdict(row), "calls": calls, **asdict(found)} for row, calls, found in entries]
    return json.dumps({"settings": dict(settings), "rows": rows}, indent=2) + "\n"


def put_into(document: Path, text: str, name: str = GUIDED) -> None:
    """Replace what stands between the marks of a Markdown file.

    Raises:
        InputError: the marks are not there.
    """
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, first, rest = document.read_text().partition(begin)
    _, last, after = rest.partition(end)
    if not (first and last):
        raise InputError(f"{str(document)!r} has no {begin} with {end} after it; put them back.")
    with written_whole(document) as partial:
        partial.write_text(f"{before}{begin}\n\n{text}\n{end}{after}")
