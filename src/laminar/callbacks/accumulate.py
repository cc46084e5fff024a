"""Gradient accumulation: large batches on small devices."""

from __future__ import annotations

import torch

from laminar.callbacks.base import Callback
from laminar.core.device import find_bs

__all__ = ["GradientAccumulation"]


class GradientAccumulation(Callback):
    """Steps the optimiser once `n_acc` samples have been seen, as if they had come in one batch.

    The window that an epoch's last batch cuts short, or that a batch overshoots, is averaged over the samples it has,
    as one batch of that size would be. The loss that is reported stays the batch's own.

    Args:
        n_acc: samples to a step.
    """

    order = -5
    run_valid = False

    def __init__(self, n_acc: int = 32) -> None:
        self.n_acc = n_acc
        self.count = 0

    def before_train(self) -> None:
        """Begin a window."""
        self.count = 0

    def after_loss(self) -> None:
        """Weigh the batch by its share of the window."""
        self.learn.loss_grad = self.loss_grad * (find_bs(self.yb) / self.n_acc)

    def after_backward(self) -> None:
        """Count the samples, and put the step off until the window is full."""
        self.count += find_bs(self.yb)
        self.learn.should_step = self.count >= self.n_acc or self.is_last_batch

    def before_step(self) -> None:
        """Correct the average of a window that has more or fewer samples than it should, and begin the next."""
        if self.count != self.n_acc:
            gradients = [p.grad for group in self.opt.param_groups for p in group["params"] if p.grad is not None]
            with torch.no_grad():
                torch._foreach_mul_(gradients, self.n_acc / self.count)
        self.count = 0

    def state_dict(self) -> dict[str, int]:
        """Samples in the present window."""
        return {"count": self.count}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on with a window."""
        self.count = state["count"]
