"""What no node can use: one sentence that names the input, from every node and every input."""

from __future__ import annotations

import asyncio
import math
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

# JSON, which a prompt may have in place of a link, and what another pack's node may give.
JSON: tuple[Any, ...] = ("x", 5, 1.5, [], [1, 2], {}, {"samples": [[1.0]]}, None)
OF_A_TYPE = {"INT": int, "FLOAT": (int, float), "STRING": str, "BOOLEAN": int}
ZERO = torch.zeros(0, 8, 8)
WRONG: dict[str, tuple[Any, ...]] = {
    "LATENT": (
        {"samples": None},
        {"samples": 5},
        {"samples": torch.zeros(0, 4, 8, 8)},
        {"samples": torch.zeros(1, 4, 0, 8)},
        {"samples": torch.full((1, 4, 8, 8), math.nan)},
        {"samples": torch.zeros(1, 4, 8, 8, dtype=torch.int64)},
        {"samples": torch.zeros(8)},
        {"samples": torch.zeros(1, 4, 8, 8), "noise_mask": 5},
        {"samples": torch.zeros(1, 4, 8, 8), "noise_mask": ZERO},
    ),
    "IMAGE": (
        torch.zeros(0, 8, 8, 3),
        torch.zeros(1, 0, 8, 3),
        torch.zeros(1, 8, 8, 7),
        torch.zeros(8, 8, 3),
        torch.full((1, 8, 8, 3), math.inf),
    ),
    "MASK": (ZERO, torch.zeros(1, 8, 0), torch.full((1, 8, 8), math.nan), torch.zeros(8)),
    "INT": (2**70, -(2**70), 10**5000, math.nan, True),
    "FLOAT": (math.nan, math.inf, -math.inf, 1e300, True),
    "COMBO": ("", "\ud800", "x" * 10_000),
    "CONDITIONING": ([[1]], [[torch.zeros(1, 1, 8), None]]),
}


def nodes(pack: ModuleType) -> list[Any]:
    return asyncio.run(pack.nodes.extension.ILVRExtension().get_node_list())


def fits(given: Any, value: Any) -> bool:
    kind = str(given.io_type)
    if value is None and given.optional:
        return True
    if kind == "CONDITIONING" and value == []:
        return True
    if not isinstance(value, OF_A_TYPE.get(kind, ())) or isinstance(value, bool):
        return False
    return kind not in ("INT", "FLOAT") or given.min <= value <= given.max


def test_every_input_of_every_node_is_held_against_its_type(pack: ModuleType) -> None:
    tried = 0
    for node in nodes(pack):
        for given in node.define_schema().inputs:
            for value in (*JSON, *WRONG.get(str(given.io_type), ())):
                if fits(given, value):
                    continue
                with pytest.raises(pack.ilvr_latent.InputError) as caught:
                    pack.nodes.inputs.check_inputs([given], {given.id: value})
                said = str(caught.value)
                assert given.id in said and "\n" not in said and len(said) <= 400
                tried += 1
    assert tried > 1000


def test_the_check_comes_before_the_node(pack: ModuleType) -> None:
    """Of a class, and of the copy of it that the host makes before each call."""
    node = pack.nodes.models.score_samplers.ILVRColdSampler
    for one in (node, node.PREPARE_CLASS_CLONE(None)):
        with pytest.raises(pack.ilvr_latent.InputError, match="The algorithm is '3'"):
            one.execute("3", "implied")
        assert one.execute(algorithm="2", noise="implied")[0] is not None


def test_a_number_over_a_link_is_held_against_the_range_of_its_widget(pack: ModuleType) -> None:
    node = pack.nodes.models.adm.ILVREmptyPixels
    with pytest.raises(pack.ilvr_latent.InputError, match="width is -8; use a number from 8 to"):
        node.execute(-8, 64, 1)
    with pytest.raises(pack.ilvr_latent.InputError, match="height is 1000000000"):
        node.execute(64, 10**9, 1)


@pytest.mark.parametrize("frames", [1, 2, 5, 17])
def test_masks_of_a_video_with_any_number_of_frames(pack: ModuleType, frames: int) -> None:
    """Seventeen pictures are five frames of a video latent."""
    import graph
    import mixture

    shape = (1, 4, 5, 16, 16)
    model, reference = mixture.mixture("flow", shape), mixture.draw(4) / 0.8
    mask = torch.ones(frames, 16, 16)
    out = mixture.sampled(
        graph.applied(pack, model, reference, kernel="box", mask=mask), shape=shape
    )
    wanted = reference.unsqueeze(2).expand(shape)
    assert graph.residual(pack, out, wanted) < 1e-3


def test_a_grid_of_a_video_keeps_the_mask_of_all_frames(pack: ModuleType) -> None:
    masks: Tensor = torch.rand(5, 16, 16)
    latent = {"samples": torch.zeros(1, 4, 5, 16, 16), "noise_mask": masks, "batch_index": None}
    assert torch.equal(pack.nodes.tools.grid._first(latent)["noise_mask"], masks)
    pictures = {"samples": torch.zeros(5, 4, 16, 16), "noise_mask": masks}
    assert torch.equal(pack.nodes.tools.grid._first(pictures)["noise_mask"], masks[:1])


def test_a_nested_latent_of_another_pack_is_left_to_the_node(pack: ModuleType) -> None:
    nested = SimpleNamespace(is_nested=True)
    given = pack.nodes.tools.grid.ILVRGrid.define_schema().inputs
    latent = next(one for one in given if one.id == "latent_image")
    pack.nodes.inputs.check_inputs([latent], {"latent_image": {"samples": nested}})
