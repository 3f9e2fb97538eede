"""Print a table of ratios, measured in one run.

    python -m benchmarks [--peer PATH] [--quick]
    python -m benchmarks --operators [--peer PATH] [--quick]
    python -m benchmarks --guides
    python -m benchmarks --comfyui PATH [--quick]

A step of ours beside the authors' loop, diffusers' own and the network alone, and how it grows with
resolution, batch, references and N: seconds of the processor, so that other programs count little;
up to ten minutes of one core. ``--operators`` measures phi_N and the network's precisions,
``--guides`` every method of guidance.

``--peer`` names a checkout of the paper authors' code (github.com/jychoi118/ilvr_adm); without it
their loop is left out, and their resizer is stood in for by torch's antialiased interpolation,
which is not the same operator. ``--comfyui`` names a checkout of ComfyUI and measures the nodes
instead; run it with its Python. That takes about ten minutes at most: the server's 200 runs end
when their six minutes are over.
"""

from __future__ import annotations

import argparse
import os
import platform
from pathlib import Path

import torch


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--peer", type=Path, help="a checkout of the authors' code")
    add("--quick", action="store_true", help="leave large networks out, or call once")
    add("--comfyui", type=Path, help="measure the nodes in this checkout")
    add("--guides", action="store_true", help="measure the guides")
    add("--operators", action="store_true", help="measure phi_N and precisions")
    options = parser.parse_args()
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    threads = torch.get_num_threads()
    print(f"torch {torch.__version__}, {threads} threads{load}, {platform.processor()}\n")
    # Each needs what the others may not have: ComfyUI's Python, diffusers.
    if options.comfyui is not None:
        from . import comfyui, server

        path = options.comfyui.expanduser().resolve()
        comfyui.measure(path, calls=1 if options.quick else 3)
        server.measure(path, runs=40 if options.quick else 200)
    elif options.guides:
        from . import guides

        guides.measure()
    elif options.operators:
        from . import operators

        operators.measure(options.peer, options.quick)
    else:
        from . import steps

        steps.measure(options.peer, options.quick)


if __name__ == "__main__":
    main()
