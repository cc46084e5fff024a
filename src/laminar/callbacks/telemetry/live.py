"""A picture in a notebook that is drawn anew in its place while a fit runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from laminar.core.lazy import lazy_module

__all__ = ["LivePicture"]

plt = lazy_module("matplotlib.pyplot")
fastprogress_core = lazy_module("fastprogress.core")
ipython_display = lazy_module("IPython.display")

_BETWEEN = 2.0  # seconds


class LivePicture:
    """Draws below the cell that runs, at most every two seconds; outside of notebooks, nothing.

    Args:
        draw: draws on matplotlib axes.
    """

    def __init__(self, draw: Callable[[Any], Any]) -> None:
        self.draw = draw
        self._figure: Any = None
        self._shown: Any = None
        self._next = 0.0

    def update(self, now: bool = False) -> None:
        """Draw, if it is time.

        Args:
            now: whether it is or not.
        """
        if not fastprogress_core.IN_NOTEBOOK or (time.perf_counter() < self._next and not now):
            return
        self._figure = self._figure or plt.figure(figsize=(7, 4), layout="constrained")
        self._figure.clear()
        self.draw(self._figure.add_subplot())
        if self._shown is None:
            self._shown = ipython_display.display(self._figure, display_id=True)
        else:
            self._shown.update(self._figure)
        self._next = time.perf_counter() + _BETWEEN

    def close(self) -> None:
        """Let go of the figure; what is shown stays."""
        if self._figure is not None:
            plt.close(self._figure)
        self._figure = self._shown = None
