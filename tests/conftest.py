"""An exact denoiser, and the small networks on disk that the command line is tried with."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from torch import Tensor

from ilvr_latent import ADMConfig, LowPass, save_adm
from ilvr_latent.diffusion.schedule import alphas_cumprod

settings.register_profile(
    "repeatable", derandomize=True, deadline=None, database=None, max_examples=30
)
settings.load_profile("repeatable")

SIDE = 16


@dataclass(frozen=True)
class ExactConfig:
    """What :class:`ilvr_latent.diffusion.denoiser.DenoiserConfig` asks for."""

    image_size: int = SIDE
    image_channels: int = 3
    noise_schedule: str = "linear"
    diffusion_steps: int = 1000
    prediction_type: str = "epsilon"
    learn_sigma: bool = False
    sigma_small: bool = False
    num_classes: int | None = None


@dataclass
class MixtureDenoiser:
    """The best possible network for a mixture of Gaussians about a few pictures.

    x_0 is one of ``centres`` (K, C, H, W), equally likely, plus white noise of ``variance``; then
    E[x_0 | x_t] has a closed form. With ``learn_sigma``, ``learned(t)`` is the variance channels.
    """

    centres: Tensor
    variance: float = 0.01
    config: ExactConfig = field(default_factory=ExactConfig)
    learned: Callable[[Tensor], Tensor] | None = None
    seen: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        table = alphas_cumprod(self.config.noise_schedule, self.config.diffusion_steps)
        self.a_bar = table.to(self.centres.device)

    @property
    def device(self) -> torch.device:
        return self.centres.device

    def mean(self, x: Tensor, t: Tensor) -> Tensor:
        """E[x_0 | x_t], float64."""
        a = self.a_bar[t].view(-1, 1, 1, 1, 1)
        x = x.double()[:, None]
        centres = self.centres.double()[None]
        spread = a * self.variance + 1 - a
        away = x - a.sqrt() * centres
        likely = torch.softmax(-away.square().sum((2, 3, 4), keepdim=True) / (2 * spread), dim=1)
        means = centres + a.sqrt() * self.variance / spread * away
        return (likely * means).sum(1)

    def __call__(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        self.seen.append(x)
        x_0, a = self.mean(x, t), self.a_bar[t].view(-1, 1, 1, 1)
        eps = (x.double() - a.sqrt() * x_0) / (1 - a).sqrt()
        forms = {
            "epsilon": eps,
            "sample": x_0,
            "v_prediction": a.sqrt() * eps - (1 - a).sqrt() * x_0,
        }
        out = forms[self.config.prediction_type]
        if self.config.learn_sigma:
            assert self.learned is not None
            out = torch.cat([out, self.learned(t).view(-1, 1, 1, 1).expand_as(out)], dim=1)
        return out.float()


def pictures(count: int, seed: int, side: int = SIDE) -> Tensor:
    """Random pictures with structure at every scale, (count, 3, side, side) in [-0.9, 0.9]."""
    noise = torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed))
    layers = [LowPass(n)(noise) * n for n in (1, 2, 4, 8)]
    total = torch.stack(layers).sum(0)
    return 0.9 * total / total.abs().amax(dim=(1, 2, 3), keepdim=True)


@pytest.fixture(scope="session", autouse=True)
def no_lines_of_progress() -> None:
    """A busy machine would have commands say how far they are, and tests read all that is said."""
    from ilvr_latent.cli import common

    common.EVERY = math.inf


@pytest.fixture(scope="session")
def some_pictures() -> Callable[..., Tensor]:
    """Random pictures: ``some_pictures(count, seed)``."""
    return pictures


@pytest.fixture(scope="session")
def exact() -> Callable[..., MixtureDenoiser]:
    """Make a denoiser of three pictures; arguments are the config's, and ``variance``."""

    def make(
        centres: Tensor | None = None,
        variance: float = 0.01,
        learned: Callable[[Tensor], Tensor] | None = None,
        **config: object,
    ) -> MixtureDenoiser:
        settings = dataclasses.replace(ExactConfig(), **config)  # type: ignore[arg-type]
        own = pictures(3, seed=1) if centres is None else centres
        return MixtureDenoiser(own, variance, settings, learned)

    return make


@dataclass
class CountedNoise:
    """Noise from one stream that writes down what was asked of it."""

    seed: int = 0
    asked: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._generator = torch.Generator().manual_seed(self.seed)

    def _draw(self, shape: Sequence[int]) -> Tensor:
        return torch.randn(tuple(shape), generator=self._generator)

    def initial(self, shape: Sequence[int]) -> Tensor:
        self.asked.append(("x_T", -1))
        return self._draw(shape)

    def step(self, i: int, shape: Sequence[int]) -> Tensor:
        self.asked.append(("z", i))
        return self._draw(shape)

    def reference(self, i: int, shape: Sequence[int]) -> Tensor:
        self.asked.append(("reference", i))
        return self._draw(shape)

    def jump(self, i: int, shape: Sequence[int]) -> Tensor:
        self.asked.append(("jump", i))
        return self._draw(shape)


@pytest.fixture
def counted_noise() -> CountedNoise:
    """A noise source that keeps count."""
    return CountedNoise()


TINY = ADMConfig(
    image_size=SIDE,
    num_channels=32,
    num_res_blocks=1,
    channel_mult=(1, 1),
    attention_levels=(1,),
    noise_schedule="linear",
    num_heads=1,
    num_head_channels=16,
    resblock_updown=True,
    learn_sigma=True,
)


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write a random network that says itself what it is; arguments change its configuration."""
    from ilvr_latent.adm.unet import ADM, ADMUNet

    folder = tmp_path_factory.mktemp("checkpoints")

    def write(**changes: object) -> Path:
        config = dataclasses.replace(TINY, **changes)  # type: ignore[arg-type]
        path = folder / ("-".join(f"{k}{v}" for k, v in changes.items()) + "tiny.safetensors")
        if not path.exists():
            torch.manual_seed(0)
            model = ADM(ADMUNet(config), config).eval()
            save_adm(model, path, dtype=torch.float32)
        return path

    return write
