"""Predicting the same items several times, augmented, and averaging."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from laminar.core.errors import ConfigError, DataError
from laminar.learner.inference import get_preds
from laminar.learner.loop import TrainingLoop

__all__ = ["augmented_loader", "predict_augmented"]


def augmented_loader(loader: Any, item_tfms: Any = None, batch_tfms: Any = None) -> Any:
    """The items of an evaluation loader, in the same order, with the transforms of training.

    Args:
        loader: a loader of ours.
        item_tfms: in place of all its transforms of items.
        batch_tfms: in place of all its transforms of batches.

    Raises:
        ConfigError: the loader cannot augment.
    """
    if not hasattr(loader, "new"):
        raise ConfigError(
            f"batches of {type(loader).__name__} are made elsewhere and cannot be augmented; use get_preds."
        )
    dataset = loader.dataset.with_split(0) if hasattr(loader.dataset, "with_split") else loader.dataset
    given = {"after_item": item_tfms, "after_batch": batch_tfms}
    changes = {name: tfms for name, tfms in given.items() if tfms is not None}
    return loader.new(dataset, split_idx=0, **changes)


def predict_augmented(learn: TrainingLoop, loader: Any, augmented: Any, n: int, use_max: bool) -> tuple[Any, Any, Any]:
    """Predict once without augmentation and `n` times with it.

    Args:
        learn: the learner.
        loader: gives the items as validation does.
        augmented: gives the same items augmented, differently in each pass.
        n: how many passes.
        use_max: take the largest of the augmented predictions in place of their mean.

    Returns:
        Predictions without augmentation, those with it, and the targets.

    Raises:
        ConfigError: `n` is not above 0, or the model has several outputs.
        DataError: other items were skipped in one pass than in another.
    """
    if n < 1:
        raise ConfigError(f"tta needs at least one augmented pass, got n={n}.")
    plain_preds, targets, items = get_preds(learn, loader, with_items=True)
    if not isinstance(plain_preds, Tensor):
        raise ConfigError("tta averages predictions that are one tensor; this model has several outputs.")
    passes = []
    for _ in range(n):
        preds, _, others = get_preds(learn, augmented, with_items=True)
        if not torch.equal(items, others):
            raise DataError(
                f"tta averages predictions of the same items: without augmentation {len(items)} could be made, with it "
                f"{len(others)}, or others. Skip items in all passes alike."
            )
        passes.append(preds)
    stacked = torch.stack(passes)
    return plain_preds, stacked.amax(0) if use_max else stacked.mean(0), targets
