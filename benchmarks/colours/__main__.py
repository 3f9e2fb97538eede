"""What holds the colours of pictures: one decoded picture, ten rounds of img2img, an inpainting.

    python -m benchmarks.colours --output DIR [--pictures K]

Reads the tiny autoencoder of FLUX.2's latents from ``../shared/vae``, and photographs from
scikit-image. Writes ``colours.json``, whole after every row, tables in Markdown and two pictures.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from ilvr_latent.embedded import REFERENCES
from ilvr_latent.pictures.files import output_folder, written_whole
from ilvr_latent.pictures.images import fit_to, read_image, to_tensor

from . import once
from .models import Embedded, Model, StandIn
from .photographs import delta_e, low_band_psnr, photographs
from .rounds import OF_INPAINTING, WAYS, Outcome, img2img, inpainting
from .tables import Record, tables, write_picture
from .vae import FOLDER, TinyVAE, is_there

EMOJI = {"noto_apple": "apple", "noto_frog": "frog face", "twemoji_sunflower": "sunflower"}
OF_ROUNDS = (0, 1, 2)


def main() -> None:
    """Measure row by row."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.colours",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--output", type=Path, required=True, help="a folder")
    parser.add_argument("--pictures", type=int, default=3, help="of each model, 1 to 3")
    options = parser.parse_args()
    if not is_there():
        raise SystemExit(f"There is no taef2_decoder.safetensors in {FOLDER}.")
    folder, found = output_folder(options.output), list[Record]()
    with torch.inference_mode():
        for record in records(options.pictures, folder):
            found.append(record)
            with written_whole(folder / "colours.json") as partial:
                partial.write_text(json.dumps(found, indent=1))
    (folder / "colours.md").write_text(tables(found))


def records(pictures: int, folder: Path) -> Iterator[Record]:
    """Every row of every table."""
    vae, photos = TinyVAE(), photographs()
    latents = torch.cat([vae.encode(photo[None]) for photo in photos])
    for table, rows in (("kernels", once.kernels), ("once", once.rows)):
        for way, values in rows(vae, photos[:4], latents[:4]):
            numbers = {name: [float(v) for v in value] for name, value in values.items()}
            yield {"table": table, "way": way, "numbers": numbers}
    for place in OF_ROUNDS[:pictures]:
        others = torch.arange(len(latents)) != place
        model = StandIn(vae, latents[others])
        yield from of_rounds("stand-in", str(place), model, photos[place][None], folder)
    for name, prompt in list(EMOJI.items())[:pictures]:
        y = to_tensor(fit_to(read_image(REFERENCES / f"{name}.png"), (128, 128)))
        yield from of_rounds("embedded", name, Embedded(prompt), y, folder)


def of_rounds(kind: str, name: str, model: Model, y: Tensor, folder: Path) -> Iterator[Record]:
    """Rounds and continuations of one picture."""
    for table, run, ways in (("img2img", img2img, WAYS), ("inpainting", inpainting, OF_INPAINTING)):
        made: dict[str, Outcome] = {}
        for way in ways:
            made[way.name] = run(model, y, way)
            numbers = _apart(made[way.name].pictures, y)
            numbers["seconds"] = [made[way.name].seconds]
            yield {"table": f"{table}, {kind}", "way": way.name, "numbers": numbers}
        shown = {way: outcome.pictures for way, outcome in made.items()}
        write_picture(folder / f"{table}-{kind}-{name}.png", shown)


def _apart(pictures: list[Tensor], y: Tensor) -> dict[str, list[float]]:
    """Of the last picture and y, and the drift round by round."""
    z, quarter = pictures[-1], y.shape[-1] / 4
    return {
        "quarter": [float(delta_e(z, y, quarter))],
        "eighth": [float(delta_e(z, y, quarter / 2))],
        "mean": [float(delta_e(z, y, 4 * quarter))],
        "dB": [float(low_band_psnr(z, y, quarter))],
        "by round": [float(delta_e(p, y, quarter)) for p in pictures[1:]],
    }


if __name__ == "__main__":
    main()
