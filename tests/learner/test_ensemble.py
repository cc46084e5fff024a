"""Averages of what several learners predict."""

import pytest
import torch

from laminar.core.errors import ConfigError, DataError
from laminar.learner import ensemble
from laminar.vision.all import (
    Categorize,
    CrossEntropyLossFlat,
    Datasets,
    IntToFloatTensor,
    Learner,
    PILImage,
    Resize,
    ToTensor,
    nn,
)

ITEMS = list(range(12))


def picture(number: int) -> PILImage:
    return PILImage.create(torch.full((3, 8, 8), number * 20, dtype=torch.uint8))


class Model(nn.Module):
    """The brightness of a picture, times a number."""

    def __init__(self, times: float) -> None:
        super().__init__()
        self.times = nn.Parameter(torch.tensor(times))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bright = x.mean((1, 2, 3)) * self.times
        return torch.stack([bright, -bright], 1)


def learner(times: float, size: int = 8, valid: int = 4, labels: str = "ab") -> Learner:
    sets = Datasets(
        ITEMS,
        [[picture], [lambda number: labels[number % 2], Categorize()]],
        splits=[ITEMS[:-valid], ITEMS[-valid:]],
    )
    dls = sets.dataloaders(bs=4, after_item=[Resize(size), ToTensor()], after_batch=[IntToFloatTensor()], device="cpu")
    return Learner(dls, Model(times), loss_func=CrossEntropyLossFlat())


def test_an_ensemble_is_the_weighted_mean_whatever_the_size_of_the_pictures() -> None:
    small, large = learner(1.0, 4), learner(-3.0, 8)
    one, other = small.get_preds()[0], large.get_preds()[0]
    preds, targets = ensemble([small, large], weights=[3, 1])
    torch.testing.assert_close(preds, one * 0.75 + other * 0.25)
    assert targets.tolist() == small.get_preds()[1].tolist()
    torch.testing.assert_close(ensemble([small, large])[0], (one + other) / 2)
    torch.testing.assert_close(ensemble([small])[0], one)


def test_an_ensemble_predicts_new_items_and_augmented_ones() -> None:
    members = [learner(1.0), learner(2.0)]
    preds, targets = ensemble(members, items=[3, 4, 5])
    assert (preds.shape, targets) == ((3, 2), None)
    torch.testing.assert_close(ensemble(members, tta=2)[0], ensemble(members)[0])  # nothing here augments


def test_learners_that_do_not_belong_together_are_no_ensemble() -> None:
    with pytest.raises(DataError, match=r"learner 1 was asked about other items.*items="):
        ensemble([learner(1.0), learner(1.0, valid=6)])
    with pytest.raises(ConfigError, match=r"learner 1 knows the classes \['x', 'y'\], learner 0 \['a', 'b'\]"):
        ensemble([learner(1.0), learner(1.0, labels="xy")])
    with pytest.raises(ConfigError, match="at least one learner"):
        ensemble([])
    with pytest.raises(ConfigError, match=r"a weight of at least 0 for each, got 1 and \[1, 2\]"):
        ensemble([learner(1.0)], weights=[1, 2])
