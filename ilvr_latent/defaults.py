"""One policy of defaults, the same at every door; docs/method.md says it in words.

Wherever the paper's own sampler runs, the paper's settings. Where the sampler is another one, or
has few steps, what keeps the picture whole there. Doors deviate only as their users expect; each
deviation stands here with its reason.
"""

from __future__ import annotations

from typing import Final, Literal

# The paper, arXiv 2108.02938.
SPACE: Final = "state"
KERNEL: Final = "cubic"
WEIGHT: Final = 1.0
START: Final = 0.0
END: Final = 1.0
STEPS: Final = "100"
SAMPLER: Final = "ddpm"
ETA: Final = 1.0
NOISE: Final = "fresh"

# ComfyUI's and diffusers' samplers often add no noise of their own, and fresh noise of the
# reference then takes energy out of the low band (docs/steps.md).
NOISE_OF_OTHER_SAMPLERS: Final = "hybrid"

# They add no noise either.
WITHOUT_NOISE: Final = ("dpmpp_2m", "unipc", "unipc_damped", "ode", "cold")

# `ilvr sample`: half the calls, at the same FID (docs/steps.md).
COMMAND_STEPS: Final = "50"
# From so many on, DDPM is as good as with 250; with fewer, a solver of second order is nearer to
# that (docs/steps.md).
FEW_STEPS: Final = 50
SAMPLER_OF_FEW_STEPS: Final = "unipc_damped"
# A spacing for them: from pure noise, ten are better than twenty even ones (docs/steps.md).
EARLY: Final = "early"

# ILVR Apply: with a prompt, people expect the model to have the last word.
NODE_END: Final = 0.8
NODE_FACTOR: Final = 4.0

SamplerName = Literal["ddpm", "ddim", "dpmpp_2m", "unipc", "unipc_damped", "pc", "ode", "cold"]
ReferenceNoise = Literal["fresh", "fixed", "hybrid"]


def by_number_of_steps(
    steps: int,
    *,
    sampler: SamplerName | None = None,
    eta: float | None = None,
    noise: ReferenceNoise | None = None,
    variance_is_given: bool = False,
) -> tuple[SamplerName, float, ReferenceNoise]:
    """Sampler, eta and noise of the reference where they are left open, by docs/steps.md.

    Args:
        steps: of the run.
        sampler: that was chosen, or ``None``.
        eta: likewise; says that DDIM is meant.
        noise: likewise.
        variance_is_given: says that DDPM is meant.
    """
    few = steps < FEW_STEPS and not variance_is_given
    quick = sampler is None and (few or eta is not None)
    chosen_eta = (0.0 if quick else ETA) if eta is None else eta
    silent = quick or sampler in WITHOUT_NOISE
    chosen_noise = noise or (NOISE_OF_OTHER_SAMPLERS if silent else NOISE)
    if sampler is None and quick:
        sampler = SAMPLER_OF_FEW_STEPS if eta is None else "ddim"
    return sampler or SAMPLER, chosen_eta, chosen_noise
