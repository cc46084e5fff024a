"""What a metric is: something that is reset, accumulates over the batches of an epoch, and then has a value.

A metric belongs to one learner: what users pass (a function, a class, an instance) is turned into a fresh metric
(`laminar.metrics.making`), so nothing is shared between two learners. Sums stay on the device until the value is asked
for.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any, ClassVar, Protocol, TypeVar

from torch import Tensor

from laminar.core.device import find_bs
from laminar.core.state_data import is_data

__all__ = [
    "AvgLoss",
    "AvgMetric",
    "BatchState",
    "Metric",
    "PairMetric",
    "ValueMetric",
    "mean_of_items",
    "ratio",
    "smaller_is_better",
]


F = TypeVar("F", bound=Callable[..., Any])


class BatchState(Protocol):
    """What a metric may read of the learner after each batch."""

    xb: Any
    yb: Any
    pred: Any
    loss: Any


class Metric:
    """Base of all metrics: override `reset`, `accumulate` and `value`.

    `reset` must make new accumulators, not empty the old ones: each learner works on a shallow copy.
    """

    smaller_is_better: bool | None = None
    """Whether a smaller value is the better one, for callbacks that keep the best; None where nobody said."""

    title: ClassVar[str] = ""
    """The column's title; by default the class's name in small letters."""

    _name: str = ""

    def reset(self) -> None:
        """Forget what was accumulated: an epoch begins."""

    def accumulate(self, learn: Any) -> None:
        """Take in one batch.

        Args:
            learn: the learner (a `BatchState`): ``learn.pred``, ``learn.yb``, ``learn.loss`` are this batch's.
        """
        raise NotImplementedError(f"{type(self).__name__} must define accumulate(learn).")

    @property
    def value(self) -> Any:
        """The metric over everything since `reset`: a number or a tensor of one element; None if nothing was seen."""
        raise NotImplementedError(f"{type(self).__name__} must define value.")

    @property
    def name(self) -> str:
        """The column's title. May be set: ``metric.name = "F1 (macro)"``."""
        return self._name or self._default_name()

    @name.setter
    def name(self, title: str) -> None:
        self._name = title

    def _default_name(self) -> str:
        """The column's title where none was given."""
        return self.title or type(self).__name__.lower()

    def state_dict(self) -> dict[str, Any]:
        """What must be saved for the metric to go on in the middle of an epoch: by default, all attributes that are
        numbers, texts, tensors, or lists, tuples and dicts of them.
        """
        return {name: value for name, value in vars(self).items() if is_data(value)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with what `state_dict` returned."""
        vars(self).update(state)


class PairMetric(Metric):
    """Base of metrics that need predictions and targets alone: override `update`.

    An instance can also be called on tensors, outside any training.
    """

    def update(self, preds: Any, *targets: Any) -> None:
        """Take in the predictions and targets of one batch."""
        raise NotImplementedError(f"{type(self).__name__} must define update(preds, *targets).")

    def accumulate(self, learn: Any) -> None:
        """Take in one batch of the learner."""
        self.update(learn.pred, *learn.yb)

    def __call__(self, preds: Any, *targets: Any) -> Any:
        """Return the value for these predictions and targets; leaves what was accumulated alone."""
        fresh = copy.copy(self)
        fresh.reset()
        fresh.update(preds, *targets)
        return fresh.value


def smaller_is_better(function: F) -> F:
    """Decorator for a metric: callbacks that keep the best weights or stop early take the smaller value for better."""
    function.smaller_is_better = True  # type: ignore[attr-defined]  # read by AvgMetric
    return function


def function_name(func: Callable[..., Any]) -> str:
    """Return the name of a function, also inside a partial, or of a callable's class."""
    inner = getattr(func, "func", func)
    return str(getattr(inner, "__name__", type(inner).__name__))


def mean_of_items(function: F) -> F:
    """Decorator for a metric that is a mean over items: the function gives a value for each, the metric their mean.

    ``metric.items(preds, targets)`` gives the single values, from which intervals and comparisons are made.
    """

    @functools.wraps(function)
    def mean(*args: Any, **options: Any) -> Any:
        return function(*args, **options).mean()

    mean.items = function  # type: ignore[attr-defined]  # read by whoever needs single values
    return mean  # type: ignore[return-value]  # the same signature


def ratio(function: F) -> F:
    """Decorator for a metric that is a quotient: the function gives numerator and denominator.

    Over an epoch both are added up, so that the metric is that of all items and not a mean of the batches' quotients.
    """

    @functools.wraps(function)
    def quotient(*args: Any, **options: Any) -> Any:
        above, below = function(*args, **options)
        return above / below

    quotient.parts = function  # type: ignore[attr-defined]  # read by AvgMetric
    return quotient  # type: ignore[return-value]  # the same signature


class AvgMetric(Metric):
    """Mean of ``func(pred, *targets)`` over batches, each weighted by its number of items.

    Args:
        func: returns a number or a tensor of one element for a batch; its attribute ``smaller_is_better``, if it has
            one, is the metric's. A function decorated with `ratio` is added up exactly.
    """

    def __init__(self, func: Callable[..., Any]) -> None:
        self.func = func
        inner = getattr(func, "func", func)
        self.smaller_is_better = getattr(inner, "smaller_is_better", None)
        parts = getattr(inner, "parts", None)
        if parts is not None and isinstance(func, functools.partial):
            parts = functools.partial(parts, *func.args, **func.keywords)
        self._parts: Callable[..., Any] | None = parts
        self.reset()

    def reset(self) -> None:
        """Forget what was accumulated."""
        self.total: Any = 0.0
        self.count: Any = 0
        self._seen = False

    def accumulate(self, learn: Any) -> None:
        """Call the function on this batch and add its value, without waiting for the device."""
        if self._parts is not None:
            above, count = self._parts(learn.pred, *learn.yb)
        else:
            count = find_bs(learn.yb if learn.yb else learn.xb)
            value = self.func(learn.pred, *learn.yb)
            above = (value.detach() if isinstance(value, Tensor) else value) * count
        self.total, self.count, self._seen = self.total + above, self.count + count, True

    @property
    def value(self) -> Any:
        """The mean so far."""
        return self.total / self.count if self._seen and self.count else None

    def _default_name(self) -> str:
        return function_name(self.func)


class AvgLoss(Metric):
    """Mean of the loss over batches, each weighted by its number of items."""

    smaller_is_better = True

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget what was accumulated."""
        self.total: Any = 0.0
        self.count: Any = 0

    def accumulate(self, learn: Any) -> None:
        """Add this batch's loss, without waiting for the device; a batch without targets has none."""
        if learn.yb and learn.loss is not None:
            n = find_bs(learn.yb)
            self.total = self.total + learn.loss.detach().mean() * n
            self.count += n

    @property
    def value(self) -> Any:
        """The mean so far."""
        return self.total / self.count if self.count else None

    def _default_name(self) -> str:
        return "loss"


class ValueMetric(Metric):
    """A column whose number a function gives at the end of the epoch: something another callback has computed.

    Args:
        func: called without arguments.
        metric_name: the column's title, the function's name by default.
    """

    def __init__(self, func: Callable[[], Any], metric_name: str | None = None) -> None:
        self.func, self.metric_name = func, metric_name

    def accumulate(self, learn: Any) -> None:
        """Do nothing: the function knows."""

    @property
    def value(self) -> Any:
        """What the function returns."""
        return self.func()

    def _default_name(self) -> str:
        return self.metric_name or function_name(self.func)
