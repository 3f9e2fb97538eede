"""ILVR Grid: each cell is what ILVR Apply and the KSampler would make."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

SIDE = 16


@pytest.fixture
def adm(pack: ModuleType) -> tuple[Any, Any]:
    """The embedded pixel model and its VAE."""
    return pack.nodes.models.adm.ILVRLoadADM.execute(pack.nodes.models.adm.EMBEDDED).args


@pytest.fixture
def grid(pack: ModuleType, adm: tuple[Any, Any]) -> Any:
    """The node with all its inputs; those that are given again count."""
    model, vae = adm
    cond = pack.nodes.models.adm.ILVRADMConditioning.execute(-1)[0]
    reference = torch.zeros(1, 3, SIDE, SIDE)
    reference[:, 0, :, : SIDE // 2] = 1
    given = {
        "model": model, "positive": cond, "negative": cond, "vae": vae,
        "latent_image": {"samples": torch.zeros(2, 3, SIDE, SIDE)},
        "reference": {"samples": reference},
        "factor": 4.0, "start_percent": 0.0, "end_percent": 0.8, "weight": 1.0,
        "rows": "", "columns": "seed: 3", "seed": 5, "steps": 2, "cfg": 1.0,
        "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0, "cell_size": 64,
    }  # fmt: skip

    def run(**changes: Any) -> tuple[Tensor, Tensor]:
        return pack.nodes.tools.grid.ILVRGrid.execute(**given | changes).args

    run.given = given
    return run


def test_a_cell_is_apply_and_ksampler(pack: ModuleType, grid: Any) -> None:
    import nodes

    sheet, pictures = grid(rows="factor: 2, 8", columns="end_percent: 0.5, 1", kernel="box")
    assert pictures.shape == (4, SIDE, SIDE, 3)
    assert sheet.shape[0] == 1 and sheet.shape[-1] == 3
    assert sheet.shape[1] > 2 * 64 and sheet.shape[2] > 3 * 64
    made = grid.given
    for k, (factor, end) in enumerate(((2, 0.5), (2, 1.0), (8, 0.5), (8, 1.0))):
        apply = pack.nodes.guides.ilvr.ILVRApply
        model = apply.execute(made["model"], made["reference"], factor, 0.0, end, 1.0, kernel="box")
        latent = {"samples": torch.zeros(1, 3, SIDE, SIDE)}
        samples = nodes.common_ksampler(
            model[0], 5, 2, 1.0, "euler", "normal", made["positive"], made["negative"], latent
        )[0]["samples"]
        assert torch.equal(made["vae"].decode(samples)[0], pictures[k])


@pytest.mark.parametrize(
    "axis",
    [
        *("weight: 0, 1", "seed=1,2", "steps: 2, 3", "sampler_name: euler, ddpm", "denoise: 1,0.5"),
        *("scheduler: normal | karras", "space: state, prediction", "noise: fresh, fixed"),
    ],
)
def test_every_axis_changes_the_picture(grid: Any, axis: str) -> None:
    _, pictures = grid(rows=axis, columns="", steps=3, end_percent=1.0)
    assert len(pictures) == 2
    assert not torch.equal(pictures[0], pictures[1])


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"rows": "seed: 1"}, "both vary seed"),
        ({"columns": "factor: 2, 0.5"}, "'0.5'"),
        ({"columns": "weight: 2"}, "from 0 to 1"),
        ({"columns": "sampler_name: eulr"}, "'eulr'"),
        ({"columns": "size: 2"}, "'size'"),
        ({"columns": "end_percent: 0.5, 0"}, "end_percent"),
        ({"reference": {"samples": torch.zeros(1, 4, 8, 8)}}, "4 channels"),
    ],
    ids=str,
)
def test_every_cell_is_checked_before_the_first_is_sampled(
    pack: ModuleType, grid: Any, monkeypatch: Any, inputs: dict[str, Any], words: str
) -> None:
    import comfy.sample

    def called(*_: Any, **__: Any) -> None:
        raise AssertionError("sampled")

    monkeypatch.setattr(comfy.sample, "sample", called)
    with pytest.raises(pack.ilvr_latent.InputError, match=words):
        grid(**inputs)


def test_one_progress_bar_and_cancel(grid: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import comfy.model_management
    import comfy.utils

    sent = []

    def hook(value: int, total: int, preview: Any, **_: object) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        sent.append((value, total))
        if len(sent) == cancel_at:
            comfy.model_management.interrupt_current_processing()

    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", hook)
    cancel_at = 0
    grid(columns="steps: 2, 3, 1")
    # Newer versions leave out what comes too soon after what was shown.
    assert (sent[0], sent[-1]) == ((1, 6), (6, 6))
    assert sent == sorted(set(sent) & {(k, 6) for k in range(1, 7)})
    del sent[:]
    # The first is always shown.
    cancel_at = 1
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        grid(columns="steps: 2, 3, 1")
    assert len(sent) == 1
    assert not comfy.model_management.processing_interrupted()


def test_an_axis_of_similarity_is_the_node_of_that_name(pack: ModuleType, grid: Any) -> None:
    _, pictures = grid(rows="similarity: 0, 100", columns="", cell_size=64)
    _, plain = grid(weight=0.0, columns="")
    assert torch.equal(pictures[:1], plain)
    reference = grid.given["vae"].decode(grid.given["reference"]["samples"])
    assert torch.allclose(pictures[1:], reference, atol=1e-3)


@pytest.mark.parametrize("other", ["factor: 2, 4", "weight: 0, 1", "kernel: box"])
def test_what_a_similarity_chooses_is_no_other_axis(
    pack: ModuleType, grid: Any, other: str
) -> None:
    with pytest.raises(pack.ilvr_latent.InputError, match="varies similarity"):
        grid(rows=other, columns="similarity: 20, 80")
