"""Sampling with ILVR (arXiv 2108.02938) in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict, Unpack

from torch import Tensor

from . import defaults
from .adm.authors import AuthorsILVR, authors_window
from .diffusion.denoiser import Denoiser
from .diffusion.loop import Callback, Start, labels_for, sample_with
from .diffusion.noise import NoiseSource, ReferenceNoise, SeededNoise
from .diffusion.resampling import Resampling
from .diffusion.reverse import Variance
from .diffusion.schedule import Schedule
from .errors import InputError
from .guides.ilvr import ILVR
from .guides.reference import Reference, Space
from .similarity import dial


class SamplerSettings(TypedDict, total=False):
    """What :func:`sample` hands on to :func:`~ilvr_latent.diffusion.loop.sample_with`."""

    sampler: Literal["ddpm", "ddim", "dpmpp_2m", "unipc", "unipc_damped"]
    eta: float
    variance: Variance | None
    clip_denoised: bool
    resampling: Resampling | None
    start: Start | None
    callback: Callback | None


def sample(
    model: Denoiser,
    references: Reference | Sequence[Reference] | Tensor | None,
    *,
    similarity: float | None = None,
    shape: Sequence[int] | None = None,
    steps: str | int = defaults.STEPS,
    space: Space | None = None,
    reference_noise: ReferenceNoise | None = None,
    class_labels: int | Tensor | None = None,
    compat: Literal["ilvr_adm"] | None = None,
    range_t: int | None = None,
    noise: NoiseSource | None = None,
    seed: int | Sequence[int] = 0,
    **settings: Unpack[SamplerSettings],
) -> Tensor:
    """Sample with ILVR (arXiv 2108.02938, Algorithm 1).

    Args:
        model: the network, usually from :func:`ilvr_latent.load_adm`.
        references: what to match; ``None`` or empty samples without a reference. With a
            ``similarity``, the picture itself, (B, C, H, W) in [-1, 1].
        similarity: 0 (not guided) to 100 (the picture), see :func:`ilvr_latent.similarity.dial`.
        shape: (B, C, H, W); by default that of the first reference, else one image of the
            network's size.
        steps: ``"100"``, ``"ddim50"``, ``"10,10,5"``, ``"early20"``, or a number.
        space: of all references, in place of their own: ``state`` (the paper) or ``prediction``.
        reference_noise: likewise: ``fresh`` (the paper), ``fixed`` or ``hybrid``.
        class_labels: one class for all, or int64 (B,).
        compat: ``"ilvr_adm"`` repeats the authors' code, see :mod:`ilvr_latent.adm.authors`.
        range_t: for ``compat`` only; takes the place of the references' windows.
        noise: a noise source; by default one from ``seed``.
        seed: one for each picture, or a single one: picture k of the batch then has seed + k.
        **settings: of the sampler: ``sampler`` (``ddpm``, the paper, ``ddim``,
            ``dpmpp_2m``, ``unipc`` or ``unipc_damped``, for few steps), ``eta``, ``variance``,
            ``clip_denoised``, ``resampling``
            (RePaint's jumps, for references with a mask), ``start`` and ``callback``, see
            :func:`~ilvr_latent.diffusion.loop.sample_with`.

    Returns:
        (B, C, H, W) fp32, about [-1, 1] (not clamped).

    Raises:
        InputError: a setting is outside its range or does not fit the network.
    """
    chosen = _chosen(references, similarity)
    config = model.config
    if shape is None:
        size = (1, config.image_channels, config.image_size, config.image_size)
        shape = tuple(chosen[0].image.shape) if chosen else size
    if compat not in (None, "ilvr_adm"):
        raise InputError(f"compat is {compat!r}; use None or 'ilvr_adm'.")
    if similarity is not None and compat is not None:
        raise InputError(
            "The authors' conventions have a range of their own, and a similarity chooses it; "
            "leave compat= or similarity= out."
        )
    if range_t is not None and compat is None:
        raise InputError(
            "range_t belongs to compat='ilvr_adm'; give the reference a Window instead."
        )
    guide: ILVR | None = None
    if compat is not None:
        schedule = Schedule(config.noise_schedule, config.diffusion_steps, steps)
        authors_window(schedule, range_t)
        if chosen:
            guide = AuthorsILVR(
                chosen, schedule, range_t, space=space, reference_noise=reference_noise
            )
    elif chosen:
        guide = ILVR(chosen, space=space, reference_noise=reference_noise)
    return sample_with(
        model,
        guide,
        shape=shape,
        steps=steps,
        class_labels=labels_for(config, class_labels, shape[0], model.device),
        noise=noise if noise is not None else SeededNoise(seed, model.device),
        **settings,
    )


def _chosen(
    given: Reference | Sequence[Reference] | Tensor | None, similarity: float | None
) -> list[Reference]:
    if isinstance(given, Tensor) != (similarity is not None):
        raise InputError(
            "A picture is followed by its similarity, and a Reference by its own settings; give "
            "a tensor and similarity= together, or a Reference alone."
        )
    if isinstance(given, Tensor):
        assert similarity is not None
        return [dial(similarity, side=min(given.shape[-2:])).reference(given)]
    return [given] if isinstance(given, Reference) else list(given or [])
