"""What several tests share: short runs of ILVR on an exact denoiser, and the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from ilvr_latent import Reference, sample
from ilvr_latent.cli import main

if TYPE_CHECKING:
    from tests.conftest import MixtureDenoiser

Exact = Callable[..., "MixtureDenoiser"]
Pictures = Callable[..., Tensor]
Command = Callable[..., "Outcome"]
SHAPE = (4, 3, 16, 16)


@pytest.fixture
def model(exact: Exact) -> MixtureDenoiser:
    return exact(variance=0.05)


@pytest.fixture
def y_0(some_pictures: Pictures) -> Tensor:
    return some_pictures(1, seed=9)


@pytest.fixture
def run(model: MixtureDenoiser) -> Callable[..., Tensor]:
    """Sample four pictures in eight steps."""

    def run(references: Reference | list[Reference] | None, **settings: Any) -> Tensor:
        return sample(model, references, **{"shape": SHAPE, "steps": 8, **settings})

    return run


@dataclass(frozen=True)
class Outcome:
    """What a command left behind: its exit status and what it printed."""

    status: int
    out: str
    err: str

    def is_refusal_of(self, *named: str) -> None:
        """Status 2 and one sentence that holds these words."""
        assert self.status == 2, self
        assert self.out == ""
        assert self.err.startswith("ilvr")
        assert self.err.endswith("\n")
        assert self.err.count("\n") == 1, self.err
        for name in named:
            assert name in self.err


@pytest.fixture
def ilvr(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run the command in this process, on the CPU, with no traceback for the user."""
    monkeypatch.setenv("ILVR_CACHE", "/dev/null")  # a cache folder that cannot be made

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Outcome(status, printed.out, printed.err)

    return run


@pytest.fixture
def references(tmp_path: Path) -> Path:
    """A folder of three pictures of different sizes."""
    folder = tmp_path / "references"
    folder.mkdir()
    for k, size in enumerate([(16, 16), (40, 30), (9, 24)]):
        shape = (size[1], size[0], 3)
        values = np.random.default_rng(k).integers(0, 256, shape, dtype=np.uint8)
        Image.fromarray(values).save(folder / f"{'abc'[k]}.png")
    return folder


@pytest.fixture
def no_sampling(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that must not be called."""

    def called(*_: object, **__: object) -> None:
        raise AssertionError("the network was called")

    monkeypatch.setattr("ilvr_latent.adm.unet.ADM.forward", called)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Where results go; not there yet."""
    return tmp_path / "out"


@pytest.fixture
def sampling(
    ilvr: Command, tiny_checkpoint: Callable[..., Path], references: Path, output: Path
) -> Command:
    """``ilvr sample`` that works; options that are given again count."""

    def run(*options: object, **config: object) -> Outcome:
        return ilvr(
            "sample",
            *("--model", tiny_checkpoint(**config), "--reference", references, "--factor", 4),
            *("--steps", 4, "--samples", 2, "--output", output, "--device", "cpu"),
            *options,
        )

    return run


@pytest.fixture
def domain(tmp_path: Path) -> Path:
    folder = tmp_path / "domain"
    folder.mkdir()
    values = np.random.default_rng(5).integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)
    for k, value in enumerate(values):
        Image.fromarray(value).save(folder / f"{k}.png")
    return folder


@pytest.fixture
def evaluate(
    ilvr: Command,
    tiny_checkpoint: Callable[..., Path],
    references: Path,
    domain: Path,
    output: Path,
) -> Command:
    """``ilvr evaluate`` that works; options that are given again count."""

    def run(*options: object, **config: object) -> Outcome:
        return ilvr(
            "evaluate",
            *("--model", tiny_checkpoint(**config), "--references", references),
            *("--domain", domain, "--output", output, "--device", "cpu"),
            *("--factors", 2, 4, "--ranges", "1000-0", "1000-500"),
            *("--steps", 3, "--samples", 3, "--batch-size", 2),
            *options,
        )

    return run
