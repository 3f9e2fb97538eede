"""``ilvr evaluate``: the rows that were asked for, the same however often it was stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from torch import Tensor

from ilvr_latent import InputError
from ilvr_latent.adm.unet import ADM
from ilvr_latent.evaluation.curves import curves
from ilvr_latent.evaluation.measure import HELD_OUT, UNGUIDED_SAMPLES, Row
from ilvr_latent.evaluation.rows import UNGUIDED, Plan, Setting, parse_range
from ilvr_latent.evaluation.tables import Tables
from ilvr_latent.metrics.domain import load_embedded_domain

if TYPE_CHECKING:
    from tests.unit.conftest import Outcome

Command = Callable[..., "Outcome"]
ROWS = ["unguided", "N2_t1000-0", "N4_t1000-0", "N4_t1000-500"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a finished run is kept for the next test that begins with one."""
    return tmp_path_factory.mktemp("kept") / "run"


@pytest.fixture
def finished(evaluate: Command, output: Path, kept: Path) -> Path:
    """The output of the command as it stands: made by the first test that asks, then copied."""
    if not kept.exists():
        assert evaluate().status == 0
        shutil.copytree(output, kept)
    else:
        shutil.copytree(kept, output)
    return output


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def count_calls(monkeypatch: pytest.MonkeyPatch, stop_at: int | None = None) -> list[int]:
    """The calls of the network, which is interrupted at one of them."""
    calls: list[int] = []
    forward = ADM.forward

    def counted(self: ADM, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        calls.append(len(x))
        if len(calls) == stop_at:
            raise KeyboardInterrupt
        return forward(self, x, t, y)

    monkeypatch.setattr(ADM, "forward", counted)
    return calls


def test_it_writes_tables_numbers_and_pictures(evaluate: Command, output: Path) -> None:
    outcome = evaluate()
    assert (outcome.status, outcome.err) == (0, "")
    text = (output / "evaluation.md").read_text()
    assert "domain features, embedded" in text
    assert text in outcome.out
    assert text.index("| N = 2 | 9 |") < text.index("| N = 4 | 9 |")
    assert "| t = 1000 to 500 | 9 |" in text
    record = json.loads((output / "evaluation.json").read_text())
    assert [row["factor"] for row in record["by_factor"]] == [2, 4]
    assert record["by_range"][0] == record["by_factor"][1]  # N = 4, whole range: sampled once
    assert [row["name"] for row in record["yardsticks"]] == [
        "the references, 3 times each",
        "unguided samples",
    ]
    assert record["domain"] == {"name": "domain", "pictures": 12}
    embedded = "domain features, embedded"
    assert record["networks"] == {"fid_kid": embedded, "perceptual": embedded}
    assert text.count(f"by **{embedded}**") == text.count("## ") == 3
    assert {path.name for path in (output / "pictures").iterdir()} == set(ROWS)
    assert len(list((output / "pictures").rglob("*.png"))) == len(ROWS) * 3 * 3
    with Image.open(output / "sheet.png") as sheet:
        assert sheet.height > 3 * 64
    with Image.open(output / "evaluation.png") as figure:
        assert figure.width == 2 * 480


def test_what_is_matched_more_is_nearer_to_the_reference(finished: Path) -> None:
    record = json.loads((finished / "evaluation.json").read_text())
    by_factor, by_range = record["by_factor"], record["by_range"]
    assert by_factor[0]["reference_distance"] < by_factor[1]["reference_distance"]
    assert by_factor[0]["diversity"] < by_factor[1]["diversity"]
    assert by_range[0]["residual"] < by_range[1]["residual"]


def test_a_stopped_run_goes_on_to_the_same_tables(
    evaluate: Command, finished: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = files(finished)
    shutil.rmtree(output)
    with monkeypatch.context() as patch:
        count_calls(patch, stop_at=20)
        assert evaluate().status == 130
    assert set(files(output)) < set(whole)
    calls = count_calls(monkeypatch)
    assert evaluate().status == 0
    assert (
        sum(calls) == (len(ROWS) * 3 * 3 * 3) - 11 * 3
    )  # 6 batches, of 2, 2, 2, 2, 1 and 2, were done
    assert files(output) == whole


def test_finished_pictures_are_not_made_again(
    evaluate: Command, finished: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(finished)
    calls = count_calls(monkeypatch)
    assert evaluate("--json").status == 0
    assert calls == []
    assert files(output) == before
    (output / "pictures" / ROWS[1] / "00_a_1.png").unlink()
    evaluate()
    assert calls == [2, 2, 2]  # the batch that it was made in
    assert files(output) == before


@pytest.mark.usefixtures("finished")
def test_rows_can_be_added_later(
    evaluate: Command, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = count_calls(monkeypatch)
    evaluate("--factors", 2, 4, 8)
    assert sum(calls) == 3 * 3 * 3
    record = json.loads((output / "evaluation.json").read_text())
    assert [row["factor"] for row in record["by_factor"]] == [2, 4, 8]


@pytest.mark.usefixtures("finished")
def test_json_is_one_object(evaluate: Command, output: Path) -> None:
    printed = json.loads(evaluate("--json").out)
    assert printed == json.loads((output / "evaluation.json").read_text())


def test_one_reference_is_enough(evaluate: Command, references: Path, output: Path) -> None:
    outcome = evaluate("--references", references / "a.png", "--factors", 2, "--ranges")
    assert (outcome.status, outcome.err) == (0, "")
    record = json.loads((output / "evaluation.json").read_text())
    assert [row["pictures"] for row in record["yardsticks"]] == [3, 3]
    assert record["by_range"] == []


def test_other_settings_need_another_folder(evaluate: Command) -> None:
    evaluate("--factors", 2, "--ranges")
    evaluate("--seed", 1, "--steps", 4).is_refusal_of("steps, seed", "--output")


@pytest.mark.usefixtures("no_sampling")
@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--factors", "0.5"], "0.5"),
        (["--range-factor", "0"], "0.0"),
        (["--ranges", "500-1000"], "500"),
        (["--ranges", "half"], "'half'"),
        (["--ranges", "10-5"], "holds none of the 3 steps"),
        (["--samples", "1"], "--samples is 1"),
        (["--samples", "1001"], "--samples is 1001"),
        (["--batch-size", "0"], "--batch-size is 0"),
        (["--steps", "0"], "'0'"),
        (["--class-label", "3"], "unconditional"),
        (["--references", "nowhere"], "'nowhere'"),
        (["--domain", "nowhere"], "'nowhere'"),
        (["--flag", "num_heads"], "'num_heads'"),
        (["--end", "0.5"], "--end says when to match"),
        (["--step-range", "0", "2"], "--step-range says when to match"),
        (["--weight", "2"], "2"),
        (["--prompt", "cat"], "--prompt belongs to --pipeline"),
    ],
    ids=str,
)
def test_a_bad_option_is_named_before_any_work(
    options: list[str], named: str, evaluate: Command, output: Path
) -> None:
    evaluate(*options).is_refusal_of(named)
    assert not output.exists()


@pytest.mark.usefixtures("no_sampling")
def test_a_model_of_yours_needs_its_domain(
    ilvr: Command, tiny_checkpoint: Callable[..., Path], output: Path
) -> None:
    outcome = ilvr("evaluate", "--model", tiny_checkpoint(), "--output", output)
    outcome.is_refusal_of("tiny.safetensors", "--domain")


@pytest.mark.usefixtures("no_sampling")
def test_inception_needs_pictures_even_for_the_embedded_model(ilvr: Command, output: Path) -> None:
    outcome = ilvr("evaluate", "--inception", "any.pth", "--output", output)
    outcome.is_refusal_of("Inception", "--domain")


def test_other_options_of_sampling_hold_for_every_row(evaluate: Command, output: Path) -> None:
    found = {}
    for space in ("state", "prediction"):
        folder = output.with_name(space)
        evaluate("--factors", 2, "--ranges", "--space", space, "--output", folder)
        found[space] = files(folder / "pictures")
    unguided, guided = "unguided/00_a_0.png", "N2_t1000-0/00_a_0.png"
    assert found["state"][unguided] == found["prediction"][unguided]
    assert found["state"][guided] != found["prediction"][guided]


def test_unguided_rows_are_samples_without_a_reference(evaluate: Command, output: Path) -> None:
    evaluate("--factors", 2, "--ranges")
    evaluate("--factors", 2, "--ranges", "--weight", 0, "--output", output.with_name("off"))
    off = files(output.with_name("off") / "pictures")
    here = files(output / "pictures")
    for k in range(3):
        assert here[f"unguided/00_a_{k}.png"] == off[f"N2_t1000-0/00_a_{k}.png"]
        assert here[f"unguided/00_a_{k}.png"] != here[f"N2_t1000-0/00_a_{k}.png"]


def row(name: str, **values: Any) -> Row:
    return Row(name, 4, 2.0, 0.01, **values)


def test_curves_have_a_line_for_each_start_of_ranges() -> None:
    by_factor = [row("a", factor=n, hi=1000, lo=0, diversity=n / 10) for n in (8.0, 2.0)]
    by_range = [row("b", factor=4.0, hi=hi, lo=lo) for hi, lo in ((1000, 500), (1000, 0))]
    more = [*by_range, row("c", factor=4.0, hi=700, lo=300)]
    yardsticks = [row(HELD_OUT), row(UNGUIDED_SAMPLES, diversity=0.3)]
    plain = curves(Tables([], by_factor, by_range), "networks")
    assert plain.size == curves(Tables(yardsticks, by_factor, more), "networks").size
    for other in (
        Tables(yardsticks, by_factor, by_range),
        Tables([], by_factor, more),
        Tables([], by_factor[:1], by_range),
    ):
        assert curves(other, "networks").tobytes() != plain.tobytes()
    assert curves(Tables([], by_factor, by_range), "others").tobytes() != plain.tobytes()
    # The order of the rows is not that of the line.
    turned = Tables([], by_factor[::-1], by_range[::-1])
    assert curves(turned, "networks").tobytes() == plain.tobytes()
    assert curves(Tables([], by_factor, []), "networks").width == plain.width / 2


@pytest.mark.usefixtures("no_sampling")
def test_missing_torchmetrics_is_said_before_any_work(
    evaluate: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    evaluate().is_refusal_of("torchmetrics")


def test_a_plan_samples_nothing_twice() -> None:
    plan = Plan.of([2, 4, 4], ["1000-0", "1000-500", "1000-500"], 4, 1000)
    whole, half = Setting(4, 1000, 0), Setting(4, 1000, 500)
    assert plan.by_range == (whole, half)
    assert plan.settings == (UNGUIDED, Setting(2, 1000, 0), whole, half)


@pytest.mark.parametrize("text", ["", "-", "1000", "1000-", "-5", "5-10", "a-b", "1.5-1", "9-5-1"])
def test_a_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_range(text)


def test_the_embedded_domain_is_standardised() -> None:
    found: Any = load_embedded_domain()
    assert found.features.shape[1] == 64
    # Weights rounded to fp16 after they were scaled move it a little.
    assert found.features.mean(dim=0).abs().max() < 0.03
    assert (found.features.var(dim=0) - 1).abs().max() < 0.03
    assert found.held_out.shape == (128, 64)
