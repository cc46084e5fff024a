"""Layers that put others together: side by side, with the input kept, step by step in time; and a simple network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from laminar.core.errors import ConfigError
from laminar.nn.blocks import ConvLayer, NormType
from laminar.nn.layers import Flatten

__all__ = ["Cat", "Embedding", "MergeLayer", "ResizeBatch", "SequentialEx", "SimpleCNN", "TimeDistributed", "View"]


class Cat(nn.ModuleList):
    """Layers side by side: their outputs of the same input, one after the other.

    Args:
        layers: what the input goes into.
        dim: along which outputs are joined.

    >>> Cat([nn.Identity(), nn.Identity()])(torch.zeros(2, 3)).shape
    torch.Size([2, 6])
    """

    def __init__(self, layers: Iterable[nn.Module], dim: int = 1) -> None:
        super().__init__(layers)
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """Join the outputs."""
        return torch.cat([layer(x) for layer in self], dim=self.dim)


class MergeLayer(nn.Module):
    """In a `SequentialEx`: what came out so far, and what went into the whole, become one.

    Args:
        dense: join both along the channels, in place of adding them.
    """

    def __init__(self, dense: bool = False) -> None:
        super().__init__()
        self.dense = dense

    def merge(self, x: Tensor, original: Tensor) -> Tensor:
        """Add or join."""
        return torch.cat([x, original], dim=1) if self.dense else x + original

    def forward(self, x: Tensor) -> Tensor:
        """Refuse: only a `SequentialEx` knows what to merge with."""
        raise ConfigError("MergeLayer stands directly in a SequentialEx, which alone knows what went into it")


class SequentialEx(nn.Module):
    """Layers one after the other, among which a `MergeLayer` sees what went into the first: a shortcut.

    Args:
        *layers: the layers.

    >>> SequentialEx(nn.ReLU(), MergeLayer())(torch.tensor([-1.0, 2.0]))
    tensor([-1.,  4.])
    """

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def __getitem__(self, i: int) -> nn.Module:
        return self.layers[i]

    def __len__(self) -> int:
        return len(self.layers)

    def forward(self, x: Tensor) -> Tensor:
        """Go through the layers."""
        result = x
        for layer in self.layers:
            result = layer.merge(result, x) if isinstance(layer, MergeLayer) else layer(result)
        return result


class View(nn.Module):
    """Gives the whole batch another shape, as ``x.view`` does.

    Args:
        *size: the shape, the batch's dimension included.
    """

    def __init__(self, *size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Reshape."""
        return x.view(self.size)


class ResizeBatch(nn.Module):
    """Gives each item another shape.

    Args:
        *size: of an item, without the batch's dimension.

    >>> ResizeBatch(2, 3)(torch.zeros(4, 6)).shape
    torch.Size([4, 2, 3])
    """

    def __init__(self, *size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Reshape each item."""
        return x.view(x.shape[0], *self.size)


class TimeDistributed(nn.Module):
    """Does the same to every step of a sequence.

    Args:
        module: what is done to a step, ``[batch, ...]``.
        low_mem: one step after the other, in place of all together as one large batch.
        tdim: the dimension of time.

    >>> TimeDistributed(nn.Linear(3, 5))(torch.zeros(2, 7, 3)).shape
    torch.Size([2, 7, 5])
    """

    def __init__(self, module: nn.Module, low_mem: bool = False, tdim: int = 1) -> None:
        super().__init__()
        self.module, self.low_mem, self.tdim = module, low_mem, tdim

    def forward(self, *tensors: Tensor) -> Tensor:
        """Go through the steps; several inputs go through them together."""
        if self.low_mem:
            steps = zip(*(x.unbind(self.tdim) for x in tensors), strict=True)
            return torch.stack([self.module(*step) for step in steps], dim=self.tdim)
        first = tensors[0].movedim(self.tdim, 1)
        out = self.module(*(x.movedim(self.tdim, 1).flatten(0, 1) for x in tensors))
        together: Tensor = out.reshape(*first.shape[:2], *out.shape[1:])
        return together.movedim(1, self.tdim)


class Embedding(nn.Embedding):
    """torch's embedding, started by small numbers of a normal distribution that is cut at two standard deviations.

    Args:
        ni: how many there are to choose from.
        nf: size of each vector.
        std: standard deviation at the start.
    """

    def __init__(self, ni: int, nf: int, std: float = 0.01) -> None:
        super().__init__(ni, nf)
        nn.init.trunc_normal_(self.weight, std=std, a=-2 * std, b=2 * std)


class SimpleCNN(nn.Sequential):
    """Convolutions one after the other, the mean over all places, and nothing behind: as many outputs as last filters.

    Args:
        filters: channels in, and of each convolution.
        kernel_szs: side of each kernel; 3 unless given.
        strides: of each convolution; 2 unless given.
        bn: batch norm behind all convolutions but the last.

    >>> SimpleCNN([3, 8, 10])(torch.zeros(2, 3, 16, 16)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        filters: Sequence[int],
        kernel_szs: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
        bn: bool = True,
    ) -> None:
        n = len(filters) - 1
        sizes, steps = kernel_szs or [3] * n, strides or [2] * n
        if n < 1 or len(sizes) != n or len(steps) != n:
            raise ConfigError(
                f"{len(filters)} filters make {n} convolutions, got {len(sizes)} kernel_szs and {len(steps)} strides"
            )
        layers = [
            ConvLayer(
                filters[i], filters[i + 1], sizes[i], stride=steps[i],
                norm_type=NormType.Batch if bn and i < n - 1 else None,
            )
            for i in range(n)
        ]  # fmt: skip
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), Flatten())
