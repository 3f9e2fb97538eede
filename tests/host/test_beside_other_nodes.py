"""ILVR Apply beside the nodes that people use with it, on a tiny SD UNet with random weights."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

SHAPE = (1, 4, 16, 16)


@pytest.fixture
def model(host: ModuleType) -> Any:
    import tiny

    return tiny.network("sd15")


@pytest.fixture
def reference(host: ModuleType) -> Tensor:
    import mixture

    return mixture.draw(4, SHAPE)


def sampled(model: Any, cond: Any = None, negative: Any = None) -> Tensor:
    import mixture
    import tiny

    return mixture.sampled(
        model, steps=4, cfg=3.0, shape=SHAPE, cond=cond or tiny.prompt(1),
        negative=negative or tiny.prompt(2),
    )  # fmt: skip


def check_both_act(pack: ModuleType, bare: Tensor, other: Any, reference: Tensor, *c: Any) -> None:
    """The other node's effect is there with ILVR, ILVR's is there with it, and 0 is no node.

    Args:
        pack: under test.
        bare: the result with ILVR and without the other node.
        other: the model with the other node.
        reference: of ILVR.
        *c: positive and negative conditioning with the other node.
    """
    import graph

    alone = sampled(other, *c)
    out = sampled(graph.applied(pack, other, reference, kernel="box"), *c)
    off = sampled(graph.applied(pack, other, reference, weight=0.0), *c)
    assert torch.equal(off, alone)
    assert torch.isfinite(out).all()
    assert graph.residual(pack, alone, reference) > 0.3
    assert graph.residual(pack, out, reference) < 1e-3
    assert (out - bare).abs().max() > 1e-3
    assert torch.equal(sampled(other, *c), alone)


def controlled(image: Tensor, strength: float, start: float = 0.0, end: float = 1.0) -> Any:
    """Both prompts after the node ControlNetApplyAdvanced."""
    import tiny

    import nodes

    apply = nodes.ControlNetApplyAdvanced().apply_controlnet
    return apply(
        tiny.prompt(1), tiny.prompt(2), tiny.controlnet(), image, strength, start, end
    )  # fmt: skip


def test_controlnet(pack: ModuleType, model: Any, reference: Tensor) -> None:
    import graph

    bare = sampled(graph.applied(pack, model, reference, kernel="box"))
    images = torch.rand(2, 1, 128, 128, 3, generator=torch.Generator().manual_seed(0))
    first, second = (controlled(image, 1.0) for image in images)
    check_both_act(pack, bare, model, reference, *first)
    guided = graph.applied(pack, model, reference, kernel="box")
    assert not torch.equal(sampled(guided, *first), sampled(guided, *second))
    # In the last steps only, as people combine it with a reference for the layout.
    check_both_act(pack, bare, model, reference, *controlled(images[0], 1.0, 0.5, 1.0))


def test_lora(pack: ModuleType, model: Any, reference: Tensor) -> None:
    """Read by ComfyUI's own loader from a file's keys, before and after the node."""
    import comfy.sd
    import graph
    import tiny

    guided = graph.applied(pack, model, reference, kernel="box")
    bare = sampled(guided)
    lora, keys = tiny.lora(model)
    with_lora = comfy.sd.load_lora_for_models(model, None, lora, 1.0, 0.0)[0]
    assert len(with_lora.patches) == keys
    check_both_act(pack, bare, with_lora, reference)
    either = [
        graph.applied(pack, with_lora, reference, kernel="box"),
        comfy.sd.load_lora_for_models(guided, None, lora, 1.0, 0.0)[0],
    ]
    assert torch.equal(*map(sampled, either))
    assert torch.equal(sampled(guided), bare)


def patched_by(name: str, model: Any) -> Any:
    """The model after one of ComfyUI's nodes."""
    from graph import after_node

    def node(module: str, name: str, *settings: Any) -> Any:
        return after_node(model, module, name, *settings)

    return {
        "FreeU": lambda: node("nodes_freelunch", "FreeU_V2", 1.5, 1.6, 0.9, 0.2),
        "PAG": lambda: node("nodes_pag", "PerturbedAttentionGuidance", 3.0),
        "RescaleCFG": lambda: node("nodes_model_advanced", "RescaleCFG", 0.7),
        "v-prediction": lambda: node(
            "nodes_model_advanced", "ModelSamplingDiscrete", "v_prediction", False
        ),
    }[name]()


@pytest.mark.parametrize("name", ["FreeU", "PAG", "RescaleCFG", "v-prediction"])
def test_patches_of_the_model(pack: ModuleType, model: Any, reference: Tensor, name: str) -> None:
    import graph

    guided = graph.applied(pack, model, reference, kernel="box")
    bare = sampled(guided)
    check_both_act(pack, bare, patched_by(name, model), reference)
    after = sampled(patched_by(name, guided))
    assert torch.equal(after, sampled(graph.applied(
        pack, patched_by(name, model), reference, kernel="box"
    )))  # fmt: skip


@pytest.mark.parametrize("with_lora", [False, True])
def test_a_model_that_is_loaded_in_part(
    pack: ModuleType, model: Any, reference: Tensor, with_lora: bool
) -> None:
    """ComfyUI's own partial load with room for half of the weights, as on a small GPU.

    Covered: the host's decision which layers stay off the device, their weights cast (and a LoRA
    added) at each call. Not covered, for want of a second device: the copies between devices.
    """
    import comfy.model_management
    import comfy.model_patcher
    import comfy.sd
    import graph
    import tiny

    class InPart(comfy.model_patcher.ModelPatcher):
        def partially_load(self, device_to: Any, extra_memory: float = 0, **kwargs: Any) -> int:
            room = self.model_size() // 2 - self.model.model_loaded_weight_memory
            return super().partially_load(device_to, max(room, 1), **kwargs)

    def prepared(kind: type) -> Any:
        loaded = kind(tiny.network("sd15").model, model.load_device, model.offload_device)
        if with_lora:
            loaded = comfy.sd.load_lora_for_models(loaded, None, tiny.lora(model)[0], 1.0, 0.0)[0]
        return loaded

    whole, part = prepared(comfy.model_patcher.ModelPatcher), prepared(InPart)
    results = [sampled(graph.applied(pack, m, reference, kernel="box")) for m in (whole, part)]
    assert 0 < part.loaded_size() < 0.6 * part.model_size()
    assert part.lowvram_patch_counter() > 0 or not with_lora
    assert torch.allclose(*results, atol=1e-5)
    assert graph.residual(pack, results[1], reference) < 1e-3
    assert torch.equal(sampled(graph.applied(pack, part, reference, weight=0.0)), sampled(part))


def test_easy_cache(pack: ModuleType, model: Any, reference: Tensor) -> None:
    """Of newer versions: steps whose input hardly changed are not computed again."""
    easycache = pytest.importorskip("comfy_extras.nodes_easycache")
    import graph

    settings = {"reuse_threshold": 3.0, "start_percent": 0.0, "end_percent": 1.0, "verbose": False}
    for node in (easycache.EasyCacheNode, easycache.LazyCacheNode):
        bare = sampled(graph.applied(pack, model, reference, kernel="box"))
        cached = node.execute(model, **settings)[0]
        check_both_act(pack, bare, cached, reference)
