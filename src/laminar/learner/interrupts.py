"""Ctrl-C while training: it waits for a step of the optimiser that has begun, so that no weights are half-stepped."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["Interrupts"]


class Interrupts:
    """Holds SIGINT back in a ``with`` block of its own, for the time in which `handled` is in force."""

    def __init__(self) -> None:
        self._held = False
        self._arrived: tuple[int, FrameType | None] | None = None
        self._handler: Any = None

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Stand before the handler that is installed; outside the main thread, or without one in Python, do nothing."""
        before = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is not threading.main_thread() or not callable(before):
            yield
            return
        self._handler, self._arrived = before, None
        signal.signal(signal.SIGINT, self._receive)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self._held:
            self._arrived = number, frame
        else:
            self._handler(number, frame)

    def __enter__(self) -> None:
        self._held = True

    def __exit__(self, *exception: object) -> None:
        self._held = False
        if self._arrived is not None:
            arrived, self._arrived = self._arrived, None
            self._handler(*arrived)
