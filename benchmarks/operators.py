"""phi_N and eq. 8 against the authors' resizer, and precisions of the network against fp32."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ilvr_latent import LowPass, match
from ilvr_latent.adm.config import ADMConfig

from . import peers
from .networks import CONFIG_256, embedded_config, random_network
from .timing import Comparison, compare

SHAPES = (((4, 3, 256, 256), 32), ((1, 4, 128, 128), 8))


def interpolated(shape: tuple[int, ...], n: int) -> Callable[[Tensor], Tensor]:
    """phi_N as torch would: not the paper's operator near the edges."""

    def phi(x: Tensor) -> Tensor:
        small = F.interpolate(x, (shape[2] // n, shape[3] // n), mode="bicubic", antialias=True)
        return F.interpolate(small, shape[2:], mode="bicubic")

    return phi


def low_pass_rows(
    peer: Path | None, shape: tuple[int, ...], n: int
) -> list[tuple[str, Comparison]]:
    """phi alone, and eq. 8 as a whole: the authors' takes phi twice."""
    x, y = torch.randn(shape), torch.randn(shape)
    phi = LowPass(n)
    theirs = interpolated(shape, n) if peer is None else peers.low_pass(peer, shape, n)
    size = f"{'x'.join(map(str, shape))}, N={n}"
    name = "the authors' resizer" if peer is not None else "torch interpolate"
    return [
        (f"phi, {size}, against {name}", compare(lambda: phi(x), lambda: theirs(x))),
        (
            f"eq. 8, {size}, against {name}",
            compare(lambda: match(x, y, phi), lambda: x - theirs(x) + theirs(y)),
        ),
    ]


def network_rows(config: ADMConfig, batch: int) -> list[tuple[str, Comparison]]:
    """channels last, in fp32 and in bf16, against fp32 in the default layout."""
    side = config.image_size
    x, t = torch.randn(batch, 3, side, side), torch.full((batch,), 500)
    plain = random_network(config, memory_format=torch.contiguous_format)

    @torch.no_grad()
    def row(dtype: torch.dtype, name: str) -> tuple[str, Comparison]:
        fast = random_network(config, dtype=dtype)
        comparison = compare(lambda: fast(x, t), lambda: plain(x, t), pairs=5)
        return f"network {side}x{side}, batch {batch}: {name} against fp32", comparison

    return [
        row(torch.float32, "fp32 + channels_last"),
        row(torch.bfloat16, "bf16 + channels_last"),
    ]


def measure(peer: Path | None, quick: bool) -> None:
    """Print a Markdown table."""
    rows = [row for shape, n in SHAPES for row in low_pass_rows(peer, shape, n)]
    rows += network_rows(embedded_config(), 8)
    if not quick:
        rows += network_rows(CONFIG_256, 1)
    print("| what | ours, ms | other, ms | times faster |\n|---|---|---|---|")
    for name, result in rows:
        ours, theirs = 1e3 * result.ours, 1e3 * result.theirs
        print(f"| {name} | {ours:.2f} | {theirs:.2f} | {result.ratio:.3g} |")
