"""A step asks the device for nothing: no value is read back, and nothing moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ilvr_latent import (
    EGSDE,
    ILVR,
    SDDM,
    BandStatistics,
    RecordedNoise,
    Reference,
    WeightSchedule,
    Window,
    sample,
    sample_with,
)
from ilvr_latent.diffusion import LOOPS
from ilvr_latent.diffusion.guide import Guide
from ilvr_latent.guides import feature_energy
from ilvr_latent.guides.energy import AnyEnergy
from tests.gaussians import Gaussians

if TYPE_CHECKING:
    from tests.conftest import MixtureDenoiser

Exact = Callable[..., "MixtureDenoiser"]
SHAPE = (2, 3, 16, 16)
STEPS = 4
READS = ("aten::_local_scalar_dense", "aten::item", "aten::is_nonzero", "aten::nonzero")


class NoReading(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Fails where a value is read from a tensor, once it is armed."""

    armed = False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> Any:
        if self.armed and func.name().split(".")[0] in READS:
            raise AssertionError(f"a step waits for the device: {func.name()}")
        return func(*args, **(kwargs or {}))


def no_reading() -> NoReading:
    return NoReading()  # type: ignore[no-untyped-call]


class Recorded(RecordedNoise):
    """Arms the mode when x_T is asked for: the run has begun."""

    def __init__(self, mode: NoReading | None) -> None:
        one = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
        super().__init__(one, [one] * STEPS, dict.fromkeys(range(STEPS), one))
        self._mode = mode

    def initial(self, shape: Sequence[int]) -> Tensor:
        if self._mode is not None:
            self._mode.armed = True
        return super().initial(shape)


def two_references(pictures: Callable[..., Tensor]) -> list[Reference]:
    a, b = pictures(2, seed=9)[:, None]
    falling = WeightSchedule.ramp(0.8, 0.2, "cosine")
    left = torch.zeros(1, 1, 16, 16)
    left[..., :8] = 1
    return [Reference(a, 4, Window(0, 0.8)), Reference(b, 3.5, mask=left, weight=falling)]


SETTINGS: list[dict[str, Any]] = [
    {},
    {"space": "prediction"},
    {"sampler": "ddim", "eta": 0.5, "reference_noise": "hybrid"},
    {"compat": "ilvr_adm"},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_no_value_is_read_back_while_sampling(
    exact: Exact, some_pictures: Callable[..., Tensor], settings: dict[str, Any]
) -> None:
    model = exact(learn_sigma=True, learned=lambda t: torch.zeros(t.shape, dtype=torch.float64))
    references = two_references(some_pictures)
    with no_reading() as mode:
        out = sample(model, references, shape=SHAPE, steps=STEPS, noise=Recorded(mode), **settings)
        mode.armed = False
    assert len(model.seen) == STEPS
    assert out.isfinite().all()


def other_guides(pictures: Callable[..., Tensor]) -> list[Guide]:
    y_0 = pictures(1, seed=9)

    def features(x: Tensor, t: Tensor | None = None) -> Tensor:
        return x.sin()

    energy = feature_energy(features, y_0, blocks=4)
    energies: list[AnyEnergy] = [energy, lambda x: x.diff(dim=-1).square().flatten(1).sum(1)]
    return [
        SDDM(y_0, blocks=4, energies=energies, project_start=True),
        SDDM(y_0, blocks=4, energies=energies[:1], per_block=True, repeats=2),
        EGSDE(y_0, features=features, factor=4),
        BandStatistics(y_0, 0.25),
    ]


@pytest.mark.parametrize("number", range(4))
def test_other_guides_read_nothing_back(
    exact: Exact, some_pictures: Callable[..., Tensor], number: int
) -> None:
    model, guide = exact(), other_guides(some_pictures)[number]
    with no_reading() as mode:
        out = sample_with(model, guide, shape=SHAPE, steps=STEPS, noise=Recorded(mode))
        mode.armed = False
    assert out.isfinite().all()


@pytest.mark.parametrize("method", [SDDM, EGSDE, BandStatistics])
def test_other_guides_stay_on_the_networks_device(
    exact: Exact, some_pictures: Callable[..., Tensor], method: type
) -> None:
    model = exact(torch.zeros(2, 3, 16, 16, device="meta"))
    y_0 = some_pictures(1, seed=9)
    own: dict[type, dict[str, Any]] = {SDDM: {"blocks": 4}, EGSDE: {"factor": 4}}
    guide = method(y_0, **own.get(method, {}))
    out = sample_with(model, guide, shape=SHAPE, steps=STEPS, noise=Recorded(None))
    assert out.device.type == "meta"


def test_the_test_would_notice() -> None:
    with no_reading() as mode, pytest.raises(AssertionError, match="waits"):
        mode.armed = True
        float(torch.ones(1) * 2)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_run_stays_on_the_networks_device(
    exact: Exact, some_pictures: Callable[..., Tensor], settings: dict[str, Any]
) -> None:
    """The meta device holds no values: reading one, or mixing in a CPU tensor, would raise."""
    model = exact(torch.zeros(2, 3, 16, 16, device="meta"))
    references = two_references(some_pictures)  # on the CPU, as a user has them
    out = sample(model, references, shape=SHAPE, steps=STEPS, noise=Recorded(None), **settings)
    assert out.device.type == "meta"
    assert all(x.device.type == "meta" for x in model.seen)


class OfLoop(Recorded):
    """With numbers for Langevin moves."""

    def corrector(self, i: int, j: int, shape: Sequence[int]) -> Tensor:
        return self.step(0, shape)


@pytest.mark.parametrize(
    ("loop", "settings"),
    [
        ("pc", {}),
        ("pc", {"predictor": "reverse_diffusion", "norms": "batch"}),
        ("ode", {}),
        ("cold", {"fixed_noise": True, "algorithm": 1}),
    ],
    ids=str,
)
def test_the_other_loops_ask_the_device_for_nothing_either(
    some_pictures: Callable[..., Tensor], loop: str, settings: dict[str, Any]
) -> None:
    guide = ILVR(two_references(some_pictures))
    model = Gaussians.one(torch.zeros(1, 3, 16, 16), 0.5)
    chosen: dict[str, Any] = {"guide": guide, "shape": SHAPE, "steps": STEPS} | settings
    with no_reading() as mode:
        out = LOOPS[loop](model, noise=OfLoop(mode), **chosen)
        mode.armed = False
    assert out.isfinite().all()
