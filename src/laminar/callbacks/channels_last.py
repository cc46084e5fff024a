"""Channels-last memory format: what convolutions like best on most machines."""

from __future__ import annotations

from torch import Tensor, channels_last, contiguous_format, nn

from laminar.callbacks.base import Callback
from laminar.optim.groups import match_layout

__all__ = ["ChannelsLast"]


class ChannelsLast(Callback):
    """Keeps model and pictures in channels-last memory format during a pass; shapes and results stay the same."""

    order = 5

    def __init__(self) -> None:
        self._changed: nn.Module | None = None

    def before_fit(self) -> None:
        """Bring the model, and the optimiser's state with it, to channels-last."""
        kernels = [p for p in self.model.parameters() if p.ndim == 4]
        if all(kernel.is_contiguous(memory_format=channels_last) for kernel in kernels):
            return
        self._changed = self.model
        self.model.to(memory_format=channels_last)
        self._match()

    def before_batch(self) -> None:
        """Bring the pictures to channels-last."""
        self.learn.xb = tuple([_channels_last(part) for part in self.learn.xb])

    def cleanup_fit(self) -> None:
        """Bring the model back."""
        if self._changed is not None:
            self._changed.to(memory_format=contiguous_format)
            self._changed = None
            self._match()

    def _match(self) -> None:
        if self.learn.opt is not None:
            match_layout(self.learn.opt)


def _channels_last(part: object) -> object:
    if isinstance(part, Tensor) and part.ndim == 4:
        return part.contiguous(memory_format=channels_last)
    return part
