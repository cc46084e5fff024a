"""Modules that are imported when first used, so that importing laminar stays quick."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from laminar.core.errors import MissingExtraError, require

__all__ = ["lazy_module"]


class _LazyModule(ModuleType):
    """Stands for a module until one of its attributes is read.

    ``importlib.util.LazyLoader`` would not do: it imports the parent package (for ``matplotlib.pyplot`` a quarter
    of a second) at once.
    """

    def __init__(self, name: str, extra: str | None) -> None:
        super().__init__(name)
        self.__extra = extra

    def __getattr__(self, name: str) -> Any:
        try:
            return getattr(self._imported(f"{self.__name__}.{name}"), name)
        except MissingExtraError as error:
            if name.startswith("__"):  # Python's own tools ask every object for such names, and expect this error
                raise AttributeError(str(error)) from error
            raise

    def __dir__(self) -> list[str]:
        return dir(self._imported(f"dir({self.__name__})"))

    def _imported(self, purpose: str) -> ModuleType:
        if self.__extra is None:
            return importlib.import_module(self.__name__)
        return require(self.__name__, self.__extra, purpose)


def lazy_module(name: str, extra: str | None = None) -> Any:
    """Return a stand-in for module `name`, which is imported at the first use of one of its attributes.

    Args:
        name: of the module.
        extra: laminar's extra that installs it, if it may be absent: a use then says so (`MissingExtraError`).

    >>> calendar = lazy_module("calendar")
    >>> calendar.isleap(2024)
    True
    """
    return _LazyModule(name, extra)
