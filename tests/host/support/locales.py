"""Write ``locales/en`` from the nodes and their lines: `python tests/host/support/locales.py`."""

from __future__ import annotations

import ast
import asyncio
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from conftest import ROOT, import_comfyui, load_pack

LOCALES = ROOT / "locales"


def definitions(pack: ModuleType) -> dict[str, Any]:
    """What ComfyUI's front end can translate of each node, in English."""
    nodes = asyncio.run(pack.nodes.extension.ILVRExtension().get_node_list())
    return {schema.node_id: _definition(schema) for schema in (n.define_schema() for n in nodes)}


def _definition(schema: Any) -> dict[str, Any]:
    return {
        "display_name": schema.display_name,
        "description": schema.description,
        "inputs": {
            given.id: {"name": given.display_name or given.id, "tooltip": given.tooltip}
            for given in schema.inputs
        },
        "outputs": {
            str(place): {"name": made.display_name or made.io_type, "tooltip": made.tooltip}
            for place, made in enumerate(schema.outputs)
        },
    }


def phrases() -> list[str]:
    """The templates of the lines of text that nodes show, in English."""
    files = (path for folder in ("ilvr_latent", "nodes") for path in (ROOT / folder).rglob("*.py"))
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in files)
    calls = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call))
    made = (call for call in calls if ast.unparse(call.func) == "Phrase")
    return sorted({template for call in made for template in _templates(call.args[0])})


def _templates(written: ast.expr) -> Iterator[str]:
    """What is written out where a phrase is made, or the choice between two such."""
    if isinstance(written, ast.IfExp):
        yield from (*_templates(written.body), *_templates(written.orelse))
        return
    assert isinstance(written, ast.Constant), f"not written out: {ast.unparse(written)}"
    yield written.value


def others() -> dict[str, Any]:
    """What else there is to translate: the category, and the lines."""
    return {
        "nodeCategories": {"ILVR": "ILVR"},
        "ilvr": {template: template for template in phrases()},
    }


def main() -> None:
    """Write the files."""
    assert import_comfyui() is not None, "no ComfyUI"
    logging.disable()
    pack = load_pack()
    __import__(f"{pack.__name__}.nodes.extension")
    for name, content in (("nodeDefs", definitions(pack)), ("main", others())):
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (LOCALES / "en" / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
