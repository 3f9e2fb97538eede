"""What the options of the command line mean."""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .. import __version__, defaults
from ..defaults import ReferenceNoise, SamplerName
from ..diffusion.loops import LOOPS
from ..diffusion.resampling import Resampling
from ..diffusion.reverse import Variance
from ..errors import InputError
from ..guides.reference import Reference
from ..guides.weight import Weight, parse_weight
from ..guides.window import Window
from ..methods import FROM_REFERENCE
from .method_settings import check_methods
from .option import flag_of
from .options import Options, table


@dataclass(frozen=True)
class Settings(Options):
    """How one picture is made, but for the reference and the seed."""

    @classmethod
    def of(cls, options: argparse.Namespace, factor: float) -> Settings:
        """What the options say.

        Args:
            options: of any command that has those of the table.
            factor: N.

        Raises:
            InputError: an option cannot be used, or not with another.
        """
        given = ((name, getattr(options, name)) for name, _ in table())
        hashable: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in given
        }
        chosen = cls(factor=factor, **hashable)
        chosen._check_kind()
        check_methods(chosen)
        _ = chosen.window, chosen.matching_weight, chosen.resampling
        return chosen

    def _check_kind(self) -> None:
        """Refuse options of one kind of model together with the other."""
        fields = {field.name: field.default for field in dataclasses.fields(self)}
        other = "pipeline" if self.pipeline is None else "checkpoint"
        names = (name for name, entry in table() if entry.kind == other)
        given = next((name for name in names if getattr(self, name) != fields[name]), None)
        if given is None:
            return
        if other == "pipeline":
            raise InputError(f"{flag_of(given)} belongs to --pipeline; give one.")
        raise InputError(
            f"{flag_of(given)} is for guided-diffusion checkpoints and --pipeline is another "
            "model; leave one of them out."
        )

    @property
    def checkpoint(self) -> str:
        """A path, or ``embedded``."""
        return self.model or "embedded"

    @property
    def window(self) -> Window:
        """The window, in whichever unit it was given.

        Raises:
            InputError: it was given in two, or is empty.
        """
        fraction = {
            name: value for name in ("start", "end") if (value := getattr(self, name)) is not None
        }
        other = "timestep-range" if self.timestep_range is not None else "step-range"
        if fraction and (self.timestep_range or self.step_range):
            raise InputError(
                f"--{next(iter(fraction))} and --{other} both say when to match; leave one of them "
                "out."
            )
        if self.timestep_range is not None:
            return Window.timesteps(*self.timestep_range)
        if self.step_range is not None:
            return Window.steps(*self.step_range)
        return Window(**fraction)

    @property
    def matching_weight(self) -> Weight:
        """The weight of eq. 8.

        Raises:
            InputError: it cannot be read.
        """
        return parse_weight(self.weight)

    @property
    def resampling(self) -> Resampling | None:
        """RePaint's jumps; what is not given of them is as in the paper.

        Raises:
            InputError: a number is below 1.
        """
        names = ("jump_length", "jump_n_sample")
        given = {name: value for name in names if (value := getattr(self, name)) is not None}
        return Resampling(**given) if given else None

    @property
    def chosen_noise(self) -> ReferenceNoise | None:
        """Of the reference; ``None`` leaves it to the sampler."""
        return None if self.reference_noise == "auto" else self.reference_noise

    @property
    def chosen_variance(self) -> Variance | None:
        """Of DDPM; ``None`` leaves it to the network."""
        return None if self.variance == "auto" else self.variance

    def reverse(self, steps: int) -> tuple[SamplerName, float, ReferenceNoise]:
        """Sampler, eta and noise of the reference, where they were left open.

        Args:
            steps: of the schedule.
        """
        return defaults.by_number_of_steps(
            steps,
            sampler=None if self.sampler == "auto" else self.sampler,
            eta=self.eta,
            noise=self.chosen_noise,
            variance_is_given=self.chosen_variance is not None,
        )

    def spaced_steps(self, diffusion_steps: int) -> str:
        """The steps, where sampler and spacing were left open as they are best for so few.

        Even where the run begins with a picture: its strength is a share of even steps.

        Args:
            diffusion_steps: T of the network.
        """
        given = self.steps.strip()
        count = int(given) if given.isdecimal() else diffusion_steps
        begins_with_noise = self.strength in (None, 1) and self.method not in FROM_REFERENCE
        left_open = self.sampler == "auto" and self.eta is None and self.chosen_variance is None
        few = 0 < count < min(defaults.FEW_STEPS, diffusion_steps)
        early = few and left_open and begins_with_noise
        return f"{defaults.EARLY}{count}" if early else self.steps

    def of_loop(self, sampler: str) -> dict[str, Any]:
        """What a sampler with a loop of its own takes, as it was given.

        Raises:
            InputError: an option belongs to another sampler.
        """
        own = {"pc": ("predictor", "corrector_steps", "snr"), "ode": ("tolerance",)}
        others = ("eta", *(name for names in own.values() for name in names))
        given = {name: value for name in others if (value := getattr(self, name)) is not None}
        alone = sampler in (*LOOPS, *defaults.WITHOUT_NOISE)
        taken = own.get(sampler, () if alone else ("eta",))
        foreign = next((name for name in given if name not in taken), None)
        if alone and self.chosen_variance is not None:
            foreign = "variance"
        if sampler in LOOPS and self.resampling is not None:
            foreign = "jump_length"
        if foreign is not None:
            raise InputError(
                f"{flag_of(foreign)} does not belong to --sampler {sampler}; leave it out."
            )
        return given if sampler in LOOPS else {}

    def without_reference(self) -> Settings:
        """The same, with nothing that guides."""
        return dataclasses.replace(
            self, weight="0", method="ilvr", class_=None, loss=None, style=None
        )

    def of_the_run(self) -> Settings:
        """What the pictures of a batch have in common: these, but for what is of guides alone."""
        if self.loss is not None:
            # Universal guidance asks the network itself.
            return self
        defaults_of: dict[str, Any] = {
            field.name: field.default for field in dataclasses.fields(self)
        }
        own = ["factor", *(name for name, entry in table() if entry.own)]
        return dataclasses.replace(self, **{name: defaults_of[name] for name in own})

    def reference(self, image: Tensor, mask: Tensor | None) -> Reference:
        """A picture or latent (B, C, H, W), matched as these settings say.

        Raises:
            InputError: the factor or the weight cannot be used, or the mask is black.
        """
        return Reference(
            image,
            self.factor,
            window=self.window,
            weight=self.matching_weight,
            mask=mask,
            kernel=self.kernel,
            space=self.space,
            band=self.band,
        )

    def written(self) -> dict[str, object]:
        """What is written into a picture of how it was made, but for reference, factor and seed."""
        kinds = ("any", "checkpoint" if self.pipeline is None else "pipeline")
        kept = [name for name, entry in table() if entry.written and entry.kind in kinds]
        raw: dict[str, Any] = {name.rstrip("_"): getattr(self, name) for name in kept}
        raw = {name: list(x) if isinstance(x, tuple) else x for name, x in raw.items()}
        if self.pipeline is None:
            raw |= {"model": self.checkpoint, "flag": list(self.flag)}
        else:
            raw["pipeline"] = self.pipeline
        weight, resampling, window = self.matching_weight, self.resampling, self.window
        return {
            "ilvr": __version__,
            **raw,
            "weight": weight if isinstance(weight, float) else str(weight),
            "window": {name: getattr(window, name) for name in ("start", "end", "unit")},
            **({} if resampling is None else dataclasses.asdict(resampling)),
        }
