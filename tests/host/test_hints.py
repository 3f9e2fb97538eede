"""What is probably a mistake is said in the line of the node and in the log, and sampled."""

from __future__ import annotations

import logging
from types import ModuleType
from typing import Any

import pytest
import torch

LINE = "ILVR"


@pytest.fixture(scope="module")
def pixels(pack: ModuleType) -> Any:
    """The embedded pixel model, which is for 64x64 pixels."""
    return pack.nodes.models.demo.ILVRLoadDemo.execute("pixels")[0]


def said(
    pack: ModuleType,
    caplog: pytest.LogCaptureFixture,
    model: Any,
    reference: torch.Tensor,
    *,
    pictures: int = 1,
    side: int = 16,
    sampler: str = "euler",
) -> str:
    """The line of a run of two steps."""
    import comfy.sample

    matched = pack.nodes.guides.ilvr.ILVRApply.execute(model, {"samples": reference}, 4.0, 0, 1, 1)
    latent = torch.zeros(pictures, 3, side, side)
    noise = comfy.sample.prepare_noise(latent, 0)
    empty = pack.nodes.models.adm.ILVRADMConditioning.execute(-1)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        out = comfy.sample.sample(
            matched[0], noise, 2, 1.0, sampler, "normal", empty[0], empty[1], latent, seed=0
        )
    assert out.shape == latent.shape
    return "\n".join(r.getMessage() for r in caplog.records if r.getMessage().startswith(LINE))


def test_what_is_as_it_should_be_needs_no_hint(
    pack: ModuleType, pixels: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for sampler in ("euler", "dpm_2"):
        reference = torch.rand(1, 3, 64, 64)
        line = said(pack, caplog, pixels, reference, pictures=2, side=64, sampler=sampler)
        assert line.endswith("N = 4 pixels: 1/16 of the side.")


@pytest.mark.parametrize(
    ("reference", "given", "hint"),
    [
        (torch.rand(1, 3, 16, 16), {"side": 8}, "The picture is 8x8 pixels"),
        (torch.zeros(1, 3, 64, 64), {"side": 64}, "The reference is an empty latent"),
        (torch.rand(2, 3, 64, 64), {"side": 64, "pictures": 3}, "2 references for 3 pictures"),
        (torch.rand(2, 3, 64, 64), {"side": 64}, "2 references for 1 pictures"),
        (torch.rand(1, 3, 64, 64), {"side": 64, "sampler": "heun"}, "heun leaves noise"),
    ],
    ids=["size", "empty", "some", "many", "heun"],
)
def test_a_mistake_is_said(
    pack: ModuleType,
    pixels: Any,
    caplog: pytest.LogCaptureFixture,
    reference: torch.Tensor,
    given: dict[str, Any],
    hint: str,
) -> None:
    line = said(pack, caplog, pixels, reference, **given)
    assert hint in line
    assert line.count(". ") <= 3


def test_words_that_no_caption_had_are_named(
    pack: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    clip = pack.nodes.models.demo.ILVRLoadDemo.execute("text to image (latent)")[1]
    with caplog.at_level(logging.WARNING):
        clip.tokenize("a (red:1.3) elephant with a guitar, embedding:foo")
        assert "does not know" not in caplog.text
        clip.tokenize("a samurai, watercolour of a castle")
    assert "does not know: samurai, watercolour." in caplog.text
