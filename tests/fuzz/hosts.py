"""The ComfyUIs of this machine, each with the Python that it is run with."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

USUAL = "~/comfy/ComfyUI:~/comfy/ComfyUI-0.33"


@dataclass(frozen=True)
class Host:
    """A checkout.

    Attributes:
        checkout: where it is.
        python: of the environment beside it, or ``None`` where there is none.
    """

    checkout: Path
    python: Path | None

    @property
    def version(self) -> str:
        """As it says itself."""
        text = (self.checkout / "comfyui_version.py").read_text()
        return text.split('"')[-2]

    def run(self, *arguments: str) -> int:
        """Run its Python with ``-m`` and these arguments; the exit status."""
        assert self.python is not None
        environment = {**os.environ, "COMFYUI_PATH": str(self.checkout), "OMP_NUM_THREADS": "1"}
        command = [str(self.python), "-m", *arguments]
        return subprocess.run(command, env=environment, check=False).returncode


def hosts() -> Iterator[Host]:
    """Those in ``$COMFYUI_PATH`` (several are separated by colons), or in the usual places."""
    for place in os.environ.get("COMFYUI_PATH", USUAL).split(":"):
        checkout = Path(place).expanduser()
        if (checkout / "main.py").is_file():
            python = checkout.with_name(f"{checkout.name}-venv") / "bin" / "python"
            yield Host(checkout, python if python.is_file() else None)
