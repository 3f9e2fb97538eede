"""``--dtype auto`` by device; the GPUs are stand-ins."""

from __future__ import annotations

import pytest
import torch

from ilvr_latent.cli.common import choose_dtype
from ilvr_latent.precision import automatic_dtype

CUDA = torch.device("cuda", 1)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A GPU that must not be asked more than it is told to answer."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.version, "hip", None)
    return monkeypatch


@pytest.mark.parametrize(
    ("capability", "embedded", "other"),
    [
        ((10, 0), torch.bfloat16, torch.bfloat16),  # B200
        ((9, 0), torch.bfloat16, torch.bfloat16),  # H100
        ((8, 6), torch.bfloat16, torch.bfloat16),  # RTX 30
        ((8, 0), torch.bfloat16, torch.bfloat16),  # A100
        ((7, 5), torch.float16, torch.float32),  # T4, RTX 20
        ((7, 0), torch.float16, torch.float32),  # V100
        ((6, 1), torch.float32, torch.float32),  # GTX 10
    ],
)
def test_by_the_compute_capability_of_that_gpu(
    gpu: pytest.MonkeyPatch,
    capability: tuple[int, int],
    embedded: torch.dtype,
    other: torch.dtype,
) -> None:
    answers = {CUDA: capability}
    gpu.setattr(torch.cuda, "get_device_capability", lambda device: answers[device])
    # Emulated, it is there on every one of them.
    gpu.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert automatic_dtype(CUDA, fits_fp16=True) == embedded
    assert automatic_dtype(CUDA) == other
    assert choose_dtype("auto", CUDA, "embedded") == embedded
    assert choose_dtype("auto", CUDA, "model.pt") == choose_dtype("auto", CUDA, None) == other


@pytest.mark.parametrize(("answer", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_of_amd_pytorch_knows(gpu: pytest.MonkeyPatch, answer: bool, dtype: torch.dtype) -> None:
    gpu.setattr(torch.version, "hip", "6.4")
    gpu.setattr(torch.cuda, "is_bf16_supported", lambda: answer)
    assert automatic_dtype(CUDA, fits_fp16=True) == dtype


@pytest.mark.parametrize("device", ["cpu", "mps", "xpu"])
def test_other_devices_take_fp32(device: str) -> None:
    assert automatic_dtype(torch.device(device), fits_fp16=True) == torch.float32


def test_a_gpu_of_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert automatic_dtype(CUDA) == torch.bfloat16


def test_what_was_said_counts() -> None:
    assert choose_dtype("float16", torch.device("cpu"), None) == torch.float16
