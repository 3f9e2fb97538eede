"""ILVR Apply on the stock `ddpm` sampler is the paper's Algorithm 1."""

from __future__ import annotations

from types import ModuleType

import torch


def test_ddpm_with_fresh_noise_is_algorithm_1(pack: ModuleType) -> None:
    import comfy.k_diffusion.sampling
    import comfy.samplers
    import mixture

    model, y_0 = mixture.mixture("eps"), mixture.draw(4).double()
    phi = pack.ilvr_latent.LowPass(4)
    # x_T is not matched in the paper: the range begins just after it.
    guided = pack.nodes.guides.ilvr.ILVRApply.execute(
        model, {"samples": y_0.float() / 0.8}, 4, 0.001, 1.0, 1.0, noise="fresh"
    )[0]
    out = mixture.sampled(guided, "ddpm", seed=7)

    sampling = model.get_model_object("model_sampling")
    sigmas = comfy.samplers.calculate_sigmas(sampling, "normal", 20).double()
    a_bar = 1 / (1 + sigmas**2)
    # The host's own noise, which it seeds differently from version to version.
    z = comfy.k_diffusion.sampling.default_noise_sampler(torch.zeros(mixture.SHAPE), seed=7)
    eps = torch.Generator().manual_seed(7 + pack.nodes.rows.SEED_OFFSET)
    x = torch.randn(mixture.SHAPE, generator=torch.Generator().manual_seed(7)).double()
    for now, then, sigma in zip(a_bar[:-1], a_bar[1:], sigmas, strict=False):
        x_0 = mixture.expected_x_0(x / now.sqrt(), sigma, torch.ones(()), mixture.means())
        alpha = now / then
        predicted_eps = (x - now.sqrt() * x_0) / (1 - now).sqrt()
        x = (x - (1 - alpha) / (1 - now).sqrt() * predicted_eps) / alpha.sqrt()
        y = y_0
        if then < 1:
            noise = z(now, then).double()
            x = x + ((1 - then) / (1 - now) * (1 - alpha)).sqrt() * noise
            fresh = torch.randn(mixture.SHAPE, generator=eps).double()
            y = then.sqrt() * y_0 + (1 - then).sqrt() * fresh
        x = phi(y) + x - phi(x)
    assert torch.allclose(out.double() * 0.8, x, atol=1e-5)
