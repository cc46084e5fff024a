"""`Choice`: words of which an argument takes one."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from laminar.core.errors import ConfigError, suggest

__all__ = ["Choice"]


class Choice(StrEnum):
    """The words an argument takes. Each is a member and a string; of any other the error tells those there are.

    >>> class Side(Choice):
    ...     Left = "left"
    ...     Right = "right"
    >>> Side("left") is Side.Left
    True
    >>> Side("lft")
    Traceback (most recent call last):
    laminar.core.errors.ConfigError: Side is one of 'left', 'right', not 'lft'. Did you mean 'left'?
    """

    @classmethod
    def _missing_(cls, value: object) -> Self:
        words = [member.value for member in cls]
        raise ConfigError(
            f"{cls.__name__} is one of {', '.join(map(repr, words))}, not {value!r}.{suggest(str(value), words)}"
        )
