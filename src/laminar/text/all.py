"""Everything a notebook about texts wants: ``from laminar.text.all import *``.

`laminar.basics` and laminar's public names about texts.
"""

from laminar import basics
from laminar.basics import *  # noqa: F403  # a list written by hand, handed on whole
from laminar.text import (
    BOS,
    EOS,
    FLD,
    PAD,
    SPECIAL_TOKENS,
    TK_MAJ,
    TK_REP,
    TK_UP,
    TK_WREP,
    UNK,
)

__all__ = [
    "BOS", "EOS", "FLD", "PAD", "SPECIAL_TOKENS", "TK_MAJ", "TK_REP", "TK_UP", "TK_WREP", "UNK",
]  # fmt: skip
__all__ += basics.__all__
