"""Progressive resizing: small pictures first."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from laminar.callbacks.base import Callback
from laminar.core.errors import ConfigError, describe

__all__ = ["ProgressiveResizing"]


class ProgressiveResizing(Callback):
    """Trains on small pictures first and on ever larger ones later, which takes less time for the same result.

    Training batches are shrunk on the device; masks and other targets of the same height and width with them, points
    and boxes need nothing. Validation sees full pictures.

    Args:
        start: side of the first pictures, as a share of the full one, above 0 to 1.
        delay: share of the training in which they stay so, 0 to 1.
        finetune: share of the training, at its end, in which they are full, 0 to 1.
        multiple: sides are multiples of so many pixels, but for the full ones.

    Raises:
        ConfigError: such shares cannot be.
    """

    order = -20  # before pictures are mixed
    run_valid = False
    passes = ("fit",)

    def __init__(self, start: float = 0.5, delay: float = 0.5, finetune: float = 0.2, multiple: int = 4) -> None:
        if not (0 < start <= 1 and min(delay, finetune) >= 0 and delay + finetune <= 1 and multiple >= 1):
            raise ConfigError(
                f"ProgressiveResizing(start={start}, delay={delay}, finetune={finetune}, multiple={multiple}): start is"
                " above 0 to 1, delay and finetune are shares of the training that make up at most all of it."
            )
        self.start, self.delay, self.finetune, self.multiple = start, delay, finetune, multiple

    def before_batch(self) -> None:
        """Shrink the batch.

        Raises:
            ConfigError: no input is a batch of pictures.
        """
        pictures = [part for part in self.xb if _is_picture(part)]
        if not pictures:
            raise ConfigError(
                f"ProgressiveResizing needs pictures [batch, channels, height, width] of floating point numbers, got"
                f" {describe(self.xb)}."
            )
        full = tuple(pictures[0].shape[-2:])
        size = tuple(self.side(length) for length in full)
        if size != full:
            self.learn.xb = tuple(resized(part, full, size) for part in self.xb)
            self.learn.yb = tuple(resized(part, full, size) for part in self.yb)

    def side(self, length: int) -> int:
        """How long a side of `length` pixels is now."""
        growing = 1 - self.delay - self.finetune
        late = self.learn.pct_train - self.delay
        way = min(max(late / growing, 0.0), 1.0) if growing > 0 else float(late >= 0)
        if way == 1.0:
            return length
        wanted = length * (self.start + way * (1 - self.start))
        return min(length, max(self.multiple, round(wanted / self.multiple) * self.multiple))


def resized(part: Any, full: tuple[int, ...], size: tuple[int, ...]) -> Any:
    """Shrink what has the height and width `full` to `size`: numbers are averaged, classes and bytes picked.

    Args:
        part: ``[batch, channels, height, width]``, or a mask ``[batch, height, width]``; other things are left alone.
        full: height and width.
        size: new height and width.
    """
    if not isinstance(part, Tensor) or part.ndim not in (3, 4) or tuple(part.shape[-2:]) != full:
        return part
    pictures = part if part.ndim == 4 else part[:, None]
    if part.is_floating_point():
        small = F.interpolate(pictures, size, mode="bilinear", antialias=True)
    else:
        small = F.interpolate(pictures.double(), size, mode="nearest-exact").to(part.dtype)
    return small if part.ndim == 4 else small[:, 0]


def _is_picture(part: Any) -> bool:
    return isinstance(part, Tensor) and part.ndim == 4 and part.is_floating_point()
