"""What ``--dtype auto`` computes in, by device.

    device                                       auto
    CPU                                          fp32: many compute bf16 slower (docs/benchmarks.md)
    NVIDIA from compute capability 8.0 on        bf16
    AMD, where PyTorch says that it has bf16     bf16
    NVIDIA of 7.0 to 7.5 (V100, T4, RTX 20)      fp16 of the embedded models, fp32 of all others
    older ones, Apple's, all others              fp32
    of another machine (``ilvr translate``)      bf16, of all workers alike

Below 8.0 PyTorch does bf16 too, but by way of fp32. fp16 ends at 65,504, beyond which a picture is
black or NaN, and nobody knows how large the numbers of a network grow: those of SDXL's decoder grow
too large. The embedded models' stay below 60, and in fp16 their pictures of 20 steps are off by
2.4e-4 and 2.6e-4 in the mean, where in bf16 they are off by 4.2e-3 and 2.2e-3 (of a range of 2 and
of 1; on a CPU). The table was written from what is known of the devices: no GPU was at hand.
"""

from __future__ import annotations

import torch

BF16_FROM, FP16_FROM = (8, 0), (7, 0)


def automatic_dtype(device: torch.device, *, fits_fp16: bool = False) -> torch.dtype:
    """The fastest precision of a device in which pictures are sound.

    Args:
        device: where the network is to be.
        fits_fp16: its numbers are known to stay far below 65,504.
    """
    if device.type != "cuda":
        return torch.float32
    if not torch.cuda.is_available():
        # Of another machine of a cluster.
        return torch.bfloat16
    if torch.version.hip is not None:
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    capability = torch.cuda.get_device_capability(device)
    if capability >= BF16_FROM:
        return torch.bfloat16
    return torch.float16 if fits_fp16 and capability >= FP16_FROM else torch.float32
