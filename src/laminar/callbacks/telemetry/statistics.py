"""Statistics of layers: plain functions of a tensor, computed where the tensor is and brought over later.

Each takes a tensor of any shape (floating point) and returns a tensor without waiting for the device. What it needs
besides, it names as arguments: ``weight``, ``previous``, ``lr``, ``unit_dim`` (see `LayerTelemetry`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = [
    "abs_max",
    "cosine_to_previous",
    "dead_units",
    "effective_learning_rate",
    "effective_rank",
    "gradient_noise",
    "histogram",
    "mean",
    "mean_absolute_deviation",
    "norm",
    "percentiles",
    "rms",
    "share_below_zero",
    "share_near_zero",
    "share_of_infinity",
    "share_of_nan",
    "spectral_norm",
    "std",
    "std_over_mean",
    "update_to_weight",
    "variance",
]

PERCENTILES = (5, 25, 50, 75, 95)
_SORTED_AT_MOST = 2048  # values; their percentiles are within about a percent of all values' ranks
_ROWS_AT_MOST = 512


def mean(t: Tensor) -> Tensor:
    """The mean."""
    return t.mean()


def variance(t: Tensor) -> Tensor:
    """The mean squared distance from the mean (divided by n, so that one value has 0)."""
    return t.var(correction=0)


def std(t: Tensor) -> Tensor:
    """The standard deviation: the root of `variance`."""
    return t.std(correction=0)


def std_over_mean(t: Tensor) -> Tensor:
    """The standard deviation over the absolute mean; infinite where the mean is 0."""
    spread, centre = torch.std_mean(t, correction=0)
    return spread / centre.abs()


def mean_absolute_deviation(t: Tensor) -> Tensor:
    """The mean distance from the mean: as the standard deviation, but a few outliers do not dominate it."""
    distances: Tensor = torch.linalg.vector_norm(t - t.mean(), 1)  # in one pass
    return distances / t.numel()


def percentiles(t: Tensor, q: Sequence[float] = PERCENTILES, at_most: int | None = _SORTED_AT_MOST) -> Tensor:
    """The values below which `q` percent of all lie, interpolated.

    Args:
        t: any shape.
        q: percent, 0 to 100.
        at_most: take so many of the values, evenly spread, from a larger tensor; None for all.

    Returns:
        One value for each of `q`.
    """
    values = _in_memory_order(t)
    if at_most is not None and values.numel() > at_most:
        values = values[:: _stride(values.numel(), at_most)]
    return torch.quantile(values, torch.tensor([share / 100 for share in q], dtype=t.dtype).to(t.device))


def _stride(n: int, at_most: int) -> int:
    """A step through `n` values that meets all places of every dimension."""
    step = -(-n // at_most)
    while math.gcd(step, n) > 1:
        step += 1
    return step


def share_below_zero(t: Tensor) -> Tensor:
    """The share of values below zero, 0 to 1."""
    return _share(t < 0, t)


def share_near_zero(t: Tensor, threshold: float = 0.05) -> Tensor:
    """The share of values at most `threshold` away from zero, 0 to 1: what a ReLU lets nothing through of."""
    return _share(t.abs() <= threshold, t)


def dead_units(t: Tensor, unit_dim: int, threshold: float = 0.0) -> Tensor:
    """The share of units (channels, features) that are zero for all items and places of the batch, 0 to 1.

    Args:
        t: activations, or gradients of a layer's weights.
        unit_dim: the dimension of units.
        threshold: the largest absolute value that counts as zero.
    """
    if t.ndim < 2:
        return share_near_zero(t, threshold)
    others = [dim for dim in range(t.ndim) if dim != unit_dim % t.ndim]
    low, high = torch.amin(t, others), torch.amax(t, others)
    return _share((low >= -threshold) & (high <= threshold), t)


def norm(t: Tensor) -> Tensor:
    """The Euclidean norm: the root of the sum of squares."""
    length: Tensor = torch.linalg.vector_norm(t)
    return length


def rms(t: Tensor) -> Tensor:
    """The root of the mean square: the norm, whatever the size."""
    return norm(t) / math.sqrt(max(t.numel(), 1))


def abs_max(t: Tensor) -> Tensor:
    """The largest absolute value."""
    low, high = torch.aminmax(t)
    return torch.maximum(-low, high)


def share_of_nan(t: Tensor) -> Tensor:
    """The share of values that are no numbers, 0 to 1."""
    return _share(torch.isnan(t), t)


def share_of_infinity(t: Tensor) -> Tensor:
    """The share of values that are infinite, 0 to 1."""
    return _share(torch.isinf(t), t)


def update_to_weight(t: Tensor, weight: Tensor) -> Tensor:
    """The norm of an update (or of a gradient) over the norm of the weight: how far a step goes.

    About 0.001 is usual; above 0.1 a few steps replace the weight. Infinite for a weight of zeros that moves.
    """
    return norm(t) / norm(weight)


def effective_learning_rate(t: Tensor, lr: float) -> Tensor:
    """The learning rate over the squared norm of a weight: the rate at which its direction turns under normalisation.

    Where a norm follows, the length of a weight does not change the function, and the gradient is inversely
    proportional to it (van Laarhoven, "L2 Regularization versus Batch and Weight Normalization", 2017).

    Args:
        t: the weight.
        lr: the learning rate of its parameter group.
    """
    return lr / norm(t).square()


def cosine_to_previous(t: Tensor, previous: Tensor) -> Tensor:
    """The cosine of the angle to the same tensor one step before: near 1 straight on, below 0 to and fro."""
    return (t * previous).sum() / (norm(t) * norm(previous))


def gradient_noise(t: Tensor, previous: Tensor) -> Tensor:
    """The share of a batch gradient's squared norm that is noise, from two gradients in succession.

    With a true gradient G and noise of variance V in a batch, the expected squared norm is G^2 + V and the expected
    product of two gradients G^2, if the weights hardly move between them; this is V / (G^2 + V): 0 if batches agree,
    1 if they have nothing in common, more if they contradict each other (see McCandlish et al., "An empirical model of
    large-batch training", 2018; `GradientNoiseScale` is for the whole model).
    """
    return (t - previous).square().sum() / (t.square().sum() + previous.square().sum())


def spectral_norm(t: Tensor, unit_dim: int = 0, iterations: int = 12) -> Tensor:
    """The largest singular value of a weight as a matrix of [units, everything else], by power iteration.

    A lower bound that gets exact with iterations: how much a linear layer can enlarge its input. For a convolution it
    is that of the kernel as a matrix, not of the whole operator.

    Args:
        t: at least two dimensions; of fewer, the norm.
        unit_dim: the dimension of units.
        iterations: of the power method; from the same start each time.
    """
    if t.ndim < 2:
        return norm(t)
    matrix = t.movedim(unit_dim, 0).flatten(1)
    right = (
        torch.arange(1, matrix.shape[1] + 1, device=t.device, dtype=t.dtype).mul(12.9898).sin()
    )  # any fixed direction
    for _ in range(iterations):
        left = matrix @ right
        right = matrix.T @ (left / norm(left).clamp_min(torch.finfo(t.dtype).tiny))
        right = right / norm(right).clamp_min(torch.finfo(t.dtype).tiny)
    return norm(matrix @ right)


def effective_rank(t: Tensor, unit_dim: int, at_most: int = _ROWS_AT_MOST) -> Tensor:
    """How many directions a tensor really uses, as a matrix of [everything else, units]: 1 to the number of units.

    The exponential of the entropy of its singular values as shares (Roy and Vetterli, "The effective rank", 2007).

    Args:
        t: activations or weights.
        unit_dim: the dimension of units.
        at_most: take so many rows, evenly spread, of a larger matrix.
    """
    matrix = t.movedim(unit_dim, -1).reshape(-1, t.shape[unit_dim]) if t.ndim > 1 else t[:, None]
    if len(matrix) > at_most:
        matrix = matrix[:: _stride(len(matrix), at_most)]
    finite = torch.isfinite(matrix).all()
    values = torch.linalg.svdvals(torch.where(finite, matrix, 0.0))
    shares = values / values.sum()
    entropy = -torch.special.xlogy(shares, shares).sum()
    return torch.where(finite, entropy.exp(), torch.nan)


def histogram(t: Tensor, bins: int = 40, low: float = -10.0, high: float = 10.0) -> Tensor:
    """How many values fall into each of `bins` of equal width from `low` to `high`; those outside count for none.

    Args:
        t: any shape.
        bins: how many.
        low: lower end of the first.
        high: upper end of the last, which belongs to it.
    """
    values = _in_memory_order(t)
    return torch.histc(torch.where(torch.isfinite(values), values, high + 1.0), bins, low, high)


def _share(true: Tensor, of: Tensor) -> Tensor:
    return torch.count_nonzero(true).to(of.dtype) / true.numel()


def _in_memory_order(t: Tensor) -> Tensor:
    """All values in one dimension, not copied if they lie in one piece, in whatever order."""
    if t.is_contiguous():
        return t.view(-1)
    if t.ndim == 4 and t.is_contiguous(memory_format=torch.channels_last):
        return t.permute(0, 2, 3, 1).reshape(-1)
    return t.reshape(-1)
