"""Networks of noisy pictures, and whether they fit what a run shows them."""

from __future__ import annotations

from ..adm.classifier_network import ClassifierConfig
from ..diffusion.guide import Run
from ..diffusion.schedule import alphas_cumprod
from ..errors import InputError

# Of alpha-bar; between two timesteps of the embedded classifier's schedule it changes by 0.0016.
SAME_LEVEL = 0.01


def check_network(network: object, run: Run) -> None:
    """Refuse a classifier that says of itself that it is for something else than this run.

    Args:
        network: one with a ``config`` as :class:`ilvr_latent.adm.ADMClassifier` has it, a method of
            such a one, or any other, which says nothing.
        run: which it shall guide.

    Raises:
        InputError: its pictures have another size, or its noise another schedule.
    """
    config = getattr(getattr(network, "__self__", network), "config", None)
    if not isinstance(config, ClassifierConfig):
        return
    wanted = (config.in_channels, config.image_size, config.image_size)
    if tuple(run.shape[1:]) != wanted:
        raise InputError(
            f"The classifier is for pictures of {'x'.join(map(str, wanted))}, not of "
            f"{'x'.join(map(str, run.shape[1:]))}; sample at that size."
        )
    if config.noise_schedule is None:
        return
    table = alphas_cumprod(config.noise_schedule, config.diffusion_steps)
    for step in run.schedule.steps:
        place = min(max(round(step.t), 0), len(table) - 1)
        if abs(float(table[place]) - step.a_bar) > SAME_LEVEL:
            raise InputError(
                f"The classifier knows the noise of a {config.noise_schedule} schedule of "
                f"{config.diffusion_steps} timesteps, and this model has another; use a "
                "classifier that was trained on its schedule."
            )
