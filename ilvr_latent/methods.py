"""The methods that follow a reference, by name: which guide, and where the run begins.

    ilvr     low frequencies of the state, arXiv 2108.02938     ddnm   of the prediction, 2212.00490
    sdedit   begins with the noised reference, 2108.01073     egsde  and is pulled to it, 2207.06635
    sddm     statistics of blocks, 2308.02154

>>> guide = Method("egsde").guide(Reference(image, 8), features=classifier.features)
>>> start = Method("egsde").start(image, steps=50)
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor

from .diffusion.guide import Guide, Guides
from .diffusion.loop import Start
from .diffusion.noise import ReferenceNoise
from .errors import InputError, check_choice
from .guides.egsde import EGSDE, Features
from .guides.energy import feature_energy
from .guides.ilvr import ILVR
from .guides.reference import Reference
from .guides.sddm import SDDM
from .guides.window import Window

MethodName = Literal["ilvr", "ddnm", "sdedit", "egsde", "sddm"]
METHODS: tuple[str, ...] = get_args(MethodName)
FROM_REFERENCE = ("sdedit", "egsde")
"""Begin with the noised reference unless told otherwise."""
WITH_FACTOR = ("ilvr", "ddnm", "egsde")
"""Look at low frequencies, and so have an N."""

# Of EGSDE, 500 of 1000 timesteps; SDEdit's best range holds it.
STRENGTH = 0.5
# The authors' range_t of 50 of 100 steps: to the end, blocks show.
SDDM_WINDOW = Window(0.0, 0.5)


@dataclass(frozen=True)
class Method:
    """A method with its settings.

    Attributes:
        name: one of :data:`METHODS`.
        strength: how much of the run is taken, from the reference with noise: 0 (as it is) to 1
            (noise alone); ``None`` is 0.5 for SDEdit and EGSDE, and pure noise for the others.
        realism: l_s of EGSDE; without features there is no such term.
        faithful: l_i of EGSDE.
        blocks: n of SDDM, along each side.
        energy_weight: of SDDM's energy of features; 0 is without.

    Raises:
        InputError: the name or the strength can't be.
    """

    name: MethodName = "ilvr"
    strength: float | None = None
    realism: float = 500.0
    faithful: float = 2.0
    blocks: int = 16
    energy_weight: float = 0.0

    def __post_init__(self) -> None:
        check_choice("method", self.name, METHODS)
        if self.strength is not None and not 0 < self.strength <= 1:
            raise InputError(
                f"The strength is {self.strength:g}; use more than 0 (the reference) up to 1 "
                "(noise alone)."
            )

    @property
    def asks_for_features(self) -> bool:
        """Whether it has a use for the features of a domain classifier."""
        return (self.name == "egsde" and self.realism > 0) or (
            self.name == "sddm" and self.energy_weight > 0
        )

    def guide(
        self,
        reference: Reference,
        *,
        features: Features | None = None,
        reference_noise: ReferenceNoise | None = None,
    ) -> Guide:
        """The guide; that of SDEdit does nothing.

        Args:
            reference: the picture, with the settings of the matching; a window that was left open
                is SDDM's own, the first half.
            features: of a domain classifier, (x, t) to (B, C', h, w).
            reference_noise: of ILVR's reference.

        Raises:
            InputError: a setting cannot be used.
        """
        if self.name == "sdedit":
            return Guides()
        if self.name == "egsde":
            return EGSDE(
                reference.image,
                features=features,
                realism=self.realism,
                faithful=self.faithful,
                factor=reference.factor,
            )
        if self.name == "sddm":
            return self._sddm(reference, features)
        if self.name == "ddnm":
            reference = dataclasses.replace(reference, space="prediction")
        return ILVR(reference, reference_noise=reference_noise)

    def _sddm(self, reference: Reference, features: Features | None) -> SDDM:
        energies = []
        if features is not None and self.energy_weight:
            energies = [feature_energy(features, reference.image, blocks=None)]
        return SDDM(
            reference.image,
            blocks=self.blocks,
            energies=energies,
            weight=self.energy_weight,
            window=SDDM_WINDOW if reference.window == Window() else reference.window,
            mask=reference.mask,
        )

    def start(self, image: Tensor, steps: int) -> Start | None:
        """Where the run begins; ``None`` is pure noise.

        Args:
            image: the reference, (B, C, H, W), as many as there are samples or one.
            steps: of the whole schedule.

        Raises:
            InputError: the strength leaves no step of it.
        """
        strength = self.strength
        if strength is None and self.name in FROM_REFERENCE:
            strength = STRENGTH
        if strength is None or strength == 1:
            return None
        taken = round(strength * steps)
        if taken == 0:
            raise InputError(
                f"The strength {strength:g} leaves none of {steps} steps; use at least "
                f"{1 / steps:.2g}."
            )
        return Start(image, steps - taken)
