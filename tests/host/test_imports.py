"""Every name of ComfyUI's that the nodes use is there."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
HOSTS_OWN = (
    "comfy",
    "comfy_api",
    "comfy_execution",
    "comfy_extras",
    "folder_paths",
    "nodes",
    "server",
)
FILES = [ROOT / "__init__.py", *sorted((ROOT / "nodes").rglob("*.py"))]


def names(tree: ast.AST) -> Iterator[str]:
    """Dotted names of the host's, as the file imports and uses them."""
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            own = [one for one in node.names if of_the_host(one.name)]
            yield from (one.name for one in own)
            for one in own:
                package = one.name.split(".")[0]
                known[one.asname or package] = one.name if one.asname else package
        elif isinstance(node, ast.ImportFrom) and not node.level and of_the_host(node.module):
            imported = {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
            yield from imported.values()
            known |= imported
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (dotted := dotted_name(node)):
            first, _, rest = dotted.partition(".")
            if first in known:
                yield f"{known[first]}.{rest}"


def of_the_host(name: str | None) -> bool:
    return name is not None and name.split(".")[0] in HOSTS_OWN


def dotted_name(node: ast.AST) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := dotted_name(node.value)):
        return f"{before}.{node.attr}"
    return None


def resolved(dotted: str) -> Any:
    """What a dotted name means.

    Raises:
        AttributeError: nothing.
    """
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for name in parts[end:]:
            found = getattr(found, name)
        return found
    raise AttributeError(dotted)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_name_of_the_host_is_there(host: ModuleType, path: Path) -> None:
    missing = []
    for name in sorted(set(names(ast.parse(path.read_text(encoding="utf-8"))))):
        try:
            resolved(name)
        except AttributeError:
            missing.append(name)
    assert not missing


def test_the_names_are_found(host: ModuleType) -> None:
    """So that the test above cannot pass for want of names."""
    text = "import comfy.samplers\nfrom comfy import utils as u\nu.nowhere(comfy.samplers.KSAMPLER)"
    found = set(names(ast.parse(text)))
    assert found == {
        "comfy.samplers",
        "comfy.utils",
        "comfy.utils.nowhere",
        "comfy.samplers.KSAMPLER",
    }
    with pytest.raises(AttributeError):
        resolved("comfy.utils.nowhere")
    assert resolved("comfy.samplers.KSAMPLER") is host.KSAMPLER
    assert sum(len(set(names(ast.parse(path.read_text())))) for path in FILES) > 30
