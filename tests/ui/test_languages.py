"""The nodes, and the lines of text that they show, in the language of the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import browser
import pytest
from browser import READY, ROOT, START_TIMEOUT, WORKFLOWS

LOCALES = ROOT / "locales"
FIRST_STEPS = next(path for path in WORKFLOWS if "irst" in path.stem)
LANGUAGE = "async language => window.app.extensionManager.setting.set('Comfy.Locale', language)"
SHOWN = """window.app.graph._nodes.find(node => node.type === "ILVRApply").widgets.at(-1).value"""
LABEL = """window.app.graph._nodes.find(node => node.type === "ILVRApply")
    .widgets.find(widget => widget.name === "weight").label"""
# What comes from the server; the line is what the front end's listeners are told.
LINE = """([text, parts]) => {
    const api = window.app.api;
    let line = null;
    const listener = ({detail}) => { line = detail.text; };
    api.addEventListener("progress_text", listener);
    if (parts) api.dispatchCustomEvent("ilvr.phrase", {text, ...parts});
    api.dispatchCustomEvent("progress_text", {nodeId: "none", text});
    api.removeEventListener("progress_text", listener);
    return line;
}"""
STEPS = {"template": "steps {steps} of {count}", "values": {"steps": "3", "count": "20"}}
MATCHES = {"template": "Matches {what}{weights}.", "values": {"what": STEPS, "weights": ""}}
ENGLISH = "Matches steps 3 of 20."


@pytest.fixture
def speak(page: Any) -> Iterator[Callable[[str], None]]:
    """Changes the language of the page; it is English again afterwards."""

    def change(language: str) -> None:
        page.evaluate(LANGUAGE, language)
        page.reload()
        page.wait_for_function(READY, timeout=START_TIMEOUT * 1000)

    yield change
    change("en")


def test_nodes_and_lines_are_in_the_language_of_the_page(
    page: Any, server: tuple[str, Path], speak: Callable[[str], None]
) -> None:
    speak("fr")
    browser.load(page, FIRST_STEPS)
    assert page.evaluate(LABEL) == "poids"
    title = "window.LiteGraph.registered_node_types.ILVRApply.title"
    assert page.evaluate(title) == "Appliquer ILVR"
    browser.run(page)
    shown = page.evaluate(SHOWN)
    assert shown.startswith("Ajuste les pas 1 à ")
    assert "cellules : " in shown


def test_help_is_in_the_language_of_the_page(page: Any, speak: Callable[[str], None]) -> None:
    speak("ja")
    browser.load(page, FIRST_STEPS)
    browser.open_help(page)
    page.get_by_text("参照の構図と色").first.wait_for(timeout=20000)
    picture = page.locator('img[src*="/extensions/ilvr-latent/docs/images/ILVRApply.jpg"]')
    picture.wait_for(timeout=20000)


@pytest.mark.parametrize("language", ["zh", "ar"])
def test_a_line_is_made_of_translated_parts(
    page: Any, speak: Callable[[str], None], language: str
) -> None:
    speak(language)
    browser.load(page, FIRST_STEPS)
    lines = json.loads((LOCALES / language / "main.json").read_text(encoding="utf-8"))["ilvr"]
    filled = lines[STEPS["template"]].format(steps="3", count="20")
    wanted = lines[MATCHES["template"]].format(what=filled, weights="")
    wanted = f"\u2067{wanted}\u2069" if language == "ar" else wanted
    # The translations arrive a moment after the page.
    page.wait_for_function(
        f"([given, wanted]) => ({LINE})(given) === wanted", arg=[[ENGLISH, MATCHES], wanted]
    )
    nodes = json.loads((LOCALES / language / "nodeDefs.json").read_text(encoding="utf-8"))
    assert page.evaluate(LABEL) == nodes["ILVRApply"]["inputs"]["weight"]["name"]


def test_other_lines_stay_as_they_are(page: Any) -> None:
    browser.load(page, FIRST_STEPS)
    unknown = {"template": "Not {known}.", "values": {"known": "translated"}}
    for text, parts in ((ENGLISH, MATCHES), ("Not translated.", unknown), ("Of others.", None)):
        assert page.evaluate(LINE, [text, parts]) == text
