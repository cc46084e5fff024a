"""Small functions on tensors that lessons and metrics use: one-hot vectors, log odds, principal components."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from laminar.core.errors import ConfigError

__all__ = ["concat", "flatten_check", "interp_1d", "logit", "one_hot", "one_hot_decode", "pca", "unsqueeze"]

T = TypeVar("T")


def one_hot(x: Tensor | Sequence[int] | int, c: int) -> Tensor:
    """A vector of `c` zeros with ones at the places `x`: uint8 ``[c]``.

    >>> one_hot([0, 2], 4).tolist()
    [1, 0, 1, 0]
    """
    vector = torch.zeros(c, dtype=torch.uint8)
    vector[torch.as_tensor(x, dtype=torch.long)] = 1
    return vector


def one_hot_decode(x: Tensor, vocab: Sequence[T] | None = None) -> list[Any]:
    """The places (or, with `vocab`, their names) of the ones in a vector of zeros and ones.

    >>> one_hot_decode(torch.tensor([1, 0, 1]), vocab=["a", "b", "c"])
    ['a', 'c']
    """
    places = torch.nonzero(torch.as_tensor(x)).flatten().tolist()
    return places if vocab is None else [vocab[place] for place in places]


def unsqueeze(x: Tensor, dim: int = -1, n: int = 1) -> Tensor:
    """Add `n` dimensions of size 1 at `dim`.

    >>> unsqueeze(torch.zeros(3), n=2).shape
    torch.Size([3, 1, 1])
    """
    for _ in range(n):
        x = x.unsqueeze(dim)
    return x


def logit(x: Tensor) -> Tensor:
    """Log odds of probabilities, which are kept 1e-7 away from 0 and 1: the inverse of the sigmoid."""
    return torch.logit(x, eps=1e-7)


def concat(*ls: Sequence[Any]) -> list[Any]:
    """Several sequences as one list.

    >>> concat([1], (2, 3))
    [1, 2, 3]
    """
    return [value for sequence in ls for value in sequence]


def flatten_check(inp: Tensor, targ: Tensor) -> tuple[Tensor, Tensor]:
    """Predictions and targets in one row each.

    Raises:
        ConfigError: their numbers differ; the message has the shapes.
    """
    if inp.numel() != targ.numel():
        raise ConfigError(
            f"{tuple(inp.shape)} and {tuple(targ.shape)} have {inp.numel()} and {targ.numel()} values: not as many"
        )
    return inp.reshape(-1), targ.reshape(-1)


def interp_1d(x: Tensor, xp: Tensor, fp: Tensor) -> Tensor:
    """Linear interpolation between the points (`xp`, `fp`), beyond the ends too.

    Args:
        x: where to evaluate.
        xp: ``[n]``, increasing.
        fp: ``[n]``.

    >>> interp_1d(torch.tensor([0.5, 2.0]), torch.tensor([0.0, 1.0]), torch.tensor([0.0, 10.0])).tolist()
    [5.0, 20.0]
    """
    right = torch.searchsorted(xp, x).clamp(1, len(xp) - 1)
    slope = (fp[right] - fp[right - 1]) / (xp[right] - xp[right - 1])
    return fp[right - 1] + slope * (x - xp[right - 1])


def pca(x: Tensor, k: int = 2) -> Tensor:
    """The rows of `x` in their `k` principal components: ``[n, features]`` to ``[n, k]``."""
    centred = x - x.mean(0, keepdim=True)
    directions: Tensor = torch.linalg.svd(centred, full_matrices=False).Vh[:k]
    return centred @ directions.T
