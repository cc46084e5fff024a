"""`VerboseCallback`: watching what happens when."""

from __future__ import annotations

from functools import partial

from laminar.callbacks.base import Callback
from laminar.callbacks.events import EVENTS

__all__ = ["VerboseCallback"]


def _tell(callback: Callback, event: str) -> None:
    print(event)


class VerboseCallback(Callback):
    """Print the name of every event as it comes."""

    only_watches = True

    def __init__(self) -> None:
        super().__init__(**{event: partial(_tell, event=event) for event in EVENTS})
