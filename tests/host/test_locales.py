"""The translations cover every node, and English is what the schemas say."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).parent
LOCALES = HERE.parent.parent / "locales"
OTHERS = sorted(path.name for path in LOCALES.iterdir() if path.name != "en")
Key = tuple[str, ...]


def texts(value: Any, path: Key = ()) -> dict[Key, str]:
    if isinstance(value, str):
        return {path: value}
    return {k: v for name, below in value.items() for k, v in texts(below, (*path, name)).items()}


def locale(language: str, name: str = "nodeDefs") -> dict[Key, str]:
    return texts(json.loads((LOCALES / language / f"{name}.json").read_text(encoding="utf-8")))


def numbers(text: str) -> Counter[str]:
    """How often each number is said."""
    return Counter(found.replace(",", ".") for found in re.findall(r"\d+(?:[.,]\d+)?", text))


def named(key: Key, english: dict[Key, str]) -> Iterator[Key]:
    """The nodes and the inputs of the same node that a text names; the keys of their names."""
    for other, name in english.items():
        is_node = other[1] == "display_name"
        # Others are words of everyday speech too.
        is_input = other[0] == key[0] and other[-1] == "name" and "_" in name
        if (is_node or is_input) and re.search(rf"\b{re.escape(name)}\b", english[key]):
            yield other


def test_every_language_of_the_host_is_there() -> None:
    assert {"ar", "es", "fr", "ja", "ko", "ru", "zh", "zh-TW"} == set(OTHERS)


def test_english_is_what_the_schemas_say(pack: ModuleType) -> None:
    """If not: `python tests/host/support/locales.py`."""
    import locales

    wanted = locales.definitions(pack)
    assert all(texts(wanted).values())
    assert list(locale("en").items()) == list(texts(wanted).items())


def test_english_has_the_lines_that_nodes_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """If not: `python tests/host/support/locales.py`."""
    monkeypatch.setattr(sys, "path", [str(HERE / "support"), *sys.path])
    import locales

    assert locale("en", "main") == texts(locales.others())
    assert "Matches {what}{weights}." in locales.phrases()


@pytest.mark.parametrize("name", ["nodeDefs", "main"])
@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_is_complete(language: str, name: str) -> None:
    english, translated = locale("en", name), locale(language, name)
    assert list(translated) == list(english)
    assert all(text.strip() for text in translated.values())
    sentences = {key for key, text in english.items() if text.endswith(".") and " " in text}
    assert [key for key in sentences if translated[key] == english[key]] == []


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_says_the_same_numbers(language: str) -> None:
    """It may have more of them: in Japanese "one" is a numeral."""
    english, translated = locale("en"), locale(language)
    missing = {key: numbers(text) - numbers(translated[key]) for key, text in english.items()}
    assert {key: lacking for key, lacking in missing.items() if lacking} == {}


@pytest.mark.parametrize("language", OTHERS)
def test_a_translated_line_has_the_same_places_to_fill(language: str) -> None:
    for (*_, template), text in locale(language, "main").items():
        assert sorted(re.findall(r"{\w*}", text)) == sorted(re.findall(r"{\w*}", template))


@pytest.mark.parametrize("language", OTHERS)
def test_nodes_and_inputs_are_called_by_their_translated_names(language: str) -> None:
    english, translated = locale("en"), locale(language)
    for key, text in translated.items():
        for other in named(key, english):
            # Where an input is typed, as in the rows of a grid, it is the English one.
            typed = [english[other]] if other[-1] == "name" else []
            names = [translated[other], *typed]
            assert any(name.casefold() in text.casefold() for name in names), (key, names)


@pytest.mark.parametrize("language", ["en", *OTHERS])
def test_no_text_has_signs_that_the_front_end_reads_otherwise(language: str) -> None:
    assert [key for key, text in locale(language).items() if set("{}@|") & set(text)] == []


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_names_the_same_choices(language: str) -> None:
    """Options are not translated, so a tooltip must call them by their English names."""
    options = ("state", "prediction", "fresh", "fixed", "hybrid", "cubic", "box", "spectral")
    options += ("constant", "linear", "cosine", "points", "percent", "steps", "crop", "pad")
    english, translated = locale("en"), locale(language)
    for key in english:
        if key[0] == "ILVRApply" and key[2:] in {
            (n, "tooltip") for n in ("space", "noise", "kernel", "weight_schedule", "range_unit")
        }:
            for option in options:
                assert (f" {option} " in f" {english[key]}") <= (option in translated[key])


def test_every_output_and_input_has_a_tooltip(pack: ModuleType) -> None:
    for key, text in locale("en").items():
        if key[-1] == "tooltip":
            assert text.endswith(".")


def test_other_words_to_find_a_node_by_where_the_host_knows_them(
    pack: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    schemas = pack.nodes.schema
    assert schemas.schema(search_aliases=["blur"], node_id="A").node_id == "A"

    @dataclasses.dataclass
    class Newer:
        node_id: str
        search_aliases: list[str] = dataclasses.field(default_factory=list)

    monkeypatch.setattr(schemas.io, "Schema", Newer)
    assert schemas.schema(search_aliases=["blur"], node_id="A") == Newer("A", ["blur"])
