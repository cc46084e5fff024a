"""A part of each epoch, to try things quickly."""

from __future__ import annotations

from laminar.callbacks.base import Callback
from laminar.callbacks.events import CancelTrainException, CancelValidException
from laminar.core.errors import ConfigError

__all__ = ["ShortEpochCallback"]


class ShortEpochCallback(Callback):
    """Ends each epoch's training, and validation, after a share of its batches; at least one is done.

    Args:
        pct: the share, above 0 to 1.
        short_valid: shorten validation too.

    Raises:
        ConfigError: another share.
    """

    order = 65  # when the others have seen the last batch
    passes = ("fit",)

    def __init__(self, pct: float = 0.01, short_valid: bool = True) -> None:
        if not 0 < pct <= 1:
            raise ConfigError(f"ShortEpochCallback(pct={pct}): the share must be above 0, up to 1.")
        self.pct, self.short_valid = pct, short_valid

    def after_batch(self) -> None:
        """Leave, when the share is done.

        Raises:
            CancelTrainException: the training is.
            CancelValidException: the validation is.
            ConfigError: the loader does not say how many batches it has.
        """
        if not self.n_iter:
            raise ConfigError("ShortEpochCallback takes a share of the batches, and the loader does not say how many.")
        if self.iter + 1 < self.n_iter * self.pct or self.is_last_batch:
            return
        if self.training:
            raise CancelTrainException
        if self.short_valid:
            raise CancelValidException
