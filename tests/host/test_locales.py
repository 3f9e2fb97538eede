"""The translations cover every node, and English is what the schemas say."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

LOCALES = Path(__file__).parent.parent.parent / "locales"
OTHERS = sorted(path.name for path in LOCALES.iterdir() if path.name != "en")


def texts(value: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], str]:
    if isinstance(value, str):
        return {path: value}
    return {k: v for name, below in value.items() for k, v in texts(below, (*path, name)).items()}


def locale(language: str) -> dict[tuple[str, ...], str]:
    return texts(json.loads((LOCALES / language / "nodeDefs.json").read_text(encoding="utf-8")))


def test_english_is_what_the_schemas_say(pack: ModuleType) -> None:
    """If not: `python tests/host/support/locales.py`."""
    import locales

    wanted = locales.definitions(pack)
    assert all(texts(wanted).values())
    assert locale("en") == texts(wanted)


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_is_complete(language: str) -> None:
    english, translated = locale("en"), locale(language)
    assert list(translated) == list(english)
    assert all(text.strip() for text in translated.values())
    same = [k for k, text in translated.items() if k[-1] == "tooltip" and text == english[k]]
    assert same == []
    main = [texts(json.loads((LOCALES / n / "main.json").read_text())) for n in ("en", language)]
    assert list(main[0]) == list(main[1])


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
