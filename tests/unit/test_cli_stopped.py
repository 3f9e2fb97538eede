"""A run that cannot go on: what is said, and what is kept."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from PIL import Image
from torch import Tensor

from ilvr_latent.adm.unet import ADM

if TYPE_CHECKING:
    from tests.unit.conftest import Outcome

Command = Callable[..., "Outcome"]
ROOT = Path(__file__).parent.parent.parent
STEPS = 4  # of the fixture ``sampling``


def raise_at_call(error: BaseException, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the network fail when it is called for this time, counted from 0."""
    calls: list[int] = []
    forward = ADM.forward

    def failing(self: ADM, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        calls.append(1)
        if len(calls) > number:
            raise error
        return forward(self, x, t, y)

    monkeypatch.setattr(ADM, "forward", failing)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_ctrl_c_keeps_the_pictures_that_are_finished(
    sampling: Command, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raise_at_call(KeyboardInterrupt(), STEPS + 1, monkeypatch)
    outcome = sampling("--batch-size", 2)
    assert outcome.status == 130
    assert outcome.out == ""
    assert outcome.err == "ilvr: stopped; finished pictures are kept.\n"
    assert names(output) == ["a_N4_seed0.png", "a_N4_seed1.png"]
    for path in output.iterdir():
        with Image.open(path) as picture:
            picture.load()
            assert picture.size == (16, 16)
            assert json.loads(picture.info["ilvr"])["reference"] == "a.png"


def test_ctrl_c_while_a_picture_is_written_leaves_nothing_of_it(
    sampling: Command, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(self: Image.Image, partial: Path, **_: object) -> None:
        partial.write_bytes(b"\x89PNG")
        raise KeyboardInterrupt

    monkeypatch.setattr(Image.Image, "save", save)
    assert sampling().status == 130
    assert names(output) == []


def test_a_process_that_is_told_to_end_leaves_nothing_half_written(
    sampling: Command, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(self: Image.Image, partial: Path, **_: object) -> None:
        partial.write_bytes(b"\x89PNG")
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Image.Image, "save", save)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        sampling()
    assert ended.value.code == 128 + signal.SIGTERM
    assert names(output) == []
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"),
        MemoryError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_out_of_memory_says_what_to_lower(
    error: Exception, sampling: Command, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raise_at_call(error, 0, monkeypatch)
    sampling("--batch-size", 3).is_refusal_of("batch size 3", "--batch-size")
    assert names(output) == []


def test_a_full_disk_is_said_so(
    sampling: Command, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(self: Image.Image, partial: Path, **_: object) -> None:
        partial.write_bytes(b"\x89PNG")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", save)
    sampling().is_refusal_of("No space left on device")
    assert names(output) == []


def test_debug_shows_the_traceback(sampling: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    raise_at_call(MemoryError("at last"), 0, monkeypatch)
    with pytest.raises(MemoryError, match="at last"):
        sampling("--debug")


def test_a_defect_of_ours_is_not_disguised(
    sampling: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    raise_at_call(RuntimeError("shapes do not match"), 0, monkeypatch)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        sampling()


@pytest.mark.parametrize("ignored", [False, True])
def test_ctrl_c_during_the_imports_ends_the_command_quietly(tmp_path: Path, ignored: bool) -> None:
    """The first large import stands for all of them; who ignores the signal is not ended by it."""
    (tmp_path / "torch.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nos._exit(7)\n"
    )
    # A shell has its background jobs ignore the signal, and so would what pytest starts there.
    handler = "signal.SIG_IGN" if ignored else "signal.default_int_handler"
    prelude = f"import signal; signal.signal(signal.SIGINT, {handler}); "
    ended = subprocess.run(
        [
            *(sys.executable, "-c"),
            f"{prelude}import sys; from ilvr_latent.cli import main; sys.exit(main(['sample']))",
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )
    if ignored:
        assert (ended.returncode, ended.stderr) == (7, "")
    else:
        said = "ilvr: stopped; finished pictures are kept.\n"
        assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", said)
