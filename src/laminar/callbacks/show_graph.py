"""The losses as a picture that grows while a fit runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from laminar.callbacks.base import Callback
from laminar.callbacks.recorder import Recorder
from laminar.core.errors import ConfigError
from laminar.core.lazy import lazy_module

__all__ = ["ShowGraphCallback"]

plt = lazy_module("matplotlib.pyplot")
fastprogress_core = lazy_module("fastprogress.core")
ipython_display = lazy_module("IPython.display")


class ShowGraphCallback(Callback):
    """Draws training and validation loss after each epoch: below the cell of a notebook, into a file elsewhere.

    Args:
        fname: the file, under the learner's path; used outside of notebooks.
    """

    order = 65  # after the recorder
    passes = ("fit",)
    only_watches = True

    def __init__(self, fname: str = "losses.png") -> None:
        self.fname = fname
        self._figure: Any = None
        self._shown: Any = None

    @property
    def path(self) -> Path:
        """Where the picture is, outside of notebooks."""
        return Path(self.learn.path) / self.fname

    def before_fit(self) -> None:
        """Begin a new picture.

        Raises:
            ConfigError: the learner has no recorder.
        """
        if self.learn.get_cb(Recorder) is None:
            raise ConfigError("ShowGraphCallback draws what the Recorder keeps, and this learner has none.")
        self._figure = self._shown = None

    def after_epoch(self) -> None:
        """Draw."""
        recorder = self.learn.get_cb(Recorder)
        if recorder is None or not recorder.losses:
            return
        if self._figure is None:
            self._figure = plt.figure(figsize=(6, 4))
        self._figure.clear()
        recorder.plot_loss(skip_start=0, ax=self._figure.add_subplot())
        if not fastprogress_core.IN_NOTEBOOK:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._figure.savefig(self.path)
        elif self._shown is None:
            self._shown = ipython_display.display(self._figure, display_id=True)
        else:
            self._shown.update(self._figure)

    def cleanup_fit(self) -> None:
        """Let go of the picture; what is shown stays."""
        if self._figure is not None:
            plt.close(self._figure)
        self._figure = self._shown = None
