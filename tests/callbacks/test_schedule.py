import math
import warnings
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler as torch_schedulers

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
    sched_cos,
    sched_exp,
    sched_lin,
    sched_no,
    sched_poly,
    warmup,
)
from laminar.core.errors import ConfigError
from laminar.optim import SGD, get_hyper


@pytest.mark.parametrize("sched", [SchedLin, SchedCos, SchedExp, lambda a, b: SchedPoly(a, b, 2)])
def test_schedules_go_from_start_to_end_without_turning(sched) -> None:
    values = [sched(1.0, 8.0)(pos) for pos in np.linspace(0, 1, 21)]
    assert values[0] == pytest.approx(1)
    assert values[-1] == pytest.approx(8)
    assert all(a <= b for a, b in pairwise(values))


positive = st.floats(1e-8, 1e3)
shares = st.floats(0, 1)


@given(positive, positive, shares, st.floats(0.1, 5))
def test_values_stay_between_start_and_end(start: float, end: float, pos: float, power: float) -> None:
    low, high = min(start, end), max(start, end)
    for sched in (SchedLin(start, end), SchedCos(start, end), SchedExp(start, end), SchedPoly(start, end, power)):
        assert low * (1 - 1e-9) <= sched(pos) <= high * (1 + 1e-9)
        assert (sched(0), sched(1)) == pytest.approx((start, end))
    assert SchedNo(start, end)(pos) == start


@given(positive, positive, shares, st.floats(0.1, 5))
def test_schedules_are_their_functions_with_both_ends_given(start: float, end: float, pos: float, p: float) -> None:
    for sched, function in ((SchedLin, sched_lin), (SchedCos, sched_cos), (SchedNo, sched_no), (SchedExp, sched_exp)):
        assert sched(start, end)(pos) == function(start, end, pos)
    assert SchedPoly(start, end, p)(pos) == sched_poly(start, end, pos, p)


@given(st.floats(0.01, 0.99), positive, positive, positive)
def test_what_is_put_together_at_equal_values_has_no_jump(pct: float, start: float, middle: float, end: float) -> None:
    sched, tiny = combined_cos(pct, start, middle, end), 1e-7
    assert (sched(0), sched(pct), sched(1)) == pytest.approx((start, middle, end), rel=1e-6)
    assert abs(sched(pct - tiny) - sched(pct)) <= 1e-4 * max(start, middle, end)


@given(st.floats(0.01, 0.9), st.floats(1, 100), positive)
def test_a_warm_up_ends_where_its_schedule_begins(pct: float, div: float, rate: float) -> None:
    decay = SchedCos(rate, 0)
    sched = warmup(decay, pct, div)
    assert sched(0) == pytest.approx(rate / div)
    assert sched(pct) == pytest.approx(rate)
    assert sched(pct / 2) == pytest.approx((rate + rate / div) / 2)
    assert sched(pct + 0.25 * (1 - pct)) == pytest.approx(decay(0.25))
    assert sched(1) == pytest.approx(0, abs=1e-9)


def test_a_warm_up_takes_every_group_and_may_begin_at_nothing() -> None:
    sched = warmup(SchedLin([1, 2], [0, 0]), 0.5, math.inf)
    assert sched(0).tolist() == [0, 0]
    assert sched(0.25).tolist() == [0.5, 1]
    assert warmup(SchedLin(1, 0), 0)(0) == 1
    with pytest.raises(ConfigError, match=r"warmup\(pct=1\): the share must be"):
        warmup(SchedLin(1, 0), 1)


def test_a_factor_that_leads_to_0_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"SchedExp\(1, 0\): both must be above 0; SchedLin"):
        SchedExp(1, 0)


@pytest.mark.parametrize(
    ("ours", "torchs"),
    [
        (SchedCos(1, 0.1), lambda opt, n: torch_schedulers.CosineAnnealingLR(opt, n, eta_min=0.1)),
        (SchedExp(1, 0.01), lambda opt, n: torch_schedulers.ExponentialLR(opt, 0.01 ** (1 / n))),
        (SchedPoly(1, 0, 1), lambda opt, n: torch_schedulers.PolynomialLR(opt, n, power=1)),
        (SchedLin(0.25, 1), lambda opt, n: torch_schedulers.LinearLR(opt, 0.25, 1, n)),
        (
            combined_cos(0.25, 1 / 25, 1, 1 / 25e4),
            lambda opt, n: torch_schedulers.OneCycleLR(opt, 1, n + 1, pct_start=(0.25 * n + 1) / (n + 1)),
        ),
        (
            warmup(SchedCos(1, 0), 0.2, 4),
            lambda opt, n: torch_schedulers.SequentialLR(
                opt,
                [torch_schedulers.LinearLR(opt, 0.25, 1, n // 5), torch_schedulers.CosineAnnealingLR(opt, n - n // 5)],
                [n // 5],
            ),
        ),
        (
            combine_scheds([0.5, 0.3, 0.2], [SchedNo(rate, rate) for rate in (1, 0.1, 0.01)]),
            lambda opt, n: torch_schedulers.MultiStepLR(opt, [n // 2, n * 8 // 10]),
        ),
        (
            combine_scheds([0.25] * 4, [SchedCos(1, 0)] * 4),
            lambda opt, n: torch_schedulers.CosineAnnealingWarmRestarts(opt, n // 4),
        ),
    ],
)
def test_values_are_those_of_torch(ours, torchs) -> None:
    n = 40
    opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 1.0, momentum=0.9)
    scheduler = torchs(opt, n)
    for step in range(n):
        assert ours(step / n) == pytest.approx(opt.param_groups[0]["lr"], rel=1e-6, abs=1e-9), step
        opt.step()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SequentialLR uses what torch has deprecated
            scheduler.step()


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


def test_a_group_without_a_schedule_stays_as_it_is(make_learner, toys) -> None:
    learn = make_learner(splitter=toys.halves, opt_func=partial(SGD, mom=0.9))
    scheds = {"lr": [None, SchedLin(1e-2, 0)], "mom": [SchedLin(0.5, 0.9), None]}
    learn.fit(1, slice(1e-3, 1e-2), cbs=ParamScheduler(scheds))
    assert np.array(learn.recorder.hps["lr"])[:, 0].tolist() == pytest.approx([1e-3] * 4)
    assert np.array(learn.recorder.hps["lr"])[:, 1].tolist() == pytest.approx([1e-2, 7.5e-3, 5e-3, 2.5e-3])
    assert np.array(learn.recorder.hps["mom"])[:, 0].tolist() == pytest.approx([0.5, 0.6, 0.7, 0.8])
    assert np.array(learn.recorder.hps["mom"])[:, 1].tolist() == pytest.approx([0.9] * 4)


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
    with pytest.raises(ConfigError, match=r"fit_sgdr\(n_cycles=0\): a whole number of 1 or more is needed"):
        learn.fit_sgdr(0, 1)
