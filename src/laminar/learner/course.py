"""How far a fit goes: epochs, a number of batches, or a time; and how much of it is done."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from laminar.core.errors import ConfigError, DataError, describe

__all__ = ["Batches", "Course", "FitLength", "Minutes", "course_of", "length_of"]

_END: Any = object()


@dataclass(frozen=True)
class Batches:
    """A fit of so many batches, in place of epochs: ``learn.fit_one_cycle(Batches(1000), 1e-3)``.

    The training loader is read again and again until they are done; schedules run over exactly these batches. For
    callbacks and the table, an epoch is what lies between two validations.

    Args:
        n: batches in all.
        every: batches from one validation to the next; by default there is one, at the end.

    Raises:
        ConfigError: fewer than one.
    """

    n: int
    every: int | None = None

    def __post_init__(self) -> None:
        for name, count in (("n", self.n), ("every", self.every)):
            if not (count is None and name == "every") and (not isinstance(count, int) or count < 1):
                raise ConfigError(f"Batches({name}={count!r}): a whole number of batches, 1 or more, is needed.")

    def __repr__(self) -> str:
        return f"Batches({self.n})" if self.every is None else f"Batches({self.n}, every={self.every})"


@dataclass(frozen=True)
class Minutes:
    """A fit for so long, in place of epochs: ``learn.fit_one_cycle(Minutes(10), 1e-3)``.

    The training loader is read again and again until time is over; schedules run over the time. The clock starts at the
    first batch and runs on in validations, but the last validation comes after the end. For callbacks and the table, an
    epoch is what lies between two validations.

    Args:
        minutes: the time.
        every: minutes from one validation to the next; by default there is one, at the end.

    Raises:
        ConfigError: no time.
    """

    minutes: float
    every: float | None = None

    def __post_init__(self) -> None:
        for name, given in (("minutes", self.minutes), ("every", self.every)):
            if not (given is None and name == "every") and not (isinstance(given, int | float) and 0 < given < 1e9):
                raise ConfigError(f"Minutes({name}={given!r}): a number above 0 is needed.")

    def __repr__(self) -> str:
        return (
            f"Minutes({self.minutes:g})" if self.every is None else f"Minutes({self.minutes:g}, every={self.every:g})"
        )


FitLength = int | Batches | Minutes


class Course:
    """The epochs of a fit: this class counts those of the loader, subclasses cut others.

    Args:
        n_epoch: how many.
    """

    def __init__(self, n_epoch: int) -> None:
        self.n_epoch = n_epoch

    def epochs(self, start_epoch: int) -> Iterator[int]:
        """The numbers of the epochs to come."""
        yield from range(start_epoch, self.n_epoch)

    def n_iter(self, dl: Any, epoch: int) -> int:  # other courses cut epochs by their number
        """The number of batches in an epoch, 0 if it is not known."""
        return length_of(dl)

    def n_before(self, dl: Any, epoch: int) -> int:
        """The number of batches before an epoch, 0 if it is not known."""
        return epoch * self.n_iter(dl, 0)

    def batches(self, dl: Any, epoch: int, ends_at: Callable[[int], None]) -> Iterable[Any]:
        """The batches of an epoch; `ends_at` is told their number, where nobody knew it, before the last one comes."""
        return dl if self.n_iter(dl, epoch) else watching_for_the_end(dl, ends_at)

    def progress(self, epoch: int, done: int, n_iter: int) -> float:
        """How much of the fit is done, 0 to 1, after `done` of the `n_iter` batches of an epoch."""
        return (epoch + (done / n_iter if n_iter else 0)) / self.n_epoch

    def knows_progress(self, dl: Any) -> bool:
        """Whether `progress` is right at every batch."""
        return length_of(dl) > 0

    def minutes_from(self, epoch: int) -> float | None:
        """How long the fit goes on from an epoch on, where it has a time."""
        return None

    def close(self) -> None:
        """The fit has ended: let go of the loader."""


class _Cut(Course):
    """A course whose epochs are not the loader's: one goes on where the other has ended."""

    def __init__(self, n_epoch: int) -> None:
        super().__init__(n_epoch)
        self._dl: Any = None
        self._stream: Any = None

    def knows_progress(self, dl: Any) -> bool:
        """It is always known."""
        return True

    def stream_of(self, dl: Any) -> Iterator[Any]:
        """Batches without end, going on in the loader where the epoch before has left it."""
        if self._dl is not dl:
            self.close()
            self._dl, self._stream = dl, _again_and_again(dl)
        return self._stream  # type: ignore[no-any-return]  # set together with _dl

    def close(self) -> None:
        """Leave the loader's epoch."""
        if self._stream is not None:
            self._stream.close()
        self._dl = self._stream = None


