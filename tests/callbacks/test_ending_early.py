"""Callbacks that end an epoch or a fit before its time."""

import time

import pytest
import torch

from laminar.callbacks import Callback, ShortEpochCallback, StopOnDivergence, TimeLimit
from laminar.core.errors import ConfigError


def counted(make_learner, cbs, n: int = 160, epochs: int = 2, **options):
    seen = {"train": 0, "valid": 0}

    def count(cb: Callback) -> None:
        seen["train" if cb.training else "valid"] += 1

    learn = make_learner(n=n, **options)
    learn.fit(epochs, 0.01, cbs=[Callback(after_pred=count), *cbs])
    return learn, seen


@pytest.mark.parametrize(
    ("callback", "expected"),
    [
        (ShortEpochCallback(0.5), {"train": 10, "valid": 2}),
        (ShortEpochCallback(0.01), {"train": 2, "valid": 2}),
        (ShortEpochCallback(0.25, short_valid=False), {"train": 6, "valid": 4}),
        (ShortEpochCallback(1.0), {"train": 20, "valid": 4}),
    ],
)
def test_a_short_epoch_has_a_share_of_the_batches(make_learner, callback, expected) -> None:
    learn, seen = counted(make_learner, [callback])
    assert seen == expected
    assert len(learn.recorder.values) == 2


def test_a_time_limit_ends_the_fit_after_a_row_for_the_epoch(make_learner, capsys) -> None:
    slow = Callback(after_step=lambda cb: time.sleep(0.02))
    learn, seen = counted(make_learner, [slow, TimeLimit(seconds=0.05)], epochs=50)
    assert 1 <= seen["train"] <= 3
    assert seen["valid"] == 2  # the epoch's validation is whole
    assert len(learn.recorder.values) == 1
    assert "Time is over" in capsys.readouterr().out


def test_a_resumed_fit_has_the_time_that_was_left(make_learner, capsys) -> None:
    limit = TimeLimit(minutes=10)
    resume = Callback(before_epoch=lambda cb: limit.load_state_dict({"elapsed": 601.0}))
    _, seen = counted(make_learner, [limit, resume], epochs=3)
    assert seen["train"] == 1
    assert limit.elapsed == 0.0


def losses_like(values: list[float]) -> Callback:
    """Report these losses, one for each batch."""

    def report(cb: Callback) -> None:
        if cb.training:
            cb.learn.loss = torch.tensor(values[min(cb.train_iter, len(values) - 1)])

    return Callback(after_loss=report)


@pytest.mark.parametrize(
    ("values", "batches"),
    [
        ([1.0] * 4 + [30.0] * 6, 5),
        ([1.0] * 4 + [3.0] * 6, 10),
        ([1.0] * 4 + [0.001] * 2 + [0.05] * 4, 10),  # a small loss may move
        ([-2.0] * 4 + [50.0] * 6, 5),
    ],
)
def test_a_loss_far_above_the_best_ends_the_fit(make_learner, capsys, values, batches) -> None:
    stop = StopOnDivergence(factor=4, beta=0.5, warm_up=3)
    _, seen = counted(make_learner, [losses_like(values), stop], epochs=1)
    assert seen["train"] == batches
    assert ("The loss has diverged" in capsys.readouterr().out) == (batches < 10)


def test_limits_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"ShortEpochCallback\(pct=0\)"):
        ShortEpochCallback(0)
    with pytest.raises(ConfigError, match="above 0 seconds, got 0"):
        TimeLimit()
    with pytest.raises(ConfigError, match=r"StopOnDivergence\(factor=1\)"):
        StopOnDivergence(1)
