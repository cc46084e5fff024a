"""Whether metrics fit what the model gives: each is asked for its value before the first epoch, not at its end."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from laminar.core.errors import ConfigError, describe
from laminar.learner.loop import TrainingLoop
from laminar.metrics.base import Metric, ValueMetric, function_name
from laminar.metrics.making import mk_metric
from laminar.metrics.metric_set import MetricSet
from laminar.metrics.weighing import ItemsMissingError

__all__ = ["try_metrics"]


def try_metrics(learn: TrainingLoop, metrics: Sequence[Any]) -> None:
    """Let each metric take in the batch in hand and give its value.

    A few items may be too few for a value: an area under a curve needs items of several classes. So a metric that fails
    on them is tried once more, on items made up to have all that can be wanted.

    Args:
        learn: the learner, with predictions, targets and loss of a small batch.
        metrics: its metrics.

    Raises:
        ConfigError: a metric fails on both.
    """
    batch = (learn.pred, learn.yb)
    try:
        for metric in metrics:
            fresh = mk_metric(metric)
            try:
                _try(learn, fresh)
            except Exception as error:
                made_up = _made_up(learn)
                if made_up is not None:
                    learn.pred, learn.yb = made_up
                if made_up is None or _fails(learn, mk_metric(metric)):
                    pred, targets = batch
                    raise ConfigError(
                        f"the metric {fresh.name} fails on predictions {describe(pred)} and targets"
                        f" {describe(targets[0] if len(targets) == 1 else targets)}:"
                        f" {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}{_remedy(metric)}"
                    ) from error
                learn.pred, learn.yb = batch
    finally:
        learn.pred, learn.yb = batch


def _try(learn: TrainingLoop, metric: Metric) -> None:
    """Take in the batch, and compute the value."""
    # weights are for all items of the set
    with torch.no_grad(), warnings.catch_warnings(), suppress(ItemsMissingError):
        # of too few items
        warnings.simplefilter("ignore")  # noqa: TID251  # inside catch_warnings
        metrics = MetricSet([metric])
        metrics.accumulate(learn)
        if not isinstance(metric, ValueMetric):  # its number is another callback's, which has not begun
            metrics.values()


def _remedy(metric: Any) -> str:
    """What helps a function that was written for something else."""
    func = getattr(metric, "func", metric)
    module = getattr(func, "__module__", None) or ""
    if module.partition(".")[0] == "sklearn":
        return f" A function of scikit-learn's takes targets first: skm_to_fastai({function_name(func)})."
    return ""


def _fails(learn: TrainingLoop, metric: Metric) -> bool:
    try:
        _try(learn, metric)
    except Exception:  # noqa: BLE001  # whatever a user's metric raises
        return True
    return False


def _made_up(learn: TrainingLoop) -> tuple[Tensor, tuple[Tensor]] | None:
    """Predictions and targets of the same kind as those in hand, of every class and size; None for several parts."""
    pred, targets = learn.pred, learn.yb
    if not isinstance(pred, Tensor) or len(targets) != 1 or not isinstance(targets[0], Tensor) or pred.ndim == 0:
        return None
    target = targets[0]
    generator = torch.Generator().manual_seed(0)
    axis = getattr(learn.loss_func, "axis", 1 if pred.ndim > 1 else -1)
    n_classes = pred.shape[axis] if pred.ndim > 1 else 2
    n = max(2 * n_classes, 16)
    place = torch.arange(n * max(target[:1].numel(), 1)).reshape(n, *target.shape[1:])
    scores = torch.randn(n, *pred.shape[1:], generator=generator)
    if pred.numel() != target.numel():
        truth = place % n_classes
    elif bool(((target == 0) | (target == 1)).all()):
        truth = torch.rand(n, *target.shape[1:], generator=generator).round()
        truth[0], truth[1] = 0, 1
    else:
        truth = torch.rand(n, *target.shape[1:], generator=generator) + 0.1  # quantities, above zero for logarithms
        scores = truth.reshape(scores.shape) + 0.1 * scores.sigmoid()
    return scores.to(pred.device, pred.dtype), (truth.to(target.device, target.dtype),)
