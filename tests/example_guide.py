"""The guide that CONTRIBUTING.md shows, run as it stands there."""

from __future__ import annotations

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
    namespace: dict[str, Any] = {}
    exec(compile(code, "CONTRIBUTING.md", "exec"), namespace)
    return namespace["MeanColour"]
