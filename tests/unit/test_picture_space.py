"""ILVR behind a decoder that is not linear."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ilvr_latent import ILVR, Guide, InputError, LowPass, Reference, SeededNoise, Window
from ilvr_latent.diffusion import sample_with
from ilvr_latent.guides.picture_space import PictureILVR

if TYPE_CHECKING:
    from tests.conftest import MixtureDenoiser

Exact = Callable[..., "MixtureDenoiser"]


def decode(latent: Tensor) -> Tensor:
    """Twice the size; what is bright is pressed together, so means of latents mislead."""
    return F.interpolate(torch.tanh(2 * latent), scale_factor=2)


def encode(picture: Tensor) -> Tensor:
    """Loses a little, as real ones do."""
    return 0.49 * torch.atanh(F.avg_pool2d(picture, 2).clamp(-0.99, 0.99))


@pytest.fixture
def reference(some_pictures: Callable[..., Tensor]) -> Tensor:
    return decode(some_pictures(1, seed=9))


@pytest.fixture
def run(exact: Exact) -> Callable[..., Tensor]:
    """Eight steps of DDIM."""

    def run(guide: Guide | None) -> Tensor:
        settings: dict[str, Any] = {"steps": 8, "sampler": "ddim", "eta": 0.0}
        noise = SeededNoise(0)
        return sample_with(
            exact(variance=0.05), guide, shape=(2, 3, 16, 16), noise=noise, **settings
        )

    return run


def apart(x: Tensor, reference: Tensor, factor: float = 8) -> float:
    """Between low frequencies of pictures."""
    return float(LowPass(factor)(decode(x) - reference).square().mean().sqrt())


@pytest.mark.parametrize("times", [1, 3, 100])
def test_the_decoded_sample_has_the_references_colours(
    times: int, run: Callable[..., Tensor], reference: Tensor
) -> None:
    free = apart(run(None), reference)
    latent = Reference(encode(reference), 4, space="prediction")
    in_latents = apart(run(ILVR(latent)), reference)
    in_pictures = apart(run(PictureILVR(reference, 8, decode, encode, times=times)), reference)
    assert in_pictures < in_latents / 2 < free


def test_in_the_steps_that_were_chosen_and_no_other(
    run: Callable[..., Tensor], reference: Tensor
) -> None:
    seen = []

    def watched(latent: Tensor) -> Tensor:
        seen.append(latent)
        return decode(latent)

    for window, times in ((Window(), 1), (Window(), 3), (Window.steps(2, 3), 5)):
        seen.clear()
        run(PictureILVR(reference, 8, watched, encode, window=window, times=times))
        assert len(seen) == min(times, 2 if window.unit == "step" else 8)


def test_without_weight_it_is_as_without_the_guide(
    run: Callable[..., Tensor], reference: Tensor
) -> None:
    assert torch.equal(run(PictureILVR(reference, 8, decode, encode, weight=0.0)), run(None))


def test_where_the_colours_are_right_nothing_is_lost(reference: Tensor) -> None:
    """What the encoder loses is in both terms of the difference."""
    same = decode(encode(reference))
    guide = PictureILVR(same, 0.25, decode, encode, factor_unit="share")
    assert torch.equal(encode(guide.matched(same)), encode(same))


def test_outside_the_mask_the_picture_is_kept(reference: Tensor) -> None:
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., :16] = 1
    guide = PictureILVR(reference, 8, decode, encode, mask=mask)
    p = torch.zeros(1, 3, 32, 32)
    assert torch.equal(guide.matched(p)[..., 16:], p[..., 16:])
    assert not torch.equal(guide.matched(p)[..., :16], p[..., :16])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"factor": 0.5}, "factor N is 0.5"),
        ({"times": 0}, "times is 0"),
        ({"weight": 2.0}, "weight is 2"),
        ({"window": Window.timesteps(3, 2)}, "holds none of the 8 steps"),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_named(
    changed: dict[str, Any], said: str, run: Callable[..., Tensor], reference: Tensor
) -> None:
    with pytest.raises(InputError, match=said):
        run(
            PictureILVR(
                **{
                    "reference": reference,
                    "factor": 8,
                    "decode": decode,
                    "encode": encode,
                    **changed,
                }
            )
        )
