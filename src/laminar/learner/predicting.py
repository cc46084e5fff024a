"""Predicting: what one asks a model for, over whole sets and for single items."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from laminar.callbacks.save_preds import SavePredsCallback
from laminar.core.errors import explains_keywords
from laminar.learner import inference, tta
from laminar.learner.callback_list import Callbacks
from laminar.learner.fitting import Fitting
from laminar.learner.switches import Switches

__all__ = ["Predicting"]


class Predicting(Fitting, Switches):
    """What `Learner` does to predict; made by `Learner` alone."""

    @explains_keywords("Learner")
    def validate(self, ds_idx: int = 1, dl: Any = None, cbs: Callbacks = None) -> list[float | None]:
        """Compute the loss and all metrics: ``[loss, *metrics]``.

        Args:
            ds_idx: 0 for the training set (without augmentation), 1 for the validation set.
            dl: another loader instead.
            cbs: callbacks for this pass only.
        """
        loader = inference.evaluation_loader(self.dls, ds_idx, dl, self.model_tfms)
        return inference.validate(self, self.metrics, loader, cbs)

    @explains_keywords("Learner")
    def get_preds(
        self,
        ds_idx: int = 1,
        dl: Any = None,
        with_input: bool = False,
        with_decoded: bool = False,
        with_loss: bool = False,
        act: Callable[[Any], Any] | None = None,
        cbs: Callbacks = None,
        with_items: bool = False,
        *,
        save_preds: str | Path | None = None,
        save_targs: str | Path | None = None,
    ) -> tuple[Any, ...]:
        """Predict a whole set, in the order of the data set and without augmentation.

        Args:
            ds_idx: 0 for the training set, 1 for the validation set.
            dl: another loader instead, for example ``dls.test_dl(items)``.
            with_input: return the inputs, first.
            with_decoded: return the decisions too: classes, where predictions are probabilities.
            with_loss: return the loss of each item.
            act: what makes predictions of a batch's raw outputs, instead of the loss's own activation. Memory holds
                what it returns: ``act=lambda scores: scores.argmax(-1)`` keeps decisions alone.
            cbs: callbacks for this pass only.
            with_items: return the number of each item in its data set, last: items that are skipped are not predicted.
            save_preds: folder to write predictions into, a file for each batch; in their place, and that of decisions,
                come `SavedBatches`, which read them back. For sets whose predictions do not fit into memory.
            save_targs: the same for targets.

        Returns:
            (inputs,) predictions, targets (None without labels), (decisions,) (losses,) (items), all on the CPU.
        """
        loader = inference.evaluation_loader(self.dls, ds_idx, dl, self.model_tfms)
        saving = SavePredsCallback(save_preds, save_targs)
        return inference.get_preds(self, loader, with_input, with_decoded, with_loss, act, cbs, with_items, saving)

    @explains_keywords("Learner")
    def tta(
        self,
        ds_idx: int = 1,
        dl: Any = None,
        n: int = 4,
        item_tfms: Any = None,
        batch_tfms: Any = None,
        beta: float | None = 0.25,
        use_max: bool = False,
    ) -> tuple[Any, Any]:
        """Predict a whole set once as it is and `n` times augmented as in training, and average (test-time
        augmentation).

        Args:
            ds_idx: 0 for the training set, 1 for the validation set.
            dl: another loader instead.
            n: augmented passes.
            item_tfms: in place of all transforms of items, in these passes.
            batch_tfms: in place of all transforms of batches, in these passes.
            beta: share of the predictions without augmentation; None returns both: ``(augmented, plain), targets``.
            use_max: take the largest prediction in place of averages.

        Returns:
            Predictions and targets (None without labels), on the CPU.
        """
        loader = inference.evaluation_loader(self.dls, ds_idx, dl, self.model_tfms)
        augmented = tta.augmented_loader(loader, item_tfms, batch_tfms)
        plain_preds, preds, targets = tta.predict_augmented(self, loader, augmented, n, use_max)
        if use_max:
            return torch.maximum(plain_preds, preds), targets
        return ((preds, plain_preds) if beta is None else torch.lerp(preds, plain_preds, beta)), targets

    @explains_keywords("Learner")
    def predict(self, item: Any, with_input: bool = False, *, rm_type_tfms: int | None = None) -> tuple[Any, ...]:
        """Predict one raw item (a path, a picture, ...): the decoded prediction, the decision, the probabilities.

        A learner whose model is in evaluation mode, as that of `load_learner` is, may be asked by several threads at
        once.

        Args:
            item: what the data were made of.
            with_input: return the item too, as it went into the model and back, first.
            rm_type_tfms: leave out so many of the first transforms, in place of beginning at that for the item's type.
        """
        return inference.predict(self, item, with_input, rm_type_tfms)

    def show_results(
        self, ds_idx: int = 1, dl: Any = None, max_n: int = 9, shuffle: bool = True, **options: Any
    ) -> Any:
        """Draw some items with their targets and predictions.

        Args:
            ds_idx: 0 for the training set, 1 for the validation set.
            dl: another loader instead.
            max_n: how many items.
            shuffle: draw them at random.
            options: for the function that draws: ``nrows``, ``ncols``, ``figsize``, ``ctxs``.
        """
        loader = inference.evaluation_loader(self.dls, ds_idx, dl, self.model_tfms)
        with self.no_bar():
            return inference.show_results(self, loader, max_n, shuffle, options)
