"""Make every picture that shows ComfyUI: `python tests/ui/support/pictures.py`, with its Python.

Opens each workflow in a browser, presses Run, and writes its thumbnail in ``workflows/``, the
screenshots in ``docs/images`` and the pictures of the help pages in ``web/docs/images``. Names of
workflows ("01 First steps") as arguments: only what comes from those. Look at the pictures then.
"""

from __future__ import annotations

import io
import json
import math
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from browser import (
    ROOT,
    SHOW,
    WORKFLOWS,
    comfyui,
    load,
    not_here,
    open_page,
    prefix,
    run,
    saved,
    shows_a_figure,
)
from layout import Box, boxes, group_boxes, wires
from PIL import Image, ImageDraw, ImageFont

ASSETS = ROOT / "ilvr_latent" / "assets"
DOCS, HELP = ROOT / "docs" / "images", ROOT / "web" / "docs" / "images"
BACKGROUND = "#222222"
MARGIN = 24

# Workflows, by what their pictures are named after, that are shown whole in docs/comfyui.md.
SHOWN = ("first-steps", "factor-sweep", "two-references", "report")

# Its first result is shipped as it is saved, with the graph in it.
DROPPED = "first-steps"

# Help page: the workflow, and the nodes to show of it. Pages may share a picture.
NODES = {
    "ILVRReferenceEncode": ("first-steps", ("LoadImage", "ILVRReferenceEncode")),
    "ILVRLowPassPreview": ("first-steps", ("ILVRReferenceEncode", "ILVRLowPassPreview")),
    "ILVREmptyPixels": ("two-references", ("ILVRADMConditioning", "ILVREmptyPixels", "KSampler")),
    "ILVRADMSampler": ("adm-paper-settings", ("ILVRADMSchedule", "SamplerCustom")),
    "ILVRUpscale": ("upscale", ("ILVRUpscale", "KSampler", "SaveImage")),
    "ILVRResample": ("inpainting", ("ILVRADMSampler", "ILVRResample", "ILVRADMSchedule")),
}
# Help page: the workflow, and what stands under its references and results.
STRIPS = {
    "ILVRLoadDemo": ("first-steps", ("reference", *["red apple"] * 4)),
    "ILVRLoadADM": ("adm-paper-settings", ("reference", *["sample"] * 4)),
    "ILVRStyle": ("layout-and-style", ("layout", "style", *["both"] * 4)),
}
# Workflow whose one result is a figure: the help page that shows it.
FIGURES = {"factor-sweep": "ILVRApply", "grid": "ILVRGrid", "report": "ILVRReport"}


def main(names: list[str]) -> None:
    """Make the pictures of these workflows, or of all."""
    assert not not_here(), not_here()
    for folder in (DOCS, HELP):
        folder.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as base,
        comfyui(Path(base)) as address,
        open_page(address, 2200, 1300) as page,
    ):
        for path in WORKFLOWS:
            if not names or path.stem in names:
                start = time.monotonic()
                _pictures(page, path, Path(base) / "output")
                print(f"{path.stem}: {time.monotonic() - start:.0f} s", flush=True)


