"""Masked language modelling: which tokens a model has to find again (Devlin et al., "BERT: pre-training of deep
bidirectional transformers for language understanding", 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from laminar.core.errors import ConfigError
from laminar.text.hf.tokenizing import IGNORED

__all__ = ["mask_tokens"]

_MASKED, _REPLACED = 0.8, 0.1  # of the chosen tokens; the others stay what they are, to be found all the same

Numbers = np.ndarray[Any, np.dtype[np.int64]]


def mask_tokens(
    tokens: Numbers,
    mask_idx: int,
    vocab_sz: int,
    rng: np.random.Generator,
    share: float = 0.15,
    special: Sequence[int] = (),
) -> tuple[Numbers, Numbers]:
    """Hide some tokens: of those chosen 8 in 10 become the mask, 1 in 10 any token, and 1 in 10 stay.

    At least one token is chosen, if there is one that may be.

    Args:
        tokens: int64, ``[length]``.
        mask_idx: number of the token that masks.
        vocab_sz: how many tokens there are.
        rng: draws.
        share: with which probability a token is chosen, 0 to 1.
        special: tokens that are never chosen.

    Returns:
        The tokens that a model reads, and its targets: the chosen tokens, -100 elsewhere.

    Raises:
        ConfigError: `share` is out of range.

    >>> inputs, targets = mask_tokens(np.arange(5, 105), 4, 105, np.random.default_rng(2), share=0.4, special=[5])
    >>> hidden = targets != -100
    >>> bool((inputs[~hidden] == np.arange(5, 105)[~hidden]).all()), int(inputs[0])
    (True, 5)
    """
    if not 0 < share < 1:
        raise ConfigError(f"the share of masked tokens is between 0 and 1, got {share}")
    allowed = ~np.isin(tokens, special)
    chances = np.where(allowed, rng.random(len(tokens)), 2.0)
    chosen = chances < share
    if not chosen.any() and allowed.any():
        chosen[chances.argmin()] = True
    fate = rng.random(len(tokens))
    inputs = np.where(chosen & (fate < _MASKED), mask_idx, tokens)
    replaced = chosen & (fate >= _MASKED) & (fate < _MASKED + _REPLACED)
    inputs = np.where(replaced, rng.integers(0, vocab_sz, len(tokens)), inputs)
    return inputs, np.where(chosen, tokens, IGNORED)
