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
    learn = make_learner(Recurrent(), dls=[data, data], cbs=rnn_cbs(alpha=2, beta=3))
    learn.fit(1, 0.1, cbs=Callback(before_backward=check))
    assert len(seen) == 3
    assert seen == [(pytest.approx(0, abs=1e-6), pytest.approx(0, abs=1e-6))] * 3
    assert learn.rnn.out is None


def test_the_model_forgets_before_each_part_and_at_the_end(make_learner) -> None:
    data = sequences()
    learn = make_learner(Recurrent(), dls=[data, data], cbs=rnn_cbs())
    learn.model.resets.clear()  # of the check when it was made
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


class Remembering(Recurrent):
    """Adds up all it has seen, from call to call."""

    total = None

    def forward(self, x):
        output, raw, dropped = super().forward(x)
        self.total = (torch.zeros(1, 1) if self.total is None else self.total) + x.sum()
        return output + self.total, raw, dropped

    def reset(self):
        self.total = None

    def get_state(self):
        return None if self.total is None else [(self.total,)]

    def set_state(self, state):
        self.total = None if state is None else state[0][0]


def test_a_validation_in_the_middle_leaves_the_state_of_training_alone(make_learner) -> None:
    data = sequences()
    states: list[list[float]] = []

    def note(cb: Callback) -> None:
        if cb.training:
            states[-1].append(float(cb.learn.model.total))

    for asks in (False, True):
        states.append([])
        learn = make_learner(Remembering(), dls=[data, data], cbs=rnn_cbs())
        assert learn.model.total is None  # the check has left nothing
        learn.fit(1, cbs=[Callback(after_batch=note), *([Callback(after_step=lambda cb: cb.learn.validate())] * asks)])
    assert states[0] == states[1]
    assert len(set(states[0])) == 3


def test_the_state_is_saved_with_checkpoints(make_learner) -> None:
    learn = make_learner(Remembering(), dls=[sequences()] * 2, cbs=rnn_cbs())
    resetter = learn.model_resetter
    assert resetter.state_dict() == {}
    learn.model.set_state([(torch.full((1, 1), 3.0),)])
    saved = resetter.state_dict()
    learn.model.reset()
    resetter.load_state_dict(saved)
    assert learn.model.total.item() == 3
