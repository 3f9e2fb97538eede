"""Train the classifier of noisy pictures that comes with the package: which group an emoji is of.

    OMP_NUM_THREADS=1 python -m training.train_classifier --batch-size 64

guided-diffusion's classifier in small (arXiv 2105.05233, section 4), on the noise of the embedded
pixel model's own schedule and on pictures of every design.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator, Tensor, nn

from ilvr_latent.adm.classifier_network import ADMClassifier, ClassifierConfig
from ilvr_latent.diffusion.schedule import alphas_cumprod
from ilvr_latent.embedded import GROUPS
from training import styles
from training.augment import views
from training.diffusion import noised, noised_at_random
from training.loop import Recipe, read_options, train
from training.report import resized
from training.train_pixel import CONFIG as PIXEL

CONFIG = ClassifierConfig(
    image_size=64,
    width=32,
    depth=1,
    channel_mult=(1, 2, 3),
    attention_downsampling=(4,),
    num_head_channels=32,
    num_classes=len(GROUPS),
    patch=2,
)
RECIPE = Recipe(
    name="classifier", images=1_500_000, batch_size=256, learning_rate=1e-3, decay=0.5, beta_2=0.99
)
SMOOTHING = 0.05
CHECKED_AT = (0, 250, 500, 750)  # timesteps


def build() -> ADMClassifier:
    """A fresh network."""
    torch.manual_seed(0)
    return ADMClassifier(CONFIG)


class Labelled:
    """Noisy views and the groups of what they show.

    Args:
        cache: where the pictures are.
        device: where they are drawn.
    """

    def __init__(self, cache: Path, device: torch.device) -> None:
        pictures = styles.load(cache)
        known = pictures["group"] >= 0
        out = known & pictures["held_out"] & (pictures["style"] == 0)
        self.unseen = resized(pictures["images"][out], PIXEL.image_size).to(device)
        self.unseen_groups = pictures["group"][out].to(device)
        self._images = pictures["images"].to(device)
        self._groups = pictures["group"].to(device)
        drawn = pictures["weights"] * known * ~pictures["held_out"]
        solid = pictures["style"] == 0
        self._weights = torch.where(solid, drawn / drawn[solid].sum(), drawn / drawn.sum())
        self._weights = self._weights.to(device)
        a_bars = alphas_cumprod(PIXEL.noise_schedule, PIXEL.diffusion_steps)
        self.a_bars = a_bars.float().to(device)

    def draw(self, size: int, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """x_t (size, 3, 64, 64), t and groups (size,)."""
        picked = torch.multinomial(self._weights, size, replacement=True, generator=generator)
        x_0 = views(self._images[picked], PIXEL.image_size, generator)
        x_t, t, _ = noised_at_random(x_0, self.a_bars, generator)
        return x_t, t, self._groups[picked]


@torch.inference_mode()
def report(model: nn.Module, labelled: Labelled) -> tuple[dict[str, float], Image.Image | None]:
    """The share of held-out pictures whose group it knows, at a few noise levels."""
    x_0, truth = labelled.unseen, labelled.unseen_groups
    generator = Generator(x_0.device).manual_seed(0)
    figures = {}
    for t in CHECKED_AT:
        eps = torch.randn(x_0.shape, generator=generator, device=x_0.device)
        x_t = noised(x_0, eps, labelled.a_bars[t].expand(len(x_0)))
        logits = model(x_t, torch.full((len(x_0),), t, device=x_0.device))
        figures[f"accuracy_{t}"] = (logits.argmax(dim=1) == truth).float().mean().item()
    return figures, None


def main() -> None:
    """Train, going on where the last run stopped."""
    recipe, chosen = read_options(__doc__, RECIPE)
    labelled = Labelled(chosen.cache, chosen.device)

    def loss(model: nn.Module, size: int, generator: Generator) -> Tensor:
        x_t, t, truth = labelled.draw(size, generator)
        return F.cross_entropy(model(x_t, t), truth, label_smoothing=SMOOTHING)

    train(build(), loss, recipe, chosen, lambda ema: report(ema, labelled))


if __name__ == "__main__":
    main()
