import copy
import inspect
from functools import partial

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau, StepLR

from laminar.callbacks import (
    Callback,
    GradientAccumulation,
    MixUp,
    ParamScheduler,
    ProgressCallback,
    Recorder,
    SaveModelCallback,
    SchedLin,
    TorchScheduler,
)
from laminar.core.errors import ConfigError
from laminar.core.seed import get_random_states
from laminar.learner import Batches, Learner, Minutes
from laminar.optim import SGD, ranger

CALLS = {
    "fit": lambda method: method(2, slice(1e-3, 1e-2)),
    "fit_one_cycle": lambda method: method(3, slice(1e-3, 1e-2), div=10, moms=(0.9, 0.8, 0.9)),
    "fit_flat_cos": lambda method: method(2, 1e-2, wd=0.1),
    "fit_sgdr": lambda method: method(2, 1, 0.1),
    "fine_tune": lambda method: method(2, 1e-2),
}


@pytest.fixture
def learner(make_learner, toys):
    return lambda **options: make_learner(splitter=toys.halves, **options)


def picture(learn) -> dict:
    """All that a plan might leave changed."""
    return {
        "weights": copy.deepcopy(learn.model.state_dict()),
        "modes": [m.training for m in learn.model.modules()],
        "learns": [p.requires_grad for p in learn.model.parameters()],
        "grads": [p.grad for p in learn.model.parameters()],
        "opt": learn.opt,
        "opt_state": copy.deepcopy(learn.opt.state_dict()) if learn.opt is not None else None,
        "opt_vars": set(vars(learn.opt)) if learn.opt is not None else None,
        "random": get_random_states(),
        "cbs": list(learn.cbs),
        "runs": list(learn.runs),
        "record": list(learn.recorder.values),
        "losses": list(learn.recorder.batch_losses),
        "place": (learn.epoch, learn.n_epoch, learn.iter, learn.train_iter, learn.pct_train),
    }


def same(one, other) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool((one == other).all()) if hasattr(one == other, "all") else one == other


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("trained", [False, True])
def test_a_plan_changes_nothing(learner, name: str, trained: bool, capsys) -> None:
    learn = learner(cbs=[MixUp(0.2)])
    if trained:
        learn.fit(1)
        learn.freeze()
    before = picture(learn)
    CALLS[name](getattr(learn.plan, name))
    after = picture(learn)
    for key, value in before.items():
        assert same(value, after[key]), key
    assert capsys.readouterr().out == ""
    if trained:
        assert learn.undo().call == "fit(1)"


@pytest.mark.parametrize("name", CALLS)
def test_what_is_planned_is_what_is_done(learner, name: str) -> None:
    done: list[dict] = []

    def note(cb: Callback) -> None:
        recorder = cb.learn.get_cb(Recorder)
        lrs = recorder.hps["lr"] if recorder.hps else recorder._lrs
        done.append(
            {
                "lr": [list(map(float, lr)) for lr in lrs],
                "trained": [sum(p.numel() for p in g if p.requires_grad) for g in cb.learn.param_groups()],
                "n_epoch": cb.n_epoch,
            }
        )

    learn = learner()
    plan = CALLS[name](getattr(learn.plan, name))
    with learn.added_cbs(Callback(after_fit=note)):
        CALLS[name](getattr(learn, name))
    assert plan.call == learn.runs[-1].call
    assert len(plan.fits) == len(done)
    for planned, real in zip(plan.fits, done, strict=True):
        assert planned.n_batches == len(real["lr"]) == real["n_epoch"] * planned.epoch_batches
        assert [group.n_trained for group in planned.groups] == real["trained"]
        for number, group in enumerate(planned.groups):
            curve = group.hypers["lr"] * (len(real["lr"]) if len(group.hypers["lr"]) == 1 else 1)
            assert curve == pytest.approx([lr[number] for lr in real["lr"]])


def test_planner_has_the_methods_that_train_with_their_signatures(learner) -> None:
    planner = learner().plan
    for name in CALLS:
        ours = inspect.signature(getattr(planner, name)).parameters
        assert (
            list(ours)[-len(inspect.signature(getattr(Learner, name)).parameters) + 1 :]
            == list(inspect.signature(getattr(Learner, name)).parameters)[1:]
        )
    with pytest.raises(TypeError, match="Did you mean 'lr_max'"):
        planner.fit_one_cycle(1, lrmax=1)


def test_the_print_says_what_matters(learner) -> None:
    text = str(learner().plan.fine_tune(2, 1e-2))
    assert text.startswith("fine_tune(2, 0.01)\n1. 4 batches: 1 epoch of 4; validation on 2 batches after each")
    assert "2. 8 batches: 2 epochs of 4; validation" in text
    row = next(line for line in text.splitlines() if line.strip().startswith("0 ... 1 "))
    assert row.split() == ["0", "...", "1", "56", "16", "4e-05", "0.000867", "0.000867"]
    assert "mom: 0.95 at the start" in text
    assert "sqr_mom 0.99, eps 1e-05, wd 0.01" in text
    plan = learner().plan.fine_tune(2, 1e-2)
    assert plan.fits[0].frozen == ["0.weight", "0.bias"]
    assert plan.fits[1].frozen == []
    assert "frozen" in str(learner(train_bn=False).plan.fine_tune(1))


