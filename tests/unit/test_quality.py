"""The study of quality against calls: what is counted, kept and measured."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.quality import unguided
from benchmarks.quality.__main__ import write_table
from benchmarks.quality.against_baseline import Estimate, Measured, contrast, fine_power, measured
from benchmarks.quality.core_maker import CoreMaker
from benchmarks.quality.failures import AliasedLowPass, Failure, Setting, figure
from benchmarks.quality.rows import HALF, Row, core_rows, host_rows, in_order
from benchmarks.quality.study import Study, make_missing
from benchmarks.quality.table import (
    GUIDED,
    HEADINGS,
    UNGUIDED,
    Entry,
    markdown,
    plot,
    put_into,
)
from ilvr_latent import InputError, LowPass
from ilvr_latent.evaluation.measure import Sampled
from ilvr_latent.metrics.domain import Domain
from ilvr_latent.metrics.network import DIMENSIONS, FeatureNetwork
from tests.conftest import MixtureDenoiser

Exact = Callable[..., MixtureDenoiser]
Pictures = Callable[..., Tensor]
ROWS = [
    Row("ddpm", 3),
    Row("unipc_damped, early", 5, noise="hybrid"),
    Row("ddim, eta 0", 4, HALF, "prediction"),
]


@pytest.fixture
def study(tmp_path: Path, some_pictures: Pictures) -> Study:
    return Study(tmp_path, some_pictures(2, seed=9), samples=3)


@pytest.fixture
def maker(exact: Exact, study: Study) -> CoreMaker:
    return CoreMaker(exact(variance=0.05), study.references)


def silent(line: str) -> None:
    """Nothing is printed."""


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_calls_of_the_network_are_counted(
    row: Row, maker: CoreMaker, exact: Exact, study: Study
) -> None:
    model = exact(variance=0.05)
    _, calls = CoreMaker(model, study.references)(row, study.seeds(0))
    assert calls == len(model.seen) == row.steps
    make_missing(study, [row], maker, silent)
    assert study.read(row)[1] == row.steps


def test_a_row_that_is_there_is_not_made_again(study: Study, maker: CoreMaker) -> None:
    made: list[str] = []
    make_missing(study, ROWS, maker, made.append)
    before = files(study.folder)
    make_missing(study, ROWS, maker, made.append)
    assert len(made) == len(ROWS)
    (study.folder / "rows" / ROWS[1].name / "row.json").unlink()
    make_missing(study, ROWS, maker, made.append)
    assert made[len(ROWS) :] == [f"1 of 1: {ROWS[1].name}"]
    assert study.finished() == ROWS
    assert files(study.folder) == before


def test_a_stopped_row_is_not_there(study: Study, maker: CoreMaker) -> None:
    def stopped(row: Row, seeds: list[int]) -> tuple[Tensor, int]:
        if row == ROWS[1] and seeds == study.seeds(2):
            raise KeyboardInterrupt
        return maker(row, seeds)

    with pytest.raises(KeyboardInterrupt):
        make_missing(study, ROWS, stopped, silent)
    assert study.finished() == ROWS[:1]


def test_batches_of_different_cost_are_no_row(study: Study) -> None:
    calls = iter((3, 4, 4))

    def uneven(row: Row, seeds: list[int]) -> tuple[Tensor, int]:
        return study.references, next(calls)

    with pytest.raises(ValueError, match=r"\[3, 4\]"):
        make_missing(study, ROWS[:1], uneven, silent)
    assert study.finished() == []


def test_pictures_come_back_in_their_places(study: Study, some_pictures: Pictures) -> None:
    pictures = some_pictures(6, seed=3).view(2, 3, 3, 16, 16)
    study.write(ROWS[0], pictures, 5)
    read, calls = study.read(ROWS[0])
    assert read.shape == pictures.shape
    assert (read - pictures).abs().max() < 1 / 127
    assert calls == 5


def test_seeds_are_those_of_the_evaluation(study: Study) -> None:
    assert study.seeds(2) == [2, 1002]


def test_blur_and_noise_are_told_apart(some_pictures: Pictures) -> None:
    x = some_pictures(2, seed=3)
    noisy = x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    assert fine_power(LowPass(2)(x)) < 0.5 * fine_power(x)
    assert fine_power(noisy) > 1.5 * fine_power(x)
    assert fine_power(x + 0.2) == pytest.approx(fine_power(x), rel=1e-3)


def test_grey_wash_is_a_loss_of_contrast(some_pictures: Pictures) -> None:
    x = some_pictures(2, seed=3)
    assert contrast(0.5 * x + 0.3) == pytest.approx(0.5 * contrast(x), rel=1e-4)
    # Blur and noise are something else.
    checks = (torch.arange(16) % 2 * 2 - 1).float()
    assert contrast(x + 0.2 * checks * checks[:, None]) == pytest.approx(contrast(x), rel=0.02)


def test_the_error_is_that_of_a_mean_where_it_is_one() -> None:
    values = torch.tensor([1.0, 4.0, 2.0, 7.0])
    without = [float((values.sum() - value) / 3) for value in values]
    found = Estimate.of([float(values.mean()), *without])
    assert found.value == 3.5
    assert found.error == pytest.approx(float(values.std()) / 2)
    assert math.isnan(Estimate.of([1.0, 1.0]).error)


@pytest.fixture
def network() -> FeatureNetwork:
    torch.manual_seed(0)
    return FeatureNetwork().eval().requires_grad_(False)


def test_a_row_against_itself_is_one(network: FeatureNetwork, some_pictures: Pictures) -> None:
    torch.manual_seed(0)
    domain = Domain("noise", torch.randn(64, DIMENSIONS))

    def compared(row: Tensor) -> Measured:
        ours, baseline = (Sampled(x, network, domain) for x in (row, pictures))
        return measured(ours, baseline, references, network)

    pictures, references = some_pictures(6, seed=3).view(3, 2, 3, 16, 16), some_pictures(3, seed=4)
    found = compared(pictures)
    assert (found.ratio, found.more_kid) == (Estimate(1.0, 0.0), Estimate(0.0, 0.0))
    assert found.fine == 1
    blurred = compared(LowPass(4)(pictures))
    assert blurred.fine < 0.5
    assert blurred.ratio.value != 1
    assert blurred.ratio.error > 0
    of_copies = compared(references[:, None].expand(-1, 2, -1, -1, -1))
    assert of_copies.residual == of_copies.diversity == 0
    assert of_copies.contrast == pytest.approx(1)


def entry(row: Row, fid: float = 10.0) -> Entry:
    ratio, more_kid = Estimate(1.02, 0.031), Estimate(0.05, 0.1)
    return row, row.steps, Measured(fid, ratio, 0.5, more_kid, 0.1, 0.02, 0.97, 1.01)


def test_the_table_has_a_section_for_each_range() -> None:
    rows = [Row("ddpm", 10), Row("uni_pc", 20, HALF, noise="hybrid", scheduler="normal")]
    text = markdown([entry(row) for row in rows], "A note.")
    blocks = text.rstrip("\n").split("\n\n")
    assert blocks[0] == "A note."
    baseline = "(baseline: FID 9.80, KID x 1000 450)"
    assert blocks[1::2] == [f"### Whole range {baseline}", f"### Range to 0.5 {baseline}"]
    for block in blocks[2::2]:
        assert block.count("\n") == 2
        assert {line.count("|") for line in block.split("\n")} == {len(HEADINGS) + 1}
    whole = "| ddpm | state, fresh | 10 | 1.020 ± 0.031 | +50 ± 100 |"
    assert blocks[2].split("\n")[2].startswith(whole)
    assert "| comfyui uni_pc | state, hybrid | 20 |" in blocks[4]


def test_samplers_with_the_same_numbers_share_a_line_of_the_table() -> None:
    row, calls, found = entry(Row("ddim, eta 0", 10))
    other = row, calls, dataclasses.replace(found, diversity=0.2)
    same = [entry(Row("ddpm", 10)), entry(Row("ddim, eta 1", 10))]
    text = markdown([*same, other], "A note.")
    assert "\n| ddpm; ddim, eta 1 | state, fresh | 10 |" in text
    assert "\n| ddim, eta 0 | state, fresh | 10 |" in text


def test_what_is_in_the_folder_is_measured_against_most_calls(
    study: Study, maker: CoreMaker
) -> None:
    make_missing(study, [Row("ddpm", 2), Row("ddpm", 4), Row("ddim, eta 1", 5)], maker, silent)
    write_table(study)
    rows = json.loads((study.folder / "steps.json").read_text())["rows"]
    assert [(row["sampler"], row["calls"]) for row in rows] == [
        *(("ddpm", 2), ("ddpm", 4), ("ddim, eta 1", 5))
    ]
    assert [row["ratio"]["value"] == row["fine"] == 1 for row in rows] == [False, True, False]
    text = (study.folder / "steps.md").read_text()
    assert text.count("\n| dd") == 3
    assert "2 references" in text
    assert (study.folder / "steps-whole.png").exists()
    assert not (study.folder / "steps-half.png").exists()


def test_the_plot_shows_what_its_samplers_do_by_default() -> None:
    by_default = [entry(Row("ddpm", 10)), entry(Row("ddpm", 20), fid=30)]
    other = [entry(Row("ddpm", 20, noise="fixed"), fid=90), entry(Row("ddpm", 20, HALF), fid=90)]
    assert plot([*by_default, *other], 1.0) == plot(by_default, 1.0)
    assert plot(by_default[:1], 1.0) != plot(by_default, 1.0)


@pytest.mark.parametrize("name", [GUIDED, UNGUIDED])
def test_text_is_put_between_the_marks(tmp_path: Path, name: str) -> None:
    document = tmp_path / "steps.md"
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    document.write_text(f"Before.\n\n{begin}\nold\n{end}\n\nAfter.\n")
    for _ in range(2):
        put_into(document, "| new |\n", name)
        assert document.read_text() == (f"Before.\n\n{begin}\n\n| new |\n\n{end}\n\nAfter.\n")
    document.write_text("No marks.")
    with pytest.raises(InputError, match=begin):
        put_into(document, "| new |\n", name)
    assert document.read_text() == "No marks."


def test_the_plan_has_what_was_asked_for() -> None:
    calls = (10, 20, 50, 100, 250)
    rows = core_rows(calls)
    names = [row.name for row in [*rows, *host_rows(calls)]]
    assert len(names) == len(set(names))
    for sampler in ("ddpm", "ddim, eta 0"):
        assert {row.steps for row in rows if row.sampler == sampler and row.end == 1} == set(calls)
        for end in (1.0, HALF):
            compared = {
                row.matching
                for row in rows
                if (row.sampler, row.steps, row.end) == (sampler, 20, end)
            }
            assert compared == {"state, fresh", "state, fixed", "state, hybrid", "prediction"}
    assert Row("ddpm", 250, HALF) in rows
    hosts = {(row.sampler, row.steps) for row in host_rows(calls) if row.end == 1}
    assert hosts >= {(s, n) for s in ("dpmpp_2m", "uni_pc") for n in (10, 20, 50, 100)}
    assert [row.end for row in in_order(rows)] == sorted((r.end for r in rows), reverse=True)


def test_without_a_reference_rows_are_of_the_same_seeds(exact: Exact) -> None:
    drawn = {
        name: unguided.drawn(exact(variance=0.05), name, 4, samples=3)
        for name in ("unipc_damped", "unipc_damped, early")
    }
    even, early = drawn.values()
    assert even.shape == early.shape == (3, 3, 16, 16)
    assert (even - early).abs().max() > 0
    again = unguided.drawn(exact(variance=0.05), "unipc_damped", 4, samples=2)
    assert torch.allclose(again, even[:2], atol=1e-5)


def test_grey_has_no_saturation_and_red_all() -> None:
    red = torch.tensor([1.0, -1.0, -1.0])[None, :, None, None].expand(1, 3, 8, 8)
    both = unguided.saturation(torch.cat([torch.zeros(1, 3, 8, 8), red]))
    assert both.tolist() == [0.0, 255.0]


def test_the_stand_in_low_pass_lets_noise_through(exact: Exact, some_pictures: Pictures) -> None:
    noise = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    low, aliased = LowPass(8)(noise), AliasedLowPass(8)(noise)
    assert aliased.var() > 8 * low.var()
    assert torch.allclose(AliasedLowPass(8)(torch.ones(1, 3, 64, 64)), torch.ones(()))
    y_0 = some_pictures(2, seed=9)
    right, wrong = (
        Setting("", {"factor": 4.0}, {"steps": 3}, aliased).pictures(exact(), y_0)
        for aliased in (False, True)
    )
    assert not torch.equal(right, wrong)


def test_each_failure_stands_beside_its_cure(exact: Exact) -> None:
    setting = Setting("two\nsteps", {"factor": 4.0}, {"steps": 2})
    failure = Failure("blur", setting, setting)
    wide, wider = (figure(exact(variance=0.05), [failure] * count) for count in (5, 6))
    # Two places more, with the gaps before them.
    assert wider.width - wide.width == 2 * 128 + 20 + 6
    assert wider.height == wide.height
