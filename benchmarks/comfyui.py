"""What ILVR Apply costs in ComfyUI, against a full-size network with random weights."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

ROOT = Path(__file__).parent.parent
STEPS = 100
# Stable Diffusion 1.5, as ComfyUI detects it.
SD15: dict[str, Any] = {
    "image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 320,
    "num_res_blocks": [2, 2, 2, 2], "channel_mult": [1, 2, 4, 4],
    "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0], "transformer_depth_middle": 1,
    "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0], "context_dim": 768,
    "use_spatial_transformer": True, "use_linear_in_transformer": False, "legacy": False,
    "adm_in_channels": None, "use_temporal_attention": False, "dtype": torch.float32,
}  # fmt: skip


def load_pack(comfyui: Path) -> ModuleType:
    """This repository as ComfyUI loads it, on the CPU."""
    if not (comfyui / "comfy").is_dir():
        raise SystemExit(f"There is no ComfyUI in {str(comfyui)!r}.")
    # First: our own folder `nodes` must not hide ComfyUI's module of that name.
    sys.path.insert(0, str(comfyui))
    importlib.import_module("comfy.cli_args").args.cpu = True
    spec = importlib.util.spec_from_file_location("ilvr_pack", ROOT / "__init__.py")
    assert spec is not None and spec.loader is not None
    pack = sys.modules["ilvr_pack"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pack)
    importlib.import_module("ilvr_pack.nodes.extension")
    return pack


def sd15() -> Any:
    """A MODEL of full size; the host leaves weights uninitialised."""
    config = importlib.import_module("comfy.supported_models").SD15(SD15)
    model = config.get_model({}).eval()
    torch.manual_seed(0)
    for parameter in model.parameters():
        parameter.normal_(0, 0.01)
    device = torch.device("cpu")
    return importlib.import_module("comfy.model_patcher").ModelPatcher(model, device, device)


def sampled(model: Any, steps: int) -> Tensor:
    """The stock KSampler, euler, one 64x64 latent."""
    latent, prompt = torch.zeros(1, 4, 64, 64), [[torch.zeros(1, 77, 768), {}]]
    out: Tensor = importlib.import_module("comfy.sample").sample(
        model, torch.randn(latent.shape), steps, 1.0, "euler", "normal", prompt, prompt, latent,
        seed=0, disable_pbar=True,
    )  # fmt: skip
    return out


def cpu_seconds(function: Callable[[], object]) -> float:
    """Of all threads: what other programs do meanwhile does not count."""
    start = time.process_time()
    function()
    return time.process_time() - start


@torch.inference_mode()
def measure(comfyui: Path, *, calls: int = 3, pairs: int = 9) -> None:
    """Print what a step costs with and without the node, and what the network costs.

    The cost of the node is the difference between whole runs of the stock KSampler with and
    without it, whose network is replaced by nothing; it would drown in the network's own.
    """
    pack = load_pack(comfyui)
    logging.disable()
    model = sd15()
    free = model.clone()
    free.set_model_unet_function_wrapper(lambda _, args: args["input"])
    reference = {"samples": torch.randn(1, 4, 64, 64)}
    guided = pack.nodes.guides.ilvr.ILVRApply.execute(free, reference, 4.0, 0.0, 1.0, 1.0)[0]
    added = []
    for i in range(pairs + 1):
        times = [cpu_seconds(partial(sampled, m, STEPS)) for m in (guided, free)]
        if i:  # The first warms up.
            added.append((times[0] - times[1]) / STEPS)
    node = statistics.median(added)
    print("| what, 64x64 latent, N=4, fp32 | CPU ms |")
    print("|---|---|")
    print(f"| ILVR Apply, each step of {STEPS} | {1e3 * node:.2f} |", flush=True)

    x, sigma, prompt = torch.randn(1, 4, 64, 64), torch.ones(1), torch.zeros(1, 77, 768)

    def network() -> None:
        model.model.apply_model(x, sigma, c_crossattn=prompt)

    if calls > 1:
        network()
    unet = statistics.median(cpu_seconds(network) for _ in range(calls))
    print(f"| one call of the SD 1.5 UNet | {1e3 * unet:.0f} |")
    print(f"| ratio | {node / unet:.4%} |")