def test_memory_is_that_of_weights_gradients_state_and_what_a_batch_keeps(make_learner) -> None:
    learn = make_learner(nn.Sequential(nn.Linear(4, 100), nn.ReLU(), nn.Linear(100, 2)), bs=16)
    n = sum(p.numel() for p in learn.model.parameters())
    measured = learn.plan.fit(1).fits[0].measured
    assert measured.weights == measured.gradients == 4 * n
    assert 8 * n <= measured.optimizer <= 8 * n + 100  # Adam's two averages, and its counters
    kept = 16 * 4 * (4 + 100 + 2) + 16 * 8  # input, hidden values (once), logarithms of probabilities; targets
    assert kept <= measured.activations <= kept + 16 * 4 * 4 + 8  # the input is used twice
    assert measured.memory == measured.weights + measured.gradients + measured.optimizer + measured.activations
    one_frozen = make_learner(nn.Sequential(nn.Linear(4, 100), nn.ReLU(), nn.Linear(100, 2)), bs=16)
    one_frozen.model[0].requires_grad_(False)
    assert one_frozen.plan.fit(1).fits[0].measured.gradients == 4 * 202
    assert make_learner(opt_func=partial(SGD, mom=0)).plan.fit(1).fits[0].measured.optimizer == 0
    accumulated = make_learner(cbs=GradientAccumulation(10_000)).plan.fit(1)
    assert accumulated.fits[0].measured.optimizer > 0


def test_time_is_batches_by_what_one_takes(learner) -> None:
    import time

    def slow(cb: Callback) -> None:
        time.sleep(0.02 if cb.training else 0.01)

    fit = learner(cbs=Callback(after_pred=slow)).plan.fit(10).fits[0]
    assert 0.02 <= fit.measured.batch_seconds < 0.2
    assert 0.01 <= fit.measured.valid_seconds < 0.1
    assert fit.seconds == pytest.approx(40 * fit.measured.batch_seconds + 20 * fit.measured.valid_seconds)


def test_batches_and_minutes_are_planned(learner) -> None:
    learn = learner()
    fit = learn.plan.fit_one_cycle(Batches(10, every=4), 1e-2).fits[0]
    assert (fit.n_epoch, fit.n_batches, fit.epoch_batches, len(fit.points)) == (3, 10, 4, 10)
    assert "10 batches: 3 epochs of up to 4" in str(learn.plan.fit(Batches(10, every=4)))
    plan = learn.plan.fit_one_cycle(Minutes(90), 1e-2)
    assert plan.fits[0].n_batches is None
    assert 5400 <= plan.seconds < 5401
    assert "90 minutes: 1 epoch" in str(plan)
    assert max(plan.fits[0].groups[0].hypers["lr"]) == pytest.approx(1e-2, rel=1e-2)
    assert learn.plan.fit_flat_cos(5, 1e-2, start_epoch=3).fits[0].n_batches == 8
    assert learn.plan.fit(0).fits == []
    assert len(learn.plan.fit_one_cycle(5000, 1e-2).fits[0].points) == 1000


def test_a_loader_without_length_and_without_validation_is_planned_as_far_as_known(
    make_learner, toys, tmp_path
) -> None:
    class Stream:
        def __iter__(self):
            return iter(toys.batches(32, 16))

    plan = make_learner(dls=toys.Loaders([Stream()], tmp_path)).plan.fit(2)
    assert plan.seconds is None
    assert "2 epochs of a loader that does not say how many batches it has; no validation" in str(plan)


def test_schedulers_of_torch_and_of_the_user_are_planned(learner) -> None:
    learn = learner()
    fit = learn.plan.fit(2, 1.0, cbs=TorchScheduler(partial(StepLR, step_size=1))).fits[0]
    assert fit.groups[1].hypers["lr"] == pytest.approx([1.0] * 4 + [0.1] * 4)
    by_batch = TorchScheduler(partial(OneCycleLR, max_lr=1, total_steps=9), step="batch")
    learn.opt_func = ranger
    planned = learn.plan.fit(2, cbs=by_batch, reset_opt=True).fits[0].groups[0].hypers["lr"]
    learn.fit(2, cbs=by_batch, reset_opt=True)
    assert planned == pytest.approx(learn.recorder.lrs)
    plateau = TorchScheduler(ReduceLROnPlateau, monitor="valid_loss")
    assert "depends on valid_loss, which nobody knows beforehand" in str(learn.plan.fit(1, cbs=plateau))
    own = ParamScheduler({"wd": [None, SchedLin(0, 1)]})
    groups = learn.plan.fit(1, cbs=own).fits[0].groups
    assert groups[1].hypers["wd"] == pytest.approx([0, 0.25, 0.5, 0.75])
    assert set(groups[0].hypers["wd"]) == {0.01}


def test_records_are_not_touched_and_files_not_written(learner, tmp_path) -> None:
    learn = learner(cbs=SaveModelCallback())
    learn.plan.fit(2)
    assert list(tmp_path.iterdir()) == []
    assert [type(cb) for cb in learn.cbs][:2] == [Recorder, ProgressCallback]


def test_what_would_fail_fails_in_the_plan_and_leaves_the_learner(learner) -> None:
    learn = learner()
    before = picture(learn)
    with pytest.raises(ConfigError, match="lr has 3 values"):
        learn.plan.fit(1, [1, 2, 3])

    def fail(cb: Callback) -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        learn.plan.fit(1, cbs=Callback(after_pred=fail))
    assert same(before, picture(learn))
    learn.fit(1)


def test_the_plot_has_a_line_for_each_group(learner) -> None:
    plan = learner().plan.fine_tune(2, 1e-2)
    ax = plan.plot()
    assert len(ax.lines) == 4  # two groups in two fits
    assert ax.lines[2].get_xdata()[0] == 4
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["0 ... 1", "3"]
    assert plan.plot("mom").get_ylabel() == "mom"
    assert learner().plan.fit(Minutes(2)).plot().get_xlabel() == "minutes"
