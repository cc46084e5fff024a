"""`RAdam`: Adam that is careful while it has seen too little to know how much gradients vary."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Optimizer

from laminar.core.errors import ConfigError
from laminar.optim.foreach import ForeachOptimizer, Params, adaptive_directions, apply_decay

__all__ = ["CalibratedRAdam", "RAdam"]

_LEAST_FREEDOM = 5  # below, the variance of the adaptive rate has no bound


def RAdam(
    params: Params,
    lr: float,
    mom: float = 0.9,
    sqr_mom: float = 0.99,
    eps: float = 1e-5,
    wd: float = 0.0,
    beta: float = 0.0,
    decouple_wd: bool = True,
) -> Optimizer:
    """Make torch's RAdam (Liu et al., "On the variance of the adaptive learning rate and beyond", 2020).

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        mom: decay of the gradient's moving average (beta1).
        sqr_mom: decay of the squared gradient's moving average (beta2).
        eps: added to the denominator.
        wd: weight decay.
        beta: above 0, the denominator's softplus takes its place (see `CalibratedRAdam`).
        decouple_wd: shrink the weights by ``lr * wd``; if False, add ``wd * weight`` to the gradient.
    """
    if beta:
        return CalibratedRAdam(params, lr, mom, sqr_mom, eps, wd, beta, decouple_wd)
    betas = (mom, sqr_mom)
    return torch.optim.RAdam(params, lr, betas, eps, weight_decay=wd, decoupled_weight_decay=decouple_wd, foreach=True)


class CalibratedRAdam(ForeachOptimizer):
    """RAdam with a soft lower bound on the denominator (Tong, Liang and Bi, "Calibrating the adaptive learning rate to
    improve convergence of Adam", 2019): ``softplus(root + eps)``, which is at least ``log(2) / beta``.

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        mom: decay of the gradient's moving average (beta1).
        sqr_mom: decay of the squared gradient's moving average (beta2).
        eps: added to the denominator.
        wd: weight decay.
        beta: sharpness of the bound; the paper takes 50.
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
        beta: float = 50.0,
        decouple_wd: bool = True,
    ) -> None:
        if not beta > 0:
            raise ConfigError(f"CalibratedRAdam: beta must be above 0, got {beta!r}; RAdam(beta=0) is without a bound.")
        super().__init__(params, lr, wd, decouple_wd, betas=(mom, sqr_mom), eps=eps, beta=beta)

    def update(
        self,
        group: dict[str, Any],
        weights: list[Tensor],
        grads: list[Tensor],
        steps: list[int],
        averages: list[list[Tensor]],
    ) -> None:
        """Change `weights`, and the averages, in place."""
        decayed = apply_decay(group, weights, grads)
        directions, roots = adaptive_directions(decayed, averages, group["betas"], steps)
        torch._foreach_add_(roots, group["eps"])
        for direction, root, step in zip(directions, roots, steps, strict=True):
            rectification = _rectification(group["betas"][1], step)
            if rectification is not None:
                direction.mul_(rectification).div_(F.softplus(root, group["beta"]))
        torch._foreach_add_(weights, directions, alpha=-group["lr"])


def _rectification(beta: float, step: int) -> float | None:
    """The factor r of the paper's algorithm 2; None while the variance cannot be bounded."""
    most = 2 / (1 - beta) - 1
    freedom = most - 2 * step * beta**step / (1 - beta**step)
    if freedom <= _LEAST_FREEDOM:
        return None
    return math.sqrt((freedom - 4) * (freedom - 2) * most / ((most - 4) * (most - 2) * freedom))
