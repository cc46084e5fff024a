"""`lr_find`: a sweep over learning rates after which everything is as it was before."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from functools import partial
from typing import Any

import numpy as np

from laminar.callbacks.lr_finder import LRFinder, SuggestFunction, minimum, slide, steep, valley
from laminar.callbacks.recorder import Recorder
from laminar.core.errors import ConfigError, suggest
from laminar.learner.course import Course, length_of
from laminar.learner.loop import TrainingLoop
from laminar.learner.snapshot import Snapshot

__all__ = ["SuggestionMethod", "as_found", "sweep"]

_FEWEST_POINTS = 6


class SuggestionMethod(Enum):
    """The rules that read the curve of `lr_find`."""

    Valley = partial(valley)
    Slide = partial(slide)
    Minimum = partial(minimum)
    Steep = partial(steep)


@contextmanager
def as_found(learn: TrainingLoop) -> Iterator[None]:
    """Put everything back at the end, whatever happens (see `Snapshot`); copies are kept where the originals are."""
    opt, learn.opt = learn.opt, None  # the sweep has one of its own
    snapshot = Snapshot(learn)
    try:
        yield
    finally:
        snapshot.restore()
        learn.opt = opt


def sweep(
    learn: TrainingLoop,
    make_opt: Callable[[], Any],
    start_lr: list[float],
    end_lr: list[float],
    num_it: int,
    stop_div: bool,
) -> tuple[list[float], list[float]]:
    """Train with rising learning rates (of each group) on a fresh optimiser, and put everything back.

    Returns:
        Learning rates (of the last group) and smoothed losses.

    Raises:
        ConfigError: no sweep can be made of this: too few iterations, rates that do not rise, or the loss was no number
            from the start.
    """
    if num_it < _FEWEST_POINTS:
        raise ConfigError(f"num_it={num_it} gives too few points for a curve; at least {_FEWEST_POINTS} are needed.")
    if not all(0 < start < end for start, end in zip(start_lr, end_lr, strict=True)):
        first, last = (rates[0] if len(set(rates)) == 1 else rates for rates in (start_lr, end_lr))
        raise ConfigError(f"start_lr={first} must be above 0, and end_lr={last} above it.")
    finder = LRFinder(start_lr, end_lr, num_it, stop_div)
    train = learn.dls[0]  # read through a loader of its own where there can be one: epochs go on as if nothing had been
    n_batches = length_of(train)
    n_epoch = -(-num_it // n_batches) if n_batches else num_it
    with as_found(learn), learn.added_cbs(finder):
        make_opt()
        learn._fit(Course(n_epoch), kind="lr_find", train_dl=train.new() if hasattr(train, "new") else train)
    if len(finder.losses) < _FEWEST_POINTS:
        raise ConfigError(
            f"the loss diverged after {len(finder.losses)} of {num_it} batches, at a learning rate of"
            f" {finder.lrs[-1] if finder.lrs else start_lr}: losses {[round(x, 3) for x in finder.losses]}. Start"
            " lower (start_lr=...), and look at the data and the loss. The model is as it was."
        )
    return finder.lrs, finder.losses


def suggestions(
    lrs: list[float], losses: list[float], num_it: int, functions: Sequence[Any]
) -> list[tuple[str, float, tuple[float, float]]]:
    """Ask each rule: its name, the learning rate, and the point to mark.

    The first tenth of the curve, and its last points where the sweep went through, are noise and left out.
    """
    start = num_it // 10
    end = len(lrs) - 5 if len(lrs) > start + 15 else len(lrs)
    if end - start < _FEWEST_POINTS:
        start, end = 0, len(lrs)
    used_lrs, used_losses = np.asarray(lrs[start:end]), np.asarray(losses[start:end])
    result: list[tuple[str, float, tuple[float, float]]] = []
    for function in functions:
        inner = function.func if isinstance(function, partial) else function
        answer = function(used_lrs, used_losses, num_it)
        lr, point = answer if isinstance(answer, tuple) else (answer, None)
        if point is None:
            point = (float(lr), float(np.interp(np.log(float(lr)), np.log(used_lrs), used_losses)))
        name = getattr(inner, "__name__", type(inner).__name__)
        taken = [earlier for earlier, _, _ in result]
        if not name.isidentifier() or name in taken:  # a lambda; a rule given twice
            name = f"suggestion_{len(taken) + 1}"
        result.append((name, float(lr), point))
    return result


def rules(suggest_funcs: Any) -> list[SuggestFunction]:
    """The rules that a user gave, one or several, as functions; their names will do.

    Raises:
        ConfigError: one is none.
    """
    known = {method.name.lower(): method.value for method in SuggestionMethod}
    functions: list[SuggestFunction] = []
    for given in suggest_funcs if isinstance(suggest_funcs, list | tuple) else [suggest_funcs]:
        rule = given.value if isinstance(given, SuggestionMethod) else known.get(given, given)
        if rule is not None and not callable(rule):
            raise ConfigError(
                f"suggest_funcs: {rule!r} is no rule.{suggest(str(rule), known)} There are {', '.join(known)}, and any"
                " function f(lrs, losses, num_it) that returns a rate."
            )
        functions += [] if rule is None else [rule]
    return functions


def as_namedtuple(found: Sequence[tuple[str, float, Any]]) -> Any:
    """The suggested rates under the names of their rules."""
    names, rates = [name for name, _, _ in found], [lr for _, lr, _ in found]
    kind: Any = namedtuple("SuggestedLRs", names)  # type: ignore[misc]  # the names are the rules the user gave
    return kind(*rates)


def keep_sweep(learn: TrainingLoop, lrs: list[float], losses: list[float]) -> Recorder:
    """Let the recorder keep the curve, for `plot_lr_find`; a learner without one gets it drawn by a new one."""
    recorder = learn.get_cb(Recorder) or Recorder()
    recorder.sweep = (lrs, losses)
    return recorder
