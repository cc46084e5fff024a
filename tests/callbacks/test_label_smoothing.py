"""Label smoothing for any loss."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from laminar.callbacks import LabelSmoothing, MixUp
from laminar.core.errors import ConfigError
from laminar.nn import CrossEntropyLossFlat, MSELossFlat

WEIGHT = torch.tensor([1.0, 3.0])


def own_loss(pred, target):
    return F.cross_entropy(pred, target)


def losses(make_learner, loss_func, cbs=None, **options) -> list[float]:
    learn = make_learner(loss_func=loss_func, cbs=cbs, **options)
    torch.manual_seed(3)
    learn.fit(1, 0.01)
    return [*learn.recorder.batch_losses, learn.recorder.values[-1][1]]


def own_smoothed(pred, target):
    return F.cross_entropy(pred, target, label_smoothing=0.2)


PAIRS = {
    "ours": (CrossEntropyLossFlat(), nn.CrossEntropyLoss(label_smoothing=0.2)),
    "module": (nn.CrossEntropyLoss(), nn.CrossEntropyLoss(label_smoothing=0.2)),
    "function": (F.cross_entropy, nn.CrossEntropyLoss(label_smoothing=0.2)),
    "own": (own_loss, own_smoothed),
    "weighted": (nn.CrossEntropyLoss(weight=WEIGHT), nn.CrossEntropyLoss(weight=WEIGHT, label_smoothing=0.2)),
    "ours weighted": (CrossEntropyLossFlat(weight=WEIGHT), nn.CrossEntropyLoss(weight=WEIGHT, label_smoothing=0.2)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_any_cross_entropy_is_smoothed_as_torch_does_it(make_learner, name) -> None:
    loss_func, smoothed = PAIRS[name]
    ours = losses(make_learner, loss_func, LabelSmoothing(0.2))
    assert ours[:-1] == pytest.approx(losses(make_learner, smoothed)[:-1], abs=1e-5)
    assert getattr(loss_func, "label_smoothing", 0.0) == 0.0


@pytest.mark.parametrize("name", list(PAIRS)[:4])
def test_mixed_targets_are_smoothed_too(make_learner, name) -> None:
    loss_func, smoothed = PAIRS[name]
    ours = losses(make_learner, loss_func, [LabelSmoothing(0.2), MixUp()])
    assert ours[:-1] == pytest.approx(losses(make_learner, smoothed, MixUp())[:-1], abs=1e-5)


def test_validation_is_not_smoothed(make_learner, toys) -> None:
    learn = make_learner(cbs=LabelSmoothing(0.5))
    learn.fit(1, 0.0)
    assert learn.recorder.values[-1][1] == pytest.approx(learn.validate()[0], abs=1e-6)
    assert learn.loss_func.label_smoothing == 0.0


def test_targets_that_count_for_nothing_still_do(make_learner) -> None:
    batch = (torch.randn(6, 4), torch.tensor([0, 1, -100, 1, -100, 0]))
    kept = batch[1] >= 0

    def own(pred, target):
        return F.cross_entropy(pred, target, ignore_index=-100)

    model = nn.Linear(4, 2)
    expected = F.cross_entropy(model(batch[0][kept]), batch[1][kept], label_smoothing=0.3).item()
    assert losses(make_learner, own, LabelSmoothing(0.3), model=model, dls=[[batch]])[0] == pytest.approx(expected)


def test_yes_and_no_are_smoothed_towards_one_half(make_learner) -> None:
    batch = (torch.randn(8, 4), torch.randint(2, (8, 3)).float())
    model = nn.Linear(4, 3)
    expected = F.binary_cross_entropy_with_logits(model(batch[0]), batch[1] * 0.8 + 0.1).item()
    found = losses(make_learner, nn.BCEWithLogitsLoss(), LabelSmoothing(0.2), model=model, dls=[[batch]])[0]
    assert found == pytest.approx(expected, abs=1e-6)


def test_what_cannot_be_smoothed_is_told(make_learner) -> None:
    batch = (torch.randn(8, 4), torch.randn(8, 1))
    with pytest.raises(ConfigError, match="MSELossFlat is not known to compare probabilities"):
        losses(make_learner, MSELossFlat(), LabelSmoothing(), model=nn.Linear(4, 1), dls=[[batch]])
    with pytest.raises(ConfigError, match="CrossEntropyLoss smooths labels already"):
        losses(make_learner, nn.CrossEntropyLoss(label_smoothing=0.1), LabelSmoothing())
    with pytest.raises(ConfigError, match=r"LabelSmoothing\(eps=2\)"):
        LabelSmoothing(2)
