"""A worker, in this process: what it makes, what it leaves behind, and what a rerun does."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from ilvr_latent.adm.unet import ADM
from ilvr_latent.cli import main
from ilvr_latent.scale.job import Job, Piece
from ilvr_latent.scale.review import review
from ilvr_latent.scale.worker import MOST_BEGINNINGS, Worker

from .conftest import (
    STEPS,
    a_picture,
    all_pieces,
    digests,
    manifest,
    png_bytes,
    remove,
    work,
    write_csv,
    write_tar,
)

MakeJob = Callable[..., Job]


def left(job: Job) -> list[Piece]:
    """What a rerun would do."""
    job.store("").sweep()
    reviewed = [review(job, shard, job.store("review")) for shard in range(job.index.shards)]
    return [piece for piece in reviewed if piece.places]


@pytest.mark.parametrize("seeds", ["row", "same"])
def test_a_picture_is_the_file_that_ilvr_sample_writes_of_the_row(
    make_job: MakeJob, folder: Path, tmp_path: Path, seeds: str
) -> None:
    job = make_job(folder / "c", "--seeds", seeds, "--seed", 5, "--samples", 2, "--factor", 4, 2)
    assert work(job).pictures == 12
    for record in manifest(job.output):
        settings = record["settings"]
        assert seeds == "row" or settings["seed"] in (5, 6)
        single = ["--factor", str(settings["factor"]), "--seed", str(settings["seed"])]
        single += ["--model", job.options.model, "--steps", str(STEPS), "--batch-size", "1"]
        reference = ["--reference", str(folder / "c" / record["source"])]
        alone = tmp_path / "alone"
        assert main(["sample", *reference, *single, "--output", str(alone)]) == 0
        assert (alone / record["image"]).read_bytes() == (job.output / record["image"]).read_bytes()
    sources = {record["source"]: record["settings"]["seed"] for record in manifest(job.output)}
    assert len(set(sources.values())) == (3 if seeds == "row" else 1)


def test_rows_with_their_own_settings_are_as_if_they_were_options(
    make_job: MakeJob, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = Image.new("L", (16, 16), "white")
    mask.paste(0, (0, 0, 8, 16))
    mask.save(folder / "mask.bmp")
    columns = ["image", "factor", "seed", "mask", "end", "steps"]
    row = ["a.png", "2", "9", "mask.bmp", "0.5", "4"]
    job = make_job(write_csv(folder / "rows.csv", columns, [row]), "--recipe", "translate")
    assert work(job).pictures == 1
    monkeypatch.chdir(folder)
    options = ["--factor", "2", "--seed", "9", "--mask", "mask.bmp", "--end", "0.5", "--steps", "4"]
    options += ["--model", job.options.model, "--recipe", "translate", "--reference", "a.png"]
    assert main(["sample", *options, "--output", str(tmp_path / "alone")]) == 0
    name = "a_N2_seed9.png"
    assert (tmp_path / "alone" / name).read_bytes() == (job.output / name).read_bytes()


def test_what_is_in_a_batch_makes_no_difference(make_job: MakeJob, folder: Path) -> None:
    pieces = [[Piece(0, (0, 1, 2, 3)), Piece(1, (0, 1))], [Piece(0, (2,)), Piece(0, (3, 0, 1))]]
    found = []
    for n, chosen in enumerate(pieces):
        job = make_job(folder, "--batch-size", 3, output=f"out{n}")
        work(job, chosen)
        found.append(digests(job.output))
    assert found[1]
    assert found[1].items() <= found[0].items()


def test_neither_shards_nor_order_make_a_difference(make_job: MakeJob, folder: Path) -> None:
    one = make_job(folder, output="one")
    other = make_job(folder, "--shard-size", 2, output="other")
    work(one)
    work(other, all_pieces(other)[::-1])
    assert digests(one.output) == digests(other.output)
    assert len(digests(one.output)) == 6


def test_the_manifest_has_a_line_for_each_picture(make_job: MakeJob, folder: Path) -> None:
    job = make_job(folder)
    work(job)
    lines = manifest(job.output)
    assert [line["source"] for line in lines] == [row.key for row in job.index.rows(0).values()] + [
        row.key for row in job.index.rows(1).values()
    ]
    assert {line["image"]: line["sha256"] for line in lines} == digests(job.output)
    assert all(line["seconds"] > 0 and line["bytes"] > 0 for line in lines)


def test_bad_rows_are_in_the_manifest_with_their_sentences_and_stop_nobody(
    make_job: MakeJob, folder: Path
) -> None:
    (folder / "broken.png").write_bytes((folder / "a.png").read_bytes()[:300])
    Image.new("RGB", (16, 16)).save(folder / "black.png")
    rows = [
        ["a.png", "", "", ""],
        ["broken.png", "", "", ""],
        ["missing.png", "", "", ""],
        ["b.png", "0.5", "", ""],
        ["c/d.png", "-1", "", ""],
        ["c/e.png", "", "black.png", ""],
        ["c/f.png", "", "broken.png", ""],
        ["g.png", "", "", "5"],
    ]
    job = make_job(write_csv(folder / "rows.csv", ["image", "factor", "mask", "class"], rows))
    outcome = work(job)
    assert (outcome.pictures, outcome.errors, outcome.stop) == (1, 7, "")
    first, *others = manifest(job.output)
    assert first["source"] == "a.png"
    words = ["broken.png", "missing.png", "0.5", "-1", "mask", "mask of c/f.png", "class label"]
    for line, word in zip(others, words, strict=True):
        assert word in line["error"], line
        assert set(line) == {"row", "source", "error"}


def test_a_mended_row_is_done_by_a_rerun_and_only_this_one(make_job: MakeJob, folder: Path) -> None:
    whole = (folder / "b.png").read_bytes()
    (folder / "b.png").write_bytes(whole[:200])
    work(make_job(folder))
    (folder / "b.png").write_bytes(whole)
    again = make_job(folder, run="second")
    pieces = left(again)
    assert [piece.written() for piece in pieces] == ["0:1"]
    assert work(again, pieces).pictures == 1
    assert [line.get("error") for line in manifest(again.output)] == [None] * 6
    assert left(again) == []


class Killed(BaseException):
    """Nothing of ours catches it, as nothing catches SIGKILL."""


@pytest.mark.parametrize("calls", [1, STEPS, 2 * STEPS + 1, 5 * STEPS])
def test_after_a_kill_a_rerun_does_exactly_the_rest(
    make_job: MakeJob, folder: Path, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    reference = make_job(folder, output="reference")
    work(reference)
    forward, called = ADM.forward, []

    def counted(self: ADM, *arguments: object, **named: object) -> object:
        called.append(1)
        if len(called) == calls:
            raise Killed
        return forward(self, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(ADM, "forward", counted)
    job = make_job(folder)
    with pytest.raises(Killed):
        work(job)
    there = (calls - 1) // STEPS
    again = make_job(folder, run="second")
    pieces = left(again)
    assert sum(len(piece.places) for piece in pieces) == 6 - there
    called.clear()
    calls = 10**9
    assert work(again, pieces).pictures == 6 - there
    assert len(called) == (6 - there) * STEPS
    assert digests(again.output) == digests(reference.output)
    assert len(manifest(again.output)) == 6


def test_a_piece_that_is_given_out_again_is_not_made_again(make_job: MakeJob, folder: Path) -> None:
    job = make_job(folder)
    assert work(job, [Piece(0, (0, 1))]).pictures == 2
    assert work(job).pictures == 4
    assert work(job).pictures == 0


def test_half_a_line_of_a_killed_worker_counts_for_nothing(make_job: MakeJob, folder: Path) -> None:
    job = make_job(folder)
    work(job, [Piece(0, (0, 1))])
    (part,) = (job.hidden / "parts/00000000").iterdir()
    part.write_text(part.read_text()[:-20])
    assert [piece.written() for piece in left(job)] == ["0:1-3", "1:0-1"]


@pytest.mark.parametrize("form", ["folder", "tar", "parquet"])
def test_a_picture_that_is_not_as_it_was_made_is_made_again(
    make_job: MakeJob, folder: Path, form: str
) -> None:
    job = make_job(folder, "--format", form)
    work(job)
    before = digests(job.output)
    for path in sorted(job.output.glob("[!m.]*"))[:1]:
        data = bytearray(path.read_bytes())
        middle = data.index(b"IDAT") + 20
        data[middle : middle + 4] = b"xxxx"
        path.write_bytes(data)
    again = make_job(folder, "--format", form, run="second")
    assert [piece.written() for piece in left(again)] == ["0:0"]
    assert work(again, left(again)).pictures == 1
    assert digests(again.output) == before


@pytest.mark.parametrize("form", ["tar", "parquet"])
def test_shards_are_the_same_bytes_whoever_did_what(
    make_job: MakeJob, folder: Path, form: str
) -> None:
    one = make_job(folder, "--format", form, output="one")
    other = make_job(folder, "--format", form, output="other")
    work(one)
    for piece in all_pieces(other)[::-1]:
        for part in list(piece.cut(1))[::-1]:
            work(other, [part])
    assert digests(one.output) == digests(other.output)
    assert len(digests(one.output)) == 2
    assert not any((one.hidden / "staged").iterdir())


@pytest.mark.parametrize("form", ["tar", "parquet"])
def test_a_shard_that_lacked_a_row_is_packed_again_with_it(
    make_job: MakeJob, folder: Path, form: str
) -> None:
    reference = make_job(folder, "--format", form, output="reference")
    work(reference)
    whole = (folder / "b.png").read_bytes()
    (folder / "b.png").write_bytes(b"")
    job = make_job(folder, "--format", form)
    work(job)
    assert digests(job.output) != digests(reference.output)
    (folder / "b.png").write_bytes(whole)
    again = make_job(folder, "--format", form, run="second")
    assert work(again, left(again)).pictures == 1
    assert digests(again.output) == digests(reference.output)


@pytest.mark.parametrize("form", ["folder", "tar", "parquet"])
def test_results_can_be_a_source_and_carry_their_settings(
    make_job: MakeJob, folder: Path, form: str
) -> None:
    job = make_job(folder, "--format", form)
    work(job)
    sources = [job.output, job.output / "manifest.jsonl"] if form == "folder" else [job.output]
    for n, source in enumerate(sources):
        second = make_job(source, output=f"second{n}")
        rows = [
            row for piece in all_pieces(second) for row in second.index.rows(piece.shard).values()
        ]
        assert len(rows) == 6
        assert all(row.settings == {} and row.error is None for row in rows)
        found = sorted(row.image.read(second.root) for row in rows if row.image)
        settings = []
        for data in found:
            path = job.output.parent / "one.png"
            path.write_bytes(data)
            with Image.open(path) as picture:
                picture.load()
                settings.append(json.loads(picture.info["ilvr"]))
        assert sorted(one["seed"] for one in settings) == sorted(
            line["settings"]["seed"] for line in manifest(job.output)
        )


def test_a_full_disk_stops_the_run_and_loses_nothing(
    make_job: MakeJob, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = Path.write_bytes
    room = [3]

    def write(self: Path, data: bytes) -> int:
        if "partial" not in self.parts:
            return written(self, data)
        room[0] -= 1
        if room[0] < 0:
            written(self, data[:10])
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(self, data)

    monkeypatch.setattr(Path, "write_bytes", write)
    job = make_job(folder)
    outcome = work(job)
    assert outcome.pictures == 3
    assert "No space left on device" in outcome.stop
    assert str(job.output) in outcome.stop
    assert len(digests(job.output)) == 3
    room[0] = 100
    again = make_job(folder, run="second")
    assert work(again, left(again)).pictures == 3


def test_a_source_that_is_gone_stops_the_run(make_job: MakeJob, folder: Path) -> None:
    job = make_job(folder)
    worker = Worker(job)
    worker({"piece": ["0:0-1"]})
    away = folder.rename(folder.parent / "away")
    for there in (False, True):
        (said,) = worker({"piece": ["0:2-3"]})["stop"]
        assert str(folder) in str(said)
        if not there:
            folder.mkdir()
    remove(folder)
    away.rename(folder)
    again = make_job(folder, run="second")
    assert work(again, left(again)).pictures == 4
    assert all("error" not in line for line in manifest(job.output))


def test_a_row_that_ends_its_worker_is_not_begun_for_ever(
    make_job: MakeJob, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(folder)
    with monkeypatch.context() as patched:

        def dies(self: ADM, *_: object, **__: object) -> None:
            raise Killed

        patched.setattr(ADM, "forward", dies)
        for _ in range(MOST_BEGINNINGS):
            with pytest.raises(Killed):
                work(job)
    outcome = work(job)
    assert (outcome.pictures, outcome.errors) == (5, 1)
    assert "3 times" in manifest(job.output)[0]["error"]
    again = make_job(folder, run="second")
    assert work(again, left(again)).pictures == 1


def test_what_is_wrong_with_every_row_stops_at_once(make_job: MakeJob, folder: Path) -> None:
    for options, word in [
        (("--class-label", 3), "class label"),
        (("--sampler", "cold", "--eta", 1), "eta"),
    ]:
        job = make_job(folder, *options, output=word)
        outcome = work(job, [Piece(0, (0, 1))])
        assert word in outcome.stop
        assert outcome.errors == 0


def test_failures_that_nobody_foresaw_are_errors_of_rows_until_there_are_many(
    make_job: MakeJob, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = {f"{n:02d}.png": png_bytes(a_picture(n)) for n in range(12)}
    job = make_job(write_tar(folder / "many.tar", shards), "--shard-size", 20)

    def fails(self: ADM, *_: object, **__: object) -> None:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(ADM, "forward", fails)
    outcome = work(job)
    assert "shapes do not match" in outcome.stop
    assert outcome.errors == 9
    assert "shapes do not match" in manifest(job.output)[0]["error"]


def test_with_full_batches_it_is_ilvr_sample_with_that_batch_size(
    make_job: MakeJob, folder: Path, tmp_path: Path
) -> None:
    job = make_job(folder / "c", "--batch-size", 3, "--seeds", "same", "--seed", 2)
    work(job, [Piece(0, (2,)), Piece(0, (0, 1))])
    options = ["--reference", str(folder / "c"), "--factor", "4", "--steps", str(STEPS)]
    options += ["--model", job.options.model, "--batch-size", "3", "--seed", "2"]
    assert main(["sample", *options, "--output", str(tmp_path / "alone")]) == 0
    made = digests(job.output)
    assert len(made) == 3
    assert made.items() <= digests(tmp_path / "alone").items()
