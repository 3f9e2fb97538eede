"""The subgraph that the pack brings: newer hosts list it among the nodes."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from browser import LOAD, MISSING, ROOT

PATH = ROOT / "subgraphs" / "Follow a reference (ILVR).json"


def test_the_host_lists_it(server: tuple[str, Path]) -> None:
    try:
        with urllib.request.urlopen(f"{server[0]}/global_subgraphs") as answer:
            listed = json.load(answer).values()
    except urllib.error.HTTPError:
        pytest.skip("this host knows no subgraphs of packs")
    ours = [entry for entry in listed if entry["info"]["node_pack"].endswith("ilvr-latent")]
    assert [entry["name"] for entry in ours] == [PATH.stem]


def test_it_opens_with_what_a_newcomer_needs(page: Any) -> None:
    page.evaluate(LOAD, json.loads(PATH.read_text()))
    page.keyboard.press("Escape")
    assert page.evaluate(MISSING) == []
    assert page.errors == []
    (node,) = page.evaluate("""window.app.graph._nodes.map(node => ({
        inputs: node.inputs.filter(input => !input.widget).map(input => input.name),
        widgets: node.widgets.map(widget => widget.name),
        values: node.widgets.map(widget => widget.value),
    }))""")
    assert node["inputs"] == ["image", "vae", "latent", "model"]
    if not node["widgets"]:
        pytest.skip("this front end shows no inputs of what is inside a subgraph")
    assert [name.split(": ")[-1] for name in node["widgets"]] == ["factor", "end_percent", "weight"]
    assert node["values"] == [8, 0.7, 1]
