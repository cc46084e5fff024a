"""What a model decides for each item, gathered batch by batch; predictions themselves are let go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from laminar.callbacks.predictions import GatherPredsCallback
from laminar.core.device import to_concat, to_detach
from laminar.nn.decoding import activation_of, decodes_of

__all__ = ["GatherDecisions", "PredictionReader", "kind_of"]


class PredictionReader(GatherPredsCallback):
    """Keeps losses and numbers of items, and reads each batch's predictions before they are let go.

    Args:
        act: what makes predictions of raw outputs; None for the loss's own activation.
        with_targs: keep the targets.
    """

    def __init__(self, act: Callable[[Any], Any] | None = None, with_targs: bool = False) -> None:
        super().__init__(with_loss=True, with_items=True, with_preds=False, with_targs=with_targs)
        self.act = act

    def after_batch(self) -> None:
        """Keep what is to be kept of this batch, unless it was cancelled before it had predictions."""
        super().after_batch()
        learn = self.learn
        if learn.pred is None or not learn.yb or learn.loss is None:
            return
        activation, decide = self.act or activation_of(learn.loss_func), decodes_of(learn.loss_func)
        preds = activation(learn.pred)
        self.read(preds, decide(preds), learn.yb[0] if len(learn.yb) == 1 else learn.yb)

    def read(self, preds: Any, decided: Any, targets: Any) -> None:
        """Take from a batch what is wanted.

        Args:
            preds: after the activation.
            decided: what the loss decides.
            targets: the batch's target, or a tuple of several.
        """
        raise NotImplementedError(f"{type(self).__name__} must define read")


class GatherDecisions(PredictionReader):
    """Keeps for each item what was decided, how sure that was, and the target.

    Args:
        act: see `PredictionReader`.
    """

    def __init__(self, act: Callable[[Any], Any] | None = None) -> None:
        super().__init__(act, with_targs=True)

    def before_validate(self) -> None:
        """Begin anew."""
        super().before_validate()
        self._decided: list[Any] = []
        self._sure: list[Tensor] = []

    def read(self, preds: Any, decided: Any, targets: Any) -> None:
        """Keep decisions and, of one decision for each item, its probability."""
        self._decided.append(to_detach(decided))
        if not (isinstance(preds, Tensor) and isinstance(decided, Tensor)) or decided.is_floating_point():
            return
        if preds.ndim == 2 and decided.ndim == 1:
            chosen = preds.gather(1, decided.long()[:, None])[:, 0]
            self._sure.append(to_detach(chosen.float()))

    @property
    def decided(self) -> Any:
        """All decisions."""
        return to_concat(self._decided)

    @property
    def confidences(self) -> Tensor | None:
        """The probability of each decision, 0 to 1, ``[n]``; None where there is not one for each item."""
        return torch.cat(self._sure) if self._sure else None


def kind_of(value: Any) -> str:
    """What to call a value in messages."""
    return f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
