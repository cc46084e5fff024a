"""`Larc`: momentum whose learning rate for each weight follows from the weight's length and the gradient's."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from laminar.core.errors import ConfigError
from laminar.optim.foreach import ForeachOptimizer, Params, apply_decay, rates_by_length

__all__ = ["Larc"]


class Larc(ForeachOptimizer):
    """SGD with momentum and a rate for each weight (You, Gitman and Ginsburg, "Large batch training of convolutional
    networks", 2017): ``trust_coeff * |weight| / (|gradient| + wd * |weight| + eps)`` times the learning rate.

    A weight or gradient of zeros has no such rate, and takes the learning rate as it is.

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        mom: momentum.
        clip: go no faster than the learning rate (LARC); if False, the paper's LARS.
        trust_coeff: how far a step may go in proportion to the weight.
        eps: added to the denominator.
        wd: weight decay.
        decouple_wd: shrink the weights by ``lr * wd``; if False, add ``wd * weight`` to the gradient, as in the paper.

    Raises:
        ConfigError: a negative rate, or a momentum that is not from 0 to below 1.
    """

    averages: ClassVar[tuple[str, ...]] = ("momentum_buffer",)

    def __init__(
        self,
        params: Params,
        lr: float,
        mom: float = 0.9,
        clip: bool = True,
        trust_coeff: float = 0.02,
        eps: float = 1e-8,
        wd: float = 0.0,
        decouple_wd: bool = True,
    ) -> None:
        if not trust_coeff > 0:
            raise ConfigError(f"Larc: trust_coeff must be above 0, got {trust_coeff!r}.")
        super().__init__(params, lr, wd, decouple_wd, momentum=mom, clip=clip, trust_coeff=trust_coeff, eps=eps)

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

        def local_rate(own: Tensor, gradient: Tensor) -> Tensor:
            denominator = gradient + group["weight_decay"] * own + group["eps"]
            rate: Tensor = own * (lr * group["trust_coeff"]) / denominator
            return rate.clamp(max=lr) if group["clip"] else rate

        rates = rates_by_length(weights, grads, local_rate, lr)
        moves = torch._foreach_mul(apply_decay(group, weights, grads), rates)
        (momenta,) = averages
        torch._foreach_mul_(momenta, group["momentum"])
        torch._foreach_add_(momenta, moves)
        torch._foreach_sub_(weights, momenta)
