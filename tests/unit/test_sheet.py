"""Contact sheets: everything is shown, at its place, undistorted."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ilvr_latent.pictures.sheet import Column, contact_sheet

COLOURS = ("#ff0000", "#00ff00", "#0000ff", "#ffff00", "#ff00ff", "#00ffff")


def flat(colour: str, size: tuple[int, int] = (8, 8)) -> Image.Image:
    return Image.new("RGB", size, colour)


def area(sheet: Image.Image, colour: str) -> tuple[int, int, int, int] | None:
    """The box that a colour fills: left, top, right, bottom."""
    wanted = np.array(flat(colour).getpixel((0, 0)))
    rows, columns = np.nonzero((np.asarray(sheet) == wanted).all(-1))
    if not len(rows):
        return None
    box = int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1
    assert len(rows) == (box[2] - box[0]) * (box[3] - box[1]), "a full rectangle"
    return box


def test_pictures_stand_in_rows_and_columns() -> None:
    pictures = [flat(colour) for colour in COLOURS]
    sheet = contact_sheet(
        [pictures[:3], pictures[3:]], [Column("a"), Column("b"), Column("c")], cell=32
    )
    boxes = [area(sheet, colour) for colour in COLOURS]
    for box in boxes:
        assert box is not None
        assert (box[2] - box[0], box[3] - box[1]) == (32, 32)
        assert box[0] >= 0
        assert box[2] < sheet.width
        assert box[3] < sheet.height
    lefts = [box[0] for box in boxes if box]
    tops = [box[1] for box in boxes if box]
    assert lefts[:3] == lefts[3:] == sorted(set(lefts))
    assert tops == [tops[0]] * 3 + [tops[3]] * 3
    assert tops[3] >= tops[0] + 32


def test_an_empty_place_stays_white() -> None:
    sheet = contact_sheet([[None, flat(COLOURS[0])]], [Column(""), Column("")], cell=32)
    box = area(sheet, COLOURS[0])
    assert box is not None
    left_of_it = np.asarray(sheet)[box[1] : box[3], : box[0] - 2]
    assert (left_of_it == 255).all()


def test_small_pictures_are_enlarged_pixel_by_pixel() -> None:
    checks = Image.fromarray((np.indices((8, 8)).sum(0) % 2 * 255).astype(np.uint8)).convert("RGB")
    sheet = contact_sheet([[checks]], [Column("")], cell=32)
    values = np.asarray(sheet)[-8 - 32 : -8, 12 + 6 : 12 + 6 + 32, 0]
    assert set(np.unique(values)) <= {0, 255, 224}  # 224: the frame


@pytest.mark.parametrize("size", [(8, 4), (4, 8), (100, 50), (50, 100), (500, 3)])
def test_the_aspect_is_kept(size: tuple[int, int]) -> None:
    sheet = contact_sheet([[flat(COLOURS[0], size)]], [Column("")], cell=32)
    box = area(sheet, COLOURS[0])
    assert box is not None
    width, height = box[2] - box[0], box[3] - box[1]
    assert max(width, height) == 32
    assert abs(width * size[1] - height * size[0]) <= max(size)


def test_a_group_a_title_and_labels_make_room_for_themselves() -> None:
    def size(title: str = "", group: str = "", label: str = "", row: str = "") -> tuple[int, int]:
        labels = [row] if row else None
        columns = [Column(label, group=group)]
        sheet = contact_sheet([[flat(COLOURS[0])]], columns, row_labels=labels, title=title)
        box = area(sheet, COLOURS[0])
        assert box is not None
        assert (box[2] - box[0], box[3] - box[1]) == (128, 128)
        return sheet.size

    plain = size()
    assert size(title="A title that is a good deal wider than the picture below it") > plain
    assert size(group="N = 4")[1] > plain[1]
    assert size(label="two\nlines")[1] > plain[1]
    assert size(row="a row")[0] > plain[0]


def test_the_same_pictures_make_the_same_sheet() -> None:
    def sheet() -> bytes:
        columns = [Column("x", group="g"), Column("y", gap=20, group="g")]
        rows = [[flat(COLOURS[0]), flat(COLOURS[1])]]
        return contact_sheet(rows, columns, title="t", row_labels=["r"]).tobytes()

    assert sheet() == sheet()
