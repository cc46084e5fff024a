"""How far predicted numbers are from the true ones."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from laminar.core.errors import ConfigError
from laminar.metrics.base import PairMetric, smaller_is_better

__all__ = ["RootMeanSquaredError", "mae", "mse", "rmse"]


def _flat(preds: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    if preds.numel() != targets.numel():
        raise ConfigError(
            f"predictions {tuple(preds.shape)} and targets {tuple(targets.shape)} must hold as many numbers."
        )
    return preds.reshape(-1).float(), targets.reshape(-1).float()


@smaller_is_better
def mse(inp: Tensor, targ: Tensor) -> Tensor:
    """Mean squared difference.

    Args:
        inp: predictions, any shape.
        targ: as many targets.
    """
    preds, targets = _flat(inp, targ)
    return (preds - targets).square().mean()


@smaller_is_better
def mae(inp: Tensor, targ: Tensor) -> Tensor:
    """Mean absolute difference.

    Args:
        inp: predictions, any shape.
        targ: as many targets.
    """
    preds, targets = _flat(inp, targ)
    return (preds - targets).abs().mean()


class RootMeanSquaredError(PairMetric):
    """Root of the mean squared difference over the whole epoch (not the mean of the batches' roots)."""

    smaller_is_better = True

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget what was accumulated."""
        self.total: Any = 0.0
        self.count = 0

    def update(self, preds: Any, *targets: Any) -> None:
        """Add the squared differences of one batch."""
        flat_preds, flat_targets = _flat(preds, *targets)
        self.total = self.total + (flat_preds - flat_targets).square().sum().detach()
        self.count += flat_targets.numel()

    @property
    def value(self) -> Any:
        """The root so far."""
        return (self.total / self.count) ** 0.5 if self.count else None

    @property
    def name(self) -> str:
        """``rmse``."""
        return "rmse"


rmse = RootMeanSquaredError()
"""Root mean squared error: pass it as a metric (each learner takes a copy), or call it on predictions and targets."""
