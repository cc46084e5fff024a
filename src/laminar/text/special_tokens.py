"""The words that stand for what a text has besides words: its beginning, capitals, repetitions."""

from __future__ import annotations

__all__ = ["BOS", "EOS", "FLD", "PAD", "SPECIAL_TOKENS", "TK_MAJ", "TK_REP", "TK_UP", "TK_WREP", "UNK"]

UNK = "xxunk"
"""A word that the vocabulary does not have."""
PAD = "xxpad"
"""Fills up a text to the length of its batch."""
BOS = "xxbos"
"""A text begins."""
EOS = "xxeos"
"""A text ends."""
FLD = "xxfld"
"""A field (a column of a table) begins; its number follows."""
TK_REP = "xxrep"
"""The next word says how often the one after it, a single character, is repeated."""
TK_WREP = "xxwrep"
"""The next word says how often the one after it is repeated."""
TK_UP = "xxup"
"""The next word was in capitals."""
TK_MAJ = "xxmaj"
"""The next word began with a capital."""

SPECIAL_TOKENS = (UNK, PAD, BOS, EOS, FLD, TK_REP, TK_WREP, TK_UP, TK_MAJ)
"""All of them, in the order in which vocabularies begin with them."""
