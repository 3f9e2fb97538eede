"""Every workflow of the pack opened in a real browser on a real server, and run by its button.

Needs ComfyUI (``$COMFYUI_PATH`` or ``~/comfy/ComfyUI``), playwright and Chromium.
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import browser
import pytest
from browser import LOAD, MARKED, MISSING, ROOT, WORKFLOWS

FIXTURES = ROOT / "tests" / "fixtures" / "workflows"
FROZEN = [path for path in sorted(FIXTURES.glob("*/*.json")) if ".api" not in path.suffixes]
DOWNLOADS = [path for path in WORKFLOWS if '"models": [' in path.read_text()]
EMBEDDED = [path for path in WORKFLOWS if path not in DOWNLOADS]


def test_both_kinds_of_workflows_are_here() -> None:
    assert len(EMBEDDED) >= 9
    assert len(DOWNLOADS) >= 4


@pytest.mark.parametrize("path", EMBEDDED, ids=lambda path: path.stem)
def test_a_workflow_opens_and_runs(page: Any, server: tuple[str, Path], path: Path) -> None:
    from PIL import Image

    _thumbnail(path)
    browser.load(page, path)
    assert page.evaluate(MISSING) == []
    browser.run(page)
    assert page.evaluate(MARKED) == []  # here, since it takes the front end a while
    pictures = browser.saved(path, server[1] / "output")
    assert len(pictures) == browser.results(path)
    for picture in pictures:
        with Image.open(picture) as image:
            low, high = image.convert("L").getextrema()
        assert high - low > 100
    # Every ILVR Apply shows the steps it matches; what it shows is not saved with the workflow.
    nodes = page.evaluate("""window.app.graph._nodes.filter(node => node.type === "ILVRApply").map(
        node => [node.widgets.at(-1).value, node.serialize().widgets_values.length])""")
    assert bool(nodes) == ('"ILVRApply"' in path.read_text())
    for shown, saved in nodes:
        assert shown.startswith("Matches steps ")
        assert saved == 18
    if browser.prefix(path) == "ilvr-two-references":
        assert {shown.partition(" N = ")[0] for shown, _ in nodes} == {
            "Matches steps 1 to 21 of 30."
        }
    assert page.errors == []


def test_what_a_node_says_goes_when_a_setting_changes(page: Any) -> None:
    browser.load(page, WORKFLOWS[0])
    browser.run(page)
    said = (
        """window.app.graph._nodes.find(node => node.type === "ILVRApply").widgets.at(-1).value"""
    )
    assert page.evaluate(said).startswith("Matches steps ")
    line = page.get_by_text("Matches steps ").first
    assert line.evaluate("element => getComputedStyle(element).wordBreak") == "normal"
    page.evaluate("""() => {
        const node = window.app.graph._nodes.find(node => node.type === "ILVRApply");
        node.widgets[0].callback(3, window.app.canvas, node);
    }""")
    assert page.evaluate(said) == ""


@pytest.mark.parametrize("path", DOWNLOADS, ids=lambda path: path.stem)
def test_a_workflow_lacks_nothing_but_its_model(
    page: Any, server: tuple[str, Path], path: Path
) -> None:
    """The front end offers the download; the server has no other complaint."""
    _thumbnail(path)
    workflow = json.loads(path.read_text())
    (model,) = (m for node in workflow["nodes"] for m in node["properties"].get("models", []))
    page.evaluate(LOAD, workflow)
    # Newer front ends say it in a panel at the side.
    panel = page.get_by_role("button", name="View details")
    download = page.get_by_role("button", name="Download").first
    panel.or_(download).first.wait_for(timeout=20000)
    at_the_side = panel.is_visible()
    if at_the_side:
        panel.click()
    download.wait_for(timeout=20000)
    page.get_by_text(model["name"]).first.wait_for(timeout=20000)
    # Else the next one's would not open.
    if at_the_side:
        page.get_by_role("button", name="Toggle properties panel").first.click()
    page.keyboard.press("Escape")
    download.wait_for(state="hidden", timeout=20000)
    assert page.evaluate(MISSING) == []
    prompt = page.evaluate("async () => (await window.app.graphToPrompt()).output")
    request = urllib.request.Request(
        f"{server[0]}/prompt",
        json.dumps({"prompt": prompt}).encode(),
        {"Content-Type": "application/json"},
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    errors = json.load(refused.value)["node_errors"].values()
    said = [(node["class_type"], each["type"]) for node in errors for each in node["errors"]]
    assert said == [("CheckpointLoaderSimple", "value_not_in_list")]
    assert page.errors == []


def _thumbnail(path: Path) -> None:
    from PIL import Image

    with Image.open(path.with_suffix(".jpg")) as image:
        assert image.size == (800, 400)


@pytest.mark.parametrize("path", FROZEN, ids=lambda path: path.parent.name)
def test_a_workflow_of_an_older_version_means_the_same(page: Any, path: Path) -> None:
    """Values are saved by their place, so new inputs come after those that are there."""
    page.evaluate(LOAD, json.loads(path.read_text()))
    assert page.evaluate(MISSING) == []
    prompt = page.evaluate("async () => (await window.app.graphToPrompt()).output")
    wanted = json.loads(path.with_suffix(".api.json").read_text())
    assert prompt.keys() == wanted.keys()
    for node_id, node in wanted.items():
        assert prompt[node_id]["inputs"] | node["inputs"] == prompt[node_id]["inputs"]
    page.keyboard.press("Escape")
    browser.run(page)


WITHOUT_PICTURE = {"ILVRClipGuidance"}  # it needs a CLIP, which nothing here brings


def test_the_help_page_of_every_node_is_served_with_its_picture(server: tuple[str, Path]) -> None:
    with urllib.request.urlopen(f"{server[0]}/object_info") as answer:
        nodes = [name for name, node in json.load(answer).items() if node["category"] == "ILVR"]
    assert len(nodes) >= 9
    docs = f"{server[0]}/extensions/ilvr-latent/docs"
    for name in nodes:
        with urllib.request.urlopen(f"{docs}/{name}.md") as answer:
            pictures = re.findall(r"!\[.+\]\((images/\w+\.jpg)\)", answer.read().decode())
        assert len(pictures) == (name not in WITHOUT_PICTURE)
        if not pictures:
            continue
        (picture,) = pictures
        with urllib.request.urlopen(f"{docs}/{picture}") as answer:
            assert 1_000 < len(answer.read()) < 60_000


def test_a_help_page_shows_its_picture(page: Any) -> None:
    """The front end finds it beside the page."""
    browser.load(page, WORKFLOWS[0])
    browser.open_help(page)
    picture = page.locator('img[src*="/extensions/ilvr-latent/docs/images/ILVRApply.jpg"]')
    picture.wait_for(timeout=20000)
    page.wait_for_function(
        "picture => picture.naturalWidth > 400", arg=picture.element_handle(), timeout=20000
    )
