"""EGSDE against a reference implementation that agrees with the authors' code."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ilvr_latent import EGSDE, Start
from tests.parity.goldens import features, golden, replay


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_state_of_a_run(dtype: torch.dtype) -> None:
    run = golden("egsde")
    network = features(run)

    def of_time(x: Tensor, t: Tensor) -> Tensor:
        assert t.shape == (len(x),)
        assert int(t[0]) in run["timesteps"].tolist()
        return network(x)

    guide = EGSDE(
        run["source"],
        features=of_time,
        realism=run.meta["ls"],
        faithful=run.meta["li"],
        factor=run.meta["factor"],
        kernel=run.meta["kernel"],
    )
    out = replay(run, guide, Start(run["source"], run.meta["first"]), dtype)
    atol = 1e-4 if dtype == torch.float32 else 1e-7
    states = torch.stack(out.states).double()
    torch.testing.assert_close(states, run["expected"], atol=atol, rtol=0)
