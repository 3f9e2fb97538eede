"""Pictures as people have them: every mode, rotation and damage."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ilvr_latent import InputError
from ilvr_latent.pictures.images import (
    Fit,
    find_images,
    fit_to,
    read_image,
    save_png,
    to_images,
    to_tensor,
)

Colour = tuple[int, int, int]
WHITE: Colour = (255, 255, 255)


def pixel(image: Image.Image, x: int = 0, y: int = 0) -> Colour:
    assert image.mode == "RGB"
    r, g, b = np.asarray(image)[y, x].tolist()
    return r, g, b


def random_picture(width: int = 12, height: int = 9) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp", "gif"])
def test_plain_pictures_are_read_as_they_are(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"picture.{suffix}"
    random_picture().save(path, lossless=True)
    with Image.open(path) as opened:
        wanted = np.asarray(opened.convert("RGB"))
    np.testing.assert_array_equal(np.asarray(read_image(path)), wanted)


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (3, 1), (200, 0, 0, 255))
    image.putpixel((1, 0), (200, 0, 0, 0))
    image.putpixel((2, 0), (0, 0, 0, 51))
    image.save(tmp_path / "rgba.png")
    got = read_image(tmp_path / "rgba.png")
    assert [pixel(got, x) for x in range(3)] == [(200, 0, 0), WHITE, (204, 204, 204)]


def test_grey_with_transparency_is_laid_on_white(tmp_path: Path) -> None:
    image = Image.new("LA", (2, 1), (50, 255))
    image.putpixel((1, 0), (50, 0))
    image.save(tmp_path / "la.png")
    got = read_image(tmp_path / "la.png")
    assert [pixel(got, x) for x in range(2)] == [(50, 50, 50), WHITE]


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_a_palettes_transparent_colour_is_white(suffix: str, tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 90, 80, 70])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / f"p.{suffix}", transparency=0)
    got = read_image(tmp_path / f"p.{suffix}")
    assert [pixel(got, x) for x in range(2)] == [WHITE, (90, 80, 70)]


@pytest.mark.parametrize(("mode", "value"), [("1", 1), ("L", 255), ("P", 255)])
def test_fewer_channels_become_three(mode: str, value: int, tmp_path: Path) -> None:
    Image.new(mode, (2, 2), value).save(tmp_path / "grey.png")
    assert read_image(tmp_path / "grey.png").mode == "RGB"


def test_grey_is_the_same_in_three_channels(tmp_path: Path) -> None:
    Image.new("L", (2, 2), 77).save(tmp_path / "grey.png")
    assert pixel(read_image(tmp_path / "grey.png")) == (77, 77, 77)


@pytest.mark.parametrize("highest", [65535, 32768, 300, 200])
def test_sixteen_bits_are_scaled_and_not_clipped(highest: int, tmp_path: Path) -> None:
    values = np.array([[0, highest // 2, highest]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    got = read_image(tmp_path / "deep.png")
    assert [pixel(got, x)[0] for x in range(3)] == [round(int(v) / 257) for v in values[0]]


@pytest.mark.parametrize(
    ("mode", "values", "wanted"),
    [
        ("F", [0.0, 0.5, 1.0], [0, 128, 255]),
        ("F", [0.0, 51.0, 255.0], [0, 51, 255]),
        ("F", [-1.0, 0.2, float("nan")], [0, 51, 0]),
        ("I", [0, 51, 255], [0, 51, 255]),
        ("I", [0, 13107, 65535], [0, 51, 255]),
    ],
)
def test_wide_numbers_are_read_by_their_range(
    mode: str, values: list[float], wanted: list[int], tmp_path: Path
) -> None:
    Image.fromarray(np.array([values], np.float32 if mode == "F" else np.int32)).save(
        tmp_path / "wide.tiff"
    )
    got = read_image(tmp_path / "wide.tiff")
    assert [pixel(got, x)[0] for x in range(3)] == wanted


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), (255, 0, 0)).convert("CMYK").save(tmp_path / "print.jpg")
    r, g, b = pixel(read_image(tmp_path / "print.jpg"), 4, 4)
    assert r > 240
    assert g < 15
    assert b < 15


@pytest.mark.parametrize(
    ("orientation", "red_at"), [(1, (0, 0)), (3, (2, 1)), (6, (1, 0)), (8, (0, 2))]
)
def test_a_camera_held_sideways_is_set_upright(
    orientation: int, red_at: tuple[int, int], tmp_path: Path
) -> None:
    image = Image.new("RGB", (3, 2), "blue")
    image.putpixel((0, 0), (255, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "held.png", exif=exif)
    got = read_image(tmp_path / "held.png")
    assert got.size == ((3, 2) if orientation in (1, 3) else (2, 3))
    assert pixel(got, *red_at) == (255, 0, 0)


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_of_an_animation_the_first_frame_is_taken(suffix: str, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("#ff0000", "#00ff00", "#0000ff")]
    path = tmp_path / f"moving.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=50, lossless=True)
    assert pixel(read_image(path)) == (255, 0, 0)


def refused(path: Path) -> str:
    with pytest.raises(InputError) as error:
        read_image(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_is_not_there_is_said_so(tmp_path: Path) -> None:
    assert "There is no file" in refused(tmp_path / "absent.png")


@pytest.mark.parametrize("content", [b"", b"just a letter to you", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_what_is_no_picture_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "letter.png").write_bytes(content)
    assert "cannot be read as a picture" in refused(tmp_path / "letter.png")


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    refused(tmp_path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_half_a_file_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"half.{suffix}"
    random_picture(64, 64).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert "cannot be read as a picture" in refused(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "webp"])
def test_no_damage_leads_to_anything_but_a_sentence(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"damaged.{suffix}"
    random_picture(16, 16).save(path)
    content, random = path.read_bytes(), np.random.default_rng(1)
    for _ in range(40):
        damaged = np.frombuffer(content, np.uint8).copy()
        damaged[random.integers(0, len(damaged), 4)] = random.integers(0, 256, 4)
        path.write_bytes(damaged[: random.integers(1, len(damaged))].tobytes())
        try:
            assert read_image(path).mode == "RGB"
        except InputError as error:
            assert str(path) in str(error)


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("1", (100, 100)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert "cannot be read as a picture" in refused(tmp_path / "bomb.png")


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(20, 10), (10, 20), (7, 7), (1, 300), (300, 1)])
def test_every_fit_gives_the_size_that_is_asked(fit: Fit, size: tuple[int, int]) -> None:
    assert fit_to(Image.new("RGB", size), (16, 16), fit).size == (16, 16)
    assert fit_to(Image.new("RGB", size), (12, 18), fit).size == (12, 18)


def test_crop_cuts_pad_adds_white_and_stretch_keeps_all() -> None:
    flag = Image.new("RGB", (30, 10), (255, 0, 0))
    flag.paste((0, 0, 255), (10, 0, 20, 10))
    crop, pad, stretch = (fit_to(flag, (30, 30), fit) for fit in ("crop", "pad", "stretch"))
    assert {pixel(crop, x, 15) for x in (2, 15, 27)} == {(0, 0, 255)}
    assert [pixel(pad, 15, y) for y in (2, 15, 27)] == [WHITE, (0, 0, 255), WHITE]
    assert [pixel(stretch, x, 2) for x in (2, 15, 27)] == [(255, 0, 0), (0, 0, 255), (255, 0, 0)]


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_a_picture_of_the_right_size_is_left_alone(fit: Fit) -> None:
    image = random_picture(16, 16)
    np.testing.assert_array_equal(np.asarray(fit_to(image, (16, 16), fit)), np.asarray(image))


def test_an_unknown_fit_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'zoom'.*'crop', 'pad', 'stretch'"):
        fit_to(Image.new("RGB", (4, 4)), (8, 8), "zoom")  # type: ignore[arg-type]


def test_every_byte_survives_the_way_to_a_tensor_and_back() -> None:
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image = Image.fromarray(np.stack([values, values[::-1], values.T], axis=-1))
    x = to_tensor(image)
    assert x.shape == (1, 3, 16, 16)
    assert x.dtype == torch.float32
    assert (float(x.min()), float(x.max())) == (-1, 1)
    (back,) = to_images(x)
    np.testing.assert_array_equal(np.asarray(back), np.asarray(image))


def test_values_outside_are_clamped_and_one_channel_becomes_grey() -> None:
    x = torch.tensor([-3.0, 0.0, 7.0]).view(1, 1, 1, 3)
    (image,) = to_images(x)
    assert [pixel(image, k) for k in range(3)] == [(0, 0, 0), (128, 128, 128), WHITE]


def test_a_batch_becomes_as_many_pictures() -> None:
    assert [image.size for image in to_images(torch.zeros(3, 3, 4, 6))] == [(6, 4)] * 3


def test_a_png_carries_its_settings(tmp_path: Path) -> None:
    path, settings = tmp_path / "out.png", {"factor": 4.0, "seed": 7, "reference": "äpfel.png"}
    save_png(random_picture(), path, settings)
    with Image.open(path) as opened:
        opened.load()
        assert json.loads(opened.info["ilvr"]) == settings
    assert [p.name for p in tmp_path.iterdir()] == ["out.png"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "a.JPG", "sub/c.webp", "notes.txt", "z.png/inside.png"):
        path = tmp_path / "refs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "refs"


@pytest.mark.parametrize(
    ("patterns", "wanted"),
    [
        (["."], ["a.JPG", "b.png", "sub/c.webp", "z.png/inside.png"]),
        (["b.png"], ["b.png"]),
        (["notes.txt"], ["notes.txt"]),  # named itself: reading it will tell
        (["*.png"], ["b.png"]),
        (["**/*.*p*g"], ["b.png", "z.png/inside.png"]),
        (["b.png", "."], ["b.png", "a.JPG", "sub/c.webp", "z.png/inside.png"]),
        (["b.png", "b.png"], ["b.png"]),
    ],
    ids=str,
)
def test_files_folders_and_globs_name_pictures(
    patterns: list[str], wanted: list[str], folder: Path
) -> None:
    found = find_images([str(folder / pattern) for pattern in patterns])
    assert [path.relative_to(folder).as_posix() for path in found] == wanted


@pytest.mark.parametrize("pattern", ["absent.png", "*.gif", "absent/*.png", "empty"])
def test_a_pattern_that_names_nothing_is_refused(pattern: str, folder: Path) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(InputError) as error:
        find_images([str(folder), str(folder / pattern)])
    assert repr(str(folder / pattern)) in str(error.value)
    assert "\n" not in str(error.value)
