"""Mixing the items of a batch, for any loss."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from laminar.callbacks import Callback, CutMix, GradientAccumulation, MixUp
from laminar.core.errors import ConfigError
from laminar.nn import CrossEntropyLossFlat, FocalLoss, MSELossFlat


class Keep(Callback):
    """Keeps what model and loss saw."""

    order = 90
    passes = ("fit",)

    def before_fit(self):
        self.training_batches, self.valid_batches = [], []

    def after_pred(self):
        self.seen = (self.training, self.learn.xb[0].clone(), self.learn.yb[0].clone(), self.learn.pred.detach())

    def after_loss(self):
        (self.training_batches if self.training else self.valid_batches).append((*self.seen, self.learn.loss.item()))


def own_loss(pred, target):
    return F.cross_entropy(pred, target)


LOSSES = [
    CrossEntropyLossFlat(),
    nn.CrossEntropyLoss(),
    F.cross_entropy,
    own_loss,
    nn.CrossEntropyLoss(label_smoothing=0.1),
]


@pytest.mark.parametrize("loss_func", LOSSES, ids=["ours", "module", "function", "own", "smoothed"])
def test_mixup_equals_soft_targets(make_learner, toys, loss_func) -> None:
    batch = toys.batches(16, 16)[0]
    keep = Keep()
    learn = make_learner(dls=[[batch], [batch]], loss_func=loss_func, cbs=keep)
    torch.manual_seed(5)
    learn.fit(1, 0.0, cbs=MixUp())
    (_, mixed, _, pred, loss), (x, y) = keep.training_batches[0], batch
    assert not torch.equal(mixed, x)
    # which item each was mixed with, and by how much, can be read off the inputs
    soft = torch.zeros(16, 2)
    for item in range(16):
        shares = [((mixed[item] - x[k]) / (x[item] - x[k])).mean() for k in range(16) if k != item]
        exact = [
            (k, share)
            for k, share in zip([k for k in range(16) if k != item], shares, strict=True)
            if torch.allclose(torch.lerp(x[k], x[item], share), mixed[item], atol=1e-5) and 0.5 <= share <= 1
        ]
        other, share = exact[0] if exact else (item, torch.tensor(1.0))
        soft[item, y[item]] += share
        soft[item, y[other]] += 1 - share
    smoothing = getattr(loss_func, "label_smoothing", 0.0)
    assert loss == pytest.approx(F.cross_entropy(pred, soft, label_smoothing=smoothing).item(), abs=1e-5)
    assert torch.equal(keep.valid_batches[0][1], x)  # validation is not mixed
    assert learn.loss_func is loss_func


def test_quantities_are_mixed_themselves(make_learner, toys) -> None:
    x = torch.randn(8, 4)
    batch = (x, x.sum(1))  # linear, so that mixed targets fit mixed inputs
    keep = Keep()
    learn = make_learner(toys.net(1), dls=[[batch], [batch]], loss_func=MSELossFlat(), cbs=[keep, MixUp()])
    learn.fit(1, 0.0)
    _, mixed, targets, _, _ = keep.training_batches[0]
    assert torch.allclose(mixed.sum(1), targets, atol=1e-5)


def test_cutmix_pastes_one_rectangle_and_weighs_by_its_area(make_learner) -> None:
    pictures = torch.arange(6.0)[:, None, None, None].expand(6, 3, 10, 12).contiguous()
    batch = (pictures, torch.arange(6))
    before = pictures.clone()
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 6))
    keep = Keep()
    torch.manual_seed(1)
    learn = make_learner(model, dls=[[batch], [batch]], loss_func=nn.CrossEntropyLoss(), cbs=[keep, CutMix()])
    learn.fit(1, 0.0)
    _, mixed, classes, pred, loss = keep.training_batches[0]
    assert torch.equal(pictures, before)  # the user's batch
    changed = (mixed != pictures).any(0).any(0)
    rows, columns = changed.any(1), changed.any(0)
    assert torch.equal(changed, rows[:, None] & columns[None, :])
    share = 1 - changed.float().mean()
    others = torch.tensor([mixed[i, 0][changed].unique().item() for i in range(6)]).long()
    expected = share * F.cross_entropy(pred, classes) + (1 - share) * F.cross_entropy(pred, others)
    assert loss == pytest.approx(expected.item(), abs=1e-5)


class OwnAlone(MixUp):
    """Shares of 1: every item stays what it is."""

    def draw_shares(self, order: torch.Tensor) -> torch.Tensor:
        return torch.ones(len(order))


@pytest.mark.parametrize(
    "loss",
    [
        nn.CrossEntropyLoss(weight=torch.tensor([0.2, 3.0])),
        nn.CrossEntropyLoss(reduction="sum"),
        nn.CrossEntropyLoss(ignore_index=0),
        FocalLoss(weight=torch.tensor([0.2, 3.0])),
        nn.CrossEntropyLoss(label_smoothing=0.2, weight=torch.tensor([0.2, 3.0])),
    ],
)
def test_items_that_are_not_mixed_have_the_loss_they_had(make_learner, toys, tmp_path, loss) -> None:
    losses = []
    for cbs in (None, OwnAlone()):
        dls = toys.Loaders([toys.batches(32, 8), toys.batches(32, 8, seed=1)], tmp_path)
        torch.manual_seed(0)
        learn = make_learner(nn.Linear(4, 2), dls=dls, loss_func=loss, cbs=cbs)
        learn.fit(1, 1e-3)
        losses.append(learn.recorder.batch_losses)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize("technique", [MixUp, CutMix])
def test_trap_l16_a_batch_of_one_item_is_trained_on(make_learner, technique) -> None:
    batch = (torch.randn(1, 1, 4, 4), torch.tensor([1]))
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    learn = make_learner(model, dls=[[batch], [batch]], cbs=technique())
    learn.fit(1)
    assert len(learn.recorder.losses) == 1


def test_mixed_losses_are_accumulated(make_learner) -> None:
    learn = make_learner(cbs=[MixUp(), GradientAccumulation(32)])
    learn.fit(1)
    assert learn.opt.state


def test_what_cannot_be_mixed_is_told(make_learner) -> None:
    with pytest.raises(ConfigError, match=r"MixUp\(alpha=0\): alpha must be above 0"):
        MixUp(alpha=0)
    learn = make_learner(cbs=CutMix())
    with pytest.raises(ConfigError, match=r"CutMix needs pictures \[batch, channels, height, width\], got"):
        learn.fit(1)
    words = (torch.zeros(4, 3, dtype=torch.long), torch.tensor([0, 1, 0, 1]))
    model = nn.Sequential(nn.Embedding(4, 2), nn.Flatten(), nn.Linear(6, 2))
    with pytest.raises(ConfigError, match="MixUp mixes inputs of floating point numbers"):
        make_learner(model, dls=[[words], [words]], cbs=MixUp()).fit(1)


def test_two_callbacks_that_mix_exclude_each_other(make_learner) -> None:
    with pytest.raises(ConfigError, match="MixUp and CutMix exclude each other: a batch is mixed once"):
        make_learner(cbs=[MixUp(), CutMix()]).fit(1)
