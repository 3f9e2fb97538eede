"""What training scripts put around the weights: averaged and raw ones, side by side.

Averaged weights (EMA) are the better ones to sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from ..errors import check_choice

WeightsOf = Literal["ema", "model"]
AVERAGED, RAW = ("ema_model", "model_ema", "ema"), ("model", "state_dict")
WRAPPERS = (*AVERAGED, *RAW)
# A list of averaged parameters, in the order of those of the model beside it.
SHADOW = "shadow_params"


def check_weights_of(weights: object) -> str:
    """A kind of weights; what is none is refused.

    Raises:
        InputError: it is none.
    """
    check_choice("kind of weights", weights, get_args(WeightsOf))
    return str(weights)


def unwrapped(loaded: object, which: str) -> tuple[object, str | None]:
    """The weights themselves, and what was taken where there are several kinds.

    Args:
        loaded: what a file holds.
        which: of :data:`WeightsOf`; the other kind where there is no such.
    """
    if not isinstance(loaded, Mapping):
        return loaded, None
    kinds = {name: loaded[name] for name in WRAPPERS if isinstance(loaded.get(name), Mapping)}
    raw = next((kinds[name] for name in RAW if name in kinds), None)
    for name in AVERAGED:
        shadow = kinds.get(name, {}).get(SHADOW)
        if isinstance(shadow, (list, tuple)):
            kinds.pop(name)
            if isinstance(raw, Mapping) and len(raw) == len(shadow):
                kinds[name] = dict(zip(raw, shadow, strict=True))
    order = WRAPPERS if which == "ema" else (*RAW, *AVERAGED)
    taken = next((name for name in order if name in kinds), None)
    if taken is None:
        return loaded, None
    if len(kinds) == 1:
        return kinds[taken], None
    other = "model" if taken in AVERAGED else "ema"
    return kinds[taken], f"{taken!r} (the file has {sorted(kinds)}; weights={other} takes others)"
