"""Command lines that nobody means, run in this process as the command runs them."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import sys
from pathlib import Path
from random import Random

import torch
from PIL import Image

from ilvr_latent import InputError, save_adm
from ilvr_latent.adm.unet import ADM, ADMUNet
from ilvr_latent.cli.main import COMMANDS, build_parser, main
from tests.conftest import TINY
from tests.fuzz.mutations import NUMBERS, mutated, text
from tests.fuzz.watch import Case

# One case in so many is a process of its own, with its own way to read the command line.
OWN_PROCESS = 100
# These are asked for as many as one likes: a large number is no mistake, it takes long.
AS_MANY_AS_ONE_LIKES = frozenset(("num_samples", "height", "width"))
# What may be wrong with one is said of the other.
BESIDE = {
    "range_factor": ("factor",),
    "jump_n_sample": ("jump_length",),
    "rows": ("axis",),
    "columns": ("axis",),
}
# One shows the traceback of a refusal, as it is asked to.
LEFT_OUT = frozenset(("help", "debug"))
WRITTEN = frozenset(("output", "cells", "save_dir"))
# What they do takes minutes where nothing is wrong: only what is wrong before that.
LONG = frozenset(("demo", "properties", "translate"))
LONG_BY_DEFAULT = frozenset(("num_samples", "steps", "timestep_respacing"))
# Of a value that is wrong, so many letters are looked for in what is said.
LETTERS = 40


class Refused(InputError):
    """Standard error of a command that ended with status 2."""


REFUSALS = (Refused,)


class Commands:
    """Cases of a seed.

    Args:
        folder: for files, and where the commands are run.
        seed: the same cases for the same seed.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._seed = folder, seed
        os.chdir(folder)
        torch.manual_seed(0)
        network = ADM(ADMUNet(TINY), TINY).eval()
        save_adm(network, "tiny.safetensors", dtype=torch.float32)
        self._files = _files(Path())
        self._options = {
            name: {action.dest: action for action in parser._actions if action.dest not in LEFT_OUT}
            for name, parser in _subparsers().items()
        }

    def __call__(self, number: int) -> Case:
        """A case, by its number."""
        random = Random(f"command {self._seed} {number}")
        command = random.choice(tuple(self._options))
        line, options = _whole(command), self._options[command]
        named: list[str] = []
        for _ in range(random.randint(1, 2)):
            dest = random.choice(tuple(options))
            wrong = self._wrong(random, dest, options[dest])
            if command in LONG:
                dest, wrong = "device", [f"no{text(random)}"]
            line[dest] = wrong
            # A word of Python's own has a dash behind it there, and not on the command line.
            names = (dest.rstrip("_"), *BESIDE.get(dest, ()))
            named += [one.replace("_", by) for one in names for by in "_- "] + _shown(wrong)
        if random.random() < 0.05:
            more, wrong = random.choice(("no_such_option", "model", "seed")), [text(random)]
            line[more] = wrong
            named += [more, more.replace("_", "-"), *_shown(wrong)]
        named.append("unrecognized arguments")
        shutil.rmtree("out", ignore_errors=True)
        arguments = [command, *_written(line, options)]
        own = number % OWN_PROCESS == OWN_PROCESS - 1
        action = _in_a_process if own else _in_this_process
        return Case(f"{number} {arguments!r:.600}", lambda: action(arguments), named, starts=own)

    def _wrong(self, random: Random, dest: str, action: argparse.Action) -> list[str] | None:
        """Values of an option, or ``None``: it is left out."""
        if random.random() < 0.08 and dest not in LONG_BY_DEFAULT:
            return None
        if action.nargs == 0:
            return [text(random)] if random.random() < 0.3 else []
        if dest in WRITTEN:
            # Nowhere but in the folder of the test.
            inside = text(random).replace("..", "_").lstrip("/~")
            return [random.choice((*self._files, f"out/{inside}", inside or ".", "a.png/x.png"))]
        count = random.choice((1, 1, 1, 2, 30)) if action.nargs in ("+", "*", 2) else 1
        return [self._value(random, dest, action) for _ in range(count)]

    def _value(self, random: Random, dest: str, action: argparse.Action) -> str:
        kind = random.random()
        if kind < 0.45 and action.type in (int, float, None, str):
            numbers = (2, 1.5) if dest in AS_MANY_AS_ONE_LIKES else NUMBERS
            return f"{random.choice(numbers)}"
        if kind < 0.6:
            return random.choice(self._files)
        if kind < 0.7:
            return mutated(random.choice(EXPRESSIONS).encode(), random, 3).decode(errors="replace")
        return text(random)


EXPRESSIONS = (
    *("factor=2,4", "steps=1,2,3", "0:1, 0.5:0.8, 1:0", "1000-500", "ddim2", "10,10,5"),
    *("num_heads=2", "channel_mult=1,2", "image_size=16", "embedded", "cpu", "cuda:99", "meta"),
    *("hpu", "weights=ema", "linear:1:0", "seed=0,1", "prompt=a,b", "kernel=box,cubic", "end=0.5"),
)


