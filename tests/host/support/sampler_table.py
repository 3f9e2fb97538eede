"""Print the table of ``docs/comfyui.md``: `python tests/host/support/sampler_table.py`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from conftest import import_comfyui, load_pack

FORMS = ("eps", "v", "flow")


def row(pack: Any, sampler: str) -> list[str]:
    """Residual for each form with cubic to the end, then the worst of the three of the rest."""
    import mixture

    low_pass, apply = pack.ilvr_latent.LowPass, pack.nodes.guides.ilvr.ILVRApply
    reference, sharp = mixture.draw(4) / 0.8, low_pass(4, "spectral")
    cubic, box, early, energy = [], [], [], []
    for form in FORMS:
        model = mixture.mixture(form)
        plain = mixture.sampled(model, sampler)
        for kernel, end, column in (
            ("cubic", 1.0, cubic),
            ("box", 1.0, box),
            ("cubic", 0.8, early),
        ):
            phi = low_pass(4, kernel)
            node = apply.execute(model, {"samples": reference}, 4, 0.0, end, 1.0, kernel=kernel)
            out = mixture.sampled(node[0], sampler)
            column.append(float((phi(out) - phi(reference)).norm() / phi(reference).norm()))
            if column is cubic:
                above = [float((x - sharp(x)).square().mean()) for x in (out, plain)]
                energy.append(above[0] / above[1] - 1)
    return [
        *(f"{value:.3f}" for value in cubic),
        f"{max(box):.0e}" if max(box) >= 1e-6 else "< 1e-6",
        f"{max(energy, key=abs):+.1%}",
        *(f"{early[i]:.2f}" for i in (0, 2)),
    ]


def main() -> None:
    """Print the table, one line for each sampler."""
    samplers = import_comfyui()
    assert samplers is not None, "no ComfyUI"
    logging.disable()
    torch.set_num_threads(1)
    pack = load_pack()
    __import__(f"{pack.__name__}.nodes.apply")
    head = [
        "sampler",
        *FORMS,
        "box, worst",
        "energy above the cut",
        "eps, end 0.8",
        "flow, end 0.8",
    ]
    print("|", " | ".join(head), "|")
    print("|---|---|---|---|---|---|---|---|")
    with torch.inference_mode():
        for sampler in samplers.SAMPLER_NAMES:
            print("|", sampler, "|", " | ".join(row(pack, sampler)), "|", flush=True)


if __name__ == "__main__":
    main()
