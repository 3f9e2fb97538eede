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
HEAD = (
    *("sampler", "eps and v", "flow", "energy above the cut"),
    *("eps and v, end 0.8", "flow, end 0.8"),
)


class Residuals:
    """What a sampler leaves in each form: cubic to the end, box, cubic to 0.8; and the energy."""

    def __init__(self, pack: Any, sampler: str) -> None:
        import mixture

        low_pass, apply = pack.ilvr_latent.LowPass, pack.nodes.guides.ilvr.ILVRApply
        reference, sharp = mixture.draw(4) / 0.8, low_pass(4, "spectral")
        self.cubic: list[float] = []
        self.box: list[float] = []
        self.early: list[float] = []
        self.energy: list[float] = []
        for form in FORMS:
            model = mixture.mixture(form)
            plain = mixture.sampled(model, sampler)
            for kernel, end, column in (
                ("cubic", 1.0, self.cubic),
                ("box", 1.0, self.box),
                ("cubic", 0.8, self.early),
            ):
                phi = low_pass(4, kernel)
                node = apply.execute(model, {"samples": reference}, 4, 0.0, end, 1.0, kernel=kernel)
                out = mixture.sampled(node[0], sampler)
                column.append(float((phi(out) - phi(reference)).norm() / phi(reference).norm()))
                if column is self.cubic:
                    above = [float((x - sharp(x)).square().mean()) for x in (out, plain)]
                    self.energy.append(above[0] / above[1] - 1)

    def row(self) -> str:
        """As the table shows them."""
        eps_and_flow = (0, 2)
        return " | ".join(
            [
                *(f"{self.cubic[i]:.3f}" for i in eps_and_flow),
                f"{max(self.energy, key=abs):+.1%}",
                *(f"{self.early[i]:.2f}" for i in eps_and_flow),
            ]
        )

    def v_less_eps(self) -> float:
        """How far the two are apart, at most."""
        return max(abs(values[0] - values[1]) for values in (self.cubic, self.early))


def main() -> None:
    """Print the table, samplers that agree in one line, and what is the same for all."""
    samplers = import_comfyui()
    assert samplers is not None, "no ComfyUI"
    logging.disable()
    torch.set_num_threads(1)
    pack = load_pack()
    __import__(f"{pack.__name__}.nodes.guides.ilvr")
    with torch.inference_mode():
        every = {name: Residuals(pack, name) for name in samplers.SAMPLER_NAMES}
    rows: dict[str, list[str]] = {}
    for name, residuals in every.items():
        rows.setdefault(residuals.row(), []).append(name)
    print("|", " | ".join(HEAD), "|")
    print("|" + "---|" * len(HEAD))
    for row, names in rows.items():
        print(f"| {', '.join(names)} | {row} |")
    print(f"box, worst: {max(max(one.box) for one in every.values()):.0e}")
    print(f"v from eps, worst: {max(one.v_less_eps() for one in every.values()):.0e}")


if __name__ == "__main__":
    main()
