"""Train the latent text-to-image model: a small UNet and its text encoder, together.

    OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 -m training.train_latent

Stable Diffusion's layout in small: 4x16x16 latents of the trained autoencoder, cross-attention to
the last hidden state of a CLIP-layout encoder, scaled-linear betas, v-prediction. Latents and
tokenizer come from `python -m training.latents` and `python -m training.captions`.
"""

from __future__ import annotations

import torch
from diffusers import UNet2DConditionModel
from torch import Generator, Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from ilvr_latent.diffusion.schedule import alphas_cumprod
from training import captions, data, latents
from training.diffusion import capped_weight, noised, velocity
from training.loop import Recipe, options, train

RECIPE = Recipe(
    name="latent",
    images=600_000,
    batch_size=64,
    learning_rate=1.5e-3,
    decay=0.4,
    ema=0.999,
)
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


def build(vocabulary: int) -> TextToImage:
    """Fresh networks; what each block adds, and the output, start at zero."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        block_out_channels=(64, 128, 128),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
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


def main() -> None:
    """Train, going on where the last run stopped."""
    chosen = options(__doc__, RECIPE)
    npm = chosen.cache / "npm"
    known = captions.captions(data.select(npm), npm)
    tokenizer = CLIPTokenizer.from_pretrained(chosen.cache / "tokenizer")
    views = latents.load(chosen.cache)
    pictures = data.load(chosen.cache)
    weights = pictures["weights"] * ~pictures["held_out"]
    a_bars = alphas_cumprod("scaled_linear", 1000).float()

    def loss(model: nn.Module, size: int, generator: Generator) -> Tensor:
        picked = torch.multinomial(weights, size, replacement=True, generator=generator).tolist()
        x_0 = views.draw(picked, generator)
        texts = [captions.draw_caption(known[index], generator) for index in picked]
        tokens = tokenizer(
            texts, padding="max_length", truncation=True, return_tensors="pt"
        ).input_ids
        t = torch.randint(len(a_bars), (size,), generator=generator)
        eps = torch.randn(x_0.shape, generator=generator)
        a_bar = a_bars[t]
        v = model(noised(x_0, eps, a_bar), t, tokens)
        error = (v - velocity(x_0, eps, a_bar)).square().mean(dim=(1, 2, 3))
        weighted: Tensor = (capped_weight(a_bar) * error).mean()
        return weighted

    train(
        build(len(tokenizer)),
        loss,
        RECIPE,
        images=chosen.images,
        cache=chosen.cache,
        restart=chosen.restart,
    )


if __name__ == "__main__":
    main()
