from functools import partial

import pytest
import torch
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    OneCycleLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)

from laminar import callbacks
from laminar.callbacks import (
    Callback,
    CancelStepException,
    GradientAccumulation,
    ParamScheduler,
    SchedLin,
    TorchScheduler,
)
from laminar.core.errors import ConfigError
from laminar.optim import SGD, get_hyper

EPOCHS, BATCHES = 3, 4


def warm_then_cosine(opt):
    return SequentialLR(opt, [LinearLR(opt, 0.1, total_iters=3), CosineAnnealingLR(opt, 9)], [3])


FACTORIES = {
    "step": partial(StepLR, step_size=2),
    "exponential": partial(ExponentialLR, gamma=0.7),
    "cosine": partial(CosineAnnealingLR, T_max=EPOCHS * BATCHES),
    "one cycle": partial(OneCycleLR, max_lr=0.1, total_steps=EPOCHS * BATCHES + 1),
    "lambda": partial(LambdaLR, lr_lambda=lambda n: 1 / (1 + n)),
    "sequential": warm_then_cosine,
}


def by_torch(factory, lr: float, n: int) -> list[float]:
    """What the scheduler gives in a plain loop."""
    opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr, momentum=0.9)
    scheduler, rates = factory(opt), []
    for _ in range(n):
        rates.append(opt.param_groups[0]["lr"])
        opt.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("name", FACTORIES)
def test_by_batches_rates_are_those_of_a_plain_loop(make_learner, name: str) -> None:
    learn = make_learner()
    learn.fit(EPOCHS, 0.02, cbs=TorchScheduler(FACTORIES[name], step="batch"))
    assert learn.recorder.lrs == pytest.approx(by_torch(FACTORIES[name], 0.02, EPOCHS * BATCHES))


@pytest.mark.parametrize("name", FACTORIES)
def test_by_epochs_rates_are_those_of_a_plain_loop(make_learner, name: str) -> None:
    learn = make_learner()
    factory = partial(OneCycleLR, max_lr=0.1, total_steps=EPOCHS) if name == "one cycle" else FACTORIES[name]
    learn.fit(EPOCHS, 0.02, cbs=TorchScheduler(factory))
    expected = by_torch(factory, 0.02, EPOCHS)
    assert learn.recorder.lrs == pytest.approx([rate for rate in expected for _ in range(BATCHES)])


def test_each_group_keeps_its_own_rate(make_learner, toys) -> None:
    learn = make_learner(splitter=toys.halves)
    learn.fit(2, [1e-3, 1e-2], cbs=TorchScheduler(partial(StepLR, step_size=1)))
    assert learn.recorder.hps["lr"][0] == pytest.approx((1e-3, 1e-2))
    assert learn.recorder.hps["lr"][-1] == pytest.approx((1e-4, 1e-3))


def test_each_fit_begins_with_its_own_rate(make_learner) -> None:
    learn = make_learner(cbs=TorchScheduler(partial(StepLR, step_size=1)))
    for rate in (0.1, 0.2):
        learn.fit(2, rate)
        assert learn.recorder.lrs[:: len(learn.dls[0])] == pytest.approx([rate, rate / 10])


def test_accumulated_batches_count_as_the_large_one_they_stand_for(make_learner) -> None:
    def weights(bs: int, cbs: list[Callback]) -> list[torch.Tensor]:
        learn = make_learner(torch.nn.Linear(4, 2), bs=bs, opt_func=partial(SGD, mom=0.9))
        learn.fit(3, 0.1, cbs=[TorchScheduler(partial(ExponentialLR, gamma=0.5), step="batch"), *cbs])
        return list(learn.model.parameters())

    large, small = weights(32, []), weights(8, [GradientAccumulation(32)])
    for one, other in zip(large, small, strict=True):
        torch.testing.assert_close(one, other)


def test_a_step_left_out_does_not_count(make_learner) -> None:
    def leave_out(cb: Callback) -> None:
        if cb.train_iter in (1, 2):
            raise CancelStepException

    learn = make_learner()
    learn.fit(1, 1.0, cbs=[TorchScheduler(partial(StepLR, step_size=1), "batch"), Callback(before_step=leave_out)])
    assert learn.recorder.lrs == pytest.approx([1, 0.1, 0.1, 0.1])


