"""`Lion`: steps of one length, in the direction of the momentum's sign."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from laminar.optim.foreach import ForeachOptimizer, Params, apply_decay

__all__ = ["Lion"]


class Lion(ForeachOptimizer):
    """Sign of an interpolated momentum (Chen et al., "Symbolic discovery of optimization algorithms", 2023).

    Every weight moves by the learning rate: take 3 to 10 times less than for Adam, and as many times more weight decay.

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        mom: share of the momentum in the direction of a step (the paper's beta 1).
        sqr_mom: share of the momentum that is kept for the next step (beta 2; named as in the others, though nothing is
            squared).
        wd: weight decay: weights shrink by ``lr * wd``.

    Raises:
        ConfigError: a negative rate, or a share that is not from 0 to below 1.
    """

    averages: ClassVar[tuple[str, ...]] = ("exp_avg",)

    def __init__(self, params: Params, lr: float, mom: float = 0.9, sqr_mom: float = 0.99, wd: float = 0.0) -> None:
        super().__init__(params, lr, wd, betas=(mom, sqr_mom))

    def update(
        self,
        group: dict[str, Any],
        weights: list[Tensor],
        grads: list[Tensor],
        steps: list[int],
        averages: list[list[Tensor]],
    ) -> None:
        """Change `weights`, and the averages, in place."""
        apply_decay(group, weights, grads)
        (momenta,) = averages
        beta1, beta2 = group["betas"]
        directions = torch._foreach_lerp(momenta, grads, 1 - beta1)
        torch._foreach_sign_(directions)
        torch._foreach_add_(weights, directions, alpha=-group["lr"])
        torch._foreach_lerp_(momenta, grads, 1 - beta2)
