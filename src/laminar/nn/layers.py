"""Layers that heads and users' models are put together from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

__all__ = [
    "AdaptiveAvgPool",
    "AdaptiveConcatPool1d",
    "AdaptiveConcatPool2d",
    "BatchNorm1dFlat",
    "Flatten",
    "Identity",
    "Lambda",
    "LinBnDrop",
    "PoolFlatten",
    "SigmoidRange",
    "adaptive_pool",
    "sequential",
    "sigmoid_range",
]


class Identity(nn.Identity):
    """Returns its input. torch's own, under its own name here."""


class Lambda(nn.Module):
    """A layer made of a function without parameters.

    Args:
        func: called with the layer's inputs.
    """

    def __init__(self, func: Callable[..., Any]) -> None:
        super().__init__()
        self.func = func

    def forward(self, *inputs: Any) -> Any:
        """Call the function."""
        return self.func(*inputs)

    def extra_repr(self) -> str:
        """The function's name."""
        return getattr(self.func, "__name__", repr(self.func))


class Flatten(nn.Module):
    """Flattens each item: ``[batch, ...]`` to ``[batch, n]``.

    Args:
        full: flatten the batch too, to ``[n]``.
    """

    def __init__(self, full: bool = False) -> None:
        super().__init__()
        self.full = full

    def forward(self, x: Tensor) -> Tensor:
        """Flatten."""
        return x.reshape(-1) if self.full else x.flatten(1)


class AdaptiveConcatPool2d(nn.Module):
    """Maximum and average over each channel, one after the other: ``[batch, 2 * channels, size, size]``.

    Args:
        size: height and width of the result, 1 by default.
    """

    def __init__(self, size: int | tuple[int, int] | None = None) -> None:
        super().__init__()
        self.size = size or 1
        self.ap = nn.AdaptiveAvgPool2d(self.size)
        self.mp = nn.AdaptiveMaxPool2d(self.size)

    def forward(self, x: Tensor) -> Tensor:
        """Pool ``[batch, channels, height, width]``."""
        return torch.cat([self.mp(x), self.ap(x)], dim=1)


class AdaptiveConcatPool1d(nn.Module):
    """Maximum and average over each channel of a series: ``[batch, 2 * channels, size]``.

    Args:
        size: length of the result, 1 by default.
    """

    def __init__(self, size: int | None = None) -> None:
        super().__init__()
        self.size = size or 1
        self.ap = nn.AdaptiveAvgPool1d(self.size)
        self.mp = nn.AdaptiveMaxPool1d(self.size)

    def forward(self, x: Tensor) -> Tensor:
        """Pool ``[batch, channels, length]``."""
        return torch.cat([self.mp(x), self.ap(x)], dim=1)


_ADAPTIVE_AVERAGE: dict[int, Callable[[Any], nn.Module]] = {
    1: nn.AdaptiveAvgPool1d,
    2: nn.AdaptiveAvgPool2d,
    3: nn.AdaptiveAvgPool3d,
}


def AdaptiveAvgPool(sz: int = 1, ndim: int = 2) -> nn.Module:
    """Make torch's adaptive average pool of `ndim` dimensions with a result of size `sz` in each."""
    return _ADAPTIVE_AVERAGE[ndim](sz)


def adaptive_pool(concat_pool: bool, ndim: int = 2) -> nn.Module:
    """Make the pool a head begins with: maximum and average together, or the average alone."""
    if not concat_pool:
        return AdaptiveAvgPool(1, ndim)
    return AdaptiveConcatPool2d() if ndim == 2 else AdaptiveConcatPool1d()


class PoolFlatten(nn.Sequential):
    """Pools each channel to one number (two with `concat_pool`) and flattens.

    Args:
        concat_pool: maximum and average, not the average alone.
    """

    def __init__(self, concat_pool: bool = False) -> None:
        super().__init__(adaptive_pool(concat_pool), Flatten())


class BatchNorm1dFlat(nn.BatchNorm1d):
    """Batch norm over the last dimension, whatever comes before it."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise ``[..., features]``."""
        if input.ndim == 2:
            return super().forward(input)
        return super().forward(input.reshape(-1, input.shape[-1])).reshape(input.shape)


class LinBnDrop(nn.Sequential):
    """Batch norm, dropout and a linear layer, in this order or with the linear layer first.

    Args:
        n_in: features that come in.
        n_out: features that go out.
        bn: begin with batch norm (norm of the output with `lin_first`); the linear layer then has no bias.
        p: dropout, 0 to 1; 0 leaves the layer out.
        act: activation after the linear layer.
        lin_first: linear layer and activation first, then norm and dropout.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        bn: bool = True,
        p: float = 0.0,
        act: nn.Module | None = None,
        lin_first: bool = False,
    ) -> None:
        norms: list[nn.Module] = [nn.BatchNorm1d(n_out if lin_first else n_in)] if bn else []
        if p:
            norms.append(nn.Dropout(p))
        linear: list[nn.Module] = [nn.Linear(n_in, n_out, bias=not bn)]
        if act is not None:
            linear.append(act)
        super().__init__(*(linear + norms if lin_first else norms + linear))


def sigmoid_range(x: Tensor, low: float, high: float) -> Tensor:
    """Bring any number between `low` and `high`, by a sigmoid."""
    return torch.sigmoid(x) * (high - low) + low


class SigmoidRange(nn.Module):
    """Brings outputs between two bounds: the last layer where targets have a known range (`y_range`).

    Args:
        low: lower bound.
        high: upper bound.
    """

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high

    def forward(self, x: Tensor) -> Tensor:
        """Squeeze `x` between the bounds."""
        return sigmoid_range(x, self.low, self.high)

    def extra_repr(self) -> str:
        """The bounds."""
        return f"low={self.low}, high={self.high}"


def sequential(*layers: nn.Module | Callable[..., Any]) -> nn.Sequential:
    """Put layers after each other; a function among them becomes a `Lambda`."""
    return nn.Sequential(*(layer if isinstance(layer, nn.Module) else Lambda(layer) for layer in layers))