def test_on_a_plateau_the_rate_is_lowered_as_torch_does(make_learner) -> None:
    factory = partial(ReduceLROnPlateau, patience=1, factor=0.1, threshold=0.5)
    learn = make_learner()
    learn.fit(6, 0.01, cbs=TorchScheduler(factory, monitor="valid_loss"))
    opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.01)
    scheduler, expected = factory(opt), []
    for _, valid_loss in learn.recorder.values:
        expected.append(opt.param_groups[0]["lr"])
        scheduler.step(valid_loss)
    assert expected[-1] < expected[0]
    assert learn.recorder.lrs[::BATCHES] == pytest.approx(expected)


@pytest.mark.parametrize("name", FACTORIES)
def test_a_fit_goes_on_from_a_saved_state(make_learner, name: str) -> None:
    states: list[dict] = []
    whole = make_learner()
    scheduler = TorchScheduler(FACTORIES[name], step="batch")
    note = Callback(before_epoch=lambda cb: states.append(scheduler.state_dict()))
    whole.fit(EPOCHS, 0.02, cbs=[scheduler, note])
    resumed, again = make_learner(), TorchScheduler(FACTORIES[name], step="batch")
    again.load_state_dict(states[1])
    assert again.state_dict() == states[1]
    resumed.fit(EPOCHS, 0.02, start_epoch=1, cbs=again)
    assert resumed.recorder.lrs == pytest.approx(whole.recorder.lrs[BATCHES:])
    assert scheduler.state_dict() == {}
    with pytest.raises(ConfigError, match=r"start_epoch=1: TorchScheduler does not know how far"):
        resumed.fit(EPOCHS, start_epoch=1, cbs=TorchScheduler(FACTORIES[name]))


def test_the_optimiser_is_as_found(make_learner) -> None:
    learn = make_learner(opt_func=partial(SGD, mom=0.9))
    learn.create_opt()
    before, attributes = set(learn.opt.param_groups[0]), set(vars(learn.opt))
    learn.fit(1, 0.1, cbs=TorchScheduler(partial(OneCycleLR, max_lr=1, total_steps=5), "batch"))
    assert set(learn.opt.param_groups[0]) == before
    assert "step" not in vars(learn.opt)
    assert set(vars(learn.opt)) - attributes <= {"_opt_called"}
    assert get_hyper(learn.opt, "mom") == [0.9]
    assert not learn.opt._optimizer_step_post_hooks


def test_what_cannot_work_is_told(make_learner) -> None:
    with pytest.raises(ConfigError, match=r"step='batches'\): it is 'batch' or 'epoch'. Did you mean 'batch'"):
        TorchScheduler(StepLR, step="batches")
    with pytest.raises(ConfigError, match="one value an epoch"):
        TorchScheduler(ReduceLROnPlateau, step="batch", monitor="valid_loss")
    learn = make_learner()
    with pytest.raises(ConfigError, match="exclude each other"):
        learn.fit(1, cbs=[ParamScheduler({"lr": SchedLin(0, 1)}), TorchScheduler(StepLR)])
    with pytest.raises(ConfigError, match="both set the learning rate"):
        learn.fit(1, cbs=[callbacks.ReduceLROnPlateau(), TorchScheduler(StepLR)])
    with pytest.raises(ConfigError, match="monitor='valid_loss'"):
        learn.fit(1, cbs=TorchScheduler(ReduceLROnPlateau))
    with pytest.raises(ConfigError, match=r"no such column. Did you mean 'valid_loss'"):
        learn.fit(1, cbs=TorchScheduler(ReduceLROnPlateau, monitor="val_loss"))
    with pytest.raises(ConfigError, match=r"smaller is better, but the scheduler has mode='max'"):
        learn.fit(1, cbs=TorchScheduler(partial(ReduceLROnPlateau, mode="max"), monitor="valid_loss"))
    with pytest.raises(ConfigError, match="must return a scheduler of torch's"):
        learn.fit(1, cbs=TorchScheduler(lambda opt: None))


def test_pain_27_a_schedule_over_batches_that_is_stepped_by_epochs_is_told(make_learner) -> None:
    learn = make_learner()
    n = len(learn.dls[0])
    with pytest.warns(UserWarning, match=rf"OneCycleLR is made for {2 * n} steps, and step='epoch' gives it 2"):
        learn.fit(2, 0.01, cbs=TorchScheduler(partial(OneCycleLR, max_lr=0.1, total_steps=2 * n)))
    learn.fit(2, 0.01, cbs=TorchScheduler(partial(OneCycleLR, max_lr=0.1, total_steps=2 * n), step="batch"))
    with pytest.raises(
        ConfigError, match=rf"OneCycleLR is made for 3 steps, and this fit has at least {n + 1} batches"
    ):
        learn.fit(2, 0.01, cbs=TorchScheduler(partial(OneCycleLR, max_lr=0.1, total_steps=3), step="batch"))
