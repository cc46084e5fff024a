"""Which callbacks are asked at which event: bound once at the start of a pass, so that the others cost nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from laminar.callbacks.base import Callback
from laminar.callbacks.events import BATCH_EVENTS, EVENTS, CancelException

__all__ = ["EventTable", "event_rows"]

Fire = Callable[[], None]

_INNER_EVENTS = BATCH_EVENTS | {"before_validate", "after_cancel_validate", "after_validate"}


def _nobody_listens() -> None:
    """What an event without listeners does."""


class EventTable:
    """For each event, one function that asks the callbacks that listen to it: ``table.before_batch()``.

    Args:
        callbacks: in the order in which they are asked.
        training: whether this table is for training; it decides between `run_train` and `run_valid`.
        position: says where the pass is (epoch, batch), for notes on exceptions.
        busy: a list that holds the callbacks that are being asked at the moment, the innermost last.
        around: those that are asked at the events around the whole fit and its epochs, all by default. In a
            validation inside a fit it is only those that came for it: the others have been set up already.
    """

    after_create: Fire
    before_fit: Fire
    before_epoch: Fire
    before_train: Fire
    before_batch: Fire
    after_pred: Fire
    after_loss: Fire
    before_backward: Fire
    after_cancel_backward: Fire
    after_backward: Fire
    before_step: Fire
    after_cancel_step: Fire
    after_step: Fire
    after_cancel_batch: Fire
    after_batch: Fire
    after_cancel_train: Fire
    after_train: Fire
    before_validate: Fire
    after_cancel_validate: Fire
    after_validate: Fire
    after_cancel_epoch: Fire
    after_epoch: Fire
    after_cancel_fit: Fire
    after_fit: Fire
    cleanup_fit: Fire

    def __init__(
        self,
        callbacks: Sequence[Callback],
        training: bool,
        position: Callable[[], str],
        busy: list[Callback],
        around: Sequence[Callback] | None = None,
    ) -> None:
        for event in EVENTS:
            candidates = callbacks if around is None or event in _INNER_EVENTS else around
            listeners = [callback for callback in candidates if _asked(callback, event, training)]
            setattr(self, event, _asker(event, listeners, position, busy) if listeners else _nobody_listens)


def _asked(callback: Callback, event: str, training: bool) -> bool:
    if event in BATCH_EVENTS and not (callback.run_train if training else callback.run_valid):
        return False
    return callback.listens_to(event)


def _asker(event: str, listeners: list[Callback], position: Callable[[], str], busy: list[Callback]) -> Fire:
    """A function that asks `listeners` one after the other, and says of an exception where it came from."""
    bound = tuple((callback, getattr(callback, event)) for callback in listeners)

    def ask() -> None:
        for callback, method in bound:
            if callback.run:
                busy.append(callback)
                try:
                    method()
                except CancelException:
                    raise
                except Exception as error:
                    error.add_note(f"in callback {callback.name}, event {event}, {position()}")
                    raise
                finally:
                    busy.pop()

    def clean_up() -> None:
        """Ask all, whatever happens, and raise the first exception at the end."""
        failed: BaseException | None = None
        for callback, method in bound:
            try:
                method()
            except BaseException as error:  # noqa: BLE001  # the others must clean up too; raised below
                error.add_note(f"in callback {callback.name}, event {event}, {position()}")
                failed = failed or error
        if failed is not None:
            raise failed

    return clean_up if event == "cleanup_fit" else ask


def event_rows(callbacks: Iterable[Callback]) -> list[tuple[str, list[str]]]:
    """For each event, in order, the names of the callbacks that listen to it."""
    callbacks = list(callbacks)
    return [(event, [cb.name for cb in callbacks if cb.listens_to(event)]) for event in EVENTS]
