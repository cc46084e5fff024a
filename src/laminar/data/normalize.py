"""`Normalize`: channels of mean 0 and standard deviation 1, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from laminar.core.errors import ConfigError, describe
from laminar.core.transform import Transform
from laminar.core.types import TensorImageBase, plain

__all__ = ["Normalize", "broadcast_vec"]


def broadcast_vec(dim: int, ndim: int, *vectors: Any) -> list[Tensor]:
    """Give vectors the shape in which they meet dimension `dim` of `ndim` when broadcast.

    >>> broadcast_vec(1, 4, [0.5, 0.4, 0.3])[0].shape
    torch.Size([1, 3, 1, 1])
    """
    shape = [1] * ndim
    shape[dim] = -1
    return [torch.as_tensor(vector, dtype=torch.float32).view(shape) for vector in vectors]


class Normalize(Transform):
    """Take the mean off each channel and divide by its standard deviation. Runs on the batch, where the batch is.

    Args:
        mean: float32, in a shape that can be broadcast with the batch; None to measure one training batch.
        std: like `mean`.
        axes: dimensions to measure over.

    >>> Normalize.from_stats([0.5, 0.5, 0.5], [0.25, 0.25, 0.25]).mean.shape
    torch.Size([1, 3, 1, 1])
    """

    order = 99
    deterministic = True

    def __init__(self, mean: Tensor | None = None, std: Tensor | None = None, axes: Sequence[int] = (0, 2, 3)) -> None:
        super().__init__()
        if (mean is None) != (std is None):
            raise ConfigError("Normalize needs both mean and std, or neither (then it measures them)")
        self.mean, self.std, self.axes = mean, std, tuple(axes)
        self._placed: dict[tuple[torch.device, torch.dtype], _Statistics] = {}

    @classmethod
    def from_stats(
        cls, mean: Sequence[float] | Tensor, std: Sequence[float] | Tensor, dim: int = 1, ndim: int = 4
    ) -> Normalize:
        """Make one of known statistics.

        Args:
            mean: one value for each channel, for pictures from 0 to 1.
            std: like `mean`.
            dim: dimension of the channels.
            ndim: number of dimensions of a batch.
        """
        means, stds = broadcast_vec(dim, ndim, mean, std)
        return cls(means, stds)

    def setups(self, items: object) -> None:
        """Measure one batch of the loader `items`."""
        if self.mean is not None or not hasattr(items, "one_batch"):
            return
        batch = items.one_batch()
        inputs = plain(batch[0] if isinstance(batch, tuple | list) else batch)
        if not isinstance(inputs, Tensor) or not inputs.is_floating_point():
            raise ConfigError(
                f"Normalize cannot measure {describe(inputs)}: it needs floating point pictures, "
                "which IntToFloatTensor makes"
            )
        self.mean = inputs.mean(self.axes, keepdim=True).cpu()
        self.std = inputs.std(self.axes, keepdim=True).cpu() + 1e-7

    def encodes(self, x: TensorImageBase) -> TensorImageBase:
        """Normalised."""
        pixels = plain(x)
        known = self._statistics(pixels)
        return x.wrap(_scaled(pixels, known.scale, known.shift), x)

    def decodes(self, x: TensorImageBase) -> TensorImageBase:
        """As it was."""
        pixels = plain(x)
        known = self._statistics(pixels)
        return x.wrap(_scaled(pixels, known.std, known.mean), x)

    def _statistics(self, pixels: Tensor) -> _Statistics:
        """The statistics where the pixels are, in their dtype; brought there once."""
        if self.mean is None or self.std is None:
            raise ConfigError("Normalize knows no mean and std: set it up with a loader, or use Normalize.from_stats")
        key = (pixels.device, pixels.dtype)
        known = self._placed.get(key)
        if known is None or known.source is not self.mean:
            if not pixels.is_floating_point():
                raise ConfigError(f"Normalize got {describe(pixels)}; put IntToFloatTensor before it")
            mean, std = self.mean.to(*key), self.std.to(*key)
            known = self._placed[key] = _Statistics(self.mean, mean, std, -mean / std, 1 / std)
        if pixels.ndim < known.mean.ndim:
            known = _Statistics(self.mean, *(part.squeeze(0) for part in known[1:]))
        if any(size not in (1, pixels.shape[axis]) for axis, size in enumerate(known.mean.shape)):
            raise ConfigError(
                f"Normalize has {known.mean.numel()} means and got {describe(pixels)}: one for each channel is needed"
            )
        return known


def _scaled(pixels: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """``pixels * scale + shift``, in the order in memory that the pixels have."""
    rows = pixels.movedim(-3, -1) if pixels.ndim >= 3 else pixels
    if scale.numel() != pixels.shape[-3:][0] or not rows.is_contiguous():
        return torch.addcmul(shift, pixels, scale)
    width = rows.shape[-2]  # channels-last: whole rows at once, since torch is slow along an axis of three
    flat = rows.flatten(-2)
    return (
        torch.addcmul(shift.flatten().repeat(width), flat, scale.flatten().repeat(width))
        .view(rows.shape)
        .movedim(-1, -3)
    )


class _Statistics(NamedTuple):
    """Statistics on one device: ``x * scale + shift`` normalises."""

    source: Tensor
    mean: Tensor
    std: Tensor
    shift: Tensor
    scale: Tensor
