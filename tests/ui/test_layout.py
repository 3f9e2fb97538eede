"""Every workflow can be read: nothing lies on anything, and wires are seen from end to end.

Needs no ComfyUI: it reads the files as the front end draws them.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import layout
import pytest

WORKFLOWS = sorted((Path(__file__).parent.parent.parent / "workflows").glob("*.json"))
every_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)

# Wires that have to cross. A loader gives MODEL above CLIP above VAE, ILVR Apply takes the model
# above the reference, and a sampler the model above the prompts; then the way of the CLIP to the
# prompts crosses that of the reference, and that of the mask. So does the model on its way to ADM
# Schedule. In a sweep, one model and one reference go to four nodes. ILVR Record gives MODEL above
# recording, which goes on past the sampler.
CROSSINGS = {
    "factor-sweep": 3,
    "range-sweep": 3,
    "two-references": 0,
    "masked-region": 2,
    "report": 2,
    "inpainting": 2,
}


@pytest.fixture
def read() -> Callable[[Path], dict[str, Any]]:
    """A workflow from its file."""
    return lambda path: json.loads(path.read_text())


@every_workflow
def test_nodes_lie_apart_each_in_one_group(read: Any, path: Path) -> None:
    nodes, groups = layout.boxes(read(path)), layout.group_boxes(read(path))
    for one, other in itertools.combinations(nodes.values(), 2):
        assert not one.meets(other, margin=10)
    for one, other in itertools.combinations(groups.values(), 2):
        assert not one.meets(other)
    for node in nodes.values():
        assert sum(group.holds(node) for group in groups.values()) == 1


@every_workflow
def test_wires_go_to_the_right(read: Any, path: Path) -> None:
    nodes = layout.boxes(read(path))
    for _, source, _, target, _, _ in read(path)["links"]:
        assert nodes[source].right + 20 < nodes[target].left


@every_workflow
def test_no_wire_passes_behind_a_node(read: Any, path: Path) -> None:
    assert layout.hidden(read(path)) == []


@every_workflow
def test_no_more_wires_cross_than_have_to(read: Any, path: Path) -> None:
    assert len(layout.crossings(read(path))) == CROSSINGS.get(path.stem, 1)


@every_workflow
def test_a_note_says_what_to_try_and_where_files_come_from(read: Any, path: Path) -> None:
    nodes = read(path)["nodes"]
    (note,) = (node for node in nodes if node["type"] == "MarkdownNote")
    assert "**Try**" in note["widgets_values"][0]
    for node in nodes:
        for model in node["properties"].get("models", []):
            assert model["name"] in node["widgets_values"]
            assert re.fullmatch(r"https://huggingface\.co/.+/resolve/main/.+", model["url"])
            assert model["url"].split("?")[0] in note["widgets_values"][0]
            assert model["directory"] == "checkpoints"


def test_the_test_would_notice(read: Any) -> None:
    workflow = read(WORKFLOWS[0])
    box = layout.boxes(workflow)
    sampler = next(node for node in workflow["nodes"] if node["type"] == "SamplerCustom")
    behind = next(node for node in workflow["nodes"] if node["type"] == "MarkdownNote")
    behind["pos"] = [sampler["pos"][0] - 600, -200]
    behind["size"] = [500, 400]
    assert layout.hidden(workflow)
    assert any(box[sampler["id"]].meets(b, 120) for b in layout.boxes(workflow).values())
    workflow["extra"]["reroutes"], workflow["extra"]["linkExtensions"] = [], []
    assert len(layout.crossings(workflow)) > 1
