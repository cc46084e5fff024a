"""A learner of two numbers, to try callbacks and schedules on: it learns a line from points of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from laminar.data.loader import DataLoader
from laminar.data.loaders import DataLoaders
from laminar.learner.learner import Learner
from laminar.nn.losses import MSELossFlat

__all__ = ["RegModel", "synth_dbunch", "synth_learner"]


class RegModel(nn.Module):
    """A line, ``x * a + b``, with both numbers drawn at random."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(torch.randn(1)), nn.Parameter(torch.randn(1))

    def forward(self, x: Tensor) -> Tensor:
        """Points on the line."""
        return x * self.a + self.b


def synth_dbunch(
    a: float = 2, b: float = 3, bs: int = 16, n_train: int = 10, n_valid: int = 2, noise: float = 0.1
) -> DataLoaders:
    """Loaders of points near the line ``a * x + b``, the same in each call.

    Args:
        a: its slope.
        b: where it crosses x = 0.
        bs: points in a batch.
        n_train: batches of training.
        n_valid: batches of validation.
        noise: standard deviation of the distance from the line.
    """
    generator = torch.Generator().manual_seed(0)

    def points(batches: int) -> TensorDataset:
        x = torch.randn(bs * batches, 1, generator=generator)
        return TensorDataset(x, a * x + b + noise * torch.randn(x.shape, generator=generator))

    train, valid = DataLoader(points(n_train), bs=bs, shuffle=True), DataLoader(points(n_valid), bs=bs)
    return DataLoaders(train, valid, device="cpu")


def synth_learner(
    n_trn: int = 10, n_val: int = 2, lr: float = 1e-3, data: DataLoaders | None = None, model: nn.Module | None = None,
    cbs: Any = None,
) -> Learner:  # fmt: skip
    """A learner of `RegModel` that needs no data and trains in a blink.

    Args:
        n_trn: batches of training.
        n_val: batches of validation.
        lr: learning rate of its fits.
        data: other loaders.
        model: another model.
        cbs: callbacks.
    """
    dls = synth_dbunch(n_train=n_trn, n_valid=n_val) if data is None else data
    return Learner(dls, RegModel() if model is None else model, loss_func=MSELossFlat(), lr=lr, cbs=cbs)
