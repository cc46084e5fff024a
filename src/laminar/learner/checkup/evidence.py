"""What a check-up looks at: items from all over each split, as batches."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.utils.data as torch_data
from torch import Tensor

from laminar.core.seed import get_random_states, set_random_states
from laminar.learner.course import length_of
from laminar.learner.loop import TrainingLoop

__all__ = ["Evidence", "SplitEvidence", "gather"]

_FOREIGN_BATCHES = 4
_ROWS = 32  # items in a batch at most


@dataclass
class SplitEvidence:
    """Some items of a split.

    Attributes:
        name: ``"training"`` or ``"validation"``.
        loader: its loader.
        n_items: how many items it has, None if nobody knows.
        bs: items in a batch, None if nobody knows.
        drop_last: whether the incomplete batch is left out.
        batches: inputs and targets of some items, on the learner's device.
        names: of the items in each batch, where they are known.
        error: what was raised in making them.
    """

    name: str
    loader: Any
    n_items: int | None = None
    bs: int | None = None
    drop_last: bool = False
    batches: list[tuple[tuple[Any, ...], tuple[Any, ...]]] = field(default_factory=list)
    names: list[list[str]] = field(default_factory=list)
    error: Exception | None = None

    @property
    def inner(self) -> Any:
        """The loader itself, inside a wrapping of ours."""
        return getattr(self.loader, "batches", self.loader)

    def targets(self) -> Tensor | None:
        """The single target of all items looked at, None if there is none or they are several."""
        parts = [yb[0] for _, yb in self.batches if len(yb) == 1 and isinstance(yb[0], Tensor)]
        same = {part.shape[1:] for part in parts}
        return torch.cat(parts) if parts and len(same) == 1 and len(parts) == len(self.batches) else None

    def all_targets(self) -> Tensor | None:
        """The targets of every item, where they can be had without making the items."""
        dataset = getattr(self.inner, "dataset", None)
        if isinstance(dataset, torch_data.TensorDataset) and len(dataset.tensors) > 1:
            return dataset.tensors[-1]
        if isinstance(self.inner, list | tuple):
            parts = [batch[-1] for batch in self.inner if isinstance(batch, tuple | list)]
            return torch.cat(parts) if parts and all(isinstance(part, Tensor) for part in parts) else None
        known = getattr(dataset, "targets", None)
        return torch.as_tensor(known) if isinstance(known, list | Tensor) and len(known) else None


@dataclass
class Evidence:
    """What is known of a learner and its data.

    Attributes:
        learn: the learner.
        splits: training, and validation if there is one.
    """

    learn: TrainingLoop
    splits: list[SplitEvidence]

    @property
    def train(self) -> SplitEvidence:
        """The training split."""
        return self.splits[0]

    @property
    def batch(self) -> tuple[tuple[Any, ...], tuple[Any, ...]] | None:
        """A training batch, None if none could be made."""
        return self.train.batches[0] if self.train.batches else None

    @property
    def n_classes(self) -> int | None:
        """How many classes the data know, None if they do not say."""
        vocab = getattr(self.learn.dls, "vocab", None)
        if vocab is None or not len(vocab):
            return None
        names = list(vocab)
        return len(names[-1]) if isinstance(names[-1], list) else len(names)


def gather(learn: TrainingLoop, n_items: int) -> Evidence:
    """Make some items of each split.

    Args:
        learn: the learner, in a pass.
        n_items: how many of each.
    """
    names = ("training", "validation")
    return Evidence(learn, [_look_at(learn, names[i], learn.dls[i], n_items) for i in range(min(len(learn.dls), 2))])


def _look_at(learn: TrainingLoop, name: str, loader: Any, n_items: int) -> SplitEvidence:
    split = SplitEvidence(name, loader)
    inner = split.inner
    split.bs = getattr(inner, "bs", getattr(inner, "batch_size", None))
    split.drop_last = bool(getattr(inner, "drop_last", False))
    split.n_items = _count(inner)
    states = get_random_states()
    try:
        if hasattr(inner, "peek") and split.n_items is not None:
            _peek(learn, split, n_items)
        else:
            for batch in itertools.islice(loader, _FOREIGN_BATCHES):
                learn._receive(batch)
                split.batches.append((learn.xb, learn.yb))
    except Exception as error:  # noqa: BLE001  # told in the report
        split.error = error
    finally:
        set_random_states(**states)
    return split


def _count(loader: Any) -> int | None:
    try:
        if hasattr(loader, "n_items"):
            return int(loader.n_items)
        dataset = getattr(loader, "dataset", None)
        if isinstance(dataset, torch_data.IterableDataset) or dataset is None:
            return 0 if hasattr(loader, "__len__") and not length_of(loader) else None
        return len(dataset)
    except TypeError:
        return None


def _peek(learn: TrainingLoop, split: SplitEvidence, n_items: int) -> None:
    """Make items from all over a split, from the first to the last, in batches as large as its own."""
    count = split.n_items or 0
    wanted = min(n_items, count)
    places = sorted({round(i * (count - 1) / max(wanted - 1, 1)) for i in range(wanted)})
    size = min(split.bs or 1, _ROWS)
    for start in range(0, len(places), size):
        indices = places[start : start + size]
        learn._receive(split.inner.peek(indices))
        split.batches.append((learn.xb, learn.yb))
        split.names.append([split.inner.name_of_item(index) for index in indices])
