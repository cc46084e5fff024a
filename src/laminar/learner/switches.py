"""Switches of a learner: precision, memory format, and what is shown. Each adds or removes a callback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self, Unpack

import torch

from laminar.callbacks.channels_last import ChannelsLast
from laminar.callbacks.mixed_precision import AMPMode, MixedPrecision, ScalerOptions
from laminar.callbacks.progress import ProgressCallback
from laminar.learner.callback_list import CallbackOwner

__all__ = ["Switches"]


class Switches(CallbackOwner):
    """What is switched on and off on a learner; made by `Learner` alone."""

    logger: Callable[[list[Any]], None]

    @property
    def device(self) -> torch.device:
        """Where batches go."""
        raise NotImplementedError(f"{type(self).__name__} must define device")

    def to_fp16(self, **scaler_options: Unpack[ScalerOptions]) -> Self:
        """Train in float16 where that is safe (on an accelerator)."""
        self.remove_cb(MixedPrecision)
        return self.add_cb(MixedPrecision(AMPMode.FP16, **scaler_options))

    def to_bf16(self) -> Self:
        """Train in bfloat16 where that is safe, on CPUs too."""
        self.remove_cb(MixedPrecision)
        return self.add_cb(MixedPrecision(AMPMode.BF16))

    def to_fp32(self) -> Self:
        """Train in float32 again."""
        return self.remove_cb(MixedPrecision)

    def to_channelslast(self, use_amp: bool = True, amp_mode: str | AMPMode = AMPMode.FP16) -> Self:
        """Keep model and pictures in channels-last memory format; on an accelerator with mixed precision, too.

        Args:
            use_amp: on an accelerator, train in mixed precision unless that is on already.
            amp_mode: ``'fp16'`` or ``'bf16'``.
        """
        if use_amp and self.device.type != "cpu" and self.get_cb(MixedPrecision) is None:
            self.add_cb(MixedPrecision(amp_mode))
        return self if self.get_cb(ChannelsLast) is not None else self.add_cb(ChannelsLast())

    def to_contiguous(self, to_fp32: bool = False) -> Self:
        """Go back to the usual memory format, and with `to_fp32` to float32."""
        self.remove_cb(ChannelsLast)
        return self.to_fp32() if to_fp32 else self

    @contextmanager
    def no_bar(self) -> Iterator[Self]:
        """Show no progress bar for the time of a ``with`` block."""
        with self.removed_cbs(ProgressCallback):
            yield self

    @contextmanager
    def no_logging(self) -> Iterator[Self]:
        """Print no table for the time of a ``with`` block."""
        before, self.logger = self.logger, _log_nothing
        try:
            yield self
        finally:
            self.logger = before


def _log_nothing(row: list[Any]) -> None:
    """A logger that logs nothing."""
