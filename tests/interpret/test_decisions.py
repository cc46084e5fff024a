"""Several labels, many classes, classes of pixels, and what is held in memory meanwhile."""

import gc
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from laminar.core.errors import ConfigError
from laminar.data.loaders import DataLoaders
from laminar.interpret import (
    ClassificationInterpretation,
    Interpretation,
    SegmentationInterpretation,
)
from laminar.learner.learner import Learner
from laminar.nn.losses import BCEWithLogitsLossFlat, CrossEntropyLossFlat


def looking_at(outputs: Tensor, targets: Tensor, loss: Any, bs: int = 4, **about: Any) -> Learner:
    """A learner whose model gives these outputs."""
    batches = list(zip(outputs.split(bs), targets.split(bs), strict=True))
    return Learner(
        DataLoaders(batches, batches, device="cpu", **about), nn.Identity(), loss, default_cbs=False, check=False
    )


def logits_of(classes: list[int], n: int) -> Tensor:
    return nn.functional.one_hot(torch.tensor(classes), n).float() * 4


# ---- several labels --------------------------------------------------------------------------------------------------


@pytest.fixture
def several() -> ClassificationInterpretation:
    """Sky is always found; twice a dog is taken for a cat, once a cat is there and nothing in its place."""
    truth = torch.tensor([[1, 0, 1], [1, 0, 1], [0, 1, 0], [1, 0, 0]]).float()
    given = torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 0], [1, 0, 0]]).float()
    learn = looking_at(given * 8 - 4, truth, BCEWithLogitsLossFlat(), vocab=["sky", "cat", "dog"])
    return ClassificationInterpretation.from_learner(learn)


def test_several_labels_are_counted_by_what_was_missed_and_given_instead(several: ClassificationInterpretation) -> None:
    assert several.confusion_matrix().tolist() == [[3, 0, 0], [0, 0, 0], [0, 2, 0]]
    assert several.most_confused() == [("dog", "cat", 2)]


def test_several_labels_have_a_report_by_class(several: ClassificationInterpretation) -> None:
    sky, cat, dog = several.class_reports()
    assert sky == ("sky", 1.0, 1.0, 1.0, 3)
    assert (cat.precision, cat.recall, cat.support) == (0.0, 0.0, 1)
    assert dog.support == 2
    accuracy = next(line for line in several.classification_report().split("\n") if "accuracy" in line)
    assert accuracy.split() == ["accuracy", "0.25", "4"]


def test_several_labels_are_in_order_of_losses_and_refused_where_one_class_is_needed(
    several: ClassificationInterpretation,
) -> None:
    assert several.top_losses(2).idxs.sort().values.tolist() == [0, 1]
    with pytest.raises(ConfigError, match="one class and its probability for each item"):
        several.calibration()


# ---- many classes ----------------------------------------------------------------------------------------------------


@pytest.fixture
def many() -> ClassificationInterpretation:
    """120 classes; each tenth is taken for the next, class 50 three times."""
    truth = [*range(120), 50, 50]
    given = [c + 1 if c % 10 == 0 else c for c in truth]
    vocab = [f"class {i}" for i in range(120)]
    learn = looking_at(logits_of(given, 120), torch.tensor(truth), CrossEntropyLossFlat(), 30, vocab=vocab)
    return ClassificationInterpretation.from_learner(learn)


def test_the_matrix_of_many_classes_names_each_and_writes_no_numbers(many: ClassificationInterpretation) -> None:
    ax = many.plot_confusion_matrix(normalize=True)
    assert [label.get_text() for label in ax.get_yticklabels()] == many.vocab
    assert not ax.texts
    beside = ax.figure.axes[1].get_yticklabels()
    assert len(beside) >= 4
    tops = sorted(label.get_window_extent().y0 for label in beside)
    assert all(later - earlier > 8 for earlier, later in pairwise(tops))
    height = ax.get_window_extent().height / 120  # pixels of a row
    assert ax.get_yticklabels()[0].get_window_extent().height < 1.5 * height


def test_the_matrix_can_be_of_the_most_mistaken_classes_alone(many: ClassificationInterpretation) -> None:
    ax = many.plot_confusion_matrix(top=4)
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert {"class 50", "class 51"} < set(names)
    assert len(names) == 4
    row, column = names.index("class 50"), names.index("class 51")
    assert np.asarray(ax.images[0].get_array())[row, column] == 3
    assert "3" in {text.get_text() for text in ax.texts}
    with pytest.raises(ConfigError, match="top=0 leaves no class"):
        many.plot_confusion_matrix(top=0)


