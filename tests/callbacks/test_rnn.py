"""Recurrent networks: state, penalties; and dropout in predictions."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from laminar.callbacks import Callback, MCDropoutCallback, ModelResetter, RNNCallback, RNNRegularizer, rnn_cbs
from laminar.core.errors import ConfigError


class Recurrent(nn.Module):
    """Returns scores, hidden states, and hidden states after dropout; counts how often it forgets."""

    def __init__(self) -> None:
        super().__init__()
        self.cells, self.drop, self.head = nn.GRU(4, 3, batch_first=True), nn.Dropout(0.5), nn.Linear(3, 2)
        self.resets: list[bool] = []

    def forward(self, x):
        raw = self.cells(x)[0]
        out = self.drop(raw)
        return self.head(out[:, -1]), [raw], [out]

    def reset(self):
        self.resets.append(self.training)


def sequences() -> list:
    return [(torch.randn(8, 5, 4), torch.randint(2, (8,))) for _ in range(3)]


def test_penalties_are_those_of_the_paper_and_are_not_reported(make_learner) -> None:
    seen: list[tuple[float, float]] = []

    def check(cb: Callback) -> None:
        kept = cb.learn.rnn
        plain = F.cross_entropy(cb.pred, cb.learn.yb[0])
        penalty = 2 * kept.out.pow(2).mean() + 3 * (kept.raw_out[:, 1:] - kept.raw_out[:, :-1]).pow(2).mean()
        seen.append(((cb.loss_grad - plain - penalty).item(), (cb.learn.loss - plain).item()))

    data = sequences()
    learn = make_learner(Recurrent(), dls=[data, data], cbs=rnn_cbs(alpha=2, beta=3), check=False)
    learn.fit(1, 0.1, cbs=Callback(before_backward=check))
    assert len(seen) == 3
    assert seen == [(pytest.approx(0, abs=1e-6), pytest.approx(0, abs=1e-6))] * 3
    assert learn.rnn.out is None


def test_the_model_forgets_before_each_part_and_at_the_end(make_learner) -> None:
    data = sequences()
    learn = make_learner(Recurrent(), dls=[data, data], cbs=rnn_cbs(), check=False)
    learn.fit(2)
    assert learn.model.resets == [True, False, True, False, False]
    preds, _ = learn.get_preds()
    assert preds.shape == (24, 2)


def test_models_that_do_not_fit_are_told(make_learner) -> None:
    with pytest.raises(ConfigError, match=r"ModelResetter calls model\.reset\(\), which Sequential does not have"):
        make_learner(cbs=ModelResetter()).fit(1)
    with pytest.raises(ConfigError, match="this one returned"):
        make_learner(cbs=RNNCallback()).fit(1)
    with pytest.raises(ConfigError, match="RNNRegularizer needs RNNCallback"):
        make_learner(cbs=RNNRegularizer(1, 1)).fit(1)
    assert [type(cb) for cb in rnn_cbs()] == [ModelResetter, RNNCallback]


def test_dropout_stays_on_and_norms_do_not(make_learner) -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))
    learn = make_learner(model)
    usual = learn.get_preds()[0]
    statistics = model[1].running_mean.clone()
    first, second = (learn.get_preds(cbs=MCDropoutCallback())[0] for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(learn.get_preds()[0], usual)
    assert torch.equal(model[1].running_mean, statistics)
