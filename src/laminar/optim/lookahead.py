"""`Lookahead`, around any optimiser, and `ranger`, the pair of it and RAdam."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer

from laminar.core.errors import ConfigError, describe
from laminar.optim.foreach import Params
from laminar.optim.radam import RAdam

__all__ = ["Lookahead", "ranger"]


class Lookahead(Optimizer):
    """Every `k` steps of an optimiser, go back part of the way (Zhang et al., "Lookahead optimizer: k steps forward,
    1 step back", 2019).

    Slow weights, kept beside the model's, move towards it by the share `alpha`, and the model goes on from there. The
    groups and the state are the inner optimiser's, so its hyper-parameters can be scheduled, and are saved, as ever.

    Args:
        opt: the optimiser that takes the steps.
        k: steps between two meetings.
        alpha: share of the way that the slow weights go, above 0 to 1.

    Raises:
        ConfigError: `opt` is no optimiser, or `k` or `alpha` out of range.
    """

    def __init__(self, opt: Optimizer, k: int = 6, alpha: float = 0.5) -> None:
        if not isinstance(opt, Optimizer):
            raise ConfigError(
                f"Lookahead goes around an optimiser, got {describe(opt)}. As opt_func, write a function:"
                " lambda params, **hypers: Lookahead(Adam(params, **hypers))."
            )
        if k < 1 or not 0 < alpha <= 1:
            raise ConfigError(f"Lookahead needs k of at least 1 and alpha above 0, up to 1, got {k!r} and {alpha!r}.")
        super().__init__(opt.param_groups, dict(opt.defaults))
        self.opt, self.k, self.alpha = opt, k, alpha
        self.state = opt.state

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Let the inner optimiser step; every `k` steps, meet the slow weights.

        Args:
            closure: computes the loss again, for the inner optimiser.

        Returns:
            What the inner optimiser's step returns.
        """
        # Loading a state gives new objects to the one or to the other; what this one has is what counts.
        self.opt.param_groups, self.opt.state = self.param_groups, self.state
        stepping = [weight for group in self.param_groups for weight in group["params"] if weight.grad is not None]
        fresh = [weight for weight in stepping if "slow_weight" not in self.state[weight]]
        slow = [weight.detach().clone() for weight in fresh]
        loss = self.opt.step(closure)
        for weight, start in zip(fresh, slow, strict=True):
            self.state[weight].update(slow_weight=start, fast_steps=0)
        meeting = []
        for weight in stepping:
            state = self.state[weight]
            state["fast_steps"] += 1
            if state["fast_steps"] == self.k:
                state["fast_steps"] = 0
                meeting.append(weight)
        if meeting:
            self._meet(meeting)
        return loss

    @torch.no_grad()
    def _meet(self, weights: list[Any]) -> None:
        slow = [self.state[weight]["slow_weight"] for weight in weights]
        torch._foreach_lerp_(slow, weights, self.alpha)
        torch._foreach_copy_(weights, slow)

    def __getstate__(self) -> dict[str, Any]:
        """What copies and worker processes need."""
        return {**super().__getstate__(), "opt": self.opt, "k": self.k, "alpha": self.alpha}


def ranger(
    params: Params,
    lr: float,
    mom: float = 0.95,
    wd: float = 0.01,
    eps: float = 1e-6,
    k: int = 6,
    alpha: float = 0.5,
    sqr_mom: float = 0.99,
    beta: float = 0.0,
    decouple_wd: bool = True,
) -> Lookahead:
    """Make `Lookahead` around `RAdam`.

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        mom: decay of the gradient's moving average.
        wd: weight decay.
        eps: added to the denominator.
        k: steps between two meetings with the slow weights.
        alpha: share of the way that the slow weights go.
        sqr_mom: decay of the squared gradient's moving average.
        beta: see `RAdam`.
        decouple_wd: see `RAdam`.
    """
    return Lookahead(RAdam(params, lr, mom, sqr_mom, eps, wd, beta, decouple_wd), k, alpha)
