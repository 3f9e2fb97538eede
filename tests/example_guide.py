"""The guide that CONTRIBUTING.md shows, run as it stands there."""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any


def example_guide(core: ModuleType | None = None) -> Any:
    """Its class.

    Args:
        core: the package ``ilvr_latent`` under another name, as a host imports it.
    """
    text = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text()
    code = text.split("```python\n", 1)[1].split("```", 1)[0]
    if core is not None:
        code = code.replace("from ilvr_latent import", f"from {core.__name__} import")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mean_colour.py"
        path.write_text(code)
        return _imported(path).MeanColour


def _imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
