"""Weights for losses where some classes are rare."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from laminar.core.errors import ConfigError

__all__ = ["class_weights"]


def class_weights(targets: Tensor | Iterable[Any], n_classes: int | None = None, beta: float | None = None) -> Tensor:
    """The importance of each class, for the `weight` of a loss: all classes together count alike, 1 on average over
    the targets.

    Args:
        targets: class indices of the training items: a tensor, or anything that gives them one by one, such as
            ``dls.train_ds.tls[-1]``, which opens no pictures.
        n_classes: number of classes; as many as the targets show by default.
        beta: count an item the less, the more its class has: a class of n counts as ``(1 - beta**n) / (1 - beta)``
            (Cui et al., "Class-balanced loss based on effective number of samples", 2019); 0.99 to 0.9999. None counts
            them all.

    Returns:
        float32 ``[n_classes]``.

    Raises:
        ConfigError: a class without items, which would weigh infinitely; indices that are none.

    >>> class_weights([0, 0, 0, 1]).tolist()
    [0.6666666865348816, 2.0]
    """
    numbers = torch.as_tensor(targets if isinstance(targets, Tensor) else [int(target) for target in targets])
    if not numbers.numel() or numbers.is_floating_point() or int(numbers.min()) < 0:
        raise ConfigError(f"class_weights needs class indices from 0 upwards, got {numbers.flatten()[:5].tolist()}.")
    counts = torch.bincount(numbers.flatten().long(), minlength=n_classes or 0).double()
    if n_classes is not None and len(counts) > n_classes:
        raise ConfigError(f"class_weights: there is a class {len(counts) - 1}, but n_classes is {n_classes}.")
    if not counts.all():
        empty = [number for number, count in enumerate(counts.tolist()) if not count]
        raise ConfigError(
            f"class_weights: no item has class {', '.join(map(str, empty))}; its weight would be infinite."
        )
    effective = counts if beta is None else (1 - beta**counts) / (1 - beta)
    weights = 1 / effective
    return (weights * counts.sum() / (weights * counts).sum()).float()
