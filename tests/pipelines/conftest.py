"""Helpers for pipelines of diffusers: formulas in the place of networks, and tiny networks."""

from __future__ import annotations

import sys
from pathlib import Path

# `pytest` finds tests.pipelines.support too, not only `python -m pytest`.
sys.path.append(str(Path(__file__).parents[2]))
