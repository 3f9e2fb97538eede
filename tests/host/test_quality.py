"""The study of quality against calls, where ComfyUI samples."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

SIDE = 64


@pytest.fixture(scope="module")
def study() -> Any:
    """The study's modules."""
    return {
        name: importlib.import_module(f"benchmarks.quality.{name}")
        for name in ("host_maker", "study", "rows")
    }


@pytest.fixture(scope="module")
def maker(pack: ModuleType, study: Any) -> Any:
    with torch.inference_mode():
        return study["host_maker"].HostMaker(pack, study["study"].shipped_references(SIDE, limit=2))


@pytest.mark.parametrize(
    ("sampler", "steps", "calls"),
    [("ddpm", 2, 2), ("dpmpp_2m", 3, 3), ("uni_pc", 3, 3), ("heun", 2, 3)],
)
def test_the_calls_of_the_network_are_counted(
    study: Any, maker: Any, tmp_path: Path, sampler: str, steps: int, calls: int
) -> None:
    """Not the steps: heun calls twice in each but the last. Nor are those of another row added."""
    row = study["rows"].Row(sampler, steps, noise="hybrid", scheduler="normal")
    kept = study["study"].Study(tmp_path, study["study"].shipped_references(SIDE, 2), 2)
    study["study"].make_missing(kept, [row], maker, lambda line: None)
    pictures, counted = kept.read(row)
    assert counted == calls
    assert pictures.shape == (2, 2, 3, SIDE, SIDE)
    assert not torch.equal(pictures[0, 0], pictures[0, 1])


def test_rows_are_matched_as_the_node_does_by_default(
    pack: ModuleType, study: Any, maker: Any
) -> None:
    inputs = pack.nodes.guides.ilvr.ILVRApply.define_schema().inputs
    defaults = {each.id: getattr(each, "default", None) for each in inputs}
    rows = study["rows"].host_rows((10, 20))
    for name in ("space", "noise"):
        assert {getattr(row, name) for row in rows} == {defaults[name]}
    references = study["study"].shipped_references(SIDE, limit=2)
    low_pass = pack.ilvr_latent.LowPass(8)
    whole, half = (
        maker(study["rows"].Row("ddim", 3, end, noise="hybrid", scheduler="normal"), [0, 1])[0]
        for end in (1.0, 0.5)
    )
    away = [(low_pass(x - references)).square().mean().sqrt() for x in (whole, half)]
    assert away[0] < 0.05
    assert away[1] > 2 * away[0]
