"""How far a fit goes: epochs, a number of batches, or a time; and how much of it is done."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from laminar.core.errors import ConfigError, DataError, describe
from laminar.core.lengths import Batches, FitLength, Minutes
from laminar.data.loader import DataLoader
from laminar.learner.places import keeps_place, place_of, without_first

__all__ = ["FROM_THE_BEGINNING", "Course", "Start", "course_of", "length_of"]

_END: Any = object()


def _nothing() -> None:
    """Leave a learner as it is."""


@dataclass(frozen=True)
class Start:
    """Where a fit begins: at its beginning, or where it was interrupted.

    Attributes:
        epoch: number of its first epoch.
        part: ``"epoch"`` to begin that, ``"train"`` or ``"valid"`` to go on in the middle of that part of it,
            ``"finished"`` if nothing is left to do.
        done: batches of that part that were done before.
        put_back: makes the learner what it was there. Called when callbacks have begun the fit, and again when they
            have begun the part, since both make them forget.
    """

    epoch: int = 0
    part: str = "epoch"
    done: int = 0
    put_back: Callable[[], None] = _nothing

    @property
    def is_resumed(self) -> bool:
        """Whether the fit has begun before: callbacks are told of its beginning as they were then."""
        return self.put_back is not _nothing

    def within(self, part: str) -> Start:
        """Where that part of the epoch begins."""
        return self if self.part == part else FROM_THE_BEGINNING


FROM_THE_BEGINNING = Start()


class Course:
    """The epochs of a fit: this class counts those of the loader, subclasses cut others.

    Args:
        n_epoch: how many.
    """

    spans_epochs: ClassVar[bool] = False
    """Whether the training loader's epoch goes on where one of the fit has ended."""

    def __init__(self, n_epoch: int) -> None:
        self.n_epoch = n_epoch
        self.place_ahead: Any = None
        """Where the loader was before it was asked for a batch ahead of the one in hand; None where it is not."""

    def epochs(self, start_epoch: int) -> Iterator[int]:
        """The numbers of the epochs to come."""
        yield from range(start_epoch, self.n_epoch)

    def n_iter(self, dl: Any, epoch: int) -> int:  # other courses cut epochs by their number
        """The number of batches in an epoch, 0 if it is not known."""
        return length_of(dl)

    def n_before(self, dl: Any, epoch: int) -> int:
        """The number of batches before an epoch, 0 if it is not known."""
        return epoch * self.n_iter(dl, 0)

    def batches(self, dl: Any, epoch: int, ends_at: Callable[[int], None], done: int = 0) -> Iterable[Any]:
        """The batches of an epoch; `ends_at` is told their number, where nobody knew it, before the last one comes.

        Args:
            dl: the loader; one that keeps its place is where it has to begin.
            epoch: its number.
            ends_at: is told how many batches the epoch has.
            done: how many were done before.
        """
        source = without_first(dl, done) if done and not keeps_place(dl) else dl
        n_iter = self.n_iter(dl, epoch)
        if n_iter:
            knows = isinstance(
                dl, DataLoader
            )  # its length is right but for items that are left out, and told elsewhere
            return source if knows else _as_many_as_said(dl, source, n_iter, done)
        return self._watching_for_the_end(dl, source, ends_at, done)

    def _watching_for_the_end(
        self, dl: Any, source: Iterable[Any], ends_at: Callable[[int], None], done: int
    ) -> Iterator[Any]:
        """Pass batches on, one ahead, so that `ends_at` is told their number before the last one comes."""
        iterator = iter(source)
        held = next(iterator, _END)
        count = done
        try:
            while held is not _END:
                self.place_ahead = place_of(dl, left=False)
                following = next(iterator, _END)
                count += 1
                if following is _END:
                    ends_at(count)
                yield held
                held = following
        finally:
            self.place_ahead = None

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

    def state_dict(self) -> dict[str, Any]:
        """How far it has come, besides whole epochs."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""


class _Cut(Course):
    """A course whose epochs are not the loader's: one goes on where the other has ended."""

    spans_epochs = True

    def __init__(self, n_epoch: int) -> None:
        super().__init__(n_epoch)
        self._dl: Any = None
        self._stream: Any = None
        self._in_pass = 0  # batches since the loader's epoch began

    def knows_progress(self, dl: Any) -> bool:
        """It is always known."""
        return True

    def stream_of(self, dl: Any) -> Iterator[Any]:
        """Batches without end, going on in the loader where the epoch before has left it."""
        if self._dl is not dl:
            self.close()
            self._dl, self._stream = dl, self._again_and_again(dl)
        return self._stream  # type: ignore[no-any-return]  # set together with _dl

    def close(self) -> None:
        """Leave the loader's epoch."""
        if self._stream is not None:
            self._stream.close()
        self._dl = self._stream = None

    def _again_and_again(self, dl: Any) -> Iterator[Any]:
        given = empty = 0
        done = 0 if keeps_place(dl) else self._in_pass
        while True:
            self._in_pass, before = done, given
            for batch in without_first(dl, done) if done else dl:
                given, self._in_pass = given + 1, self._in_pass + 1
                yield batch
            empty, done = empty + 1 if given == before else 0, 0
            if empty == 2:  # one may be that what is left of an epoch is nothing
                raise DataError(
                    f"the training loader gave {given} batches and, read once more, none: {describe(dl)}. A fit over"
                    " batches or a time reads it again and again; give something that can be iterated over anew."
                )

    def state_dict(self) -> dict[str, Any]:
        """How far it is in the loader's epoch."""
        return {"in_pass": self._in_pass}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.close()
        self._in_pass = state["in_pass"]


