"""`QHAdam`: Adam whose step mixes the present gradient with its moving average."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from laminar.core.errors import ConfigError
from laminar.optim.foreach import ForeachOptimizer, Params, adaptive_directions, apply_decay

__all__ = ["QHAdam"]


class QHAdam(ForeachOptimizer):
    """Quasi-hyperbolic Adam (Ma and Yarats, "Quasi-hyperbolic momentum and Adam for deep learning", 2019).

    With ``nu_1 = nu_2 = 1`` it is Adam.

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        mom: decay of the gradient's moving average.
        sqr_mom: decay of the squared gradient's moving average.
        nu_1: share of the moving average in the numerator, 0 to 1; the rest is the gradient itself.
        nu_2: share of the squares' moving average in the denominator, 0 to 1.
        eps: added to the denominator.
        wd: weight decay.
        decouple_wd: shrink the weights by ``lr * wd``; if False, add ``wd * weight`` to the gradient.

    Raises:
        ConfigError: a negative rate, or a share that is out of its range.
    """

    averages: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Params,
        lr: float,
        mom: float = 0.999,
        sqr_mom: float = 0.999,
        nu_1: float = 0.7,
        nu_2: float = 1.0,
        eps: float = 1e-8,
        wd: float = 0.0,
        decouple_wd: bool = True,
    ) -> None:
        if not (0 <= nu_1 <= 1 and 0 <= nu_2 <= 1):
            raise ConfigError(f"QHAdam: nu_1 and nu_2 are shares from 0 to 1, got {nu_1!r} and {nu_2!r}.")
        super().__init__(params, lr, wd, decouple_wd, betas=(mom, sqr_mom), nu_1=nu_1, nu_2=nu_2, eps=eps)

    def update(
        self,
        group: dict[str, Any],
        weights: list[Tensor],
        grads: list[Tensor],
        steps: list[int],
        averages: list[list[Tensor]],
    ) -> None:
        """Change `weights`, and the averages, in place."""
        nu_1, nu_2 = group["nu_1"], group["nu_2"]
        decayed = apply_decay(group, weights, grads)
        directions, roots = adaptive_directions(decayed, averages, group["betas"], steps)
        torch._foreach_lerp_(directions, decayed, 1 - nu_1)
        if nu_2 < 1:
            torch._foreach_mul_(roots, roots)
            torch._foreach_mul_(roots, nu_2)
            torch._foreach_addcmul_(roots, decayed, decayed, 1 - nu_2)
            torch._foreach_sqrt_(roots)
        torch._foreach_add_(roots, group["eps"])
        torch._foreach_addcdiv_(weights, directions, roots, -group["lr"])
