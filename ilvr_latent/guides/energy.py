"""Energies: a number for each picture, lower is better, that guides follow downhill.

One of a kind is here: that of SDDM (arXiv 2308.02154), :func:`feature_energy`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ..diffusion.gradients import gradient, ordinary, ordinary_weights
from ..diffusion.guide import Run
from ..diffusion.schedule import Step
from ..errors import InputError
from .blocks import ReferenceStatistics, block_adain
from .noisy_pictures import check_network
from .reference import Reference


class Energy(Protocol):
    """Of states; autograd can go through it, in whatever mode the host samples."""

    def __call__(self, x: Tensor, step: Step) -> Tensor:
        """The energy of each picture.

        Args:
            x: (B, C, H, W), with alpha^2 + sigma^2 = 1 whatever the driver's scale.
            step: its level.

        Returns:
            (B,); that of a picture may not depend on the others.
        """
        ...


@runtime_checkable
class PlacedEnergy(Protocol):
    """An energy that holds pictures, which a run brings to its own scale, size and device."""

    def begin(self, run: Run) -> Energy:
        """The energy in one run.

        Raises:
            InputError: it does not fit the run.
        """
        ...


AnyEnergy = Energy | PlacedEnergy | Callable[[Tensor], Tensor]


def energy_in(energy: AnyEnergy, run: Run, y_0: Tensor) -> Energy:
    """An energy as a run needs it, tried once on a picture before any step is taken.

    Args:
        energy: one that takes (x, step), or x alone.
        run: which it is for.
        y_0: a picture in the scale of the run, (B, C, H, W).

    Raises:
        InputError: it does not give one finite number for each picture.
    """
    placed: Any = energy.begin(run) if isinstance(energy, PlacedEnergy) else energy
    of_run: Energy = placed
    try:
        # Calling a module says nothing of what it takes.
        inspect.signature(getattr(placed, "forward", placed)).bind(y_0, None)
    except TypeError:

        def of_run(x: Tensor, step: Step) -> Tensor:
            value: Tensor = placed(x)
            return value

    value = tried(lambda: _check(of_run(y_0, run.schedule.steps[-1]), len(y_0)))
    if value is not None and not bool(torch.isfinite(value).all()):
        raise InputError(
            f"The energy {_name(energy)} is NaN or infinite for the reference itself; it must be "
            "finite for every picture."
        )
    return of_run


def slope(energy: Energy, x: Tensor, step: Step) -> Tensor:
    """d energy / d x, picture by picture.

    Raises:
        InputError: the energy is not one number for each picture.
    """

    def of_pictures(point: Tensor) -> Tensor:
        return _check(energy(point, step), len(point))

    return gradient(of_pictures, x)


def tried(function: Callable[[], Tensor]) -> Tensor | None:
    """What a function gives before a run; ``None`` where only the run can tell.

    The precision of the states is not known yet, and a network may take no other.
    """
    with torch.inference_mode(False), torch.no_grad():
        try:
            return function()
        except RuntimeError:
            return None


def through(network: Callable[..., Tensor], *given: Tensor) -> Tensor:
    """A network's answer that autograd can follow, also if its weights were made in inference mode.

    Args:
        network: a module, or any function.
        *given: what it is called with.
    """
    if not isinstance(network, nn.Module):
        return network(*given)
    with ordinary_weights(network):
        answer: Tensor = network(*given)
    return answer


def _check(value: Tensor, batch: int) -> Tensor:
    shape = tuple(getattr(value, "shape", ()))
    if shape != (batch,):
        raise InputError(
            f"An energy gave a result of shape {shape} for {batch} pictures; it must give one "
            f"number for each, of shape ({batch},)."
        )
    return value


def _name(energy: object) -> str:
    return getattr(energy, "__name__", type(energy).__name__)


class FeatureEnergy:
    """sum (F(x_t) - R(F(x_t); F(y_0)))^2: how far features are from the reference's statistics.

    Args:
        features: F, (B, C, H, W) to (B, C', h, w); or of pictures in noise and their timesteps.
        reference: y_0, (B, C, H, W).
        blocks: n, of the features; ``None``: blocks of 2 x 2 places.
    """

    def __init__(
        self, features: Callable[..., Tensor], reference: Tensor, blocks: int | None
    ) -> None:
        self.features, self.reference, self.blocks = features, reference, blocks
        self._timed = _takes_timesteps(features)
        self._made: ReferenceStatistics | None = None

    def begin(self, run: Run) -> FeatureEnergy:
        """With the reference as the run holds pictures.

        Raises:
            InputError: it does not fit the run.
        """
        check_network(self.features, run)
        y_0, _ = Reference(self.reference, 1.0).placed(run)
        return FeatureEnergy(self.features, y_0, self.blocks)

    def __call__(self, x: Tensor, step: Step | None = None) -> Tensor:
        """(B,).

        Raises:
            InputError: the features do not divide into blocks.
        """
        features = self._of(x, 0 if step is None else step.t)
        blocks = self.blocks or features.shape[-1] // 2
        if self._made is None:
            self._made = ReferenceStatistics(self._of_reference, blocks)
        mean, std = self._made(x)
        # The gradient goes through the target too.
        target = block_adain(features, mean, std, blocks)
        return (features - target).square().flatten(1).sum(1)

    def _of(self, x: Tensor, t: float) -> Tensor:
        if not self._timed:
            return through(self.features, x)
        return through(self.features, x, torch.full((len(x),), t, device=x.device))

    def _of_reference(self, x: Tensor) -> Tensor:
        # A clean picture, at the timestep of clean pictures.
        return self._of(ordinary(self.reference).to(x), 0)


def _takes_timesteps(features: Callable[..., Tensor]) -> bool:
    try:
        inspect.signature(getattr(features, "forward", features)).bind(None, None)
    except (TypeError, ValueError):
        return False
    return True


def feature_energy(
    features: Callable[..., Tensor], reference: Tensor, *, blocks: int | None
) -> FeatureEnergy:
    """The energy of SDDM, for its ``energies``.

    Args:
        features: F, a network or any function, (B, C, H, W) to (B, C', h, w); the paper has the
            first layer of VGG. One that takes timesteps too, (x_t, t), is told those of the state,
            and 0 for the reference.
        reference: y_0, (B, C, H, W), as SDDM is given it.
        blocks: n, which must divide h and w; ``None``: blocks of 2 x 2 places.
    """
    return FeatureEnergy(features, reference, blocks)
