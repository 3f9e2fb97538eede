"""A real ComfyUI in this process, on the CPU, and the pack loaded as ComfyUI loads it."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
COMFYUI = Path(os.environ.get("COMFYUI_PATH", "~/comfy/ComfyUI")).expanduser()

REASON = f"no ComfyUI with its requirements at {COMFYUI} ($COMFYUI_PATH)"


def import_comfyui() -> ModuleType | None:
    """ComfyUI's samplers on the CPU, or ``None``."""
    if not COMFYUI.is_dir():
        return None
    before = list(sys.path)
    if str(COMFYUI) not in sys.path:
        # First: our own folder `nodes` must not hide ComfyUI's module of that name.
        sys.path[:0] = [str(COMFYUI), str(HERE / "support")]
    try:
        importlib.import_module("comfy.cli_args").args.cpu = True
        return importlib.import_module("comfy.samplers")
    except ModuleNotFoundError:
        # The other tests of this run must not find ComfyUI's modules.
        sys.path[:] = before
        return None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``sampler_name`` is every sampler that this ComfyUI has, ``format_name`` every latent."""
    for name, known in (("sampler_name", sampler_names), ("format_name", format_names)):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, known() if import_comfyui() else ["any"])


def sampler_names() -> list[str]:
    """The host's samplers."""
    return list(importlib.import_module("comfy.samplers").SAMPLER_NAMES)


def format_names() -> list[str]:
    """The host's kinds of latent."""
    known = importlib.import_module("comfy.latent_formats")
    base = known.LatentFormat
    classes = {n: c for n, c in vars(known).items() if isinstance(c, type) and c is not base}
    return sorted(name for name, one in classes.items() if issubclass(one, base))


def load_pack() -> ModuleType:
    """The repository as a package, imported by its path."""
    name = "ilvr_pack_under_test"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, ROOT / "__init__.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def host() -> ModuleType:
    """ComfyUI's samplers; skips where there is no ComfyUI."""
    samplers = import_comfyui()
    if samplers is None:
        pytest.skip(REASON)
    # The tensors are tiny: more threads only wait for each other.
    torch.set_num_threads(1)
    return samplers


@pytest.fixture(scope="session")
def pack(host: ModuleType) -> ModuleType:
    """The pack; its nodes are imported."""
    module = load_pack()
    importlib.import_module(".nodes.extension", module.__name__)
    return module


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    """As the host runs its nodes."""
    with torch.inference_mode():
        yield