def _whole(command: str) -> dict[str, list[str] | None]:
    """A command line that works and takes no time."""
    tiny = {"model": ["tiny.safetensors"], "steps": ["2"], "device": ["cpu"]}
    one = {"reference": ["a.png"], "factor": ["2"]}
    whole: dict[str, dict[str, list[str]]] = {
        "demo": {"output": ["out"], "device": ["cpu"]},
        "properties": {"output": ["out"], "device": ["cpu"], "steps": ["2"]},
        "sample": {**tiny, **one, "output": ["out"]},
        "grid": {
            **tiny, **one, "rows": ["factor=2,4"], "columns": ["end=0.5,1"], "output": ["g.png"],
        },
        "report": {**tiny, **one, "output": ["r.png"]},
        "evaluate": {
            **tiny, "references": ["pictures"], "domain": ["pictures"], "factors": ["2"],
            "ranges": [], "samples": ["2"], "output": ["out/evaluation"],
        },
        "adm-sample": {
            "model_path": ["tiny.safetensors"], "base_samples": ["pictures"], "save_dir": ["out"],
            "num_samples": ["1"], "batch_size": ["1"], "down_N": ["2"], "device": ["cpu"],
            "timestep_respacing": ["2"],
        },
        "inspect": {"checkpoint": ["tiny.safetensors"]},
        "upscale": {**tiny, "image": ["a.png"], "output": ["out"]},
        "match": {"image": ["a.png"], "reference": ["a.png"], "output": ["matched.png"]},
        "translate": {
            **tiny, "source": ["pictures"], "factor": ["2"], "output": ["out/translated"],
        },
        "lowpass": {"image": ["a.png"], "factor": ["2"], "output": ["low.png"]},
    }  # fmt: skip
    return dict(whole[command])


def _written(line: dict[str, list[str] | None], options: dict[str, argparse.Action]) -> list[str]:
    written: list[str] = []
    for dest, values in line.items():
        if values is None:
            continue
        action = options.get(dest)
        if action is not None and not action.option_strings:
            written += values
        else:
            names = action.option_strings if action is not None else [f"--{dest}"]
            written += [names[-1], *values]
    return written


def _shown(values: list[str] | None) -> list[str]:
    """What of the values a refusal may show."""
    shown = []
    for value in values or []:
        plain = "".join(letter if letter.isprintable() else " " for letter in value)
        with contextlib.suppress(RuntimeError, ValueError):
            shown.append(str(Path(value).expanduser())[:LETTERS])
        shown += [plain[:LETTERS], plain.strip()[:LETTERS], repr(value)[1 : LETTERS + 1]]
    return [one for one in shown if one.strip()] or [repr(value) for value in values or []]


def _in_this_process(arguments: list[str]) -> None:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(arguments)
    _judge(status, err.getvalue())


def _in_a_process(arguments: list[str]) -> None:
    import subprocess

    # A command line cannot hold a NUL, and holds bytes.
    given = [os.fsencode(_escaped(argument.replace("\0", ""))) for argument in arguments]
    command = [sys.executable, "-c", "from ilvr_latent.cli import main; raise SystemExit(main())"]
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [*command, *given],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        check=False,
    )
    _judge(done.returncode, done.stderr.decode(errors="replace"))


def _escaped(argument: str) -> str:
    """Without what stands for no byte."""
    return "".join(letter for letter in argument if not "\ud800" <= letter <= "\udc7f")


def _judge(status: int, err: str) -> None:
    """Raise what the command said if it refused.

    Raises:
        Refused: it did, in one line.
        AssertionError: it ended in any other way.
    """
    assert status in (0, 2), (status, err[-800:])
    assert "Traceback" not in err, err[-800:]
    if status == 2:
        lines = [line for line in err.splitlines() if not line.startswith("TIFF")]
        assert lines and len(lines[-1]) <= 400 and lines[-1].startswith("ilvr"), err[-800:]
        raise Refused(lines[-1])


def _subparsers() -> dict[str, argparse.ArgumentParser]:
    return {name: _subparser(name) for name in COMMANDS}


def _subparser(command: str) -> argparse.ArgumentParser:
    groups = build_parser(command)._subparsers
    assert groups is not None
    choices = groups._group_actions[0].choices
    assert isinstance(choices, dict)
    parser = choices[command]
    assert isinstance(parser, argparse.ArgumentParser)
    return parser


def _files(folder: Path) -> tuple[str, ...]:
    """Pictures and checkpoints that are whole, and what else may lie under such names."""
    (folder / "pictures").mkdir()
    (folder / "empty").mkdir()
    picture = Image.effect_noise((20, 16), 80).convert("RGB")
    for name in ("a.png", "pictures/a.png", "pictures/b.png", "pictures/c.png"):
        picture.save(folder / name)
    (folder / "broken.png").write_bytes((folder / "a.png").read_bytes()[:90])
    (folder / "nothing.png").touch()
    (folder / "text.pt").write_text("no weights")
    (folder / "index").mkdir()
    (folder / "index" / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    os.mkfifo(folder / "pipe.png")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "gone.png").symlink_to("nowhere.png")
    (folder / "é‮\n.png").write_bytes((folder / "a.png").read_bytes())
    return (
        *(
            "a.png",
            "pictures",
            "empty",
            "broken.png",
            "nothing.png",
            "text.pt",
            "pipe.png",
            "index",
        ),
        *("loop.png", "gone.png", "é‮\n.png", "not-there.png", "tiny.safetensors", "*.png", "[.png"),
    )
