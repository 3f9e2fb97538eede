"""Train the latent text-to-image model: a small UNet and its text encoder, together.

    OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 -m training.train_latent

Stable Diffusion's layout in small: 8x16x16 latents of the trained autoencoder, cross-attention to
the last hidden state of a CLIP-layout encoder, scaled-linear betas, v-prediction. Latents
come from `python -m training.latents`, captions from `python -m training.styles`.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny, DDIMScheduler, UNet2DConditionModel
from PIL import Image
from torch import Generator, Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from ilvr_latent.metrics.distribution import distances
from ilvr_latent.metrics.domain import load_embedded_domain, pooled_features
from ilvr_latent.metrics.network import load_feature_network
from training import captions, latents, styles
from training.diffusion import velocity_loss
from training.loop import Recipe, read_options, train
from training.report import tiled
from training.train_autoencoder import LATENT_CHANNELS

RECIPE = Recipe(
    name="latent", images=4_000_000, batch_size=512, learning_rate=1.5e-3, decay=0.4, beta_2=0.99
)
SHARES = (0.55, 0.15, 0.15, 0.15, 0.0)  # of the designs
DROPOUT = 0.12  # share of captions that say nothing, for classifier-free guidance
SAMPLE_STEPS, GUIDANCE_SCALE = 25, 3.0
WIDTH = 128


class TextToImage(nn.Module):
    """The two networks that are trained together.

    Args:
        unet: the denoiser.
        text_encoder: what it attends to.
    """

    def __init__(self, unet: UNet2DConditionModel, text_encoder: CLIPTextModel) -> None:
        super().__init__()
        self.unet = unet
        self.text_encoder = text_encoder

    def forward(self, x_t: Tensor, t: Tensor, tokens: Tensor) -> Tensor:
        """The predicted velocity."""
        states = self.text_encoder(input_ids=tokens).last_hidden_state
        v: Tensor = self.unet(x_t, t, encoder_hidden_states=states).sample
        return v


def build(vocabulary: int = captions.VOCABULARY) -> TextToImage:
    """Fresh networks; what each block adds, and the output, start at zero."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=16,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(64, 128, 128),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        # The number of heads: diffusers keeps this name for the sake of old files.
        attention_head_dim=4,
    )
    for name, parameter in unet.named_parameters():
        if any(part in name for part in (".conv2.", "conv_out.", "proj_out.")):
            nn.init.zeros_(parameter)
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            projection_dim=WIDTH,
            num_hidden_layers=1,
            num_attention_heads=4,
            max_position_embeddings=captions.MAX_LENGTH,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
        )
    )
    # torch types Module.to without its memory_format.
    return TextToImage(unet, text_encoder).to(memory_format=torch.channels_last)  # type: ignore


class Pairs:
    """Latents with a caption each.

    Args:
        cache: where they are.
        device: where they are drawn.
    """

    def __init__(self, cache: Path, device: torch.device) -> None:
        pictures = styles.load(cache)
        drawn = pictures["weights"] * ~pictures["held_out"]
        shares = torch.tensor(SHARES)
        total = torch.zeros(len(SHARES)).index_add(0, pictures["style"], drawn)
        self._weights = (drawn * (shares / total.clamp(min=1))[pictures["style"]]).to(device)
        self._latents = latents.load(cache)["latents"].to(device)
        self.tokens = pictures["tokens"].to(device)
        self.solid = torch.nonzero((pictures["style"] == 0) & (self._weights.cpu() > 0)).flatten()

    def draw(self, size: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """Latents (size, 8, 16, 16), and tokens (size, 16) of their captions or of nothing."""
        picked = torch.multinomial(self._weights, size, replacement=True, generator=generator)
        which, way = (
            torch.randint(count, (size,), generator=generator, device=picked.device)
            for count in (self._latents.shape[1], self.tokens.shape[1] - 1)
        )
        silent = torch.rand(size, generator=generator, device=picked.device) < DROPOUT
        tokens = self.tokens[picked, torch.where(silent, -1, way)]
        return self._latents[picked, which].float(), tokens.long()


def process() -> DDIMScheduler:
    """What the model is trained for, as a pipeline holds it."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        clip_sample=False,
        steps_offset=1,
        set_alpha_to_one=False,
        timestep_spacing="trailing",
    )


@torch.inference_mode()
def drawn(model: TextToImage, tokens: Tensor, nothing: Tensor, generator: Generator) -> Tensor:
    """Latents of one sample for each caption (DDIM, classifier-free guidance)."""
    device, scheduler = tokens.device, process()
    scheduler.set_timesteps(SAMPLE_STEPS, device=device)
    x = torch.randn(len(tokens), LATENT_CHANNELS, 16, 16, generator=generator, device=device)
    both = torch.cat([nothing.expand_as(tokens), tokens])
    for t in scheduler.timesteps:
        without, given = model(torch.cat([x, x]), t, both).float().chunk(2)
        x = scheduler.step(without + GUIDANCE_SCALE * (given - without), t, x).prev_sample
    return x


@torch.inference_mode()
def report(
    model: nn.Module, pairs: Pairs, vae: AutoencoderTiny, scale: float, samples: int
) -> tuple[dict[str, float], Image.Image]:
    """FID of samples by training captions, against the domain, and some of them."""
    assert isinstance(model, TextToImage)
    device = pairs.tokens.device
    generator = Generator(device).manual_seed(0)
    chosen = pairs.solid[:: len(pairs.solid) // samples][:samples].to(device)
    nothing = pairs.tokens[0, -1].long()
    made = []
    for part in torch.split(chosen, 128):
        z = drawn(model, pairs.tokens[part, 0].long(), nothing, generator)
        made.append(vae.decode(z / scale).sample.clamp(-1, 1))
    x = torch.cat(made)
    network = load_feature_network().to(device)
    small = F.interpolate(x, (64, 64), mode="bicubic", antialias=True).clamp(-1, 1)
    found = distances(pooled_features(network, small).cpu(), load_embedded_domain().features)
    return {"fid": found.fid, "kid": found.kid, "samples": len(x)}, tiled(x[:64].cpu())


def main() -> None:
    """Train, going on where the last run stopped."""
    recipe, chosen = read_options(__doc__, RECIPE)
    pairs = Pairs(chosen.cache, chosen.device)
    a_bars = process().alphas_cumprod.to(chosen.device)
    vae = latents.trained_autoencoder(chosen.cache).to(chosen.device)
    scale = latents.scaling_factor(chosen.cache)

    def draw_and_compare(model: nn.Module, size: int, generator: Generator) -> Tensor:
        x_0, tokens = pairs.draw(size, generator)
        return velocity_loss(lambda x_t, t: model(x_t, t, tokens), x_0, a_bars, generator)

    samples = 512 if chosen.device.type == "cuda" else 64
    train(
        build(),
        draw_and_compare,
        recipe,
        chosen,
        lambda ema: report(ema, pairs, vae, scale, samples),
    )


if __name__ == "__main__":
    main()
