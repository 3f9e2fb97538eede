"""Whatever is wrong with a command line: one sentence, status 2, nothing sampled or written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

if TYPE_CHECKING:
    from tests.unit.conftest import Outcome

Command = Callable[..., "Outcome"]
pytestmark = pytest.mark.usefixtures("no_sampling")


BAD_OPTIONS: list[tuple[list[str], str]] = [
    (["--factor", "0.5"], "0.5"),
    (["--factor", "0"], "0.0"),
    (["--factor", "-3"], "-3.0"),
    (["--factor", "nan"], "nan"),
    (["--factor", "inf"], "inf"),
    (["--factor", "4", "0.25"], "0.25"),
    (["--factor", "four"], "'four'"),
    (["--kernel", "sharp"], "'sharp'"),
    (["--weight", "1.5"], "1.5"),
    (["--weight", "nan"], "nan"),
    (["--weight", "half"], "half"),
    (["--weight", "0:1,1:2"], "weight is 2.0"),
    (["--start", "0.8", "--end", "0.2"], "0.8"),
    (["--start", "-0.1"], "-0.1"),
    (["--end", "0.5", "--step-range", "0", "1"], "--step-range"),
    (["--steps", "ddim0"], "ddim0"),
    (["--flag", "num_channels=48"], "48"),
    (["--end", "1.2"], "1.2"),
    (["--end", "nan"], "nan"),
    (["--start", "0.5", "--end", "0.6"], "holds none of the 4 steps"),
    (["--timestep-range", "200", "1000"], "200"),
    (["--timestep-range", "500", "400"], "holds none of the 4 steps"),
    (["--step-range", "3", "1"], "step 3"),
    (["--step-range", "4", "9"], "step 4"),
    (["--step-range", "0", "1", "--timestep-range", "1000", "1"], "--timestep-range"),
    (["--steps", "0"], "'0'"),
    (["--steps", "2000"], "'2000'"),
    (["--steps", "-5"], "'-5'"),
    (["--steps", "ddim7x"], "'ddim7x'"),
    (["--steps", "ddim300"], "'ddim300'"),
    (["--steps", "10,,5"], "'10,,5'"),
    (["--sampler", "euler"], "'euler'"),
    (["--eta", "1.5"], "1.5"),
    (["--eta", "-0.1"], "-0.1"),
    (["--eta", "nan"], "nan"),
    (["--variance", "none"], "'none'"),
    (["--space", "latent"], "'latent'"),
    (["--fit", "zoom"], "'zoom'"),
    (["--samples", "0"], "--samples is 0"),
    (["--mask", "nothing.png"], "no file 'nothing.png'"),
    (["--jump-length", "0"], "jump_length is 0"),
    (["--jump-n-sample", "-1"], "jump_n_sample is -1"),
    (["--jump-n-sample", "2"], "jump_length is 10, but the run has 4 steps"),
    (["--batch-size", "0"], "--batch-size is 0"),
    (["--batch-size", "-2"], "--batch-size is -2"),
    (["--seed", "x"], "'x'"),
    (["--class-label", "3"], "class label is 3, but this network is unconditional"),
    (["--flag", "num_heads"], "'num_heads'"),
    (["--flag", "num_head=4"], "'num_head'"),
    (["--flag", "image_size=64"], "image_size"),
    (["--device", "abacus"], "'abacus'"),
    (["--device", "cpu:x"], "'cpu:x'"),
    (["--dtype", "int8"], "'int8'"),
    (["--colour", "red"], "--colour"),
    (["--steps", " "], "steps is blank"),
    (["--steps", "9" * 400], "steps"),
    (["--samples", "9" * 30], "use 1000000 or fewer"),
    (["--device", "hpu"], "'hpu'"),
    (["--model", "\0"], "--model holds a NUL"),
    (["--model", "~nobody-of-this-name/x"], "names the home of nobody"),
    (["--prompt", "\udcff"], "--prompt holds bytes that are not UTF-8"),
    (["--negative-prompt", "\ud800"], "--negative-prompt holds bytes"),
    (["--reference", "\udcff\n\x1b[31m.png"], "There is no picture at"),
    (["--mask", "x" * 10_000], "(File name too long)"),
]


def option_of(value: list[str] | str) -> str:
    return ascii(" ".join(value))[1:60] if isinstance(value, list) else ""


@pytest.mark.parametrize(("options", "named"), BAD_OPTIONS, ids=option_of)
def test_a_bad_option_is_named(
    options: list[str], named: str, sampling: Command, output: Path
) -> None:
    sampling(*options).is_refusal_of(named)
    assert not list(output.rglob("*"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device")
def test_a_device_that_is_not_here_is_named(sampling: Command, output: Path) -> None:
    sampling("--device", "cuda").is_refusal_of("'cuda'", "--device cpu")
    assert not list(output.rglob("*"))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ([], "class-conditional"),
        (["--class-label", "10"], "class label is 10; use 0 to 9"),
        (["--class-label", "-1"], "class label is -1; use 0 to 9"),
    ],
    ids=str,
)
def test_a_class_label_must_be_one_of_the_networks(
    options: list[str], named: str, sampling: Command, output: Path
) -> None:
    sampling(*options, num_classes=10).is_refusal_of(named)
    assert not list(output.rglob("*"))


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def bad_checkpoint(tmp_path: Path, tiny_checkpoint: Callable[..., Path]) -> Callable[[str], Path]:
    """A file that is no checkpoint, by what is wrong with it."""

    def make(kind: str) -> Path:
        path = tmp_path / f"{kind}.pt"
        if kind == "text":
            path.write_text("not a network\n")
        elif kind == "empty":
            path.touch()
        elif kind == "folder":
            path.mkdir()
        elif kind == "code":
            torch.save({"weight": Evil(tmp_path / "harm")}, path)
        elif kind == "foreign":
            torch.save({"layer.weight": torch.zeros(3, 3)}, path)
        elif kind == "truncated":
            content = tiny_checkpoint().read_bytes()
            path.write_bytes(content[: len(content) // 2])
        elif kind == "truncated-zip":
            torch.save({"layer.weight": torch.zeros(100, 100)}, path)
            path.write_bytes(path.read_bytes()[:20_000])
        return path

    return make


KINDS = ("absent", "text", "empty", "folder", "code", "foreign", "truncated", "truncated-zip")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", ["sample", "inspect"])
def test_a_file_that_is_no_checkpoint_is_named(
    kind: str,
    command: str,
    sampling: Command,
    ilvr: Command,
    bad_checkpoint: Callable[[str], Path],
    output: Path,
    tmp_path: Path,
) -> None:
    path = bad_checkpoint(kind)
    outcome = sampling("--model", path) if command == "sample" else ilvr("inspect", path)
    outcome.is_refusal_of(*(() if kind == "foreign" else (str(path),)))
    assert not list(output.rglob("*"))
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("kind", ["absent", "empty folder", "glob", "text", "half", "one of two"])
def test_a_reference_that_cannot_be_read_is_named(
    kind: str, sampling: Command, references: Path, output: Path
) -> None:
    good, bad = references / "a.png", references / "bad"
    if kind == "empty folder":
        bad.mkdir()
    elif kind == "glob":
        bad = references / "*.gif"
    elif kind == "text":
        bad = references / "letter.png"
        bad.write_text("dear network")
    elif kind == "half":
        bad = references / "half.png"
        bad.write_bytes((references / "b.png").read_bytes()[:500])
    before = [good] if kind == "one of two" else []
    sampling("--reference", *before, bad).is_refusal_of(repr(str(bad)))
    assert not list(output.rglob("*"))


@pytest.mark.parametrize("beneath", ["", "sub"])
def test_a_file_in_the_place_of_the_output_folder_is_named(
    beneath: str, sampling: Command, output: Path
) -> None:
    output.write_text("mine")
    folder = output / beneath
    sampling("--output", folder).is_refusal_of(repr(str(folder)))
    assert output.read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "COMMAND"),
        (["paint"], "'paint'"),
        (["sample"], "--reference"),
        (["sample", "--reference"], "--reference"),
        (["inspect"], "CHECKPOINT"),
        (["lowpass", "x.png"], "--factor"),
        (["demo", "--colour"], "--colour"),
        (["adm-sample", "--num_heads", "x"], "'x'"),
        (["adm-sample", "--learn_sigma", "maybe"], "'maybe'"),
    ],
    ids=str,
)
def test_a_command_line_that_cannot_be_read_is_named(
    arguments: list[str], named: str, ilvr: Command
) -> None:
    ilvr(*arguments).is_refusal_of(named)


def test_debug_shows_the_traceback(sampling: Command) -> None:
    with pytest.raises(ValueError, match=r"factor N is 0\.5"):
        sampling("--factor", "0.5", "--debug")
