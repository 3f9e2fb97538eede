"""Whole ILVR runs against the paper authors' code, with their random numbers replayed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
import torch
from torch import Tensor

from ilvr_latent import RecordedNoise, Reference, Step, load_adm, sample

if TYPE_CHECKING:
    from ilvr_latent.adm import ADMConfig
    from ilvr_latent.adm.unet import ADM
    from tests.parity.conftest import GoldenUNet

FIXTURES = Path(__file__).parent.parent / "fixtures"
AUTHORS = ("a11_20_N4_rt0", "a11_ddim10_N8_rt0")
PAPER = "PAPER_a11_ddim10_N4"
TOLERANCE = 5e-5


@dataclass
class Watched:
    """A network that keeps what it is shown: the refined states."""

    model: ADM
    states: list[Tensor] = field(default_factory=list)
    timesteps: list[int] = field(default_factory=list)

    @property
    def config(self) -> ADMConfig:
        return self.model.config

    @property
    def device(self) -> torch.device:
        return self.model.device

    def __call__(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        self.states.append(x)
        self.timesteps.append(int(t[0]))
        out: Tensor = self.model(x, t, y)
        return out


@pytest.fixture(scope="module")
def model(
    golden_unet: Callable[[str], GoldenUNet], tmp_path_factory: pytest.TempPathFactory
) -> ADM:
    golden = golden_unet("a11_ffhq32")
    path = tmp_path_factory.mktemp("model") / "a11_ffhq32.pt"
    torch.save(golden.state_dict, path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ILVR_CACHE", str(path))  # a file: no copy is kept
        return load_adm(path, **golden.flags, noise_schedule="linear", diffusion_steps=1000)


def recorded(name: str) -> dict[str, Any]:
    run: dict[str, Any] = torch.load(FIXTURES / f"ilvr_{name}.pt", weights_only=True)
    return run


def replay(
    watched: Watched, run: dict[str, Any], compat: Literal["ilvr_adm"] | None
) -> tuple[Tensor, list[Tensor]]:
    """The picture, and the state after each step before it is matched."""
    matched = run["refined"].nonzero().flatten().tolist()
    noise = RecordedNoise(
        run["x_T"], list(run["z"]), dict(zip(matched, run["ref_noise"], strict=True))
    )
    made: list[Tensor] = []

    def keep(step: Step, x: Tensor) -> None:
        made.append(x)

    picture = sample(
        watched,
        Reference(run["ref"], run["config"]["down_N"]),
        steps=run["config"]["timestep_respacing"],
        compat=compat,
        range_t=run["config"]["range_t"] if compat else None,
        noise=noise,
        callback=keep,
    )
    return picture, made


def largest_error(got: list[Tensor], wanted: Tensor) -> float:
    return float((torch.stack(got) - wanted).abs().max())


@pytest.mark.parametrize("name", AUTHORS)
def test_every_state_is_that_of_the_authors_code(name: str, model: ADM) -> None:
    run, watched = recorded(name), Watched(model)
    picture, made = replay(watched, run, "ilvr_adm")
    assert watched.timesteps == run["timestep"].long().tolist()
    assert largest_error(made, run["x_prime"]) <= TOLERANCE
    # What the network sees is the state before, after the match.
    assert largest_error([*watched.states[1:], picture], run["x"]) <= TOLERANCE


def test_every_state_is_that_of_the_papers_algorithm(model: ADM) -> None:
    run, watched = recorded(PAPER), Watched(model)
    picture, _ = replay(watched, run, None)
    assert largest_error([*watched.states[1:], picture], run["x"]) <= TOLERANCE


def test_the_paper_and_the_authors_code_are_not_the_same(model: ADM) -> None:
    run = recorded(PAPER)
    paper, _ = replay(Watched(model), run, None)
    # Without a match of the last step, as range_t=0 has it.
    authors, _ = replay(Watched(model), run, "ilvr_adm")
    assert float((paper - authors).abs().max()) > 0.05
