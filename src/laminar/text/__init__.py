"""Texts: tokenizing, numbering, loading, learning; `laminar.text.all` is what notebooks import."""

from laminar.text.special_tokens import (
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
    "BOS",
    "EOS",
    "FLD",
    "PAD",
    "SPECIAL_TOKENS",
    "TK_MAJ",
    "TK_REP",
    "TK_UP",
    "TK_WREP",
    "UNK",
]
