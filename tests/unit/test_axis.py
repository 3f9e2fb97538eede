"""Axes of a grid: what a user writes is what is sampled, or is refused in words."""

from __future__ import annotations

import pytest

from ilvr_latent import InputError
from ilvr_latent.pictures.axis import Axis, Reader, check_apart, number, one_of, parse_axis

READERS: dict[str, Reader] = {
    "factor": float,
    "steps": str,
    "guidance_scale": number("guidance_scale", float, 0, 10),
    "seed": number("seed", int, 0, 2**64 - 1),
    "kernel": one_of("kernel", ("cubic", "box")),
}


@pytest.mark.parametrize("text", ["factor=2,4.5", "factor: 2, 4.5", " factor = 2 | 4.5 "])
def test_every_spelling_means_the_same(text: str) -> None:
    axis = parse_axis(text, READERS)
    assert (axis.name, axis.values) == ("factor", (2.0, 4.5))
    assert axis.row_labels == ["factor 2", "factor 4.5"]
    assert axis.column_labels == ["2", "4.5"]
    assert [axis.changes(k) for k in range(len(axis))] == [{"factor": 2.0}, {"factor": 4.5}]


def test_bars_keep_commas_in_a_value_and_hyphens_are_underscores() -> None:
    assert parse_axis("steps=10,5|20", READERS).values == ("10,5", "20")
    assert parse_axis("guidance-scale=1", READERS).name == "guidance_scale"
    assert parse_axis("seed=18446744073709551615", READERS).values == (2**64 - 1,)


def test_no_axis_is_one_place_that_changes_nothing() -> None:
    axis = parse_axis("  ", READERS)
    assert (len(axis), axis.changes(0), axis.row_labels) == (1, {}, [""])


def test_long_values_have_short_labels() -> None:
    axis = parse_axis("steps=" + "a word " * 20, READERS)
    assert len(axis.row_labels[0]) <= 28
    assert axis.column_labels[0].count("\n") == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("colour=red", "colour"),
        ("factor", "empty value"),
        ("2,4", "'2,4'"),
        ("factor=2,,4", "empty value"),
        ("factor=2,x", "'x'"),
        ("kernel=cubic,sharp", "'sharp'; use cubic, box"),
        ("guidance_scale=11", "from 0 to 10"),
        ("guidance_scale=nan", "'nan'"),
        ("seed=1.5", "whole numbers"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, words: str) -> None:
    with pytest.raises(InputError, match="axis") as caught:
        parse_axis(text, READERS)
    assert words in str(caught.value)


def test_two_axes_vary_two_settings() -> None:
    one = Axis("factor", ("2",), (2.0,))
    check_apart(one, Axis())
    check_apart(Axis(), Axis())
    with pytest.raises(InputError, match="both vary factor"):
        check_apart(one, one)
