"""The subgraph that the pack brings: newer hosts list it among the nodes."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import browser
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


INTO_A_SUBGRAPH = """() => {
    const graph = window.app.graph, canvas = window.app.canvas;
    canvas.selectItems(graph._nodes.filter(node => node.type === "ILVRApply"));
    return graph.convertToSubgraph(canvas.selectedItems).node.id;
}"""
LINE = """id => window.app.graph.getNodeById(id).widgets
    .find(widget => widget.name === "$$node-text-preview")?.value"""


def test_it_says_what_a_node_inside_does(page: Any) -> None:
    browser.load(page, browser.WORKFLOWS[0])
    node = page.evaluate(INTO_A_SUBGRAPH)
    browser.run(page)
    assert "cells" in page.evaluate(LINE, node)
    saved = page.evaluate("id => window.app.graph.getNodeById(id).serialize()", node)
    assert "cells" not in json.dumps(saved)
    assert page.errors == []
