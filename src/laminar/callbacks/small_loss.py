"""Learning from labels of which many are wrong."""

from __future__ import annotations

import math

from laminar.callbacks.base import Callback
from laminar.callbacks.mixup import MixHandler
from laminar.core.errors import ConfigError
from laminar.nn.item_losses import unreduced

__all__ = ["SmallLossSelection"]


class SmallLossSelection(Callback):
    """Learns in each batch from the items of smallest loss: where labels are wrong, a large one often means that (Han
    et al., "Co-teaching: Robust training of deep neural networks with extremely noisy labels", 2018, with one network).

    In the beginning all items count, since nothing is known; the share that does falls to `share`, and stays there.

    Args:
        share: of a batch that counts in the end, above 0 to 1; about the share of right labels.
        over: share of the training in which it falls to that, 0 to 1.

    Raises:
        ConfigError: such shares cannot be.
    """

    order = -9  # before labels are smoothed and accumulation weighs the loss
    run_valid = False

    def __init__(self, share: float = 0.8, over: float = 0.3) -> None:
        if not (0 < share <= 1 and 0 <= over <= 1):
            raise ConfigError(
                f"SmallLossSelection(share={share}, over={over}): share is above 0 to 1, over is from 0 to 1."
            )
        self.share, self.over = share, over

    def before_fit(self) -> None:
        """Check that items have losses of their own.

        Raises:
            ConfigError: they are mixed.
        """
        mixing = self.learn.get_cb(MixHandler)
        if mixing is not None:
            raise ConfigError(
                f"SmallLossSelection and {type(mixing).__name__} exclude each other: mixed items have no loss of"
                " their own."
            )

    def after_loss(self) -> None:
        """Leave out the items of large loss.

        Raises:
            ConfigError: the loss cannot be asked for single items.
        """
        losses = unreduced(self.learn.loss_func, self.pred, *self.yb)
        way = min(1.0, self.learn.pct_train / self.over) if self.over else 1.0
        count = math.ceil((1 - way * (1 - self.share)) * len(losses))
        self.learn.loss_grad = losses.topk(count, largest=False).values.mean()
        self.learn.loss = self.learn.loss_grad.detach()
