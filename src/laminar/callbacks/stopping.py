"""Being asked to stop: signals that are noted, and acted upon when it suits."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterable
from typing import Any

from laminar.core.errors import ConfigError, suggest

__all__ = ["StopSignals"]


class StopSignals:
    """Notes the first of some signals; the second time the same one does what it did before.

    Outside the main thread nothing is listened to. SIGINT is left as it is in a notebook or at a prompt, where Ctrl-C
    has a meaning of its own.

    Args:
        names: of signals: ``"SIGTERM"``. Those that the system does not have are left out.

    Raises:
        ConfigError: a name of no signal.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        known = ("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGHUP", "SIGBREAK", "SIGALRM", "SIGXCPU")
        for name in self.names:
            if name not in known:
                raise ConfigError(f"signals={self.names}: {name!r} is none of these.{suggest(name, known)}")
        self.arrived: str | None = None
        self._before: dict[int, Any] = {}

    def listen(self) -> None:
        """Begin to listen."""
        self.arrived = None
        if threading.current_thread() is not threading.main_thread():
            return
        for name in self.names:
            number = getattr(signal, name, None)
            if number is None or (name == "SIGINT" and hasattr(sys, "ps1")):
                continue
            self._before[number] = signal.signal(number, self._note)

    def _note(self, number: int, frame: Any) -> None:
        if self.arrived is None:
            self.arrived = signal.Signals(number).name
            return
        before = self._before.get(number)
        signal.signal(number, before if before is not None else signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def taken(self) -> str | None:
        """The name of the one that has arrived, which counts as acted upon from now on."""
        arrived, self.arrived = self.arrived, None
        return arrived

    def leave(self) -> None:
        """Put back who listened before; what has arrived, and nobody has acted upon, is sent on to them."""
        for number, before in self._before.items():
            if signal.getsignal(number) == self._note:
                signal.signal(number, before if before is not None else signal.SIG_DFL)
        self._before = {}
        arrived = self.taken()
        if arrived is not None:
            os.kill(os.getpid(), signal.Signals[arrived])
