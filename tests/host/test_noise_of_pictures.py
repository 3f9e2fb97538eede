"""Noise and reference belong to a picture, not to its place in a batch."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

BATCH, SEED = 4, 11


def ksampled(
    model: Any, latent: dict[str, Any], sampler: str = "euler", add_noise: bool = True,
    **steps: int,
) -> Tensor:  # fmt: skip
    """The stock KSampler (Advanced), which knows the latent's `batch_index`."""
    import mixture

    import nodes

    cond = mixture.conditioning()
    out = nodes.common_ksampler(
        model, SEED, 12, 1.0, sampler, "normal", cond, cond, latent,
        disable_noise=not add_noise, **steps,
    )  # fmt: skip
    return out[0]["samples"]


def empty(shape: tuple[int, ...]) -> dict[str, Any]:
    return {"samples": torch.zeros(BATCH, *shape[1:])}


def alone(latent: dict[str, Any], k: int) -> dict[str, Any]:
    """The node Latent From Batch."""
    import nodes

    return nodes.LatentFromBatch().frombatch(latent, k, 1)[0]


@pytest.mark.parametrize("noise", ["fresh", "fixed", "hybrid"])
@pytest.mark.parametrize("form", ["eps", "flow"])
def test_a_picture_made_again_alone_is_the_same(pack: ModuleType, noise: str, form: str) -> None:
    import graph
    import mixture

    model, latent = mixture.mixture(form), empty(mixture.SHAPE)
    guided = graph.applied(pack, model, mixture.draw(4), noise=noise)
    together = ksampled(guided, latent)
    for k in range(BATCH):
        again = ksampled(guided, alone(latent, k))
        torch.testing.assert_close(again[0], together[k], atol=1e-4, rtol=0)
    assert (together[0] - together[1]).abs().mean() > 0.1
    # Picture 0 of a batch of one is picture 0 of a batch of four, without a batch_index too.
    first = ksampled(guided, {"samples": torch.zeros(mixture.SHAPE)})
    torch.testing.assert_close(first[0], together[0], atol=1e-4, rtol=0)


def test_each_picture_of_a_batch_has_noise_of_its_own(pack: ModuleType) -> None:
    rows = pack.nodes.rows.Rows
    noise = torch.randn(BATCH, 4, 16, 16, generator=torch.Generator().manual_seed(SEED))
    found = rows(noise, None, SEED, 0.0)
    assert found.pictures == list(range(BATCH))
    assert len(set(found.seeds)) == BATCH
    some = rows(noise[[3, 1]], None, SEED, 0.0)
    assert some.pictures == [3, 1]
    assert some.seeds == [found.seeds[3], found.seeds[1]]
    # Noise of another kind is known by its place.
    other = rows(2 * noise, None, SEED, 0.0)
    assert other.pictures == list(range(BATCH))


def test_references_go_by_the_picture(pack: ModuleType) -> None:
    import graph
    import mixture

    model, latent = mixture.mixture("eps"), empty(mixture.SHAPE)
    references = torch.cat([mixture.draw(k) for k in range(BATCH)]) / 0.8
    guided = graph.applied(pack, model, references, kernel="box")
    for k in (0, 2, 3):
        out = ksampled(guided, alone(latent, k))
        assert graph.residual(pack, out, references[k : k + 1]) < 1e-3


def test_frames_of_one_noise_keep_their_references(pack: ModuleType) -> None:
    """The stock node Latent Batch Seed Behavior, fixed, as clips are made of pictures."""
    import graph
    import mixture

    model, latent = mixture.mixture("eps"), empty(mixture.SHAPE)
    references = torch.cat([mixture.draw(k) for k in range(BATCH)]) / 0.8
    guided = graph.applied(pack, model, references, kernel="box")
    out = ksampled(guided, {**latent, "batch_index": [0] * BATCH})
    assert graph.residual(pack, out, references) < 1e-3
    # What is drawn for them is the same, too.
    noise = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(SEED))
    assert len(set(pack.nodes.rows.Rows(noise.repeat(3, 1, 1, 1), None, SEED, 0.0).seeds)) == 1


def test_the_second_stage_draws_other_numbers_than_the_first(pack: ModuleType) -> None:
    """Stages of one picture: the second begins from the first one's state, without new noise."""
    import graph
    import mixture

    model, latent = mixture.mixture("eps"), empty(mixture.SHAPE)
    drawn: list[Tensor] = []
    seeded = pack.ilvr_latent.SeededNoise

    class Kept(seeded):  # type: ignore[misc, valid-type]
        def reference(self, i: int, shape: Any) -> Tensor:
            drawn.append(super().reference(i, shape))
            return drawn[-1]

    pack.nodes.run.SeededNoise, before = Kept, pack.nodes.run.SeededNoise
    try:
        guided = graph.applied(pack, model, mixture.draw(4), noise="fresh")
        first = ksampled(guided, latent, last_step=6, force_full_denoise=False)
        of_first = list(drawn)
        del drawn[:]
        stage = {"samples": first}
        second = ksampled(guided, stage, add_noise=False, start_step=6)
        again = ksampled(guided, alone(stage, 2), add_noise=False, start_step=6)
    finally:
        pack.nodes.run.SeededNoise = before
    assert of_first and drawn
    for one in of_first:
        assert all(not torch.equal(one[0], other[0]) for other in drawn)
    torch.testing.assert_close(again[0], second[2], atol=1e-4, rtol=0)


def test_the_grid_knows_which_picture_it_is_given(pack: ModuleType) -> None:
    latent = {"samples": torch.zeros(BATCH, 4, 16, 16)}
    first = pack.nodes.tools.grid._first(alone(latent, 2))
    assert first["batch_index"] == [2]
