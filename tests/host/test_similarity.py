"""ILVR Similarity: the same patch as ILVR Apply with the settings of the dial."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor


@pytest.fixture
def mix(host: ModuleType) -> ModuleType:
    import mixture

    return mixture


def similar(pack: ModuleType, model: Any, reference: Tensor, similarity: float) -> Any:
    node = pack.nodes.guides.similarity.ILVRSimilarity
    return node.execute(model, {"samples": reference}, similarity)[0]


@pytest.mark.parametrize("form", ["eps", "v", "flow"])
def test_zero_is_the_model_alone_and_a_hundred_the_reference(
    pack: ModuleType, mix: ModuleType, form: str
) -> None:
    model, reference = mix.mixture(form), mix.draw(4)
    plain = mix.sampled(model)
    assert torch.equal(mix.sampled(similar(pack, model, reference, 0)), plain)
    held = mix.sampled(similar(pack, model, reference, 100))
    assert torch.allclose(held, reference, atol=1e-4)
    assert not torch.equal(held, plain)


@pytest.mark.parametrize("cell", [1, 8, 16, 32])
@pytest.mark.parametrize("similarity", [5, 40, 75])
def test_it_is_ilvr_apply_with_what_the_dial_chooses(
    pack: ModuleType, mix: ModuleType, cell: int, similarity: float
) -> None:
    model, reference = mix.mixture("eps"), mix.draw(4)
    model.model.latent_format.spacial_downscale_ratio = cell
    chosen = pack.ilvr_latent.dial(similarity, cell, 16)
    apply = pack.nodes.guides.ilvr.ILVRApply
    by_hand = apply.execute(
        model, {"samples": reference}, chosen.share, 0.0, chosen.end, chosen.weight,
        factor_unit="share",
    )[0]  # fmt: skip
    assert torch.equal(
        mix.sampled(similar(pack, model, reference, similarity)), mix.sampled(by_hand)
    )


def test_it_goes_by_the_size_of_what_is_sampled(pack: ModuleType, mix: ModuleType) -> None:
    model, small = mix.mixture("eps"), mix.draw(4)[..., ::2, ::2]
    chosen = pack.ilvr_latent.dial(40, 8, 16)
    by_hand = pack.nodes.guides.ilvr.ILVRApply.execute(
        model, {"samples": small}, chosen.share, 0.0, chosen.end, chosen.weight,
        factor_unit="share",
    )[0]  # fmt: skip
    assert torch.equal(mix.sampled(similar(pack, model, small, 40)), mix.sampled(by_hand))
    assert chosen != pack.ilvr_latent.dial(40, 8, 8)


def test_it_can_be_written_down(pack: ModuleType, mix: ModuleType) -> None:
    model = similar(pack, mix.mixture("eps"), mix.draw(4), 40)
    recorded, tape = pack.nodes.tools.report.ILVRRecord.execute(model)
    out = mix.sampled(recorded)
    assert torch.equal(out, mix.sampled(model))
    plots = pack.nodes.tools.report.ILVRReport.execute(tape, {"samples": out})[0]
    assert plots.std() > 0.01


def test_a_style_is_nothing_to_compare_with(pack: ModuleType, mix: ModuleType) -> None:
    record = pack.nodes.tools.report.ILVRRecord
    styled = pack.nodes.guides.style.ILVRStyle.execute(
        mix.mixture("eps"), {"samples": mix.draw(4)}, 0.25, 1.0, 0.0, 1.0, True
    )[0]
    with pytest.raises(pack.ilvr_latent.InputError, match="no reference to compare with"):
        record.execute(styled)


@pytest.mark.parametrize("similarity", [-1.0, 101.0, float("nan"), "50", None])
def test_what_is_no_similarity_is_refused(
    pack: ModuleType, mix: ModuleType, similarity: Any
) -> None:
    with pytest.raises(pack.ilvr_latent.InputError, match="similarity"):
        similar(pack, mix.mixture("eps"), mix.draw(4), similarity)


def test_a_latent_of_another_model_is_refused(pack: ModuleType, mix: ModuleType) -> None:
    with pytest.raises(pack.ilvr_latent.InputError, match="channels"):
        similar(pack, mix.mixture("eps"), torch.zeros(1, 16, 8, 8), 50)
