"""The callbacks a learner has: adding, removing, finding, for good or for the time of a ``with`` block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self, TypeVar

from laminar.callbacks.base import Callback
from laminar.core.errors import ConfigError, describe

__all__ = ["CallbackOwner", "Callbacks"]

C = TypeVar("C", bound=Callback)
Callbacks = Callback | type[Callback] | Iterable[Callback | type[Callback]] | None


class CallbackOwner:
    """Keeps callbacks in the order in which they are asked."""

    def __init__(self) -> None:
        self._cbs: list[Callback] = []

    def _bind(self) -> None:
        """Callbacks have come or gone: note again who listens to which event."""

    @property
    def cbs(self) -> list[Callback]:
        """The callbacks, in the order in which they are asked."""
        return list(self._cbs)

    def get_cb(self, kind: type[C]) -> C | None:
        """Return the callback of class `kind` (or a subclass of it), None if there is none."""
        return next((callback for callback in self._cbs if isinstance(callback, kind)), None)

    def add_cb(self, cb: Callback | type[Callback]) -> Self:
        """Add a callback, or a callback class without arguments.

        Raises:
            ConfigError: the learner has one of this class already.
        """
        callback = cb() if isinstance(cb, type) else cb
        if not isinstance(callback, Callback):
            raise ConfigError(f"{describe(cb)} is no callback: pass an instance or a class of Callback.")
        same = [other for other in self._cbs if type(other) is type(callback)]
        several = callback.allow_several or type(callback) is Callback
        if callback in same or (same and not several):
            raise ConfigError(
                f"the learner has a {type(callback).__name__} already; remove it first"
                f" (learn.remove_cb({type(callback).__name__})), or change that one."
            )
        callback.learn = self  # type: ignore[assignment]  # the subclass is a whole learner
        self._cbs = sorted([*self._cbs, callback], key=lambda c: c.order)
        self._bind()
        callback.after_create()
        return self

    def remove_cb(self, cb: Callback | type[Callback]) -> Self:
        """Remove a callback, or all of a class (not its subclasses)."""
        self._cbs = [other for other in self._cbs if other is not cb and type(other) is not cb]
        self._bind()
        return self

    def add_cbs(self, cbs: Callbacks) -> Self:
        """Add several callbacks, one, or None."""
        for callback in as_list(cbs):
            self.add_cb(callback)
        return self

    def remove_cbs(self, cbs: Callbacks) -> Self:
        """Remove several callbacks, one, or None."""
        for callback in as_list(cbs):
            self.remove_cb(callback)
        return self

    @contextmanager
    def added_cbs(self, cbs: Callbacks) -> Iterator[Self]:
        """Have more callbacks for the time of a ``with`` block."""
        added: list[Callback] = []
        try:
            for cb in as_list(cbs):
                callback = cb() if isinstance(cb, type) else cb
                self.add_cb(callback)
                added.append(callback)
            yield self
        finally:
            for callback in added:
                self.remove_cb(callback)

    @contextmanager
    def removed_cbs(self, cbs: Callbacks) -> Iterator[Self]:
        """Do without some callbacks (instances or classes) for the time of a ``with`` block."""
        before = list(self._cbs)
        try:
            yield self.remove_cbs(cbs)
        finally:
            self._cbs = [cb for cb in before if cb not in self._cbs] + self._cbs
            self._cbs.sort(key=lambda c: c.order)
            self._bind()


def as_list(cbs: Callbacks) -> list[Any]:
    """Return one, several or no callbacks as a list."""
    if cbs is None:
        return []
    return list(cbs) if isinstance(cbs, Iterable) and not isinstance(cbs, str) else [cbs]
