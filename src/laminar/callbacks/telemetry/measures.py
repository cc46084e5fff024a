"""Which statistics are taken of what: the words and functions that users give, made into measures."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor

from laminar.callbacks.telemetry import statistics
from laminar.core.errors import ConfigError, describe, suggest

__all__ = ["DEFAULT_STATISTICS", "KINDS", "Measure", "Statistic", "StatisticsChoice", "measures_of"]

KINDS = ("activations", "weights", "gradients", "updates")
"""What of a layer is measured: its outputs; its weights before a step; their gradients; what the step adds to them."""

Statistic: TypeAlias = Callable[..., Tensor]
"""A function of a tensor. Further arguments without a default are given by name, out of ``weight`` (what the gradient
or update is of), ``previous`` (the same tensor one step before), ``lr`` (of its parameter group), ``unit_dim``."""

StatisticsChoice: TypeAlias = Sequence[str | Statistic] | Mapping[str, Sequence[str | Statistic]] | None

_KNOWN = {
    "weight": ("gradients", "updates"),
    "previous": ("weights", "gradients", "updates"),
    "lr": ("weights", "gradients", "updates"),
    "unit_dim": KINDS,
}
# Where a statistic would have a value, but no meaning.
_MEANT_FOR: dict[Statistic, tuple[str, ...]] = {
    statistics.effective_learning_rate: ("weights",),
    statistics.dead_units: ("activations", "gradients"),
    statistics.gradient_noise: ("gradients",),
    statistics.cosine_to_previous: ("gradients", "updates"),
}

_SPREAD = (statistics.mean, statistics.std, statistics.mean_absolute_deviation, statistics.percentiles)
DEFAULT_STATISTICS: dict[str, tuple[Statistic, ...]] = {
    "activations": (*_SPREAD, statistics.share_near_zero, statistics.dead_units, statistics.abs_max),
    "weights": (*_SPREAD, statistics.norm, statistics.abs_max, statistics.effective_learning_rate),
    "gradients": (statistics.norm, statistics.abs_max, statistics.dead_units),
    "updates": (statistics.norm, statistics.update_to_weight),
}
"""What `LayerTelemetry` takes unless it is told. A value that is no number shows in all of them."""


@dataclass(frozen=True)
class Measure:
    """One statistic of one kind of tensor.

    Attributes:
        name: of the statistic.
        function: it.
        needs: names of what it is given besides the tensor.
        parts: names of its values, where they have names of their own.
    """

    name: str
    function: Statistic
    needs: frozenset[str] = frozenset()
    parts: tuple[str, ...] = field(default=())

    def __call__(self, tensor: Tensor, **known: Any) -> Tensor:
        """Its values for a tensor, in one dimension."""
        value = self.function(tensor, **{name: known[name] for name in self.needs})
        return torch.as_tensor(value, device=tensor.device).detach().reshape(-1).float()


def measures_of(kinds: Sequence[str], choice: StatisticsChoice) -> dict[str, tuple[Measure, ...]]:
    """The measures of each kind of tensor.

    Args:
        kinds: out of `KINDS`.
        choice: names and functions, for all kinds where they make sense or by kind; None for `DEFAULT_STATISTICS`.

    Raises:
        ConfigError: a word that is not known, or a function that wants what there is not.
    """
    for kind in [*kinds, *(choice if isinstance(choice, Mapping) else ())]:
        if kind not in KINDS:
            raise ConfigError(f"{kind!r} cannot be measured.{suggest(kind, KINDS)} There are: {', '.join(KINDS)}.")
    if choice is None:
        choice = DEFAULT_STATISTICS
    if isinstance(choice, Mapping):
        return {kind: _unique(kind, map(_measure, choice.get(kind, ()))) for kind in kinds}
    measures = [_measure(statistic) for statistic in choice]
    return {kind: _unique(kind, (m for m in measures if kind in _kinds(m))) for kind in kinds}


def _unique(kind: str, measures: Iterable[Measure]) -> tuple[Measure, ...]:
    found: dict[str, Measure] = {}
    for measure in measures:
        if found.setdefault(measure.name, measure).function is not measure.function:
            raise ConfigError(
                f"two statistics of {kind} are called {measure.name!r}, so one would hide the other. Make one a"
                " function with a name of its own (def), or watch with two LayerTelemetry."
            )
    return tuple(found.values())


def _measure(statistic: str | Statistic) -> Measure:
    if isinstance(statistic, str):
        if statistic not in statistics.__all__:
            raise ConfigError(
                f"there is no statistic {statistic!r}.{suggest(statistic, statistics.__all__)} There are:"
                f" {', '.join(statistics.__all__)}; and any function of a tensor."
            )
        statistic = getattr(statistics, statistic)
    if not callable(statistic):
        raise ConfigError(f"a statistic is a function of a tensor or one of its names, but {describe(statistic)} came")
    plain = _unwrapped(statistic)
    name = getattr(plain, "__name__", type(plain).__name__)
    needs = _needs(statistic, name)
    return Measure(name, statistic, needs, _parts(statistic, plain))


def _unwrapped(statistic: Statistic) -> Statistic:
    return _unwrapped(statistic.func) if isinstance(statistic, partial) else statistic


def _needs(statistic: Statistic, name: str) -> frozenset[str]:
    _first, *others = inspect.signature(statistic).parameters.values()
    needs = [p.name for p in others if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    for need in needs:
        if need not in _KNOWN:
            raise ConfigError(
                f"the statistic {name} takes {need!r}, which is not known.{suggest(need, _KNOWN)} Besides the tensor it"
                f" may take {', '.join(_KNOWN)}; give others a default."
            )
    return frozenset(needs)


def _kinds(measure: Measure) -> set[str]:
    """Where a measure makes sense."""
    allowed = set(_MEANT_FOR.get(_unwrapped(measure.function), KINDS))
    return allowed.intersection(*(_KNOWN[need] for need in measure.needs))


def _parts(statistic: Statistic, plain: Statistic) -> tuple[str, ...]:
    """Names of a statistic's values, where it is one of ours that has several."""
    given = {name: p.default for name, p in inspect.signature(statistic).parameters.items()}
    if plain is statistics.percentiles:
        return tuple(f"{share:g} %" for share in given["q"])
    if plain is statistics.histogram:
        bins, low, width = given["bins"], given["low"], (given["high"] - given["low"]) / given["bins"]
        return tuple(f"{low + i * width:g} to {low + (i + 1) * width:g}" for i in range(bins))
    return ()
