"""Every workflow of the pack opened in a real browser on a real server, and run by its button.

Needs ComfyUI (``$COMFYUI_PATH`` or ``~/comfy/ComfyUI``), playwright and Chromium.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
WORKFLOWS = sorted((ROOT / "workflows").glob("*.json"))
FIXTURES = ROOT / "tests" / "fixtures" / "workflows"
FROZEN = [path for path in sorted(FIXTURES.glob("*/*.json")) if ".api" not in path.suffixes]
COMFYUI = Path(os.environ.get("COMFYUI_PATH", "~/comfy/ComfyUI")).expanduser()
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
START_TIMEOUT, RUN_TIMEOUT = 180, 300

LOAD = """async (workflow) => {
    window.outcome = null;
    for (const event of ["execution_success", "execution_error"])
        window.app.api.addEventListener(event, e => { window.outcome = [event, e.detail]; });
    await window.app.loadGraphData(workflow);
}"""
READY = "window.app?.graph && window.LiteGraph?.registered_node_types.ILVRApply !== undefined"
MISSING = """window.app.graph._nodes.map(node => node.type)
    .filter(type => !(type in window.LiteGraph.registered_node_types))"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A ComfyUI with nothing but this pack: its address and its base folder."""
    for what, there in (
        (f"ComfyUI at {COMFYUI} ($COMFYUI_PATH)", COMFYUI.is_dir()),
        ("its requirements", importlib.util.find_spec("comfyui_frontend_package")),
        ("playwright", importlib.util.find_spec("playwright")),
        ("chromium", CHROMIUM),
    ):
        if not there:
            pytest.skip(f"no {what}")
    base = tmp_path_factory.mktemp("comfyui")
    for folder in ("custom_nodes", "user", "input", "output"):
        (base / folder).mkdir()
    (base / "custom_nodes" / "ilvr-latent").symlink_to(ROOT)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [
        sys.executable, "main.py", "--cpu", "--listen", "127.0.0.1", "--port", str(port),
        "--base-directory", str(base), "--disable-auto-launch",
    ]  # fmt: skip
    with (base / "log.txt").open("w") as log:
        process = subprocess.Popen(command, cwd=COMFYUI, stdout=log, stderr=log)
        try:
            _wait_for(address, process, base / "log.txt")
            yield address, base
        finally:
            process.terminate()
            process.wait(30)


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_TIMEOUT
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/object_info/ILVRApply", timeout=5) as answer:
                assert json.load(answer), log.read_text()
            return
        except OSError:
            time.sleep(0.5)
    pytest.fail(log.read_text())


@pytest.fixture(scope="module")
def page(server: tuple[str, Path]) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1700, "height": 1250})
        page.goto(server[0])
        page.wait_for_function(READY, timeout=START_TIMEOUT * 1000)
        yield page
        browser.close()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_opens_and_runs(page: Any, server: tuple[str, Path], path: Path) -> None:
    from PIL import Image

    assert path.with_suffix(".jpg").is_file()
    page.evaluate(LOAD, json.loads(path.read_text()))
    assert page.evaluate(MISSING) == []
    page.keyboard.press("Escape")
    page.locator('[data-testid="queue-button"] button').first.click()
    page.wait_for_function("window.outcome !== null", timeout=RUN_TIMEOUT * 1000)
    event, detail = page.evaluate("window.outcome")
    assert event == "execution_success", detail
    pictures = sorted((server[1] / "output").rglob(f"ilvr-{path.stem}*.png"))
    assert pictures
    for picture in pictures:
        with Image.open(picture) as image:
            low, high = image.convert("L").getextrema()
        assert high - low > 100


def test_every_ilvr_apply_shows_the_steps_it_matches(page: Any) -> None:
    """And what it shows is not saved with the workflow."""
    workflow = json.loads((ROOT / "workflows" / "two-references.json").read_text())
    (sampler,) = (node for node in workflow["nodes"] if node["type"] == "KSampler")
    # Another seed and fewer steps: a run that the host takes from its cache shows nothing.
    sampler["widgets_values"][0], sampler["widgets_values"][2] = 1234, 8
    page.evaluate(LOAD, workflow)
    page.keyboard.press("Escape")
    page.locator('[data-testid="queue-button"] button').first.click()
    page.wait_for_function("window.outcome !== null", timeout=RUN_TIMEOUT * 1000)
    nodes = page.evaluate("""window.app.graph._nodes.filter(node => node.type === "ILVRApply").map(
        node => [node.widgets.at(-1).value, node.serialize().widgets_values.length,
                 node.widgets.length])""")
    assert nodes == [["Matches steps 1 to 4 of 8.", 13, 14]] * 2


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
    page.locator('[data-testid="queue-button"] button').first.click()
    page.wait_for_function("window.outcome !== null", timeout=RUN_TIMEOUT * 1000)
    event, detail = page.evaluate("window.outcome")
    assert event == "execution_success", detail


def test_the_nodes_speak_french(page: Any, server: tuple[str, Path]) -> None:
    locale = "async language => window.app.extensionManager.setting.set('Comfy.Locale', language)"
    page.evaluate(locale, "fr")
    try:
        page.reload()
        page.wait_for_function(READY, timeout=START_TIMEOUT * 1000)
        page.evaluate(LOAD, json.loads(FROZEN[-1].read_text()))
        labels = page.evaluate("""window.app.graph._nodes.filter(node => node.type === "ILVRApply")
            .map(node => node.widgets.find(widget => widget.name === "weight").label)""")
        assert labels == ["poids", "poids"]
        title = "window.LiteGraph.registered_node_types.ILVRApply.title"
        assert page.evaluate(title) == "Appliquer ILVR"
    finally:
        page.evaluate(locale, "en")
        page.reload()
        page.wait_for_function(READY, timeout=START_TIMEOUT * 1000)


def test_the_help_page_of_every_node_is_served(server: tuple[str, Path]) -> None:
    with urllib.request.urlopen(f"{server[0]}/object_info") as answer:
        nodes = [name for name, node in json.load(answer).items() if node["category"] == "ILVR"]
    assert len(nodes) >= 6
    for name in nodes:
        url = f"{server[0]}/extensions/ilvr-latent/docs/{name}.md"
        with urllib.request.urlopen(url) as answer:
            assert answer.status == 200
