"""The sweep over learning rates: the callback under `Learner.lr_find`, and the rules that read its curve."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from laminar.callbacks.base import Callback
from laminar.callbacks.events import CancelFitException, CancelValidException
from laminar.callbacks.schedule import SchedExp
from laminar.metrics.smoothing import MovingAverage
from laminar.optim.groups import HyperSetter

__all__ = ["LRFinder", "SuggestFunction", "minimum", "slide", "steep", "valley"]

SuggestFunction = Callable[[Any, Any, int], Any]
_DIVERGED = 4  # times the best loss
_BETA = 0.98  # smoothing of the losses


class LRFinder(Callback):
    """Raises the learning rate from batch to batch and notes the (smoothed) loss (Smith, "Cyclical learning rates for
    training neural networks", 2017).

    Args:
        start_lr: first learning rate, or one for each parameter group.
        end_lr: last learning rate, or one for each parameter group.
        num_it: number of batches.
        stop_div: stop when the smoothed loss is four times its best, or is no number.
    """

    order = 60
    run_valid = False
    passes = ("fit", "lr_find")

    def __init__(
        self,
        start_lr: float | Sequence[float] = 1e-7,
        end_lr: float | Sequence[float] = 10,
        num_it: int = 100,
        stop_div: bool = True,
    ) -> None:
        self.num_it, self.stop_div = num_it, stop_div
        self.schedule = SchedExp(start_lr, end_lr)
        self.lrs: list[float] = []
        self.losses: list[float] = []
        self._average = MovingAverage(_BETA)

    def before_fit(self) -> None:
        """Begin the sweep."""
        self.lrs, self.losses, self._average = [], [], MovingAverage(_BETA)
        self._set_lr = HyperSetter(self.opt, "lr")

    def before_batch(self) -> None:
        """Set the next learning rate."""
        self._set_lr(self.schedule(self.train_iter / self.num_it))

    def after_batch(self) -> None:
        """Note the loss, and stop at the end of the sweep or when training diverges."""
        smoothed = self._average.add(float(self.loss))
        if math.isfinite(smoothed):
            self.lrs.append(self._set_lr.get()[-1])
            self.losses.append(smoothed)
        if self.stop_div and (not math.isfinite(smoothed) or smoothed > _DIVERGED * min(self.losses)):
            raise CancelFitException
        if self.train_iter >= self.num_it:
            raise CancelFitException

    def before_validate(self) -> None:
        """Leave validation out."""
        raise CancelValidException


# ---- rules: from the curve to a learning rate ------------------------------------------------------------------------


def _arrays(lrs: Any, losses: Any) -> tuple[Any, Any]:
    return np.asarray(lrs, dtype=float), np.asarray(losses, dtype=float)


def _point(lrs: Any, losses: Any, index: int) -> tuple[float, tuple[float, float]]:
    return float(lrs[index]), (float(lrs[index]), float(losses[index]))


def valley(lrs: Any, losses: Any, num_it: int) -> tuple[float, tuple[float, float]]:
    """Suggest the middle of the longest descent of the curve (the longest sequence of ever smaller losses).

    Args:
        lrs: learning rates, ascending.
        losses: smoothed losses.
        num_it: number of batches of the sweep.

    Returns:
        The learning rate, and its point (learning rate, loss) on the curve.
    """
    lrs, losses = _arrays(lrs, losses)
    lengths = np.ones(len(losses), dtype=int)  # of the longest descent that ends at each point
    starts = np.arange(len(losses))  # where that descent began
    for i in range(1, len(losses)):
        higher = np.flatnonzero(losses[:i] > losses[i])
        if len(higher):
            best = higher[lengths[higher].argmax()]
            lengths[i], starts[i] = lengths[best] + 1, starts[best]
    end = int(lengths.argmax())
    return _point(lrs, losses, (int(starts[end]) + end) // 2)


def slide(
    lrs: Any, losses: Any, num_it: int, lr_diff: int = 15, thresh: float = 0.005, adjust_value: float = 1.0
) -> tuple[float, tuple[float, float]]:
    """Suggest by the interval slide rule: coming from the right, where the slopes at both ends of an interval first
    agree, that is, before the loss explodes.

    Args:
        lrs: learning rates, ascending.
        losses: smoothed losses.
        num_it: number of batches of the sweep.
        lr_diff: width of the interval in points.
        thresh: difference of slopes that counts as none.
        adjust_value: factor on the result.

    Returns:
        The learning rate, and its point (learning rate, loss) on the curve.
    """
    lrs, losses = _arrays(lrs, losses)
    slopes = np.gradient(losses)
    left = max(len(losses) - 1 - lr_diff, 0)
    while left > 0 and abs(slopes[min(left + lr_diff, len(losses) - 1)] - slopes[left]) > thresh:
        left -= 1
    lr = float(lrs[left]) * adjust_value
    return lr, (lr, float(np.interp(np.log10(lr), np.log10(lrs), losses)))


def minimum(lrs: Any, losses: Any, num_it: int) -> tuple[float, tuple[float, float]]:
    """Suggest a tenth of the learning rate with the smallest loss.

    Args:
        lrs: learning rates, ascending.
        losses: smoothed losses.
        num_it: number of batches of the sweep.

    Returns:
        The learning rate, and its point (learning rate, loss) on the curve.
    """
    lrs, losses = _arrays(lrs, losses)
    lr = float(lrs[losses.argmin()]) / 10
    return lr, (lr, float(np.interp(np.log10(lr), np.log10(lrs), losses)))


def steep(lrs: Any, losses: Any, num_it: int) -> tuple[float, tuple[float, float]]:
    """Suggest the learning rate where the loss falls most steeply over the logarithm of the rate.

    Args:
        lrs: learning rates, ascending.
        losses: smoothed losses.
        num_it: number of batches of the sweep.

    Returns:
        The learning rate, and its point (learning rate, loss) on the curve.
    """
    lrs, losses = _arrays(lrs, losses)
    return _point(lrs, losses, int((np.diff(losses) / np.diff(np.log(lrs))).argmin()))
