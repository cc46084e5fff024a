"""Modules that are imported when first used, so that importing laminar stays quick."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

__all__ = ["lazy_module"]


class _LazyModule(ModuleType):
    """Stands for a module until one of its attributes is read.

    ``importlib.util.LazyLoader`` would not do: it imports the parent package (for ``matplotlib.pyplot`` a quarter
    of a second) at once.
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.__name__), name)

    def __dir__(self) -> list[str]:
        return dir(importlib.import_module(self.__name__))


def lazy_module(name: str) -> Any:
    """Return a stand-in for module `name`, which is imported at the first use of one of its attributes.

    >>> calendar = lazy_module("calendar")
    >>> calendar.isleap(2024)
    True
    """
    return _LazyModule(name)
