"""Several learners that answer together: one that reads forwards, one that reads backwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from laminar.core.errors import ConfigError
from laminar.learner.learner import Learner

__all__ = ["ensemble_preds"]


def ensemble_preds(
    learners: Sequence[Learner], ds_idx: int = 1, *, items: Any = None, weights: Sequence[float] | None = None
) -> tuple[Tensor, Tensor | None]:
    """Average what several learners predict of the same items, each through its own loaders.

    Args:
        learners: their data must hold the same items in the same order, with the same classes.
        ds_idx: 0 for the training sets, 1 for the validation sets.
        items: new items to predict instead: texts, paths, rows.
        weights: one for each learner; None for all alike.

    Returns:
        Predictions (probabilities) and targets (None without labels), as `Learner.get_preds` gives them.

    Raises:
        ConfigError: there are none, or predictions or targets do not belong together.

    Example::

        preds, targets = ensemble_preds([learn, learn_backwards])
        accuracy(preds, targets)
    """
    if not learners:
        raise ConfigError("ensemble_preds needs at least one learner.")
    shares = torch.tensor([1.0] * len(learners) if weights is None else list(weights), dtype=torch.float32)
    if len(shares) != len(learners) or (shares < 0).any() or not shares.sum() > 0:
        raise ConfigError(f"weights={weights} for {len(learners)} learners: give each one, 0 or more, not all 0.")
    answers = [learn.get_preds(ds_idx, dl=None if items is None else learn.dls.test_dl(items)) for learn in learners]
    preds, targets = answers[0][:2]
    for number, (other, theirs) in enumerate(pair[:2] for pair in answers[1:]):
        same = other.shape == preds.shape and (theirs is None) == (targets is None)
        if not same or (targets is not None and not torch.equal(theirs, targets)):
            raise ConfigError(
                f"learner 0 and learner {number + 1} do not predict the same: predictions {tuple(preds.shape)} and"
                f" {tuple(other.shape)}, targets {'equal' if same else 'of other items'}. Build both loaders from the"
                " same items, with the same splits and classes."
            )
    stacked = torch.stack([answer[0].float() for answer in answers])
    return torch.einsum("l,l...->...", shares / shares.sum(), stacked), targets
