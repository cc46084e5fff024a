"""Gradient accumulation: large batches on small devices."""

from __future__ import annotations

from typing import Any

import torch

from laminar.callbacks.base import Callback
from laminar.core.device import find_bs
from laminar.core.errors import ConfigError
from laminar.nn.item_losses import adds_up, mean_weights

__all__ = ["GradientAccumulation"]


class GradientAccumulation(Callback):
    """Steps the optimiser once `n_acc` samples have been seen, as if they had come in one batch.

    The window that an epoch's last batch cuts short, or that a batch overshoots, is averaged over the samples it has,
    as one batch of that size would be; with class weights or ignored targets as much as these count. Schedules go by
    windows. The loss that is reported stays the batch's own.

    Args:
        n_acc: samples to a step.
    """

    order = -5
    run_valid = False

    def __init__(self, n_acc: int = 32) -> None:
        if n_acc < 1:
            raise ConfigError(f"GradientAccumulation(n_acc={n_acc}): a step needs at least one sample.")
        self.n_acc = n_acc
        self.count = 0
        self._weight: Any = 0  # of the window's samples in its mean: as many, unless they count unequally
        self._items = 0  # in the batch in hand
        self._size: Any = 0  # and their weight
        self._start, self._first_size = 0.0, 0  # progress and batch size at the epoch's start

    def before_train(self) -> None:
        """Begin a window."""
        self.count, self._weight = 0, 0
        self._start, self._first_size = self.learn.pct_train, 0

    def before_batch(self) -> None:
        """Show schedules the progress of the large batches, where batches are of one size."""
        learn = self.learn
        size, number, count = find_bs(learn.xb), learn.iter, learn.n_iter
        if number == 0:
            self._first_size = size
        elif size != self._first_size and number + 1 != count:
            self._first_size = 0  # of several sizes: how many windows there will be is not known
        if self._first_size and number and count:
            length = -(-self.n_acc // self._first_size)
            by_windows, by_batches = (number // length) / -(-count // length), number / count
            learn.pct_train = self._start + (learn.pct_train - self._start) * by_windows / by_batches

    def after_loss(self) -> None:
        """Weigh the batch by its share of the window; a loss that is a sum adds up as it is."""
        learn = self.learn
        self._items = find_bs(learn.yb or learn.xb)
        if learn.loss_grad is None or adds_up(learn.loss_func):
            return
        weights = mean_weights(learn.loss_func, *learn.yb) if learn.yb else None
        if weights is None:
            self._size = self._items
            learn.loss_grad = learn.loss_grad * (self._size / self.n_acc)
        else:
            self._size = weights.sum()
            learn.loss_grad = torch.where(self._size > 0, learn.loss_grad * (self._size / self.n_acc), 0.0)

    def after_backward(self) -> None:
        """Count the samples, and put the step off until the window is full."""
        self.count += self._items
        self._weight = self._weight + self._size
        self.learn.should_step = self.count >= self.n_acc or self.learn.is_last_batch

    def before_step(self) -> None:
        """Correct the average of a window that has more or fewer samples than it should, and begin the next."""
        weight = self._weight.clamp(min=1e-12) if isinstance(self._weight, torch.Tensor) else self._weight
        if isinstance(weight, torch.Tensor) or weight not in (0, self.n_acc):
            gradients = [p.grad for group in self.opt.param_groups for p in group["params"] if p.grad is not None]
            with torch.no_grad():
                torch._foreach_mul_(gradients, self.n_acc / weight)
        self.count, self._weight = 0, 0

    def state_dict(self) -> dict[str, Any]:
        """Samples in the present window, what they count for, and from where schedules count windows."""
        weight = self._weight.clone() if isinstance(self._weight, torch.Tensor) else self._weight
        return {"count": self.count, "weight": weight, "start": self._start, "first_size": self._first_size}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with a window."""
        self.count, self._weight = state["count"], state["weight"]
        self._start, self._first_size = state["start"], state["first_size"]
