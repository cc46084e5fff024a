"""Predicting items several times, augmented."""

import pytest
import torch
from torch import nn

from laminar.core.errors import ConfigError
from laminar.core.transform import RandTransform
from laminar.core.types import TensorFloat
from laminar.data import Datasets
from laminar.learner import Learner
from laminar.nn import MSELossFlat


class Shift(RandTransform):
    """Adds 1 to a tensor, in training."""

    def encodes(self, x: TensorFloat):
        return x + 1


class Jitter(RandTransform):
    """Adds noise to a tensor, in training."""

    def before_call(self, b, split_idx):
        super().before_call(b, split_idx)
        self.noise = torch.randn(1)

    def encodes(self, x: TensorFloat):
        return x + self.noise


def point(number: int) -> TensorFloat:
    return TensorFloat(torch.tensor([float(number)]))


@pytest.fixture
def make(tmp_path):
    def learner(*item_tfms) -> Learner:
        sets = Datasets(list(range(12)), [[point], [float]], splits=[list(range(8)), list(range(8, 12))])
        dls = sets.dataloaders(bs=3, after_item=list(item_tfms), device="cpu", path=tmp_path)
        return Learner(dls, nn.Identity(), loss_func=MSELossFlat(), default_cbs=False)

    return learner


def test_predictions_are_mixed_in_the_order_of_the_data(make) -> None:
    learn = make(Shift())
    preds, targets = learn.tta(beta=0.25)
    assert targets.tolist() == [8, 9, 10, 11]
    assert preds.flatten().tolist() == [8.75, 9.75, 10.75, 11.75]
    assert learn.tta(ds_idx=0, beta=0.0)[0].flatten().tolist() == list(range(1, 9))
    (augmented, plain), _ = learn.tta(beta=None)
    assert (augmented - plain).flatten().tolist() == [1] * 4
    assert learn.tta(use_max=True)[0].flatten().tolist() == [9, 10, 11, 12]


def test_each_pass_draws_anew_and_the_same_again_in_the_next_call(make) -> None:
    learn = make(Jitter())
    once, four = learn.tta(n=1, beta=0.0)[0], learn.tta(n=4, beta=0.0)[0]
    assert not torch.equal(once, four)
    assert torch.equal(four, learn.tta(n=4, beta=0.0)[0])


def test_other_transforms_may_be_given(make) -> None:
    preds, _ = make().tta(item_tfms=[Shift()], beta=0.0)
    assert preds.flatten().tolist() == [9, 10, 11, 12]


def test_what_cannot_be_augmented_is_told(make, make_learner) -> None:
    with pytest.raises(ConfigError, match=r"made elsewhere and cannot be augmented; use get_preds"):
        make_learner().tta()
    with pytest.raises(ConfigError, match="at least one augmented pass, got n=0"):
        make().tta(n=0)
