import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laminar.callbacks import (
    Callback,
    ParamScheduler,
    SchedCos,
    SchedExp,
    SchedLin,
    SchedNo,
    SchedPoly,
    annealer,
    combine_scheds,
    combined_cos,
)
from laminar.core.errors import ConfigError
from laminar.optim import SGD, get_hyper


@pytest.mark.parametrize("sched", [SchedLin, SchedCos, SchedExp, lambda a, b: SchedPoly(a, b, 2)])
def test_schedules_go_from_start_to_end_without_turning(sched) -> None:
    values = [sched(1.0, 8.0)(pos) for pos in np.linspace(0, 1, 21)]
    assert values[0] == pytest.approx(1)
    assert values[-1] == pytest.approx(8)
    assert all(a <= b for a, b in pairwise(values))


def test_schedules_take_one_number_for_each_group() -> None:
    assert SchedLin([0, 1], [2, 3])(0.5).tolist() == [1, 2]
    assert SchedNo(3, 5)(0.9) == 3
    assert SchedCos(1, 3)(0.5) == pytest.approx(2)
    assert SchedExp(1, 100)(0.5) == pytest.approx(10)


def test_annealer_makes_a_schedule_of_a_function() -> None:
    @annealer
    def step(start, end, pos):
        return start if pos < 0.5 else end

    assert (step(1, 2)(0.2), step(1, 2)(0.7)) == (1, 2)


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=12))
def test_any_shares_that_add_up_to_one_but_for_rounding_are_taken(weights: list[float]) -> None:
    shares = [weight / sum(weights) for weight in weights]
    schedule = combine_scheds(shares, [SchedLin(i, i + 1) for i in range(len(shares))])
    values = [schedule(pos) for pos in np.linspace(0, 1, 57)]
    assert values[0] == pytest.approx(0)
    assert values[-1] == pytest.approx(len(shares))
    assert all(a <= b + 1e-9 for a, b in pairwise(values))


def test_shares_of_decimal_fractions_are_taken() -> None:
    assert combine_scheds([0.7, 0.2, 0.1], [SchedNo(i, i) for i in range(3)])(0.95) == 2


def test_an_empty_share_is_skipped() -> None:
    assert combined_cos(0.0, 1, 2, 3)(0) == pytest.approx(2)
    assert combined_cos(1.0, 1, 2, 3)(1) == pytest.approx(2)


def test_wrong_shares_are_told() -> None:
    with pytest.raises(ConfigError, match=r"must be positive and add up to 1; they add up to 0.9"):
        combine_scheds([0.4, 0.5], [SchedNo(1, 1)] * 2)
    with pytest.raises(ConfigError, match=r"2 shares .* for 1 schedules"):
        combine_scheds([0.4, 0.6], [SchedNo(1, 1)])


def test_one_cycle_warms_up_and_cools_down_for_every_group(make_learner, toys) -> None:
    learn = make_learner(splitter=toys.halves)
    learn.fit_one_cycle(5, slice(1e-3, 1e-2), div=10, div_final=100, pct_start=0.25)
    lrs = np.array(learn.recorder.hps["lr"])
    assert lrs.shape == (20, 2)
    assert lrs[0] == pytest.approx([1e-4, 1e-3])
    assert lrs[5] == pytest.approx([1e-3, 1e-2])
    assert lrs[:, 1].argmax() == 5
    assert lrs[-1, 1] < 2e-3
    moms = learn.recorder.hps["mom"]
    assert (moms[0], moms[5]) == pytest.approx((0.95, 0.85))
    assert learn.recorder.lrs == pytest.approx(lrs[:, 1].tolist())


def test_there_are_as_many_schedule_steps_as_optimiser_steps(make_learner) -> None:
    steps: list[float] = []
    learn = make_learner(cbs=Callback(before_step=lambda cb: steps.append(get_hyper(cb.opt, "lr")[0])))
    learn.fit_one_cycle(3, 1e-2)
    assert steps == pytest.approx(learn.recorder.lrs)
    assert len(set(steps)) > 8


def test_every_hyperparameter_can_be_scheduled_and_is_put_back(make_learner) -> None:
    seen: list[float] = []
    learn = make_learner(cbs=Callback(after_batch=lambda cb: seen.append(get_hyper(cb.opt, "wd")[0])))
    learn.fit(1, cbs=ParamScheduler({"wd": SchedLin(0, 1), "eps": SchedNo(1e-3, 1e-3)}))
    assert seen[:4] == [0.0, 0.25, 0.5, 0.75]
    assert get_hyper(learn.opt, "wd") == [0.01]
    assert get_hyper(learn.opt, "eps") == [1e-5]


def test_one_schedule_for_each_group(make_learner, toys) -> None:
    learn = make_learner(splitter=toys.halves)
    learn.fit(1, cbs=ParamScheduler({"lr": [SchedNo(1e-3, 0), SchedNo(1e-2, 0)]}))
    assert learn.recorder.hps["lr"][0] == [1e-3, 1e-2]
    with pytest.raises(ConfigError, match="1 schedules for 'lr', but the model has 2 parameter groups"):
        learn.fit(1, cbs=ParamScheduler({"lr": [SchedNo(1e-3, 0)]}))


def test_two_schedulers_of_one_hyperparameter_exclude_each_other(make_learner) -> None:
    learn = make_learner(cbs=ParamScheduler({"lr": SchedNo(1, 1)}))
    with pytest.raises(ConfigError, match="two schedulers set 'lr'"):
        learn.fit_one_cycle(1)


def test_momentum_is_left_alone_where_there_is_none(make_learner) -> None:
    learn = make_learner(opt_func=SGD)
    learn.fit_one_cycle(1)
    assert set(learn.recorder.hps) == {"lr"}


def test_flat_cos_is_flat_then_falls(make_learner) -> None:
    learn = make_learner()
    learn.fit_flat_cos(5, 1e-2)
    lrs = learn.recorder.lrs
    assert lrs[:15] == pytest.approx([1e-2] * 15)
    assert lrs[-1] < 2e-3
    learn.fit_flat_cos(5, 1e-2, start_epoch=4)
    assert learn.recorder.lrs == pytest.approx(lrs[16:])
    assert math.isclose(learn.recorder.lrs[0], lrs[16])


def test_a_schedule_over_a_loader_without_length_is_refused_before_the_first_batch(
    make_learner, toys, tmp_path
) -> None:
    class Stream:
        def __iter__(self):
            return iter(toys.batches(32, 16))

    learn = make_learner(dls=toys.Loaders([Stream()], tmp_path))
    learn.fit(1)
    with pytest.raises(ConfigError, match=r"schedule of lr, mom .*does not say how many it has. Give it a __len__"):
        learn.fit_one_cycle(1)


@pytest.mark.parametrize(("mult", "epochs"), [(2, 7), (1, 3), (3, 13)])
def test_sgdr_begins_each_cycle_with_the_highest_rate(make_learner, mult: int, epochs: int) -> None:
    learn = make_learner()
    learn.fit_sgdr(3, 1, 0.1, cycle_mult=mult)
    lrs = learn.recorder.lrs
    assert len(lrs) == epochs * 4
    starts = [0, 4, 4 + 4 * mult]
    assert [lrs[start] for start in starts] == pytest.approx([0.1] * 3)
    assert all(lrs[start - 1] < 0.05 for start in starts[1:])
    assert lrs[-1] < 0.02
    with pytest.raises(ConfigError, match="must be at least 1, got 0, 1 and 2"):
        learn.fit_sgdr(0, 1)