def test_classes_beyond_the_names_have_numbers() -> None:
    learn = looking_at(logits_of([0, 2, 2], 3), torch.tensor([0, 1, 2]), CrossEntropyLossFlat())
    assert ClassificationInterpretation.from_learner(learn).vocab == ["0", "1", "2"]


# ---- classes of pixels -----------------------------------------------------------------------------------------------


@pytest.fixture
def masks() -> Learner:
    """Five masks of 4 by 4: half road, half car; in one a row of road is taken for car, and 255 is no class."""
    truth = torch.zeros(5, 4, 4, dtype=torch.int64)
    truth[:, 2:] = 1
    given = truth.clone()
    given[3, 0] = 1
    truth[4, 3, 3] = 255
    outputs = nn.functional.one_hot(given, 3).permute(0, 3, 1, 2).float() * 4
    loss = CrossEntropyLossFlat(axis=1, ignore_index=255)
    return looking_at(outputs, truth, loss, bs=2, vocab=["road", "car", "tree"])


def test_pixels_are_counted_by_true_and_predicted_class(masks: Learner) -> None:
    interp = SegmentationInterpretation.from_learner(masks)
    assert interp.confusion_matrix().tolist() == [[36, 4, 0], [0, 39, 0], [0, 0, 0]]
    assert interp.most_confused() == [("road", "car", 4)]
    road, car, tree = interp.region_reports()
    assert (road.iou, road.recall, road.precision, road.pixels) == (36 / 40, 0.9, 1.0, 40)
    assert car.dice == pytest.approx(2 * 39 / (43 + 39))
    assert tree == ("tree", 0.0, 0.0, 0.0, 0.0, 0)
    assert interp.top_losses(1).idxs.tolist() == [3]
    assert [
        label.get_text() for label in interp.plot_confusion_matrix(normalize=True).get_xticklabels()
    ] == interp.vocab


def test_the_report_of_pixels_averages_the_classes_that_occur(
    masks: Learner, capsys: pytest.CaptureFixture[str]
) -> None:
    SegmentationInterpretation.from_learner(masks).print_segmentation_report(3)
    lines = capsys.readouterr().out.split("\n")
    assert lines[0].split() == ["IoU", "Dice", "precision", "recall", "pixels"]
    mean = next(line for line in lines if "mean" in line).split()
    assert float(mean[1]) == pytest.approx((36 / 40 + 39 / 43) / 2, abs=1e-3)


def test_each_interpretation_says_which_other_one_is_meant(masks: Learner) -> None:
    with pytest.raises(ConfigError, match="SegmentationInterpretation counts them"):
        ClassificationInterpretation.from_learner(masks)
    classes = looking_at(logits_of([0, 1], 2), torch.tensor([0, 1]), CrossEntropyLossFlat())
    with pytest.raises(ConfigError, match=r"needs a class for each pixel.*Use Interpretation"):
        SegmentationInterpretation.from_learner(classes)


# ---- memory ----------------------------------------------------------------------------------------------------------


class Widening(nn.Module):
    """Gives 501 outputs for each item, and counts how many such tensors are alive when it is asked again."""

    most = 0

    def forward(self, x: Tensor) -> Tensor:
        alive = [value for value in gc.get_objects() if type(value) is Tensor and value.shape[1:2] == (501,)]
        self.most = max(self.most, len(alive))
        return nn.functional.pad(x, (0, 501 - x.shape[1])) if x.ndim == 2 else x.expand(-1, 501, -1, -1).clone()


@pytest.mark.parametrize("kind", [Interpretation, ClassificationInterpretation, SegmentationInterpretation])
def test_predictions_are_let_go_batch_by_batch(kind: type[Interpretation], tmp_path: Path) -> None:
    of_pixels = kind is SegmentationInterpretation
    x = torch.rand(24, 1, 2, 2) if of_pixels else torch.rand(24, 3)
    y = torch.zeros(24, 2, 2, dtype=torch.int64) if of_pixels else torch.zeros(24, dtype=torch.int64)
    batches = list(zip(x.split(2), y.split(2), strict=True))
    model = Widening()
    dls = DataLoaders(batches, batches, device="cpu")
    learn = Learner(dls, model, CrossEntropyLossFlat(axis=1), default_cbs=False, check=False)
    interp = kind.from_learner(learn)
    assert model.most <= 2  # of twelve batches
    assert len(interp) == 24
    assert all(
        value.numel() <= 24 for name, value in vars(interp).items() if type(value) is Tensor and name != "counts"
    )
    plt.close("all")
