"""Print a table of ratios, measured in one run.

    python -m benchmarks [--peer PATH] [--quick]
    python -m benchmarks --guides
    python -m benchmarks --comfyui PATH [--quick]

``--peer`` names a checkout of the paper authors' code (github.com/jychoi118/ilvr_adm); without it
their resizer is stood in for by torch's antialiased interpolation, which is not the same operator.
``--comfyui`` names a checkout of ComfyUI and measures the nodes instead; run it with its Python.
That takes about ten minutes at most: the server's 200 runs end when their six minutes are over.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ilvr_latent import LowPass, Reference, match, sample
from ilvr_latent.adm.config import ADMConfig

from . import comfyui, guides, peers, server
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
            f"refinement, {size}, against {name}",
            compare(lambda: match(x, y, phi), lambda: x - theirs(x) + theirs(y)),
        ),
    ]


def step_row(config: ADMConfig, batch: int, steps: int) -> tuple[str, Comparison]:
    """Whole ILVR steps against bare network calls; the ratio is bare / whole."""
    model = random_network(config)
    side = config.image_size
    x, t = torch.randn(batch, 3, side, side), torch.full((batch,), 500)
    reference = Reference(x.clamp(-1, 1), 8)

    @torch.no_grad()
    def bare() -> None:
        for _ in range(steps):
            model(x, t)

    name = f"{steps} ILVR steps, {side}x{side}, batch {batch}, against {steps} bare network calls"
    return name, compare(lambda: sample(model, reference, steps=steps), bare, pairs=5)


def peer_row(peer: Path, config: ADMConfig, batch: int, steps: int) -> tuple[str, Comparison]:
    """A whole run of ours against one of the authors' code, the same network and settings."""
    model = random_network(config)
    side = config.image_size
    y_0 = torch.randn(batch, 3, side, side).clamp(-1, 1)
    theirs = peers.sampler(peer, model, y_0, n=8, steps=steps)

    def ours() -> Tensor:
        return sample(model, Reference(y_0, 8), steps=steps, compat="ilvr_adm")

    name = f"{steps} steps of `adm-sample`, {side}x{side}, batch {batch}, against the authors' code"
    return name, compare(ours, theirs, pairs=5)


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


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path, help="a checkout of the authors' code")
    parser.add_argument(
        "--quick", action="store_true", help="leave large networks out, or call once"
    )
    parser.add_argument("--comfyui", type=Path, help="measure the nodes in this checkout")
    parser.add_argument("--guides", action="store_true", help="measure the guides alone")
    options = parser.parse_args()
    if options.guides:
        guides.measure()
        return
    if options.comfyui is not None:
        print(f"torch {torch.__version__}, {torch.get_num_threads()} threads\n")
        path = options.comfyui.expanduser().resolve()
        comfyui.measure(path, calls=1 if options.quick else 3)
        server.measure(path, runs=40 if options.quick else 200)
        return
    peer: Path | None = options.peer
    rows = [row for shape, n in SHAPES for row in low_pass_rows(peer, shape, n)]
    small = embedded_config()
    rows += [step_row(small, 8, 10), *network_rows(small, 8)]
    if not options.quick:
        rows += [step_row(CONFIG_256, 1, 3), *network_rows(CONFIG_256, 1)]
        if peer is not None:
            rows.append(peer_row(peer, CONFIG_256, 1, 3))
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.processor()}\n")
    print("| what | ours, ms | other, ms | times faster |")
    print("|---|---|---|---|")
    for name, result in rows:
        print(
            f"| {name} | {1e3 * result.ours:.2f} | {1e3 * result.theirs:.2f} | {result.ratio:.3g} |"
        )
    guides.measure()


if __name__ == "__main__":
    main()
