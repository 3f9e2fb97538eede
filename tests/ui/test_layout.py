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

# Wires that cross: as few as were found by tests/ui/support/route.py.
CROSSINGS = {
    "01": 4,
    "02": 4,
    "03": 8,
    "04": 8,
    "05": 8,
    "06": 8,
    "07": 6,
    "08": 13,
    "09": 3,
    "10": 11,
    "11": 2,
    "12": 5,
    "13": 12,
    "14": 15,
    "15": 3,
    "16": 3,
    "17": 4,
    "18": 8,
    "19": 5,
    "20": 27,
    "21": 24,
    "22": 4,
    "23": 4,
    "24": 4,
    "25": 5,
}
WIDTH, HEIGHT = 1860, 1120  # readable in a window of 1440 x 900


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
def test_wires_go_to_the_right_or_down(read: Any, path: Path) -> None:
    nodes = layout.boxes(read(path))
    for _, source, _, target, _, _ in read(path)["links"]:
        right = nodes[source].right + 20 < nodes[target].left
        assert right or nodes[source].bottom + 20 < nodes[target].top


@every_workflow
def test_a_workflow_is_seen_whole(read: Any, path: Path) -> None:
    left, top, right, bottom = zip(*layout.group_boxes(read(path)).values(), strict=True)
    assert max(right) - min(left) <= WIDTH
    assert max(bottom) - min(top) <= HEIGHT


def test_names_carry_the_order_and_those_with_a_download_come_last() -> None:
    downloads = ['"models": [' in path.read_text() for path in WORKFLOWS]
    assert downloads == sorted(downloads)
    assert all(re.match(r"\d\d [A-Z]", path.stem) for path in WORKFLOWS)
    assert len({path.stem[:2] for path in WORKFLOWS}) == len(WORKFLOWS)


@every_workflow
def test_no_wire_passes_behind_a_node(read: Any, path: Path) -> None:
    assert layout.hidden(read(path)) == []


@every_workflow
def test_no_more_wires_cross_than_were_found_to(read: Any, path: Path) -> None:
    assert len(layout.crossings(read(path))) == CROSSINGS[path.stem[:2]]


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
    workflow = next(w for w in map(read, WORKFLOWS) if "SamplerCustom" in json.dumps(w))
    box = layout.boxes(workflow)
    sampler = next(node for node in workflow["nodes"] if node["type"] == "SamplerCustom")
    behind = next(node for node in workflow["nodes"] if node["type"] == "MarkdownNote")
    behind["pos"] = [sampler["pos"][0] - 600, -200]
    behind["size"] = [500, 400]
    assert layout.hidden(workflow)
    assert any(box[sampler["id"]].meets(b, 120) for b in layout.boxes(workflow).values())
    workflow["extra"]["reroutes"], workflow["extra"]["linkExtensions"] = [], []
    assert len(layout.crossings(workflow)) > 1
