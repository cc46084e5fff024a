"""The curves that the recipes of training give learning rates, and what is checked of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from laminar.callbacks.schedule import SchedCos, Schedule, combine_scheds, combined_cos
from laminar.core.errors import ConfigError

__all__ = ["Moms", "check_momenta", "restarts", "rise_and_fall"]

Moms = tuple[float, float, float]


def rise_and_fall(rates: Sequence[float], pct_start: float, div: float, div_final: float) -> Schedule:
    """Along a cosine from ``rates / div`` to `rates`, then to ``rates / div_final``.

    Args:
        rates: the highest rate of each parameter group.
        pct_start: share of the training in which they rise.
        div: the first rates are these, divided by it.
        div_final: the last rates likewise.

    Raises:
        ConfigError: a share that is none, or a divisor that is not above 0.
    """
    if not 0 <= pct_start <= 1:
        raise ConfigError(f"pct_start={pct_start}: a share of the training, 0 to 1, is needed.")
    for name, divisor in (("div", div), ("div_final", div_final)):
        if not divisor > 0:
            raise ConfigError(f"{name}={divisor}: the learning rate is divided by it; a number above 0 is needed.")
    return combined_cos(pct_start, *(_divided(rates, divisor) for divisor in (div, 1, div_final)))


def restarts(rates: Sequence[float], lengths: Sequence[int]) -> Schedule:
    """In each cycle along a cosine from `rates` to 0.

    Args:
        rates: the highest rate of each parameter group.
        lengths: of the cycles, in epochs.
    """
    high = _divided(rates, 1)
    cycle = SchedCos(high, np.zeros_like(high))
    return combine_scheds([length / sum(lengths) for length in lengths], [cycle] * len(lengths))


def check_momenta(moms: Sequence[float]) -> None:
    """Refuse other than three.

    Raises:
        ConfigError: it is so.
    """
    if len(moms) != 3:
        raise ConfigError(f"moms={moms}: three numbers are needed: momentum at start, middle and end.")


def _divided(rates: Sequence[float], divisor: float) -> Any:
    """The rates over the divisor: a number where there is one group, a list where there are several."""
    return rates[0] / divisor if len(rates) == 1 else [rate / divisor for rate in rates]
