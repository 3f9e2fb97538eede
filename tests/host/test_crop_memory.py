"""A long picture is cut before it is enlarged."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch
import torch.nn.functional as F


def test_a_crop_does_not_enlarge_what_it_cuts(
    pack: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    interpolate = F.interpolate

    def watched(x: torch.Tensor, *args: object, **kwargs: object) -> torch.Tensor:
        out = interpolate(x, *args, **kwargs)  # type: ignore[arg-type]
        sizes.append(out.numel())
        return out

    monkeypatch.setattr(F, "interpolate", watched)
    out = pack.nodes.fitting.fit_image(torch.rand(1, 1, 2000, 3), 512, 512, "crop")
    assert out.shape == (1, 512, 512, 3)
    assert max(sizes) <= 16 * 3 * 512 * 512


@pytest.mark.parametrize("size", [(40, 90), (90, 40), (300, 70), (64, 64)])
def test_a_crop_is_the_middle_of_the_resized_picture(
    pack: ModuleType, size: tuple[int, int]
) -> None:
    image = torch.rand(1, *size, 3)
    out = pack.nodes.fitting.fit_image(image, 60, 60, "crop")
    scale = max(60 / size[0], 60 / size[1])
    sides = [round(side * scale) for side in size]
    whole = F.interpolate(
        image.movedim(-1, 1), sides, mode="bicubic", antialias=True, align_corners=False
    )
    top, left = (-((60 - side) // 2) for side in sides)
    wanted = whole[..., top : top + 60, left : left + 60].clamp(0, 1).movedim(1, -1)
    # Sides are rounded to whole cells in both ways.
    assert (out - wanted).abs().mean() < 0.05
