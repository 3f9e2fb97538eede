"""phi_N against the paper authors' resizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ilvr_latent import LowPass
from ilvr_latent.guides.lowpass import low_pass_matrices

GOLDEN: dict[str, Any] = torch.load(
    Path(__file__).parent.parent / "fixtures" / "resizer_small.pt", weights_only=True
)
CASES = GOLDEN["cases"]
TOLERANCE = 2e-5


def name(case: dict[str, Any]) -> str:
    return f"{case['kernel']}-N{case['N']}-{'x'.join(map(str, case['shape']))}"


def close_where_kept(made: Tensor, wanted: Tensor) -> None:
    """Of large inputs the fixture keeps the first channel alone."""
    torch.testing.assert_close(made[:, : wanted.shape[1]], wanted, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("case", CASES, ids=name)
def test_down_is_the_authors_down(case: dict[str, Any]) -> None:
    x: Tensor = GOLDEN[case["input"]]
    down_h, _ = low_pass_matrices(x.shape[-2], case["N"], case["kernel"])
    down_w, _ = low_pass_matrices(x.shape[-1], case["N"], case["kernel"])
    down = (down_h @ x.double() @ down_w.T).float()
    close_where_kept(down, case["down"])


@pytest.mark.parametrize("case", [c for c in CASES if c.get("phi") is not None], ids=name)
def test_phi_is_the_authors_phi(case: dict[str, Any]) -> None:
    phi = LowPass(case["N"], case["kernel"])(GOLDEN[case["input"]])
    close_where_kept(phi, case["phi"])


@pytest.mark.parametrize("case", [c for c in CASES if c.get("phi") is None], ids=name)
def test_box_is_the_authors_mean_replicated(case: dict[str, Any]) -> None:
    assert case["kernel"] == "box"  # the authors' way up fails with it
    n = case["N"]
    phi = LowPass(n, "box")(GOLDEN[case["input"]])
    wanted = case["down"].repeat_interleave(n, -1).repeat_interleave(n, -2)
    close_where_kept(phi, wanted)
