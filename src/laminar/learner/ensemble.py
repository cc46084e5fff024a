"""Several learners that predict the same items, averaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from laminar.core.device import tensors_in
from laminar.core.errors import ConfigError, DataError

__all__ = ["ensemble"]


class Predictor(Protocol):
    """What is asked of a learner here."""

    dls: Any

    def get_preds(self, ds_idx: int = 1, dl: Any = None, with_items: bool = False) -> tuple[Any, ...]: ...

    def tta(self, ds_idx: int = 1, dl: Any = None, n: int = 4) -> tuple[Any, Any]: ...


def ensemble(
    learners: Sequence[Predictor],
    ds_idx: int = 1,
    items: Any = None,
    *,
    weights: Sequence[float] | None = None,
    tta: int = 0,
) -> tuple[Tensor, Any]:
    """Average what several learners predict for the same items: usually better than the best of them.

    Each predicts with loaders of its own, so they may differ in architecture, in the size of their pictures and in
    normalisation. What is averaged is what `get_preds` gives: probabilities, where the loss makes some.

    Args:
        learners: at least one, with the same classes.
        ds_idx: 0 for the training set, 1 for the validation set.
        items: new items (paths, pictures, rows), in place of these; each learner gets them by its own ``test_dl``.
        weights: how much each learner counts; None for all alike.
        tta: augmented passes of each learner, see `Learner.tta`; 0 for none.

    Returns:
        Predictions and targets (None without labels), on the CPU.

    Raises:
        ConfigError: no learners, weights that do not fit them, other classes, or predictions of another shape.
        DataError: they do not see the same items.

    Example::

        preds, targs = ensemble([learn_resnet, learn_convnext], tta=4)
        accuracy(preds, targs)
    """
    shares = _shares(learners, weights)
    _check_classes(learners)
    total, targets = _predict(learners[0], ds_idx, items, tta)
    if not isinstance(total, Tensor):
        raise ConfigError("an ensemble averages predictions that are one tensor; this model has several outputs.")
    mean = total * shares[0]
    for number, (learner, share) in enumerate(zip(learners[1:], shares[1:], strict=True), start=1):
        preds, others = _predict(learner, ds_idx, items, tta)
        if not _same(targets, others) or len(preds) != len(mean):
            raise DataError(
                f"learner {number} was asked about other items than learner 0: their targets differ. Split the data "
                "alike (the same seed=, or a splitter that goes by the files), or pass items=."
            )
        if preds.shape != mean.shape:
            raise ConfigError(
                f"learner {number} predicts {tuple(preds.shape)}, learner 0 {tuple(mean.shape)}: these have no average"
            )
        mean += preds * share
    return mean, targets


def _shares(learners: Sequence[Predictor], weights: Sequence[float] | None) -> list[float]:
    """What part of the average each learner makes up."""
    count = len(learners)
    given = [1.0] * count if weights is None else [float(weight) for weight in weights]
    if not count or len(given) != count or min(given) < 0 or sum(given) <= 0:
        raise ConfigError(
            f"an ensemble needs at least one learner, and a weight of at least 0 for each, got {count} and {weights}"
        )
    return [weight / sum(given) for weight in given]


def _check_classes(learners: Sequence[Predictor]) -> None:
    first, *others = (getattr(learner.dls, "vocab", None) for learner in learners)
    for number, vocab in enumerate(others, start=1):
        if (vocab is None) != (first is None) or (vocab is not None and list(vocab) != list(first or ())):
            raise ConfigError(
                f"learner {number} knows the classes {vocab}, learner 0 {first}: give them the same vocab"
            )


def _predict(learner: Predictor, ds_idx: int, items: Any, tta: int) -> tuple[Any, Any]:
    loader = None if items is None else learner.dls.test_dl(items)
    if tta:
        return learner.tta(ds_idx, loader, n=tta)
    preds, targets = learner.get_preds(ds_idx, loader)
    return preds, targets


def _same(targets: Any, others: Any) -> bool:
    """Whether two sets of targets agree, as far as pictures of other sizes let them be compared."""
    pairs = list(zip(tensors_in(targets), tensors_in(others), strict=False))
    if any(len(one) != len(other) for one, other in pairs):
        return False
    return all(torch.equal(one, other) for one, other in pairs if one.shape == other.shape)
