"""The moving average of the weights."""

import pytest
import torch

from laminar.callbacks import EMA, Callback, SaveModelCallback
from laminar.core.errors import ConfigError


def weights(learn) -> torch.Tensor:
    return learn.model[0].weight.detach().clone()


class Watch(Callback):
    """Keeps the weights after each step, in validation, and when an epoch is over."""

    order = 55
    passes = ("fit",)

    def before_fit(self):
        self.steps, self.validated, self.epochs = [weights(self.learn)], [], []

    def after_step(self):
        self.steps.append(weights(self.learn))

    def after_validate(self):
        self.validated.append(weights(self.learn))

    def after_epoch(self):
        self.epochs.append(weights(self.learn))


@pytest.mark.parametrize("warm_up", [False, True])
def test_validation_and_the_end_see_the_average_and_training_the_weights(make_learner, warm_up) -> None:
    watch = Watch()
    learn = make_learner(cbs=watch)
    learn.fit(2, 0.1, cbs=EMA(0.9, warm_up=warm_up))
    average = watch.steps[0].double()
    for step, value in enumerate(watch.steps[1:], start=1):
        decay = min(0.9, (1 + step) / (10 + step)) if warm_up else 0.9
        average = decay * average + (1 - decay) * value.double()
        if step == 4:
            assert torch.allclose(watch.validated[0].double(), average, atol=1e-6)
    assert torch.allclose(weights(learn).double(), average, atol=1e-6)
    assert torch.equal(watch.epochs[1], weights(learn))  # what a callback would save
    alone = Watch()
    plain = make_learner(cbs=alone)
    plain.fit(2, 0.1)
    assert torch.equal(alone.steps[-1], watch.steps[-1])  # training itself is not touched


def test_the_last_weights_can_be_kept(make_learner) -> None:
    watch = Watch()
    learn = make_learner(cbs=watch)
    learn.fit(1, 0.1, cbs=EMA(at_end=False))
    assert torch.equal(weights(learn), watch.steps[-1])
    assert not torch.equal(watch.validated[-1], watch.steps[-1])


def test_an_exception_in_validation_leaves_the_weights_that_were_trained(make_learner) -> None:
    watch = Watch()

    def fail(cb):
        raise RuntimeError("stop")

    learn = make_learner(cbs=watch)
    with pytest.raises(RuntimeError, match="stop"):
        learn.fit(1, 0.1, cbs=[EMA(), Callback(before_validate=fail)])
    assert torch.equal(weights(learn), watch.steps[-1])


def test_the_best_average_is_saved_and_comes_back(make_learner, capsys) -> None:
    watch = Watch()
    learn = make_learner(cbs=watch)
    learn.fit(3, 0.1, cbs=[EMA(0.5), SaveModelCallback()])
    losses = [row[1] for row in learn.recorder.values]
    assert torch.equal(weights(learn), watch.epochs[losses.index(min(losses))])


def test_shares_outside_0_to_1_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"EMA\(decay=1\.5\)"):
        EMA(1.5)