class _ByBatches(_Cut):
    def __init__(self, length: Batches) -> None:
        self.n, self.every = length.n, length.every or length.n
        super().__init__(-(-self.n // self.every))

    def n_iter(self, dl: Any, epoch: int) -> int:
        return min(self.every, self.n - epoch * self.every)

    def n_before(self, dl: Any, epoch: int) -> int:
        return epoch * self.every

    def batches(self, dl: Any, epoch: int, ends_at: Callable[[int], None]) -> Iterator[Any]:
        stream = self.stream_of(dl)
        for _ in range(self.n_iter(dl, epoch)):
            yield next(stream)

    def progress(self, epoch: int, done: int, n_iter: int) -> float:
        return (epoch * self.every + done) / self.n


class _ByTime(_Cut):
    def __init__(self, length: Minutes) -> None:
        self.seconds, self.every = 60 * length.minutes, 60 * (length.every or length.minutes)
        super().__init__(math.ceil(self.seconds / self.every - 1e-9))
        self._begun = 0.0  # on the clock
        self._shortest = math.inf  # seconds from one batch to the next

    def epochs(self, start_epoch: int) -> Iterator[int]:
        self._begun = time.perf_counter() - start_epoch * self.every
        for epoch in range(start_epoch, self.n_epoch):
            if epoch > start_epoch and self._elapsed() >= self.seconds:
                return  # a validation took the time of the epochs that are left
            yield epoch

    def n_iter(self, dl: Any, epoch: int) -> int:
        return 0

    def batches(self, dl: Any, epoch: int, ends_at: Callable[[int], None]) -> Iterator[Any]:
        end, before = min(self.seconds, (epoch + 1) * self.every), None
        for count, batch in enumerate(self.stream_of(dl), 1):
            now = self._elapsed()
            if before is not None:
                self._shortest = min(self._shortest, now - before)
            before = now
            is_last = (
                now + (self._shortest if math.isfinite(self._shortest) else 0.0) >= end
            )  # time would be over before one more
            if is_last:
                ends_at(count)
            yield batch
            if is_last:
                return

    def progress(self, epoch: int, done: int, n_iter: int) -> float:
        return min(self._elapsed() / self.seconds, 1.0)

    def minutes_from(self, epoch: int) -> float:
        return (self.seconds - epoch * self.every) / 60

    def _elapsed(self) -> float:
        return time.perf_counter() - self._begun


def course_of(length: FitLength) -> Course:
    """The course of a fit of so many epochs, `Batches` or `Minutes`.

    Raises:
        ConfigError: it is none of these.
    """
    if isinstance(length, Batches):
        return _ByBatches(length)
    if isinstance(length, Minutes):
        return _ByTime(length)
    if not isinstance(length, int):
        raise ConfigError(
            f"n_epoch is a whole number of epochs, got {describe(length)}. For a number of batches or a time:"
            " Batches(1000), Minutes(10)."
        )
    return Course(length)


def length_of(dl: Any) -> int:
    """Return the number of batches of a loader, 0 if it does not know."""
    try:
        return len(dl)
    except TypeError:
        return 0


def watching_for_the_end(batches: Iterable[Any], ends_at: Callable[[int], None]) -> Iterator[Any]:
    """Pass batches on, one ahead, so that `ends_at` is told their number before the last one comes."""
    iterator = iter(batches)
    held = next(iterator, _END)
    count = 0
    while held is not _END:
        following = next(iterator, _END)
        count += 1
        if following is _END:
            ends_at(count)
        yield held
        held = following


def _again_and_again(dl: Iterable[Any]) -> Iterator[Any]:
    count = 0
    while True:
        before = count
        for batch in dl:
            count += 1
            yield batch
        if count == before:
            raise DataError(
                f"the training loader gave {count} batches and, read once more, none: {describe(dl)}. A fit over"
                " batches or a time reads it again and again; give something that can be iterated over anew."
            )
