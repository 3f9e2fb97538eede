"""Every node has a help page, and the translated ones say what the English one says."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "web" / "docs"
TRANSLATED = ("fr", "ja", "zh")
NODES: list[str] = sorted(json.loads((ROOT / "locales/en/nodeDefs.json").read_text("utf-8")))


def texts(language: str, node: str) -> dict[str, Any]:
    """What the node and its inputs and outputs are called."""
    nodes = json.loads((ROOT / "locales" / language / "nodeDefs.json").read_text("utf-8"))
    found: dict[str, Any] = nodes[node]
    return found


def page(language: str, node: str) -> list[Token]:
    path = DOCS / f"{node}.md" if language == "en" else DOCS / node / f"{language}.md"
    return MarkdownIt("commonmark").enable("table").parse(path.read_text("utf-8"))


def inline(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield from token.children or ()


def bold(tokens: list[Token]) -> list[str]:
    parts = list(inline(tokens))
    starts = [i for i, part in enumerate(parts) if part.type == "strong_open"]
    return [parts[start + 1].content for start in starts]


def targets(tokens: list[Token]) -> Counter[object]:
    """Of links and pictures, and what is code."""
    found: Counter[object] = Counter()
    for part in inline(tokens):
        found.update(value for name, value in part.attrs.items() if name in ("href", "src"))
        found.update([part.content] if part.type == "code_inline" else [])
    return found


def numbers(tokens: list[Token]) -> Counter[str]:
    said = " ".join(token.content for token in tokens if token.type == "inline")
    return Counter(found.replace(",", ".") for found in re.findall(r"\d+(?:[.,]\d+)?", said))


def test_every_node_has_its_pages_and_no_other_ones_are_there() -> None:
    translated = {f"{node}/{language}.md" for node in NODES for language in TRANSLATED}
    there = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert there == {f"{node}.md" for node in NODES} | translated


@pytest.mark.parametrize("language", ["en", *TRANSLATED])
@pytest.mark.parametrize("node", NODES)
def test_a_page_is_called_as_its_node(node: str, language: str) -> None:
    tokens = page(language, node)
    assert [t.content for t in tokens[:2]] == ["", texts(language, node)["display_name"]]
    # A sign that was meant to make something bold or italic, and did not.
    assert [p.content for p in inline(tokens) if p.type == "text" and "*" in p.content] == []


@pytest.mark.parametrize("language", TRANSLATED)
@pytest.mark.parametrize("node", NODES)
def test_a_translated_page_has_what_the_english_one_has(node: str, language: str) -> None:
    english, translated = page("en", node), page(language, node)
    assert [t.type + t.tag for t in translated] == [t.type + t.tag for t in english]
    assert targets(translated) == targets(english)
    assert numbers(english) - numbers(translated) == Counter()


@pytest.mark.parametrize("language", TRANSLATED)
@pytest.mark.parametrize("node", NODES)
def test_inputs_and_outputs_are_called_as_they_are_shown(node: str, language: str) -> None:
    names, shown = texts("en", node), texts(language, node)
    called = {
        one["name"]: shown[side][key]["name"]
        for side in ("outputs", "inputs")
        for key, one in names[side].items()
    }
    english, translated = bold(page("en", node)), bold(page(language, node))
    missing = [called[name] for name in english if called.get(name, "") not in " ".join(translated)]
    assert missing == []
