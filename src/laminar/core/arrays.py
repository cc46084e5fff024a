"""Typed arrays: numpy arrays that know how they are shown."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from laminar.core.show import show_image

__all__ = ["ArrayBase", "ArrayImage", "ArrayImageBW", "ArrayImageBase", "ArrayMask"]


class ArrayBase(np.ndarray[Any, Any]):
    """An array with a meaning; subclass it and give it a ``show``. Operations keep the class.

    >>> type(ArrayBase([1, 2]) + 1).__name__
    'ArrayBase'
    """

    def __new__(cls, data: Any) -> ArrayBase:
        return np.asarray(data).view(cls)


class ArrayImageBase(ArrayBase):
    """A picture, ``[height, width, channels]`` or ``[height, width]``."""

    _show_args: ClassVar[dict[str, Any]] = {"cmap": "viridis"}

    def show(self, ctx: Any = None, **kwargs: Any) -> Any:
        """Draw on axes `ctx` (made when None) and return them; `kwargs` go to ``Axes.imshow``."""
        return show_image(self.view(np.ndarray), ctx=ctx, **{**self._show_args, **kwargs})


class ArrayImage(ArrayImageBase):
    """A colour picture."""


class ArrayImageBW(ArrayImage):
    """A grey picture."""

    _show_args: ClassVar[dict[str, Any]] = {"cmap": "Greys_r"}


class ArrayMask(ArrayImageBase):
    """Class of each pixel, ``[height, width]``."""

    _show_args: ClassVar[dict[str, Any]] = {"alpha": 0.5, "cmap": "tab20", "interpolation": "nearest"}
