"""Schedules: pure functions of the progress of training (0 to 1), and the callback that applies them."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from torch.optim import Optimizer

from laminar.callbacks.base import Callback
from laminar.core.errors import ConfigError
from laminar.optim.groups import HyperSetter, spread

__all__ = [
    "ParamScheduler",
    "SchedCos",
    "SchedExp",
    "SchedLin",
    "SchedNo",
    "SchedPoly",
    "Schedule",
    "annealer",
    "combine_scheds",
    "combined_cos",
    "sched_cos",
    "sched_exp",
    "sched_lin",
    "sched_no",
    "sched_poly",
    "warmup",
]

Schedule = Callable[[float], Any]
Value = Any  # a number, or one number for each parameter group


def sched_lin(start: Value, end: Value, pos: float) -> Any:
    """A straight line."""
    return start + pos * (end - start)


def sched_cos(start: Value, end: Value, pos: float) -> Any:
    """Half a wave of the cosine: slow, quick, slow."""
    return start + (1 - math.cos(math.pi * pos)) / 2 * (end - start)


def sched_no(start: Value, end: Value, pos: float) -> Any:
    """The start, throughout."""
    return start


def sched_exp(start: Value, end: Value, pos: float) -> Any:
    """A geometric series: the same factor at each step."""
    return start * (end / start) ** pos


def sched_poly(start: Value, end: Value, pos: float, power: float = 1.0) -> Any:
    """A power of the progress."""
    return start + (end - start) * pos**power


class _Annealer:
    """A schedule from `start` to `end`; both may be numbers or hold one number for each parameter group."""

    curve: Callable[[Any, Any, float], Any]

    def __init__(self, start: Value, end: Value) -> None:
        self.start, self.end = _number_or_array(start), _number_or_array(end)

    def __call__(self, pos: float) -> Any:
        """Return the value at progress `pos`, 0 to 1."""
        return self.curve(self.start, self.end, pos)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.start}, {self.end})"


def _number_or_array(value: Value) -> Any:
    if isinstance(value, int | float):
        return float(value)
    return np.asarray(value, dtype=float) if hasattr(value, "__len__") else float(value)


class SchedLin(_Annealer):
    """A straight line.

    >>> SchedLin(0, 2)(0.25)
    0.5
    """

    curve = staticmethod(sched_lin)


class SchedCos(_Annealer):
    """Half a wave of the cosine: slow, quick, slow."""

    curve = staticmethod(sched_cos)


class SchedNo(_Annealer):
    """The start, throughout."""

    curve = staticmethod(sched_no)


class SchedExp(_Annealer):
    """A geometric series: the same factor at each step.

    Raises:
        ConfigError: a value that is not above 0, from which no factor leads anywhere.
    """

    curve = staticmethod(sched_exp)

    def __init__(self, start: Value, end: Value) -> None:
        super().__init__(start, end)
        if not (np.all(np.asarray(self.start) > 0) and np.all(np.asarray(self.end) > 0)):
            raise ConfigError(f"SchedExp({start}, {end}): both must be above 0; SchedLin and SchedCos reach 0.")


class SchedPoly(_Annealer):
    """A power of the progress.

    Args:
        start: value at 0.
        end: value at 1.
        power: 1 is a straight line, 2 begins slowly, 0.5 ends slowly.
    """

    def __init__(self, start: Value, end: Value, power: float) -> None:
        super().__init__(start, end)
        self.power = power

    def __call__(self, pos: float) -> Any:
        """Return the value at progress `pos`, 0 to 1."""
        return sched_poly(self.start, self.end, pos, self.power)


def annealer(f: Callable[[Any, Any, float], Any]) -> Callable[[Any, Any], Schedule]:
    """Make a schedule class of a function ``f(start, end, pos)``; usable as a decorator."""

    def make(start: Any, end: Any) -> Schedule:
        first, last = _number_or_array(start), _number_or_array(end)
        return lambda pos: f(first, last, pos)

    return make


def combine_scheds(pcts: Sequence[float], scheds: Sequence[Schedule]) -> Schedule:
    """Put schedules after each other, each stretched over its share of the training.

    Args:
        pcts: shares, which add up to 1.
        scheds: as many schedules.

    Raises:
        ConfigError: different counts, a negative share, or shares that do not add up to 1.

    >>> combine_scheds([0.25, 0.75], [SchedLin(0, 1), SchedLin(1, 0)])(0.625)
    0.5
    """
    shares = [float(pct) for pct in pcts]
    if len(shares) != len(scheds):
        raise ConfigError(f"{len(shares)} shares {shares} for {len(scheds)} schedules: each schedule needs one.")
    if min(shares, default=-1) < 0 or not math.isclose(sum(shares), 1, abs_tol=1e-6):
        raise ConfigError(f"the shares {shares} must be positive and add up to 1; they add up to {sum(shares):g}.")
    parts = [(share, sched) for share, sched in zip(shares, scheds, strict=True) if share > 0]
    ends = list(accumulate(share for share, _ in parts))
    last = len(parts) - 1

    def combined(pos: float) -> Any:
        number = min(bisect_right(ends, pos), last)
        share, sched = parts[number]
        inner = (pos - ends[number]) / share + 1
        return sched(0.0 if inner < 0 else 1.0 if inner > 1 else inner)

    return combined


def combined_cos(pct: float, start: Value, middle: Value, end: Value) -> Schedule:
    """Cosine from `start` to `middle` over the share `pct` of training, then cosine to `end`."""
    return combine_scheds([pct, 1 - pct], [SchedCos(start, middle), SchedCos(middle, end)])


def warmup(sched: Schedule, pct: float = 0.1, div: float = 25.0) -> Schedule:
    """Put a rise along a straight line before a schedule, which then has the rest of the training.

    Args:
        sched: the schedule.
        pct: share of the training in which the value rises, 0 to 1.
        div: the first value is what `sched` begins with, over this; ``math.inf`` begins at 0.

    Raises:
        ConfigError: `pct` is no share.

    >>> decay = warmup(SchedLin(1, 0), pct=0.5, div=4)
    >>> decay(0), decay(0.5), decay(0.75)
    (0.25, 1.0, 0.5)
    """
    if not 0 <= pct < 1:
        raise ConfigError(f"warmup(pct={pct}): the share must be 0 or more, and below 1.")
    peak = _number_or_array(sched(0.0))
    return combine_scheds([pct, 1 - pct], [SchedLin(peak / div, peak), sched])


class ParamScheduler(Callback):
    """Sets hyper-parameters before each training batch, from the progress of training.

    While gradients are accumulated they stay what they were at the first batch of the window, as they would for one
    large batch.

    The learner puts back what they were when the fit is over. `hps` holds, for each name, the values at each batch: a
    number, or one for each parameter group.

    Args:
        scheds: for each hyper-parameter (``lr, mom, sqr_mom, eps, wd``, or torch's names), a schedule or a list of
            one schedule for each parameter group (None leaves that group as it is). A schedule returns a number for
            all groups, or one for each.
    """

    order = 60
    run_valid = False
    passes = ("fit",)
    allow_several = True

    def __init__(self, scheds: Mapping[str, Schedule | Sequence[Schedule | None]]) -> None:
        self.scheds = dict(scheds)
        self.hps: dict[str, list[Any]] = {}
        self._setters: list[tuple[Schedule, HyperSetter, list[Any]]] = []
        self._window_open = False

    def before_fit(self) -> None:
        """Find the hyper-parameters in the optimiser.

        Raises:
            ConfigError: no such hyper-parameter, one schedule too few, another scheduler has it already, or the
                loader has no length.
        """
        if not self.learn.knows_progress:
            raise ConfigError(
                f"a schedule of {', '.join(self.scheds)} runs from the first batch to the last, and the training "
                "loader does not say how many it has. Give it a __len__, train for Batches(...) or Minutes(...), or"
                " with fit(n_epoch, lr)."
            )
        others = [cb for cb in self.learn.cbs if isinstance(cb, ParamScheduler) and cb is not self and cb.run]
        self.hps = {name: [] for name in self.scheds}
        self._setters, self._window_open = [], False
        for name, sched in self.scheds.items():
            if any(name in other.scheds for other in others):
                raise ConfigError(f"two schedulers set {name!r}; remove one of them.")
            setter = HyperSetter(self.opt, name)
            self._setters.append((_one_schedule(name, sched, setter.get()), setter, self.hps[name]))

    def values_at(self, opt: Optimizer, points: Sequence[float]) -> dict[str, list[list[float]]]:
        """The values this would set, by name: at each point of a fit one for each parameter group.

        Args:
            opt: the optimiser, with the hyper-parameters the fit begins with.
            points: shares of the fit, 0 to 1.
        """
        values: dict[str, list[list[float]]] = {}
        for name, sched in self.scheds.items():
            present = HyperSetter(opt, name).get()
            schedule = _one_schedule(name, sched, present)
            values[name] = [spread(schedule(point), len(present), name) for point in points]
        return values

    def before_batch(self) -> None:
        """Set the values for this batch."""
        pos = self.learn.pct_train
        for schedule, setter, history in self._setters:
            if self._window_open:
                history.append(history[-1])
                continue
            value = schedule(pos)
            setter(value)
            history.append(value)

    def after_batch(self) -> None:
        """Note whether the next batch goes on with a window of accumulated gradients."""
        self._window_open = not self.learn.should_step

    def cleanup_fit(self) -> None:
        """Let go of the optimiser."""
        self._setters = []

    def state_dict(self) -> dict[str, Any]:
        """The values so far, and whether a window of accumulated gradients is open."""
        values = {name: np.array(values).T.tolist() for name, values in self.hps.items()}  # a list for each group
        return {"hps": values, "open": self._window_open}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with them."""
        for name, values in state["hps"].items():
            by_group = bool(values) and isinstance(values[0], list)
            self.hps.setdefault(name, [])[:] = list(np.array(values).T) if by_group else values
        self._window_open = state["open"]


def _one_schedule(name: str, sched: Schedule | Sequence[Schedule | None], present: list[float]) -> Schedule:
    """Make one schedule of one for each group, where None keeps what is there at present."""
    if callable(sched):
        return sched
    several = [SchedNo(now, now) if one is None else one for one, now in zip(sched, present, strict=False)]
    if len(sched) != len(present):
        raise ConfigError(
            f"{len(sched)} schedules for {name!r}, but the model has {len(present)} parameter groups: give one for"
            " each (None leaves a group alone), or one for all."
        )
    return lambda pos: [one(pos) for one in several]
