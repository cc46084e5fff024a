"""Metrics that need all predictions of an epoch at once: kept on their device, computed in the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from laminar.core.choices import Choice
from laminar.core.errors import ConfigError
from laminar.metrics.base import PairMetric, function_name

__all__ = ["AccumMetric", "ActivationType", "CollectingMetric", "optim_metric", "skm_to_fastai"]


class ActivationType(Choice):
    """What is done to raw outputs first."""

    No = "no"
    Sigmoid = "sigmoid"
    Softmax = "softmax"
    BinarySoftmax = "binarysoftmax"


def activated(preds: Tensor, activation: ActivationType, axis: int = -1) -> Tensor:
    """Apply an activation; ``binarysoftmax`` gives the probability of the last class."""
    if activation is ActivationType.No:
        return preds
    if activation is ActivationType.Sigmoid:
        return preds.sigmoid()
    probabilities = preds.softmax(dim=axis)
    return probabilities if activation is ActivationType.Softmax else probabilities.select(axis, -1)


class CollectingMetric(PairMetric):
    """Base of metrics that need everything at once: override `compute`, and `prepare` to keep less.

    Tensors stay on their device until the value is asked for.
    """

    def reset(self) -> None:
        """Forget what was collected."""
        self.preds: list[Tensor] = []
        self.targets: list[Tensor] = []

    def prepare(self, preds: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """What to keep of a batch."""
        return preds, targets

    def compute(self, preds: Tensor, targets: Tensor) -> Any:
        """Compute the metric of everything kept."""
        raise NotImplementedError(f"{type(self).__name__} must define compute(preds, targets).")

    def update(self, preds: Any, *targets: Any) -> None:
        """Keep the predictions and targets of one batch."""
        kept = self.prepare(preds.detach(), targets[0])
        self.preds.append(kept[0])
        self.targets.append(kept[1])

    @property
    def value(self) -> Any:
        """The metric of all that was collected."""
        return self.compute(torch.cat(self.preds), torch.cat(self.targets)) if self.preds else None


class AccumMetric(CollectingMetric):
    """A function of all predictions and targets of an epoch, for what is no mean of batches.

    Args:
        func: ``func(preds, targets, **options)``.
        dim_argmax: take the likeliest class along this axis.
        activation: what to do to raw outputs first: ``'no'``, ``'sigmoid'``, ``'softmax'``, ``'binarysoftmax'`` (the
            probability of the last class).
        thresh: turn probabilities into yes and no.
        to_np: hand over numpy arrays.
        invert_arg: hand over targets first, as scikit-learn wants it.
        flatten: hand over flat predictions and targets, which must then be as many.
        name: the column's title, the function's name by default.
        options: for `func`.

    Raises:
        ConfigError: another `activation`; at the first batch, other counts of predictions and targets.
    """

    def __init__(
        self,
        func: Callable[..., Any],
        dim_argmax: int | None = None,
        activation: str = ActivationType.No,
        thresh: float | None = None,
        to_np: bool = False,
        invert_arg: bool = False,
        flatten: bool = True,
        name: str | None = None,
        **options: Any,
    ) -> None:
        if activation not in list(ActivationType):
            raise ConfigError(f"activation={activation!r} is none of {', '.join(ActivationType)}.")
        self.func, self.dim_argmax, self.activation, self.thresh = func, dim_argmax, ActivationType(activation), thresh
        self.to_np, self.invert_arg, self.flatten, self.options = to_np, invert_arg, flatten, options
        self._name = name or function_name(func)
        self.smaller_is_better = getattr(getattr(func, "func", func), "smaller_is_better", None)
        self.reset()

    def prepare(self, preds: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Classes, decisions or probabilities of a batch, as wanted."""
        if self.dim_argmax is not None:
            preds = preds.argmax(dim=self.dim_argmax)
        else:
            preds = activated(preds, self.activation)
        if self.thresh is not None:
            preds = preds > self.thresh
        if self.flatten:
            if preds.numel() != targets.numel():
                raise ConfigError(
                    f"predictions {tuple(preds.shape)} and targets {tuple(targets.shape)} must hold as many numbers,"
                    " unless flatten=False."
                )
            preds, targets = preds.reshape(-1), targets.reshape(-1)
        return preds, targets

    def compute(self, preds: Tensor, targets: Tensor) -> Any:
        """Call the function."""
        pair: tuple[Any, Any] = (preds, targets)
        if self.to_np:
            pair = (_as_numpy(preds), _as_numpy(targets))
        return self.func(*(pair[::-1] if self.invert_arg else pair), **self.options)


def _as_numpy(values: Tensor) -> Any:
    on_cpu = values.cpu()
    return (on_cpu.float() if on_cpu.dtype is torch.bfloat16 else on_cpu).numpy()


def skm_to_fastai(
    func: Callable[..., Any],
    is_class: bool = True,
    thresh: float | None = None,
    axis: int = -1,
    activation: str | None = None,
    **options: Any,
) -> AccumMetric:
    """Make a metric of a function of scikit-learn's, computed once over all predictions of an epoch.

    ``skm_to_fastai(sklearn.metrics.zero_one_loss)``; for scores, ``is_class=False`` and an activation.

    Args:
        func: ``func(targets, predictions, **options)`` on numpy arrays.
        is_class: it wants classes: the likeliest along `axis`, or with `thresh` a yes or no for each output.
        thresh: probability from which an output counts as yes.
        axis: where the classes are.
        activation: what to do to raw outputs; by default the sigmoid where there is a `thresh`.
        options: for `func`.
    """
    likeliest = axis if is_class and thresh is None else None
    if activation is None:
        activation = ActivationType.Sigmoid if is_class and thresh is not None else ActivationType.No
    return AccumMetric(func, likeliest, activation, thresh, to_np=True, invert_arg=True, **options)


def optim_metric(
    f: Callable[..., Any],
    argname: str,
    bounds: tuple[float, float],
    tol: float = 0.01,
    do_neg: bool = True,
    get_x: bool = False,
) -> Callable[..., Any]:
    """Make a function that tries an argument of a metric at even distances and gives the best value.

    ``optim_metric(accuracy_multi, "thresh", (0.2, 0.9), get_x=True)(preds, targets)`` finds a threshold. Every value is
    tried, since such curves have steps and several peaks.

    Args:
        f: ``f(preds, targets, **{argname: value})``.
        argname: the argument.
        bounds: its smallest and largest value.
        tol: distance of the values that are tried.
        do_neg: larger is better; if False, smaller.
        get_x: return the best argument too.
    """
    low, high = bounds
    n = max(round((high - low) / tol), 1)

    def best(preds: Any, targets: Any) -> Any:
        tried = [low + (high - low) * step / n for step in range(n + 1)]
        values = [float(f(preds, targets, **{argname: x})) for x in tried]
        value = max(values) if do_neg else min(values)
        return (value, tried[values.index(value)]) if get_x else value

    best.__name__ = function_name(f)
    return best