class _ByBatches(_Cut):
    def __init__(self, length: Batches) -> None:
        self.n, self.every = length.n, length.every or length.n
        super().__init__(-(-self.n // self.every))

    def n_iter(self, dl: Any, epoch: int) -> int:
        return min(self.every, self.n - epoch * self.every)

    def n_before(self, dl: Any, epoch: int) -> int:
        return epoch * self.every

    def batches(self, dl: Any, epoch: int, ends_at: Callable[[int], None], done: int = 0) -> Iterator[Any]:
        stream = self.stream_of(dl)
        for _ in range(done, self.n_iter(dl, epoch)):
            yield next(stream)

    def progress(self, epoch: int, done: int, n_iter: int) -> float:
        return (epoch * self.every + done) / self.n


class _ByTime(_Cut):
    def __init__(self, length: Minutes) -> None:
        self.seconds, self.every = 60 * length.minutes, 60 * (length.every or length.minutes)
        super().__init__(math.ceil(self.seconds / self.every - 1e-9))
        self._begun = 0.0  # on the clock
        self._used: float | None = None  # seconds, before the fit was interrupted
        self._shortest = math.inf  # seconds from one batch to the next

    def epochs(self, start_epoch: int) -> Iterator[int]:
        used = start_epoch * self.every if self._used is None else self._used
        self._begun = time.perf_counter() - used
        for epoch in range(start_epoch, self.n_epoch):
            if epoch > start_epoch and self._elapsed() >= self.seconds:
                return  # a validation took the time of the epochs that are left
            yield epoch

    def n_iter(self, dl: Any, epoch: int) -> int:
        return 0

    def batches(self, dl: Any, epoch: int, ends_at: Callable[[int], None], done: int = 0) -> Iterator[Any]:
        end, before = min(self.seconds, (epoch + 1) * self.every), None
        for count, batch in enumerate(self.stream_of(dl), done + 1):
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

    def state_dict(self) -> dict[str, Any]:
        """How much of the time is used."""
        return {**super().state_dict(), "used": self._elapsed()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on, with that much used."""
        super().load_state_dict(state)
        self._used = state["used"]
        self._begun = time.perf_counter() - state["used"]


def _as_many_as_said(dl: Any, source: Iterable[Any], n_iter: int, done: int) -> Iterator[Any]:
    """Pass batches on; warn where a loader gives another number of them than its length says."""
    count = done
    for batch in source:
        count += 1
        yield batch
    if count != n_iter:
        warnings.warn(
            f"the loader {describe(dl)} says len() = {n_iter} batches and gave {count}: schedules went by the"
            " first number, and what happens with an epoch's last batch happened at another or not at all. Mend its"
            " length, or give it none: a loader without a length is read one batch ahead.",
            stacklevel=2,
        )


def course_of(length: FitLength) -> Course:
    """The course of a fit of so many epochs, `Batches` or `Minutes`.

    Raises:
        ConfigError: it is none of these.
    """
    if isinstance(length, Batches):
        return _ByBatches(length)
    if isinstance(length, Minutes):
        return _ByTime(length)
    if not isinstance(length, int) or length < 0:
        raise ConfigError(
            f"n_epoch is a whole number of epochs, 0 or more, got {describe(length)}. For a number of batches or a"
            " time: Batches(1000), Minutes(10)."
        )
    return Course(length)


def length_of(dl: Any) -> int:
    """Return the number of batches of a loader, 0 if it does not know."""
    try:
        return len(dl)
    except TypeError:
        return 0
