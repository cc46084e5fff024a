"""How a model errs that says a class for each pixel: pictures it is worst at, regions it takes for others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn

from laminar.core.errors import ConfigError
from laminar.interpret.base import TrainedLearner, losses_of
from laminar.interpret.confusion import Array, ConfusionInterpretation, class_names, pair_counts, report_table
from laminar.interpret.decisions import PredictionReader, kind_of
from laminar.learner.inference import evaluation_loader

__all__ = ["RegionReport", "SegmentationInterpretation"]


class RegionReport(NamedTuple):
    """How well the pixels of one class are found: shares 0 to 1, and how many pixels are of it."""

    name: str
    iou: float
    dice: float
    precision: float
    recall: float
    pixels: int


class SegmentationInterpretation(ConfusionInterpretation):
    """Looks at a model that says a class for each pixel.

    Keeps a loss for each picture and how many pixels of each class were taken for each; no masks, no predictions.

    Args:
        learn: a trained learner.
        dl: loader that gives the items in the order of the data set, without augmentation.
        losses: of each picture.
        counts: pixels of each class (row) that were taken for each (column), ``[classes, classes]``.
        act: see `Interpretation`.
        idxs: see `Interpretation`.
    """

    def __init__(
        self,
        learn: TrainedLearner,
        dl: Any,
        losses: Tensor,
        counts: Tensor,
        act: Callable[[Any], Any] | None = None,
        idxs: Tensor | None = None,
    ) -> None:
        super().__init__(learn, dl, losses, act, idxs)
        self.vocab = class_names(dl, len(counts))
        further = len(self.vocab) - len(counts)  # classes that the model has no output for
        self.counts = nn.functional.pad(counts, (0, further, 0, further))

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
            ConfigError: the targets are not a class for each pixel.
        """
        loader = evaluation_loader(learn.dls, ds_idx, dl, learn.model_tfms)
        gather = CountPixels(act)
        learn.validate(dl=loader, cbs=[gather])
        losses = losses_of(gather)
        return cls(learn, loader, losses, gather.counted(), act, gather.items)

    def confusion_matrix(self) -> Array:
        """How many pixels of each class (row) were taken for each class (column): int64 ``[classes, classes]``.

        Pixels that the loss ignores (its ``ignore_index``) and those of no class are left out.
        """
        return np.asarray(self.counts.numpy())

    def region_reports(self) -> list[RegionReport]:
        """Intersection over union, Dice, precision and recall of each class; 0 for one that does not occur."""
        matrix = self.confusion_matrix()
        reports = []
        for index, name in enumerate(self.vocab):
            hits, predicted, pixels = (
                int(n) for n in (matrix[index, index], matrix[:, index].sum(), matrix[index].sum())
            )
            union, both = max(predicted + pixels - hits, 1), max(predicted + pixels, 1)
            shares = hits / max(predicted, 1), hits / max(pixels, 1)
            reports.append(RegionReport(name, hits / union, 2 * hits / both, *shares, pixels))
        return reports

    def segmentation_report(self, digits: int = 2) -> str:
        """A table of the region reports, with the share of pixels that are right, and means over classes that occur.

        Args:
            digits: behind the point.
        """
        reports = self.region_reports()
        matrix = self.confusion_matrix()
        total = int(matrix.sum())
        occurring = matrix.sum(0) + matrix.sum(1) > 0
        scores = np.array([report[1:5] for report in reports])[occurring]
        means = scores.mean(0).tolist() if len(scores) else [None] * 4
        summary = [("right", None, None, None, float(np.trace(matrix)) / max(total, 1), total), ("mean", *means, total)]
        return report_table(("IoU", "Dice", "precision", "recall", "pixels"), [*reports, None, *summary], digits)

    def print_segmentation_report(self, digits: int = 2) -> None:
        """Print `segmentation_report`."""
        print(self.segmentation_report(digits))


class CountPixels(PredictionReader):
    """Counts which class was taken for which, on the device of the predictions.

    Args:
        act: see `PredictionReader`.
    """

    def before_validate(self) -> None:
        """Begin anew."""
        super().before_validate()
        self._counts: Tensor | None = None

    def read(self, preds: Any, decided: Any, targets: Any) -> None:
        """Count the pixels of a batch.

        Raises:
            ConfigError: there is not a class for each pixel.
        """
        tensors = isinstance(preds, Tensor) and isinstance(targets, Tensor) and isinstance(decided, Tensor)
        if not tensors or decided.shape != targets.shape or decided.ndim < 3 or decided.is_floating_point():
            raise ConfigError(
                "SegmentationInterpretation needs a class for each pixel as target and as decision, got "
                f"{kind_of(targets)} and {kind_of(decided)}. Use Interpretation for other tasks."
            )
        n = max(2, preds.shape[1])
        counts = pair_counts(targets, decided, n, getattr(self.learn.loss_func, "ignore_index", None))
        self._counts = counts if self._counts is None else self._counts + counts

    def counted(self) -> Tensor:
        """The counts of all batches, ``[classes, classes]``, on the CPU."""
        return torch.zeros(0, 0, dtype=torch.int64) if self._counts is None else self._counts.cpu()
