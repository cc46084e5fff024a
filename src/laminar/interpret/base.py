"""`Interpretation`: where a model is most wrong, without holding the data in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol, Self

import torch
from torch import Tensor

from laminar.callbacks.predictions import GatherPredsCallback
from laminar.core.errors import ConfigError
from laminar.core.show import plot_top_losses
from laminar.core.transform import Transform
from laminar.learner.inference import evaluation_loader

__all__ = ["Examples", "Interpretation", "TopLosses", "TrainedLearner", "losses_of"]


class TrainedLearner(Protocol):
    """What is asked of a learner here."""

    dls: Any
    model: Any
    loss_func: Any
    model_tfms: Sequence[Transform]

    def get_preds(
        self,
        ds_idx: int = 1,
        dl: Any = None,
        with_input: bool = False,
        with_decoded: bool = False,
        with_loss: bool = False,
        act: Callable[[Any], Any] | None = None,
        *,
        with_items: bool = False,
    ) -> tuple[Any, ...]: ...

    def validate(self, ds_idx: int = 1, dl: Any = None, cbs: Any = None) -> list[float | None]: ...

    def no_bar(self) -> Any: ...


class TopLosses(NamedTuple):
    """Losses, and the numbers of the items they belong to."""

    losses: Tensor
    idxs: Tensor


class TopLossesWithItems(NamedTuple):
    """Losses, the numbers of the items they belong to, and the items (paths, rows)."""

    losses: Tensor
    idxs: Tensor
    items: list[Any]


class Examples(NamedTuple):
    """Some items, read again, with what the model makes of them."""

    inputs: tuple[Tensor, ...]
    preds: Any
    targets: tuple[Tensor, ...]
    decoded: Any
    losses: Tensor


class Interpretation:
    """Looks at the items a model is most (or least) wrong about, for any task.

    Keeps one loss for each item; items are read again when they are asked for, predictions made again.

    Args:
        learn: a trained learner.
        dl: loader that gives the items in the order of the data set, without augmentation.
        losses: of each item.
        act: what makes predictions of raw outputs, in place of the loss's own activation.
        idxs: the numbers of the items in their data set; None if `losses` are of all, in order.
    """

    def __init__(
        self,
        learn: TrainedLearner,
        dl: Any,
        losses: Tensor,
        act: Callable[[Any], Any] | None = None,
        idxs: Tensor | None = None,
    ) -> None:
        self.learn, self.dl, self.losses, self.act = learn, dl, losses, act
        self.idxs = torch.arange(len(losses)) if idxs is None else idxs

    @classmethod
    def from_learner(
        cls, learn: TrainedLearner, ds_idx: int = 1, dl: Any = None, act: Callable[[Any], Any] | None = None
    ) -> Self:
        """Go through a data set once, without augmentation.

        Args:
            learn: a trained learner.
            ds_idx: 0 for the training set, 1 for the validation set.
            dl: another loader with targets: ``dls.test_dl(items, with_labels=True)``.
            act: see the class.
        """
        loader = evaluation_loader(learn.dls, ds_idx, dl, learn.model_tfms)
        gather = GatherPredsCallback(with_loss=True, with_items=True, with_preds=False, with_targs=False)
        learn.validate(dl=loader, cbs=[gather])
        return cls(learn, loader, losses_of(gather), act, gather.items)

    def __len__(self) -> int:
        return len(self.losses)

    def __getitem__(self, idxs: int | Iterable[int] | Tensor) -> Examples:
        """Read the items with these numbers again and predict them.

        Raises:
            IndexError: one of them was not predicted: there is none of this number, or it was skipped.
        """
        losses = self.losses[self._places_of(_numbers(idxs))]
        batch = self.batch(_numbers(idxs))
        preds, decoded = self._predict(batch)
        n = self.dl.n_inp
        return Examples(batch[:n], preds, batch[n:], decoded, losses)

    def _places_of(self, numbers: Sequence[int]) -> list[int]:
        """Where in `losses` the items with these numbers are."""
        places = {number: place for place, number in enumerate(self.idxs.tolist())}
        for number in numbers:
            if number not in places:
                raise IndexError(
                    f"item {number} is none of the {len(self)} predicted: it was skipped, or there are not so many"
                )
        return [places[number] for number in numbers]

    def batch(self, idxs: Sequence[int]) -> tuple[Any, ...]:
        """Items by number, as one batch on the device."""
        return items_at(self.dl, idxs)

    def _predict(self, batch: tuple[Any, ...]) -> tuple[Any, Any]:
        with self.learn.no_bar():
            preds, _, decoded = self.learn.get_preds(dl=[batch], with_decoded=True, act=self.act)
        return preds, decoded

    def top_losses(
        self, k: int | None = None, largest: bool = True, items: bool = False
    ) -> TopLosses | TopLossesWithItems:
        """The `k` largest losses (all when None), or the smallest, in order.

        Args:
            k: how many.
            largest: False for the smallest.
            items: give the items too: paths, rows, whatever the data were made of.
        """
        losses, places = self.losses.topk(len(self) if k is None else min(k, len(self)), largest=largest)
        idxs = self.idxs[places]
        if not items:
            return TopLosses(losses, idxs)
        source = getattr(self.dl.dataset, "items", self.dl.dataset)
        row = getattr(source, "iloc", source)
        return TopLossesWithItems(losses, idxs, [row[int(index)] for index in idxs])

    def plot_top_losses(self, k: int | Iterable[int] | Tensor = 9, largest: bool = True, **options: Any) -> Any:
        """Draw the items with the largest (or smallest) losses, with targets, predictions and losses.

        Args:
            k: how many, or which places in the order: ``range(9, 18)`` for the second nine, ``[0, 4]``.
            largest: False for the smallest.
            **options: for the function that draws them: nrows, ncols, figsize.

        Returns:
            The axes.

        Raises:
            ConfigError: the order has no such place, or none is asked for.
        """
        places = _places(k, len(self))
        losses, numbers = self.top_losses(largest=largest)[:2]
        idxs = numbers[places].tolist()
        batch = self.batch(idxs)
        preds, decoded = self._predict(batch)
        x, y, samples = self.dl.show_batch(batch, max_n=len(idxs), show=False)
        outs = self.dl.decode_outputs(batch, decoded, max_n=len(idxs))
        return plot_top_losses(x, y, samples, outs, preds, losses[places].tolist(), **options)

    def show_results(self, idxs: int | Iterable[int] | Tensor, **options: Any) -> Any:
        """Draw items by number, with targets and predictions; `options` are nrows, ncols, figsize."""
        numbers = _numbers(idxs)
        batch = self.batch(numbers)
        return self.dl.show_results(batch, self._predict(batch)[1], max_n=len(numbers), **options)


def losses_of(gather: GatherPredsCallback) -> Tensor:
    """The losses that were gathered.

    Raises:
        ConfigError: there were no targets.
    """
    if gather.losses is None:
        raise ConfigError("there are no targets to compare with: make the loader with test_dl(items, with_labels=True)")
    return gather.losses


def _numbers(idxs: int | Iterable[int] | Tensor) -> list[int]:
    if isinstance(idxs, int):
        return [idxs]
    return [int(index) for index in (idxs.tolist() if isinstance(idxs, Tensor) else idxs)]


def _places(k: int | Iterable[int] | Tensor, count: int) -> list[int]:
    """Places in an order of `count` losses: the first `k`, or those named; of a range those that there are."""
    named = _numbers(range(k) if isinstance(k, int) else k)
    places = [place for place in named if place < count] if isinstance(k, int | range) else named
    for place in places:
        if not 0 <= place < count:
            raise ConfigError(f"there is no place {place} in the order of {count} losses (they count from 0).")
    if not places:
        raise ConfigError(f"k={k} of {count} losses leaves nothing to draw.")
    return places


def items_at(loader: Any, idxs: Sequence[int]) -> tuple[Any, ...]:
    """Items of a loader by number, as one batch.

    A loader of ours makes just these; batches from elsewhere are gone through until all are found.
    """
    if hasattr(loader, "item"):
        batch = loader.peek(list(idxs))
        return batch if isinstance(batch, tuple) else tuple(batch)  # of a class of the user's, perhaps
    wanted, found, start = set(idxs), {}, 0
    for batch in loader:
        size = len(batch[0])
        for index in wanted & set(range(start, start + size)):
            found[index] = [part[index - start] for part in batch]
        start += size
        if len(found) == len(wanted):
            break
    if len(found) < len(wanted):
        raise IndexError(f"there are {start} items, no number {max(wanted - found.keys())}")
    rows = zip(*(found[index] for index in idxs), strict=True)
    return tuple(torch.stack([torch.as_tensor(value) for value in row]) for row in rows)
