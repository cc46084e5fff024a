"""Collecting what the model predicts."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from laminar.callbacks.base import Callback
from laminar.core.device import find_bs, tensors_in, to_concat, to_detach
from laminar.core.errors import ConfigError, describe
from laminar.metrics.metric_set import MetricSet
from laminar.nn.item_losses import item_losses

__all__ = ["CollectDataCallback", "EvaluateCallback", "FetchPredsCallback", "GatherPredsCallback"]


class GatherPredsCallback(Callback):
    """Keeps inputs, predictions, targets, losses and the numbers of items of a validation pass, on the CPU.

    Args:
        with_input: keep the inputs.
        with_loss: keep the loss of each item.
        with_items: keep the number of each item.
        with_preds: keep the predictions.
        with_targs: keep the targets.
        act: what makes predictions of a batch's raw outputs; None keeps these.

    Raises:
        ConfigError: predictions like those of the first batch, for all of them, do not fit into memory.
    """

    order = 100
    run_train = False
    allow_several = True

    def __init__(
        self,
        with_input: bool = False,
        with_loss: bool = False,
        with_items: bool = False,
        with_preds: bool = True,
        with_targs: bool = True,
        act: Callable[[Any], Any] | None = None,
    ) -> None:
        self.with_input, self.with_loss, self.with_items = with_input, with_loss, with_items
        self.with_preds, self.with_targs, self.act = with_preds, with_targs, act
        self._forget()

    def _forget(self) -> None:
        self._inputs: list[Any] = []
        self._preds: list[Any] = []
        self._targets: list[Any] = []
        self._losses: list[Tensor] = []
        self._items: list[Tensor] = []
        self._seen = 0

    def before_validate(self) -> None:
        """Begin anew."""
        self._forget()

    def after_batch(self) -> None:
        """Keep this batch, unless it was cancelled before it had a prediction and, with a target, a loss."""
        learn = self.learn
        items = self._numbers() if self.with_items else None
        if learn.pred is None or (learn.yb and learn.loss is None):
            return
        if items is not None:
            self._items.append(items)
        if self.with_preds:
            raw = to_detach(learn.pred)
            self._preds.append(raw if self.act is None else self.act(raw))
            if len(self._preds) == 1 and learn.n_iter:
                _check_memory(self._preds[0], learn.n_iter)
        if self.with_targs:
            self._targets.append(to_detach(learn.yb))
        if self.with_input:
            self._inputs.append(to_detach(learn.xb))
        if self.with_loss and learn.yb:
            self._losses.append(to_detach(item_losses(learn.loss_func, learn.pred, *learn.yb)))

    def _numbers(self) -> Tensor:
        """The numbers of this batch's items, as our loaders know them; of batches from elsewhere, their places."""
        of_batch = getattr(self.learn.dl, "items_in_batch", None)
        if of_batch is not None:
            return torch.as_tensor(list(of_batch(self.learn.iter)))
        first, self._seen = self._seen, self._seen + find_bs(self.learn.xb)
        return torch.arange(first, self._seen)

    @property
    def inputs(self) -> Any:
        """All inputs: a tensor, or a tuple where there are several."""
        return _alone(to_concat(self._inputs)) if self._inputs else None

    @property
    def preds(self) -> Any:
        """All predictions, in the structure in which the model returns them; items of different sizes as a list."""
        return to_concat(self._preds) if self._preds else None

    @property
    def targets(self) -> Any:
        """All targets: a tensor, or a tuple where there are several; None without targets."""
        return _alone(to_concat(self._targets)) if self._targets else None

    @property
    def losses(self) -> Tensor | None:
        """The loss of each item, ``[n]``."""
        return to_concat(self._losses) if self._losses else None

    @property
    def items(self) -> Tensor | None:
        """The number of each item in its data set, int64 ``[n]``; its place, where batches come from elsewhere."""
        return torch.cat(self._items) if self._items else None


def _check_memory(first: Any, n_batches: int) -> None:
    """Refuse to go on where predictions will not fit, before the system kills the process for it."""
    needed = 2 * n_batches * sum(part.nbytes for part in tensors_in(first))  # twice, when they are put together
    memory = _memory()
    if memory is not None and needed > memory:
        raise ConfigError(
            f"predictions like those of the first batch, {describe(first)}, need {needed / 1e9:.3g} GB for {n_batches}"
            f" batches, and this machine has {memory / 1e9:.3g} GB. get_preds(act=lambda raw: raw.argmax(-1)) keeps"
            " decisions alone, get_preds(save_preds=folder) writes predictions as they come, and validate() computes"
            " metrics of one batch at a time."
        )


def _memory() -> int | None:
    """Bytes of memory that the machine has; None where the system does not say so."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _alone(parts: tuple[Any, ...]) -> Any:
    """The part that is alone, None of no parts, the tuple of several."""
    return parts[0] if len(parts) == 1 else parts or None


class EvaluateCallback(Callback):
    """Computes metrics over one validation pass, apart from those of the recorder.

    Args:
        metrics: the metrics, which belong to this callback.
    """

    order = 50
    run_train = False
    allow_several = True

    def __init__(self, metrics: MetricSet) -> None:
        self.metric_set = metrics
        self.n_batches = 0

    def before_validate(self) -> None:
        """Begin anew."""
        self.metric_set.reset()
        self.n_batches = 0

    def after_batch(self) -> None:
        """Take in this batch."""
        self.n_batches += 1
        self.metric_set.accumulate(self.learn)

    @property
    def values(self) -> list[float | None]:
        """The values, in the order of the metrics."""
        return self.metric_set.values()


class FetchPredsCallback(Callback):
    """Predicts a set after each validation of a fit: ``learn.fetch_preds.preds`` is what ``learn.get_preds`` returns.

    Args:
        ds_idx: 0 for the training set, 1 for the validation set.
        dl: another loader instead.
        with_input: fetch the inputs too.
        with_decoded: fetch the decisions too.
        cbs: callbacks for these passes.
    """

    passes = ("fit",)
    allow_several = True

    def __init__(
        self,
        ds_idx: int = 1,
        dl: Any = None,
        with_input: bool = False,
        with_decoded: bool = False,
        cbs: Any = None,
    ) -> None:
        self.ds_idx, self.given_dl, self.cbs = ds_idx, dl, cbs
        self.with_input, self.with_decoded = with_input, with_decoded
        self.preds: tuple[Any, ...] | None = None

    def after_validate(self) -> None:
        """Predict."""
        self.preds = self.learn.get_preds(self.ds_idx, self.given_dl, self.with_input, self.with_decoded, cbs=self.cbs)


class CollectDataCallback(Callback):
    """Keeps every batch of a fit or an evaluation on the CPU, with its predictions and losses:
    ``learn.collect_data.data``.

    Attributes:
        data: for each batch ``(xb, yb, pred, loss)``, training and validation in the order in which they came.
    """

    order = 100
    passes = ("fit", "evaluation")

    def __init__(self) -> None:
        self.data: list[tuple[Any, ...]] = []

    def before_fit(self) -> None:
        """Begin anew."""
        self.data = []

    def after_batch(self) -> None:
        """Keep the batch."""
        learn = self.learn
        self.data.append(tuple(to_detach(part) for part in (learn.xb, learn.yb, learn.pred, learn.loss)))