def _pictures(page: Any, path: Path, output: Path) -> None:
    workflow = json.loads(path.read_text())
    name = prefix(path).removeprefix("ilvr-")
    load(page, path)
    page.mouse.move(5, 1295)
    needs_a_download = any(node["properties"].get("models") for node in workflow["nodes"])
    if not needs_a_download:
        run(page)
    time.sleep(3)
    ends = [Box(x, y, x, y) for wire in wires(workflow) for x, y in wire.points]
    whole = _shot(page, _around([*group_boxes(workflow).values(), *ends]))
    if needs_a_download:
        _save(_on_background(whole, 800, 400), path.with_suffix(".jpg"), 88)
        return
    references = [
        _example(node["widgets_values"][0]).convert("RGB")
        for node in workflow["nodes"]
        if node["type"] == "LoadImage"
    ]
    pictures = [Image.open(picture) for picture in saved(path, output)]
    results = [picture.convert("RGB") for picture in pictures[:: max(1, len(pictures) // 4)]]
    if getattr(pictures[0], "n_frames", 1) > 1:
        _save(_film(pictures[0]), path.with_suffix(".jpg"), 88)
    elif shows_a_figure(path):
        (figure,) = results
        if name in FIGURES:
            height = round(640 * figure.height / figure.width)
            small = figure.resize((640, height), Image.Resampling.LANCZOS)
            _save(small, HELP / f"{FIGURES[name]}.jpg", 80)
        _save(_on_background(figure, 800, 400, "white"), path.with_suffix(".jpg"), 88)
    else:
        _save(_thumbnail(references, results), path.with_suffix(".jpg"), 88)
    if name == DROPPED:
        first = sorted(output.glob(f"ilvr-{name}_*.png"))[0]
        shutil.copyfile(first, DOCS / f"workflow-{name}.png")
    if name in SHOWN:
        whole.save(DOCS / f"comfyui-{name}.webp", quality=82, method=6)
    for page_of, (stem, kinds) in NODES.items():
        if stem == name:
            box = boxes(workflow)
            shown = [box[node["id"]] for node in workflow["nodes"] if node["type"] in kinds]
            picture = _shot(page, _around(shown), most=1)
            picture.thumbnail((640, 640), Image.Resampling.LANCZOS)
            _save(picture, HELP / f"{page_of}.jpg", 80)
    for page_of, (stem, labels) in STRIPS.items():
        if stem == name:
            strip = _strip([*references[: len(labels) - len(results)], *results], labels)
            _save(strip, HELP / f"{page_of}.jpg", 85)


def _save(picture: Image.Image, path: Path, quality: int) -> None:
    """A JPEG as small as it can be at a quality."""
    picture.save(path, quality=quality, optimize=True, progressive=True)


def _example(name: str) -> Image.Image:
    """A picture that came with the pack, by its name among those to load."""
    (path,) = ASSETS.glob(f"*/{name.removeprefix('ilvr_')}")
    return Image.open(path)


def _around(shown: Any) -> tuple[float, float, float, float]:
    sides = list(zip(*shown, strict=True))
    return (
        min(sides[0]) - MARGIN,
        min(sides[1]) - MARGIN,
        max(sides[2]) + MARGIN,
        max(sides[3]) + MARGIN,
    )


def _shot(page: Any, box: tuple[float, float, float, float], most: float = 2) -> Image.Image:
    """The graph inside the box, as large as the window allows."""
    where = page.evaluate(SHOW, [*box, most])
    time.sleep(2)
    return Image.open(io.BytesIO(page.screenshot(clip=where))).convert("RGB")


def _on_background(
    picture: Image.Image, width: int, height: int, colour: str = BACKGROUND
) -> Image.Image:
    picture.thumbnail((width, height), Image.Resampling.LANCZOS)
    sheet = Image.new("RGB", (width, height), colour)
    sheet.paste(picture, ((width - picture.width) // 2, (height - picture.height) // 2))
    return sheet


def _film(animation: Image.Image) -> Image.Image:
    """Frames of it from left to right, as many as fit."""
    sheet = Image.new("RGB", (800, 400), "white")
    width = 400 * animation.width // animation.height
    count = 800 // width
    for place in range(count):
        animation.seek(place * animation.n_frames // count)
        shown = animation.convert("RGB").resize((width, 400), Image.Resampling.LANCZOS)
        sheet.paste(shown, (place * width, 0))
    return sheet


def _thumbnail(references: list[Image.Image], results: list[Image.Image]) -> Image.Image:
    """The references on the left, four results on the right; without references, two results."""
    sheet = Image.new("RGB", (800, 400), "white")
    if not references:
        for place, result in enumerate(results[:2]):
            sheet.paste(result.resize((400, 400), Image.Resampling.LANCZOS), (400 * place, 0))
        return sheet
    side = 400 // len(references)
    for place, reference in enumerate(references):
        sheet.paste(reference.resize((side, side)), (place * side, (400 - side) // 2))
    for place, result in enumerate(results):
        sheet.paste(result.resize((200, 200)), (400 + 200 * (place % 2), 200 * (place // 2)))
    return sheet


def _strip(pictures: list[Image.Image], labels: tuple[str, ...]) -> Image.Image:
    """Three in a row: the help panel is narrow."""
    side, line, columns = 150, 24, 3
    rows = math.ceil(len(pictures) / columns)
    sheet = Image.new("RGB", (side * columns, (side + line) * rows), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for place, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        x, y = place % columns * side, place // columns * (side + line)
        sheet.paste(picture.resize((side, side), Image.Resampling.LANCZOS), (x, y))
        draw.text((x + side / 2, y + side + line / 2), label, fill="black", font=font, anchor="mm")
    return sheet


if __name__ == "__main__":
    main(sys.argv[1:])
