"""ILVR Match Picture: what the core says, for pictures as ComfyUI has them."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch


@pytest.fixture
def matched(pack: ModuleType) -> Any:
    """The node, with everything that is not given as in a fresh node."""
    node = pack.nodes.tools.match.ILVRMatchPicture

    def run(image: torch.Tensor, reference: torch.Tensor, **given: Any) -> torch.Tensor:
        usual = {"factor": 0.25, "factor_unit": "share", "weight": 1.0}
        (made,) = node.execute(image, reference, **{**usual, **given}).args
        return made

    return run


def pictures(count: int = 1, height: int = 32, width: int = 48, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, height, width, 3, generator=generator)


def low(pack: ModuleType, image: torch.Tensor, factor: float = 8) -> torch.Tensor:
    return pack.ilvr_latent.LowPass(factor)(image.movedim(-1, 1))


def test_it_does_what_the_core_does(pack: ModuleType, matched: Any) -> None:
    x, y = pictures(2), pictures(2, seed=1) * 0.8
    made = matched(x, y, factor=8.0, factor_unit="pixels", weight=0.5, kernel="box")
    core = pack.ilvr_latent.match_picture(
        x.movedim(-1, 1), y.movedim(-1, 1), 8, "box", weight=0.5, limits=(0, 1)
    )
    assert made.shape == x.shape and made.is_contiguous() == x.is_contiguous()
    assert torch.allclose(made, core.movedim(1, -1), atol=1e-3)


def test_a_fresh_node_takes_the_references_colours(pack: ModuleType, matched: Any) -> None:
    x, y = pictures() * 0.5, pictures(seed=1) * 0.4 + 0.5
    made = matched(x, y)
    assert made.min() >= 0 and made.max() <= 1
    assert (low(pack, made) - low(pack, y)).abs().max() < 1 / 2550 + 1e-5
    assert torch.equal(matched(x, y, weight=0.0), x)


def test_a_reference_of_another_size_serves_every_picture_of_a_batch(matched: Any) -> None:
    x, colour = pictures(3), torch.tensor([0.2, 0.5, 0.7])
    made = matched(x, colour.expand(1, 90, 70, 3), factor=1.0)
    assert torch.allclose(made.mean((1, 2)), colour.expand(3, 3), atol=2e-3)
    two = torch.stack([colour, 1 - colour])[:, None, None].expand(2, 8, 8, 3)
    both = matched(x, two, factor=1.0)
    assert torch.allclose(both[1].mean((0, 1)), 1 - colour, atol=2e-3)
    assert torch.allclose(both[2].mean((0, 1)), colour, atol=2e-3)


def test_a_mask_of_what_was_kept(matched: Any) -> None:
    y = pictures() * 0.5 + 0.2
    x, mask = y + 0.1, torch.zeros(1, 64, 96)
    mask[:, :, :48] = 1
    kept, spread = (matched(x, y, mask=mask, beyond_mask=rule) for rule in ("keep", "spread"))
    assert torch.allclose(kept[:, :, :22], y[:, :, :22], atol=1e-3)
    assert torch.equal(kept[:, :, 26:], x[:, :, 26:])
    assert torch.allclose(spread, y, atol=1e-3)


def test_grey_and_transparent_pictures(matched: Any) -> None:
    clear = torch.cat([pictures(), torch.zeros(1, 32, 48, 1)], -1)
    assert torch.allclose(matched(clear, torch.ones(1, 8, 8, 1)), torch.ones(1, 32, 48, 3))


def test_what_cannot_be_used_is_refused(pack: ModuleType, matched: Any) -> None:
    error, x = pack.ilvr_latent.InputError, pictures()
    for given, said in (
        ({"factor": 2.0}, "2 of the side"),
        ({"mask": torch.zeros(1, 32, 48)}, "black everywhere"),
        ({"beyond_mask": "all"}, "'all'"),
        ({"reference": x[:0]}, "no pixels"),
        ({"image": x * torch.nan}, "NaN"),
    ):
        with pytest.raises(error, match=said):
            matched(**{"image": x, "reference": x, **given})
