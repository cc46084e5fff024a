"""Item transforms that mirror and turn, exactly: every part of a sample by one draw, in training."""

from __future__ import annotations

import random
from typing import Any

from PIL import Image

from laminar.core.coordinates import canvas_of
from laminar.core.transform import RandTransform
from laminar.core.types import TensorBBox, TensorImageBase, TensorMask, TensorPoint
from laminar.vision import symmetries
from laminar.vision.crop import first_size

__all__ = ["DihedralItem", "FlipItem"]


class _SymmetryItem(RandTransform):
    """One of the eight symmetries of the square, exact, for every part of a sample."""

    _sample_size: tuple[int, int] = (1, 1)  # width, height
    _k = 0

    def before_call(self, b: Any, split_idx: int | None) -> None:
        """Draw which symmetry."""
        self._sample_size = first_size(b, self)
        super().before_call(b, split_idx)
        self._k = self._symmetry() if self.do else 0

    def _symmetry(self) -> int:
        return 1  # left-right

    def encodes(self, x: Image.Image) -> Any:
        return symmetries.turn_image(x, self._k)

    def encodes(self, x: TensorImageBase | TensorMask) -> Any:
        return symmetries.turn_tensor(x, self._k)

    def encodes(self, x: TensorPoint) -> Any:
        return symmetries.turn_positions(x, self._k, self._canvas(x))

    def encodes(self, x: TensorBBox) -> Any:
        return symmetries.turn_positions(x, self._k, self._canvas(x))

    def _canvas(self, x: TensorPoint | TensorBBox) -> tuple[int, int]:
        return canvas_of(x) or (self._sample_size[1], self._sample_size[0])


class FlipItem(_SymmetryItem):
    """Mirror left to right, in training.

    Args:
        p: probability for each sample.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__(p=p)


class DihedralItem(_SymmetryItem):
    """Turn and mirror into one of the 8 symmetries of the square, in training.

    Args:
        p: probability for each sample.
    """

    def __init__(self, p: float = 1.0) -> None:
        super().__init__(p=p)

    def _symmetry(self) -> int:
        return random.randrange(8)
