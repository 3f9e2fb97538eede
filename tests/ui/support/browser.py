"""A real ComfyUI with nothing but this pack, and a real browser on it."""

from __future__ import annotations

import contextlib
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

ROOT = Path(__file__).parent.parent.parent.parent
WORKFLOWS = sorted((ROOT / "workflows").glob("*.json"))
COMFYUI = Path(os.environ.get("COMFYUI_PATH", "~/comfy/ComfyUI")).expanduser()
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
START_TIMEOUT, RUN_TIMEOUT = 400, 400
# The button lies in the named element, or is it, in newer front ends.
RUN_BUTTON = '[data-testid="queue-button"] button, button[data-testid="queue-button"]'

READY = "window.app?.graph && window.LiteGraph?.registered_node_types.ILVRApply !== undefined"
MISSING = """window.app.graph._nodes.map(node => node.type)
    .filter(type => !(type in window.LiteGraph.registered_node_types))"""
# Nodes that the front end outlines in red.
MARKED = """window.app.graph._nodes.filter(node => node.has_errors).map(node => node.type)"""
SETTINGS = """async (settings) => {
    for (const [name, value] of Object.entries(settings))
        await window.app.extensionManager.setting.set(name, value);
}"""
QUIET = {
    "Comfy.TutorialCompleted": True,
    "Comfy.Minimap.Visible": False,
    "Comfy.Graph.CanvasInfo": False,
}
SAVING = ("SaveImage", "SaveAnimatedWEBP")
LOAD = """async (workflow) => {
    window.outcome = null;
    for (const event of ["execution_success", "execution_error"])
        window.app.api.addEventListener(event, e => { window.outcome = [event, e.detail]; });
    await window.app.loadGraphData(workflow);
}"""
# Shows the box (left, top, right, bottom of the graph) and says where on the page it then is.
SHOW = """([left, top, right, bottom, most]) => {
    const canvas = window.app.canvas, at = canvas.canvas.getBoundingClientRect();
    const room = [70, 90, at.width - 40, at.height - 40];
    const scale = Math.min((room[2] - room[0]) / (right - left),
                           (room[3] - room[1]) / (bottom - top), most);
    canvas.ds.scale = scale;
    canvas.ds.offset = [room[0] / scale - left, room[1] / scale - top];
    canvas.setDirty(true, true);
    return {x: at.x + room[0], y: at.y + room[1],
            width: (right - left) * scale, height: (bottom - top) * scale};
}"""


def not_here() -> str:
    """What is missing on this machine, or nothing."""
    for what, there in (
        (f"ComfyUI at {COMFYUI} ($COMFYUI_PATH)", COMFYUI.is_dir()),
        ("package of its front end", importlib.util.find_spec("comfyui_frontend_package")),
        ("playwright", importlib.util.find_spec("playwright")),
        ("chromium", CHROMIUM),
    ):
        if not there:
            return f"no {what}"
    return ""


@contextlib.contextmanager
def comfyui(base: Path) -> Iterator[str]:
    """Run the server on the CPU, with its files in ``base``; gives its address.

    Raises:
        RuntimeError: it does not start; with its log.
    """
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
            yield address
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
    raise RuntimeError(log.read_text())


@contextlib.contextmanager
def open_page(address: str, width: int, height: int) -> Iterator[Any]:
    """A page with the graph editor, with no help for beginners in the way."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(START_TIMEOUT * 1000)  # a busy machine takes its time
        page.goto(address)
        page.wait_for_function(READY, timeout=START_TIMEOUT * 1000)
        page.evaluate(SETTINGS, QUIET)
        yield page
        browser.close()


def prefixes(path: Path) -> list[str]:
    """What the names of the pictures begin with, of each node of a workflow that saves some."""
    nodes = json.loads(path.read_text())["nodes"]
    return [str(node["widgets_values"][0]) for node in nodes if node["type"] in SAVING]


def prefix(path: Path) -> str:
    """That of the first of these nodes; the workflow's pictures elsewhere are called after it."""
    return prefixes(path)[0]


def saved(path: Path, output: Path) -> list[Path]:
    """The pictures that a workflow has saved, node after node."""
    return [file for each in prefixes(path) for file in sorted(output.rglob(f"{each}_*"))]


def shows_a_figure(path: Path) -> bool:
    """Its result is one sheet or plot, not four pictures."""
    text = path.read_text()
    return '"ILVRGrid"' in text or '"ILVRReport"' in text


def results(path: Path) -> int:
    """How many pictures a workflow saves; an animation is one."""
    if shows_a_figure(path):
        return 1
    count = len(prefixes(path))
    for node in json.loads(path.read_text())["nodes"]:
        if node["type"] in ("EmptyLatentImage", "ILVREmptyPixels"):
            count *= node["widgets_values"][2]
        if node["type"] == "RepeatLatentBatch":
            count *= node["widgets_values"][0]
    return count


def load(page: Any, path: Path) -> None:
    """Open a workflow, and close what the front end says about it."""
    page.evaluate(LOAD, json.loads(path.read_text()))
    page.keyboard.press("Escape")


def open_help(page: Any) -> None:
    """Select ILVR Apply and press its question mark."""
    page.evaluate("""() => {
        const node = window.app.graph._nodes.find(node => node.type === "ILVRApply");
        window.app.canvas.centerOnNode(node);
        window.app.canvas.selectNode(node);
    }""")
    page.locator('[data-testid="info-button"]').first.dispatch_event("click")


def run(page: Any) -> None:
    """Press Run and wait.

    Raises:
        AssertionError: a node failed; with what the server says.
    """
    page.locator(RUN_BUTTON).first.click()
    page.wait_for_function("window.outcome !== null", timeout=RUN_TIMEOUT * 1000)
    event, detail = page.evaluate("window.outcome")
    assert event == "execution_success", detail
