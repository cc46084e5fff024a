"""Looking at single batches and samples of a loader, in this process; the epochs to come are not affected."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Self

from laminar.core.errors import DataError
from laminar.core.random import permutation
from laminar.data.fetching import BatchRequest, Fetched, Fetcher
from laminar.data.replaying import replay
from laminar.data.showing import DecodesBatches

__all__ = ["LooksAtItems"]

_PEEK = 1 << 40  # peeks are epochs of their own, beyond all that are trained


@dataclass(slots=True)
class Peeks:
    """How many single batches were looked at. Loaders of the same items count together, so that each look is another.

    Attributes:
        count: so far.
    """

    count: int = 0

    def next(self, times: int = 1) -> int:
        """The epoch of the next look; `times` of them are used up."""
        first = _PEEK + self.count + 1
        self.count += times
        return first


class Given(deque[tuple[int, Sequence[int]]]):
    """The last two batches an iteration gave (who iterates may be one ahead): their places, and the items in them."""

    def __init__(self) -> None:
        super().__init__(maxlen=2)


class LooksAtItems(DecodesBatches):
    """What a loader of requests offers for looking: single batches and samples, now or as they were in some epoch."""

    bs: int | None
    _peeks: Peeks
    _given: Given

    @property
    def epoch(self) -> int:
        """Number of the epoch that runs now, or that comes next if none does."""
        raise NotImplementedError(f"{type(self).__name__} must define epoch")

    def order(self, seed: int, epoch: int) -> Sequence[int]:
        """The numbers of an epoch's items in the order in which they come."""
        raise NotImplementedError(f"{type(self).__name__} must define order")

    def _seed(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define _seed")

    def _fetcher_now(self) -> Fetcher:
        raise NotImplementedError(f"{type(self).__name__} must define _fetcher_now")

    def _fetch_here(self, seed: int, epoch: int, first: int) -> Iterator[tuple[BatchRequest, Fetched]]:
        raise NotImplementedError(f"{type(self).__name__} must define _fetch_here")

    def _requests(self, seed: int, epoch: int, first: int) -> Iterator[BatchRequest]:
        raise NotImplementedError(f"{type(self).__name__} must define _requests")

    def _finish(self, request: BatchRequest, fetched: Fetched) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define _finish")

    def _note_bad_items(self, fetched: Fetched) -> None:
        raise NotImplementedError(f"{type(self).__name__} must define _note_bad_items")

    def one_batch(self) -> Any:
        """Make a single batch, in this process. Each call gives another one; the epochs to come are not affected.

        Raises:
            DataError: there are no items, or not one batch of them.
        """
        for request, fetched in self._fetch_here(self._seed(), self._peeks.next(), 0):
            self._note_bad_items(fetched)
            if len(fetched.items):
                return self._finish(request, fetched)
        raise self._no_batch()

    def random_batch(self, count: int) -> Any:
        """Make a batch of items chosen at random, in this process. Each call chooses others.

        Args:
            count: how many; 1 where each item is a batch already.

        Raises:
            DataError: there are no items.
        """
        seed, epoch = self._seed(), self._peeks.next()
        order = self.order(seed, epoch)
        chosen = [order[place] for place in permutation(len(order), seed, epoch)]
        size = count if self.bs else 1
        for start in range(0, len(chosen), size):  # more than once only where all of them were skipped
            answer = self.answer(BatchRequest(seed, epoch, 0, chosen[start : start + size]))
            if len(answer.items):
                return answer.batch
        raise self._no_batch()

    def peeking_with(self, other: LooksAtItems) -> Self:
        """Count looks together with `other`, so that neither shows what the other has shown."""
        self._peeks = other._peeks
        return self

    def _no_batch(self) -> DataError:
        return DataError(
            f"this loader has no batch: its {type(self.dataset).__name__} holds no items, or each was skipped"
        )

    def peek(self, indices: Sequence[int]) -> Any:
        """Make a batch of the items with these numbers, in this process; the epochs to come are not affected.

        Raises:
            DataError: there are no items.
        """
        if hasattr(self.dataset, "__len__") and not len(self.dataset):
            raise DataError(f"this loader has nothing to look at: its {type(self.dataset).__name__} holds no items")
        answer = self.answer(BatchRequest(self._seed(), _PEEK, 0, list(indices)))
        if not len(answer.items):
            raise DataError(f"none of the items {list(indices)} can be looked at: each was skipped, or cannot be made")
        return answer.batch

    def requests(self, epoch: int) -> list[BatchRequest]:
        """The addresses of all batches of an epoch."""
        return list(self._requests(self._seed(), epoch, 0))

    def answer(self, request: BatchRequest) -> Fetched:
        """Make the batch that `request` addresses, in this process, with the numbers of the items in it."""
        fetched = self._fetcher_now().fetch(request)
        self._note_bad_items(fetched)
        return Fetched(self._finish(request, fetched), fetched.items, fetched.bad) if len(fetched.items) else fetched

    def replay(self, epoch: int, item: int | str | PurePath | None = None, batch: int | None = None) -> Any:
        """Make a sample or a batch exactly as it was in an epoch (see `laminar.data.replaying.replay`)."""
        return replay(self, epoch, item, batch)

    def name_of_item(self, index: int) -> str:
        """What to call item number `index`: its file, where that is known."""
        return self._fetcher_now().name_of(index)

    def items_in_batch(self, number: int) -> Sequence[int]:
        """The numbers of the items in a batch that an iteration gave: those asked for, but not those left out.

        Args:
            number: place of the batch among those given: the last or the one before.

        Raises:
            DataError: it is neither of these.
        """
        for place, items in self._given:
            if place == number:
                return items
        known = ", ".join(str(place) for place, _ in self._given) or "none"
        raise DataError(
            f"which items are in batch {number} is not known any more, or not yet: the last given are {known}"
        )

    def names_in_batch(self, number: int, rows: Sequence[int]) -> list[str]:
        """What to call some items of a batch of the epoch that runs: their files, where these are known.

        Args:
            number: of the batch, see `items_in_batch`.
            rows: which of its items.
        """
        items = self.items_in_batch(number)
        return [self.name_of_item(items[row]) for row in rows if row < len(items)]

    def item(self, index: int, epoch: int = 0) -> Any:
        """Item number `index` after its transforms, exactly as it is (or was) in epoch `epoch`."""
        return self._fetcher_now().item(self._seed(), epoch, index)

    def _one_item(self, times: int) -> Any:
        """A batch of the first item, drawn anew `times` times."""
        seed, epoch = self._seed(), self._peeks.next(times)
        fetcher = self._fetcher_now()
        samples = [fetcher.item(seed, epoch + again, 0) for again in range(times)]
        # Each repetition counts as an item of its own for the batch transforms, so that each is drawn anew.
        fetched = Fetched(fetcher.make_batch(samples, [0] * times), range(times))
        return self._finish(BatchRequest(seed, epoch, 0, fetched.items), fetched)

    def show_batch(
        self, b: Any = None, max_n: int = 9, ctxs: Any = None, show: bool = True, unique: bool = False, **options: Any
    ) -> Any:
        """Show a batch, decoded: drawn by the function registered for its types (see `laminar.core.show.show_batch`).

        Args:
            b: the batch; None takes one of this loader.
            max_n: at most so many items.
            ctxs: axes to draw on, made when None.
            show: False returns (inputs, targets, decoded samples) in place of drawing.
            unique: show the first item as often as it is drawn anew by the random transforms.
            **options: for the function that draws: nrows, ncols, figsize, ...
        """
        batch = self._one_item(max_n) if unique and b is None else b
        return super().show_batch(batch, max_n=max_n, ctxs=ctxs, show=show, **options)
