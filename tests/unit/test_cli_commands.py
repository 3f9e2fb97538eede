"""The command as a whole, and its smaller subcommands."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import ilvr_latent
from ilvr_latent import LowPass, load_adm
from ilvr_latent.cli import demo, demo_latent
from ilvr_latent.cli.main import COMMANDS
from ilvr_latent.pictures.images import read_image, to_images, to_tensor

if TYPE_CHECKING:
    from ilvr_latent.adm.unet import ADM
    from tests.unit.conftest import Outcome

Command = Callable[..., "Outcome"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str, ilvr: Command) -> None:
    outcome = ilvr(command, "--help")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.startswith(f"usage: ilvr {command}")
    assert f"Example:\n  ilvr {command}" in outcome.out
    assert "--debug" in outcome.out


def test_the_help_lists_every_command(ilvr: Command) -> None:
    outcome = ilvr("--help")
    assert outcome.status == 0
    listed = [line.split()[0] for line in outcome.out.splitlines() if line.startswith("    ")]
    assert set(COMMANDS) <= set(listed)


@pytest.mark.parametrize("asked", [["--help"], ["--version"], ["sample"], ["lwopass"]])
def test_what_runs_nothing_imports_no_pytorch(asked: list[str]) -> None:
    code = (
        "import sys; from ilvr_latent.cli import main\n"
        f"main({asked})\n"
        "print(sorted({'torch', 'numpy', 'PIL'} & {*sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    seen = done.stderr.splitlines()[-1]
    assert seen == ("['PIL', 'numpy', 'torch']" if asked == ["sample"] else "[]")


def test_a_pixel_model_samples_without_diffusers(references: Path, tmp_path: Path) -> None:
    sample = ["sample", "--reference", references / "a.png", "--factor", 4, "--steps", 1]
    given = [str(part) for part in (*sample, "--output", tmp_path / "out")]
    code = (
        "import sys; from ilvr_latent.cli import main\n"
        f"main({given})\n"
        "print(sorted({'diffusers', 'transformers', 'scipy'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert any(path.suffix == ".png" for path in (tmp_path / "out").iterdir())


def test_the_version_is_the_packages(ilvr: Command) -> None:
    assert ilvr("--version").out == f"ilvr {ilvr_latent.__version__}\n"


def test_in_a_process_of_its_own_an_error_is_one_line_and_comes_without_diffusers(
    tmp_path: Path,
) -> None:
    door = (
        "import runpy, sys\n"
        "try: runpy.run_module('ilvr_latent', run_name='__main__', alter_sys=True)\n"
        "finally: print('diffusers' in sys.modules)"
    )
    absent = tmp_path / "absent.png"
    arguments = ("lowpass", absent, "--factor", "4", "--output", tmp_path / "out.png")
    done = subprocess.run(
        [sys.executable, "-c", door, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "False\n")
    assert done.stderr == f"ilvr: There is no file {str(absent)!r}; check the path.\n"


@pytest.mark.parametrize("kernel", ["cubic", "box"])
def test_lowpass_writes_what_a_sample_is_held_to(
    kernel: Any, ilvr: Command, references: Path, output: Path
) -> None:
    path = output / "new" / "low.PNG"
    outcome = ilvr(
        *("lowpass", references / "b.png", "--factor", 3.5, "--kernel", kernel, "--output", path)
    )
    assert outcome.status == 0
    assert outcome.out == f"{path}\n"
    wanted = to_images(LowPass(3.5, kernel)(to_tensor(read_image(references / "b.png"))))[0]
    with Image.open(path) as made:
        made.load()
        np.testing.assert_array_equal(np.asarray(made), np.asarray(wanted))
        assert json.loads(made.info["ilvr"]) == {"factor": 3.5, "kernel": kernel}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["{a}", "--factor", "0.5", "--output", "{out}/x.png"], "0.5"),
        (["{a}", "--factor", "4", "--output", "{out}/x.jpg"], "x.jpg"),
        (["{a}", "--factor", "4", "--output", "{a}/x.png"], "a.png"),
        (["{a}", "--factor", "4", "--output", "{folder}"], "folder.png"),
        (["{none}", "--factor", "4", "--output", "{out}/x.png"], "none.png"),
        (["{folder}", "--factor", "4", "--output", "{out}/x.png"], "folder.png"),
    ],
    ids=str,
)
def test_lowpass_names_what_it_cannot_use(
    arguments: list[str], named: str, ilvr: Command, references: Path, output: Path
) -> None:
    places = {name: references / f"{name}.png" for name in ("a", "none", "folder")}
    places["folder"].mkdir()
    before = names(references)
    filled = [argument.format(**places, out=output) for argument in arguments]
    ilvr("lowpass", *filled).is_refusal_of(named)
    assert not list(output.rglob("*"))
    assert names(references) == before


def test_inspect_tells_what_a_checkpoint_is(
    ilvr: Command, tiny_checkpoint: Callable[..., Path]
) -> None:
    path = tiny_checkpoint(num_classes=10)
    outcome = ilvr("inspect", path)
    assert (outcome.status, outcome.err) == (0, "")
    said = " ".join(outcome.out.split())
    for fact in (str(path), "safetensors", "num classes 10", "noise schedule linear"):
        assert fact in said
    record = json.loads(ilvr("inspect", path, "--json").out)
    assert record["config"]["num_classes"] == 10
    assert record["config"]["image_size"] == 16
    assert record["size"] == path.stat().st_size
    assert record["missing"] is None


def test_the_demo_makes_three_figures(
    ilvr: Command,
    tiny_checkpoint: Callable[..., Path],
    output: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load_tiny(**_: object) -> ADM:
        return load_adm(tiny_checkpoint())

    monkeypatch.setattr(demo, "load_embedded", load_tiny)
    monkeypatch.setattr(demo, "STEPS", "2")
    monkeypatch.setattr(demo_latent, "STEPS", 2)
    for module, rows in ((demo, "FACTOR_ROWS"), (demo, "RANGE_ROWS"), (demo_latent, "ROWS")):
        monkeypatch.setattr(module, rows, getattr(module, rows)[:1])
    outcome = ilvr("demo", "--output", output)
    assert (outcome.status, outcome.err) == (0, "")
    assert names(output) == ["factor.png", "latent.png", "range.png"]
    for name in names(output):
        assert str(output / name) in outcome.out
        with Image.open(output / name) as figure:
            assert figure.width > 7 * 128


def test_the_demo_names_an_output_folder_that_it_cannot_use(ilvr: Command, output: Path) -> None:
    output.write_text("mine")
    ilvr("demo", "--output", output).is_refusal_of(repr(str(output)))


def test_inspect_says_which_flags_are_missing(
    ilvr: Command, tmp_path: Path, tiny_checkpoint: Callable[..., Path]
) -> None:
    bare = tmp_path / "bare.pt"
    torch.save(load_file(tiny_checkpoint()), bare)
    outcome = ilvr("inspect", bare)
    assert outcome.status == 0
    assert "num_heads or num_head_channels" in outcome.out.splitlines()[-1]
