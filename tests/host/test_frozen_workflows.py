"""Workflows of every released version still load: ids, inputs and values are a promise.

A new version adds a folder to ``tests/fixtures/workflows``; what is there is never changed.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

WORKFLOWS = Path(__file__).parent.parent / "fixtures" / "workflows"
FROZEN = sorted(WORKFLOWS.glob("*/*.api.json"))
CORE = ("comfy_extras.nodes_mask", "comfy_extras.nodes_custom_sampler")


def named(path: Path) -> str:
    return f"{path.parent.name}-{path.name.split('.')[0]}"


def by_id(extension: Any) -> dict[str, Any]:
    """The nodes of an extension."""
    nodes = asyncio.run(extension.get_node_list())
    return {node.define_schema().node_id: node for node in nodes}


def mappings(module: Any) -> dict[str, Any]:
    """The nodes of a module of the host, which older and newer versions list differently."""
    old = getattr(module, "NODE_CLASS_MAPPINGS", None)
    return old if old is not None else by_id(asyncio.run(module.comfy_entrypoint()))


@pytest.fixture
def validate(pack: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the server does with a prompt before it queues it."""
    import folder_paths

    monkeypatch.setattr(folder_paths, "input_directory", str(tmp_path))
    # pytest calls a checkout by its folder's name, which may be `nodes` too.
    monkeypatch.delitem(sys.modules, "nodes", raising=False)
    execution = importlib.import_module("execution")
    known = dict(execution.nodes.NODE_CLASS_MAPPINGS)
    for name in CORE:
        known |= mappings(importlib.import_module(name))
    known |= by_id(pack.nodes.extension.ILVRExtension())
    monkeypatch.setattr(execution.nodes, "NODE_CLASS_MAPPINGS", known)
    assert (tmp_path / "ilvr").is_dir()
    return lambda prompt: asyncio.run(execution.validate_prompt("frozen", prompt, None))


def test_this_version_has_its_workflow_of_every_node(pack: ModuleType) -> None:
    version = pack.ilvr_latent.__version__
    (frozen,) = (path for path in FROZEN if path.parent.name == version)
    used = {node["class_type"] for node in json.loads(frozen.read_text()).values()}
    nodes = asyncio.run(pack.nodes.extension.ILVRExtension().get_node_list())
    for schema in (node.define_schema() for node in nodes):
        assert schema.node_id in used
    assert frozen.with_name(frozen.name.replace(".api", "")).is_file()


@pytest.mark.parametrize("path", FROZEN, ids=named)
def test_a_frozen_workflow_is_valid(validate: Any, path: Path) -> None:
    valid, error, outputs, node_errors = validate(json.loads(path.read_text()))
    assert valid, (error, node_errors)
    assert node_errors == {}
    assert outputs


@pytest.mark.parametrize("path", FROZEN, ids=named)
def test_a_frozen_choice_is_still_offered(pack: ModuleType, path: Path) -> None:
    """The host does not look at this for nodes of our kind."""
    nodes = asyncio.run(pack.nodes.extension.ILVRExtension().get_node_list())
    schemas = {schema.node_id: schema for schema in (node.define_schema() for node in nodes)}
    checked = 0
    for node in json.loads(path.read_text()).values():
        for given in getattr(schemas.get(node["class_type"]), "inputs", ()):
            if getattr(given, "options", None) and given.id in node["inputs"]:
                assert node["inputs"][given.id] in given.options
                checked += 1
    assert checked > 10


def test_the_test_would_notice(validate: Any) -> None:
    prompt = json.loads(FROZEN[-1].read_text())
    apply = next(node for node in prompt.values() if node["class_type"] == "ILVRApply")
    apply["inputs"]["weight"] = 5.0
    assert validate(prompt)[3]
