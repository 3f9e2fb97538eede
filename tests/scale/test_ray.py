"""Data sets on a real Ray of two workers on this machine: kills, reruns, and the library."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ilvr_latent.cli import main
from ilvr_latent.scale import translate
from ilvr_latent.scale.job import Job
from ilvr_latent.scale.machine import choose_workers, cluster
from ilvr_latent.scale.progress import Progress
from ilvr_latent.scale.worker import Outcome

from .conftest import a_picture, digests, manifest, work

pytest.importorskip("ray", reason="ray is not installed")

ROOT = Path(__file__).parents[2]
# A row takes long enough to be killed in the middle of it.
SLOW = ("--steps", 20)
ROWS = 8


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # Workers find the package, and not another one that is installed.
    os.environ["PYTHONPATH"] = str(ROOT)
    with cluster("local", 2) as connected:
        yield connected


@pytest.fixture
def many(tmp_path: Path) -> Path:
    source = tmp_path / "many"
    source.mkdir()
    for n in range(ROWS):
        a_picture(n).save(source / f"{n:02d}.png")
    return source


def workers_of(process: int) -> list[int]:
    """The workers of the Ray that a process started."""
    parents: dict[int, int] = {}
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            parents[int(entry.name)] = int(
                (entry / "stat").read_text().rpartition(")")[2].split()[1]
            )
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if command.startswith(b"ray::MapWorker(MapBatches(Worker"):
            found.append(int(entry.name))

    def ours(pid: int) -> bool:
        while pid > 1 and pid != process:
            pid = parents.get(pid, 0)
        return pid == process

    return [pid for pid in found if ours(pid)]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are found in /proc")
def test_when_a_worker_is_killed_nothing_is_lost_and_nothing_is_there_twice(
    ray: Any,
    many: Path,
    arguments: Callable[..., list[str]],
    make_job: Callable[..., Job],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    killed: list[int] = []
    add = Progress._add

    def kill_one(self: Progress, outcome: Outcome) -> None:
        add(self, outcome)
        if not killed:
            killed.append(workers_of(os.getpid())[0])
            os.kill(killed[0], signal.SIGKILL)

    monkeypatch.setattr(Progress, "_add", kill_one)
    assert main(arguments(many, *SLOW, "--workers", 2, "--json")) == 0
    assert killed
    said = json.loads(capsys.readouterr().out)
    assert (said["rows"], said["translated"], said["errors"]) == (ROWS, ROWS, 0)
    alone = make_job(many, *SLOW, output="alone")
    work(alone)
    assert digests(tmp_path / "out") == digests(alone.output)
    assert [line["source"] for line in manifest(tmp_path / "out")] == [
        path.name for path in sorted(many.iterdir())
    ]


def test_after_a_kill_of_the_command_it_does_the_rest(
    ray: Any,
    many: Path,
    arguments: Callable[..., list[str]],
    make_job: Callable[..., Job],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = arguments(many, *SLOW, "--workers", 1, "--json")
    program = (
        "import os, signal, sys\n"
        "from ilvr_latent.cli import main\n"
        "from ilvr_latent.scale.progress import Progress\n"
        "Progress._add = lambda self, outcome: os.kill(os.getpid(), signal.SIGKILL)\n"
        "main(sys.argv[1:])\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, *command], timeout=120, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert main(command) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["kept"] >= 1
    assert said["kept"] + said["translated"] == ROWS
    alone = make_job(many, *SLOW, output="alone")
    work(alone)
    assert digests(tmp_path / "out") == digests(alone.output)
    assert len(manifest(tmp_path / "out")) == ROWS
    # A third run finds nothing to do, and starts no worker.
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["kept"] == ROWS


def test_a_dry_run_measures_and_writes_nothing(
    ray: Any,
    many: Path,
    arguments: Callable[..., list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(arguments(many, "--samples", 2, "--dry-run", "--json", "--workers", 2)) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["rows"], said["pictures"], said["workers"]) == (ROWS, 2 * ROWS, 2)
    assert said["calls"] == 2 * ROWS * 3
    assert said["seconds"] > 0
    assert said["bytes"] > 100 * said["pictures"]
    assert not (tmp_path / "out").exists()


def test_too_many_errors_stop_the_run_and_what_is_finished_is_kept(
    ray: Any,
    many: Path,
    arguments: Callable[..., list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for n in range(1, ROWS):
        (many / f"{n:02d}.png").write_bytes(b"no picture")
    assert main(arguments(many, "--workers", 1, "--max-errors", 2)) == 2
    # On a busy machine, lines of progress come first.
    said = capsys.readouterr().err.splitlines()[-1]
    for word in ("3 rows", "--max-errors is 2", "manifest.jsonl", ".png"):
        assert word in said
    lines = manifest(tmp_path / "out")
    assert "00_N4" in lines[0]["image"]
    assert sum("error" in line for line in lines) >= 3


def test_anybodys_data_set_can_be_translated(
    ray: Any, many: Path, make_job: Callable[..., Job], tiny_checkpoint: Callable[..., Path]
) -> None:
    job = make_job(many)
    work(job)
    made = {line["source"]: line["sha256"] for line in manifest(job.output)}
    rows: list[dict[str, Any]] = [
        {"key": path.name, "image": path.read_bytes(), "factor": None, "note": "x"}
        for path in sorted(many.iterdir())
    ]
    rows.append({"key": "bad.png", "image": b"no picture", "factor": 2, "note": "x"})
    rows.append({"key": "other.png", "image": rows[0]["image"], "factor": 2, "note": "x"})
    settings: dict[str, Any] = {"model": str(tiny_checkpoint()), "steps": "3", "device": "cpu"}
    dataset = translate(ray.data.from_items(rows), factor=4, workers=1, **settings)
    results = {row["key"]: row for row in dataset.iter_rows()}
    assert {key: results[key]["error"] for key in made} == dict.fromkeys(made, "")
    assert {key: results[key]["sha256"] for key in made} == made
    assert results["other.png"]["factor"] == 2
    assert "bad.png" in results["bad.png"]["error"]
    with Image.open(io.BytesIO(results["00.png"]["picture"])) as picture:
        assert json.loads(picture.info["ilvr"])["reference"] == "00.png"


def test_more_workers_than_there_is_room_for_are_refused(ray: Any) -> None:
    with pytest.raises(ValueError, match="--workers is 99"):
        choose_workers(ray, 99, 1.0, "auto")
    with pytest.raises(ValueError, match="no GPU"):
        choose_workers(ray, None, 0.5, "cuda")
