"""Rows that ComfyUI samples: the embedded pixel model as MODEL, ILVR Apply, a stock sampler."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from ilvr_latent import SeededNoise

from ..comfyui import load_pack
from .rows import Row
from .study import FACTOR


class HostMaker:
    """Samples rows in ComfyUI, in this process.

    Args:
        pack: this repository as ComfyUI loads it.
        references: (R, 3, S, S) in [-1, 1].
    """

    def __init__(self, pack: ModuleType, references: Tensor) -> None:
        self._nodes, self._references = pack.nodes, references
        adm = pack.nodes.models.adm
        self._model, vae = adm.ILVRLoadADM.execute(adm.EMBEDDED).args
        # ComfyUI's pictures are (B, H, W, C) in [0, 1].
        pictures = (references.permute(0, 2, 3, 1) + 1) / 2
        self._reference = {"samples": vae.encode(pictures)}
        self._positive, self._negative = adm.ILVRADMConditioning.execute(-1).args

    @classmethod
    def at(cls, comfyui: Path, references: Tensor) -> HostMaker:
        """For a checkout of ComfyUI."""
        pack = load_pack(comfyui)
        logging.disable()
        return cls(pack, references)

    @torch.inference_mode()
    def __call__(self, row: Row, seeds: list[int]) -> tuple[Tensor, int]:
        """One picture of each reference (R, 3, S, S), and the calls that they took together."""
        apply = self._nodes.guides.ilvr.ILVRApply
        model = apply.execute(
            self._model, self._reference, FACTOR, 0.0, row.end, 1.0,
            space=row.space, noise=row.noise,
        )[0]  # fmt: skip
        calls = 0

        def counted(network: Callable[..., Tensor], args: dict[str, Any]) -> Tensor:
            nonlocal calls
            calls += 1
            return network(args["input"], args["timestep"], **args["c"])

        model.set_model_unet_function_wrapper(counted)
        x: Tensor = importlib.import_module("comfy.sample").sample(
            model, SeededNoise(seeds).initial(self._references.shape), row.steps, 1.0, row.sampler,
            row.scheduler, self._positive, self._negative, torch.zeros_like(self._references),
            seed=seeds[0], disable_pbar=True,
        )  # fmt: skip
        return x.clone(), calls
