"""Write ``locales/en`` from the nodes' schemas: `python tests/host/support/locales.py`."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
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


def main() -> None:
    """Write the file."""
    assert import_comfyui() is not None, "no ComfyUI"
    logging.disable()
    pack = load_pack()
    __import__(f"{pack.__name__}.nodes.extension")
    text = json.dumps(definitions(pack), indent=2, ensure_ascii=False)
    (LOCALES / "en" / "nodeDefs.json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
