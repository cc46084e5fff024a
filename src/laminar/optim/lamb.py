"""`Lamb`: Adam whose step is as long as the weight it changes, for very large batches."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from laminar.optim.foreach import ForeachOptimizer, Params, adaptive_directions, apply_decay, rates_by_length

__all__ = ["Lamb"]

_LARGEST_RATIO = 10.0


class Lamb(ForeachOptimizer):
    """Adam's direction, scaled for each weight by the weight's length over the direction's (You et al., "Large batch
    optimization for deep learning: Training BERT in 76 minutes", 2020).

    The ratio of the lengths is at most 10, and 1 where one of them is zero. The paper's weight decay is part of the
    direction whose length is taken; here, as in the other optimisers, it shrinks the weights by ``lr * wd``.

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        mom: decay of the gradient's moving average.
        sqr_mom: decay of the squared gradient's moving average.
        eps: added to the denominator.
        wd: weight decay.
        decouple_wd: shrink the weights by ``lr * wd``; if False, add ``wd * weight`` to the gradient.

    Raises:
        ConfigError: a negative rate, or a share that is not from 0 to below 1.
    """

    averages: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Params,
        lr: float,
        mom: float = 0.9,
        sqr_mom: float = 0.99,
        eps: float = 1e-5,
        wd: float = 0.0,
        decouple_wd: bool = True,
    ) -> None:
        super().__init__(params, lr, wd, decouple_wd, betas=(mom, sqr_mom), eps=eps)

    def update(
        self,
        group: dict[str, Any],
        weights: list[Tensor],
        grads: list[Tensor],
        steps: list[int],
        averages: list[list[Tensor]],
    ) -> None:
        """Change `weights`, and the averages, in place."""
        lr = group["lr"]
        decayed = apply_decay(group, weights, grads)
        directions, roots = adaptive_directions(decayed, averages, group["betas"], steps)
        torch._foreach_add_(roots, group["eps"])
        torch._foreach_div_(directions, roots)

        def local_rate(own: Tensor, direction: Tensor) -> Tensor:
            rate: Tensor = -lr * (own / direction).clamp(max=_LARGEST_RATIO)
            return rate

        rates = rates_by_length(weights, directions, local_rate, -lr)
        torch._foreach_mul_(directions, rates)
        torch._foreach_add_(weights, directions)
