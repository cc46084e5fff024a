"""How a classifier errs: which classes it takes for which, how well it finds each, how far its probabilities hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from laminar.core.errors import ConfigError
from laminar.core.types import plain
from laminar.interpret.base import TrainedLearner, losses_of
from laminar.interpret.calibration import Calibration, TemperatureScaling, calibration_of, fit_temperature
from laminar.interpret.confusion import (
    Array,
    ClassReport,
    ConfusionInterpretation,
    class_names,
    class_report,
    pair_counts,
    report_table,
)
from laminar.interpret.decisions import GatherDecisions, kind_of
from laminar.learner.inference import evaluation_loader

__all__ = ["ClassificationInterpretation"]


class ClassificationInterpretation(ConfusionInterpretation):
    """Looks at a classifier with one class, or several labels, for each item.

    Keeps for each item the loss, the target, the decision and how sure it was; see `Interpretation`.

    Args:
        learn: a trained learner.
        dl: loader that gives the items in the order of the data set, without augmentation.
        losses: of each item.
        targets: class of each item, ``[n]``; for several labels 0 or 1 for each, ``[n, classes]``.
        decoded: class the model decides for; for several labels whether it decides for each, bool ``[n, classes]``.
        confidences: probability of the class it decides for, 0 to 1, ``[n]``; None if that is not known.
        act: see `Interpretation`.
        idxs: see `Interpretation`.
    """

    def __init__(
        self,
        learn: TrainedLearner,
        dl: Any,
        losses: Tensor,
        targets: Tensor,
        decoded: Tensor,
        confidences: Tensor | None = None,
        act: Callable[[Any], Any] | None = None,
        idxs: Tensor | None = None,
    ) -> None:
        super().__init__(learn, dl, losses, act, idxs)
        self.targets, self.decoded, self.confidences = targets, decoded, confidences
        self.vocab = class_names(dl, targets.shape[1] if self.several else int(max(targets.max(), decoded.max())) + 1)

    @classmethod
    def from_learner(
        cls, learn: TrainedLearner, ds_idx: int = 1, dl: Any = None, act: Callable[[Any], Any] | None = None
    ) -> Self:
        """Go through a data set once, without augmentation.

        Args:
            learn: a trained learner.
            ds_idx: 0 for the training set, 1 for the validation set.
            dl: another loader with targets: ``dls.test_dl(items, with_labels=True)``.
            act: see `Interpretation`.

        Raises:
            ConfigError: the targets are no classes.
        """
        loader = evaluation_loader(learn.dls, ds_idx, dl, learn.model_tfms)
        gather = GatherDecisions(act)
        learn.validate(dl=loader, cbs=[gather])
        losses, targets, decoded = losses_of(gather), plain(gather.targets), plain(gather.decided)
        _refuse_other_tasks(targets, decoded)
        return cls(learn, loader, losses, targets, decoded, gather.confidences, act, gather.items)

    @property
    def several(self) -> bool:
        """Whether an item may have several labels."""
        return self.targets.ndim == 2

    def confusion_matrix(self) -> Array:
        """How many items of each class (row) were taken for each class (column): int64 ``[classes, classes]``.

        With several labels: how often a label (row) was missed where another (column) was wrongly given; on the
        diagonal, how often it was rightly given.
        """
        n = len(self.vocab)
        if not self.several:
            return np.asarray(pair_counts(self.targets, self.decoded, n).numpy())
        there, given = self.targets.bool(), self.decoded.bool()
        missed, added = (there & ~given).double(), (given & ~there).double()
        counts = missed.T @ added + torch.diag((there & given).sum(0).double())
        return np.asarray(counts.long().numpy())

    def class_reports(self) -> list[ClassReport]:
        """Precision, recall and F1 of each class; 0 where a class was never predicted, or is not there."""
        if not self.several:
            return super().class_reports()
        there, given = self.targets.bool(), self.decoded.bool()
        counts = torch.stack([(there & given).sum(0), given.sum(0), there.sum(0)], 1).tolist()
        return [class_report(name, *row) for name, row in zip(self.vocab, counts, strict=True)]

    def classification_report(self, digits: int = 2) -> str:
        """A table of precision, recall, F1 and number of items by class, with accuracy and averages.

        With several labels, accuracy is the share of items of which all labels are right.

        Args:
            digits: behind the point.
        """
        reports = self.class_reports()
        support = np.array([report.support for report in reports])
        scores = np.array([report[1:4] for report in reports])
        total = int(support.sum())
        weighted = (scores * support[:, None]).sum(0) / max(total, 1)
        right = (self.targets == self.decoded).reshape(len(self), -1).all(1)
        summary = [
            ("accuracy", None, None, float(right.float().mean()), len(self)),
            ("macro avg", *scores.mean(0).tolist(), total),
            ("weighted avg", *weighted.tolist(), total),
        ]
        return report_table(("precision", "recall", "f1-score", "support"), [*reports, None, *summary], digits)

    def print_classification_report(self, digits: int = 2) -> None:
        """Print `classification_report`."""
        print(self.classification_report(digits))

    # ---- probabilities -----------------------------------------------------------------------------------------------

    def calibration(self, n_bins: int = 15) -> Calibration:
        """How far the probabilities of the decisions hold: ``.error`` is the expected calibration error.

        Args:
            n_bins: into so many ranges of equal width.

        Raises:
            ConfigError: there is no probability of one class for each item.
        """
        if self.confidences is None:
            raise ConfigError("calibration needs one class and its probability for each item; these have several.")
        return calibration_of(self.confidences, self.decoded == self.targets, n_bins)

    def plot_calibration(self, n_bins: int = 15, ax: Any = None) -> Any:
        """Draw a reliability diagram: how often decisions of each probability are right.

        Args:
            n_bins: see `calibration`.
            ax: axes to draw on, made when None.

        Returns:
            The axes.
        """
        return self.calibration(n_bins).plot(ax)

    def fit_temperature(self) -> TemperatureScaling:
        """Find the temperature that makes the probabilities of these items hold: see `fit_temperature`.

        Items are predicted once more, since raw outputs are not kept. To be used as ``act`` of ``get_preds`` and of
        ``from_learner``, or put into the model by ``.into(learn)``.

        Raises:
            ConfigError: the probabilities are not a softmax over classes, or no item is predicted wrongly.
        """
        if self.confidences is None:
            raise ConfigError("a temperature is for one class for each item; these have several.")
        with self.learn.no_bar():
            raw, targets = plain(self.learn.get_preds(dl=self.dl, act=_as_it_is)[:2])
        scaling = TemperatureScaling(1.0)
        if self.act is None and not scaling.is_activation_of(self.learn.loss_func, raw[:8]):
            raise ConfigError(
                f"a temperature divides what a softmax is taken of: {type(self.learn.loss_func).__name__} takes none"
            )
        return fit_temperature(raw, targets)


def _as_it_is(outputs: Any) -> Any:
    return outputs


def _refuse_other_tasks(targets: Any, decoded: Any) -> None:
    """Refuse what is neither one class nor several labels for each item.

    Raises:
        ConfigError: it is neither.
    """
    if not isinstance(targets, Tensor) or not isinstance(decoded, Tensor) or targets.shape != decoded.shape:
        raise ConfigError(
            "ClassificationInterpretation needs one class as target and one as decision for each item, got "
            f"{kind_of(targets)} and {kind_of(decoded)}. Use Interpretation for other tasks."
        )
    several = decoded.dtype == torch.bool and decoded.ndim == 2
    if targets.is_floating_point() and not several:
        raise ConfigError(f"the targets are {kind_of(targets)}, no classes. Use Interpretation for quantities.")
    if targets.ndim > 1 and not several:
        raise ConfigError(
            f"the targets are {kind_of(targets)}, a class for each pixel: SegmentationInterpretation counts them "
            "without keeping the masks."
        )
