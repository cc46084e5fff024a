"""Learning from the items of small loss."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from laminar.callbacks import Callback, MixUp, SmallLossSelection
from laminar.core.errors import ConfigError


def own(pred, target, reduction="mean"):
    return F.cross_entropy(pred, target, reduction=reduction)


@pytest.mark.parametrize("loss_func", [nn.CrossEntropyLoss(), own], ids=["module", "function"])
def test_the_share_that_counts_falls_and_stays(make_learner, loss_func) -> None:
    counted: list[int] = []

    def count(cb: Callback) -> None:
        losses = F.cross_entropy(cb.pred, cb.learn.yb[0], reduction="none").sort().values
        means = losses.cumsum(0) / torch.arange(1, len(losses) + 1)
        counted.append(int((means - cb.learn.loss).abs().argmin()) + 1)

    learn = make_learner(n=160, bs=16, loss_func=loss_func)
    learn.fit(1, 0.0, cbs=[SmallLossSelection(share=0.5, over=0.5), Callback(before_backward=count)])
    assert counted == [16, 15, 13, 12, 10, 8, 8, 8, 8, 8]
    assert learn.recorder.values[-1][1] == pytest.approx(learn.validate()[0])  # validation counts all items


def test_wrong_labels_do_less_harm(make_learner) -> None:
    x = torch.randn(640, 4)
    right = (x.sum(1) > 0).long()
    given = torch.where(torch.rand(640) < 0.35, 1 - right, right)
    loaders = [list(zip(x.split(32), given.split(32), strict=True)), [(x, right)]]

    def loss(cbs) -> float:
        torch.manual_seed(0)
        learn = make_learner(nn.Linear(4, 2), dls=loaders, cbs=cbs)
        learn.fit(6, 0.05)
        return learn.recorder.values[-1][1]

    assert loss(SmallLossSelection(0.6)) < loss(None) / 2


def test_what_does_not_fit_is_told(make_learner) -> None:
    with pytest.raises(ConfigError, match=r"SmallLossSelection\(share=0, over=0\.3\)"):
        SmallLossSelection(0)
    with pytest.raises(ConfigError, match="SmallLossSelection and MixUp exclude each other"):
        make_learner(cbs=[SmallLossSelection(), MixUp()]).fit(1)
