"""Every call that trains is a transaction: however it ends, the learner is usable, and the call can be undone."""

from __future__ import annotations

import gc
import os
import signal
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from laminar.callbacks import Callback, GradientAccumulation, MixedPrecision
from laminar.callbacks.events import EVENTS
from laminar.core import ConfigError
from laminar.core.seed import set_seed
from laminar.data import DataLoader, DataLoaders
from laminar.learner import Learner
from laminar.nn import MSELossFlat

RAISABLE = [event for event in EVENTS if event not in ("after_create", "cleanup_fit")]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.drop, self.norm, self.head = (
            nn.Linear(3, 8),
            nn.Dropout(0.2),
            nn.BatchNorm1d(8),
            nn.Linear(8, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.drop(self.body(x)).relu()))


def halves(model: nn.Module) -> list[list[nn.Parameter]]:
    return [[*model.body.parameters(), *model.norm.parameters()], list(model.head.parameters())]


def learner(**options: Any) -> Learner:
    set_seed(7)
    inputs = torch.randn(40, 3)
    items = list(zip(inputs, inputs.sum(1, keepdim=True), strict=True))
    dls = DataLoaders(DataLoader(items[:32], bs=8, shuffle=True, seed=1), DataLoader(items[32:], bs=8))
    learn = Learner(dls, Net(), MSELossFlat(), splitter=halves, lr=0.01, **options)
    learn.remove_cb(learn.progress)
    learn.logger = lambda row: None
    return learn


def state(learn: Learner) -> dict[str, Any]:
    optimiser = {} if learn.opt is None else learn.opt.state_dict()
    return {
        "weights": {name: tensor.clone() for name, tensor in learn.model.state_dict().items()},
        "learns": [parameter.requires_grad for parameter in learn.model.parameters()],
        "moments": [[torch.as_tensor(v).clone() for v in s.values()] for s in optimiser.get("state", {}).values()],
        "rates": [group["lr"] for group in optimiser.get("param_groups", [])],
        "record": [list(row) for row in learn.recorder.values],
        "epoch": learn.dls.train.epoch,
    }


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)


class Bomb(Callback):
    """Raises at the second time of an event, or at the first if there is no second."""

    order = 1000

    def __init__(self, event: str, error: type[BaseException], at: int) -> None:
        self.left, self.error, self.exploded = at, error, False
        setattr(self, event, self.tick)

    def tick(self) -> None:
        self.left -= 1
        if not self.left:
            self.exploded = True
            raise self.error("planted")


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("event", [event for event in RAISABLE if "cancel" not in event])
def test_whatever_ends_a_fit_it_can_be_undone_and_done_again(event: str, error: type[BaseException]) -> None:
    clean = learner(cbs=GradientAccumulation(16))
    clean.fit_one_cycle(1, 0.05)
    before_second = state(clean)
    clean.fit_one_cycle(2, 0.05)
    expected = state(clean)

    learn = learner(cbs=GradientAccumulation(16))
    learn.fit_one_cycle(1, 0.05)
    assert equal(state(learn), before_second)
    around = event in ("before_fit", "after_fit")
    bomb = Bomb(event, error, at=1 if around else 2)
    logger, loss_func, cbs = learn.logger, learn.loss_func, list(learn.cbs)
    with pytest.raises(error, match="planted"):
        learn.fit_one_cycle(2, 0.05, cbs=bomb)
    assert bomb.exploded
    assert learn.logger is logger
    assert learn.loss_func is loss_func
    assert learn.cbs == cbs
    assert learn.xb == ()
    assert learn.pred is None
    assert not learn.training
    assert all(parameter.grad is None for parameter in learn.model.parameters())
    assert [group["lr"] for group in learn.opt.param_groups] == before_second["rates"]

    run = learn.undo()
    assert run.outcome == f"ended by {error.__name__}"
    assert equal(state(learn), before_second)
    learn.fit_one_cycle(2, 0.05)
    assert equal(state(learn), expected)


def test_undoing_a_fine_tuning_undoes_all_of_it() -> None:
    learn = learner()
    before = state(learn)
    learn.fine_tune(1)
    assert not equal(state(learn), before)
    learn.undo()
    assert learn.opt is None
    assert equal({**state(learn), "record": []}, {**before, "record": []})
    with pytest.raises(ConfigError, match="nothing to undo: the learner has not trained since"):
        learn.undo()


def test_undoing_brings_back_what_was_frozen_and_buffers() -> None:
    learn = learner()
    learn.freeze()
    learn.fit(1)
    before = state(learn)
    learn.unfreeze()
    learn.fit(1)
    learn.undo()
    learn.freeze_to(-1)
    assert equal(state(learn)["weights"], before["weights"])


def test_without_a_copy_there_is_nothing_to_undo() -> None:
    learn = learner(undoable=False)
    learn.fit(1)
    with pytest.raises(ConfigError, match="undoable=False"):
        learn.undo()


def test_runs_tell_what_was_called_after_what_and_how_it_ended() -> None:
    learn = learner()
    learn.fit(1, 0.1)
    learn.fit_one_cycle(1, lr_max=0.2)
    learn.undo()
    learn.fine_tune(1, cbs=[Callback(after_epoch=lambda cb: None)])
    assert [(run.call, run.after, run.undone) for run in learn.runs] == [
        ("fit(1, 0.1)", 0, False),
        ("fit_one_cycle(1, lr_max=0.2)", 1, True),
        ("fine_tune(1, cbs=[Callback])", 1, False),
    ]
    assert str(learn.runs[1]).startswith("2: fit_one_cycle(1, lr_max=0.2) after 1, finished, undone: ")
    assert len(learn.runs[0].rows) == 1


class InterruptedInTheMiddle(torch.optim.SGD):
    """Sends Ctrl-C to its own process between two parameters of a step."""

    interrupt_at = -1
    steps = 0

    def step(self, closure: Any = None) -> None:
        for number, parameter in enumerate(p for group in self.param_groups for p in group["params"]):
            with torch.no_grad():
                parameter += 1
            if number == 1 and self.steps == type(self).interrupt_at:
                os.kill(os.getpid(), signal.SIGINT)
                for _ in range(1000):  # Python delivers the signal between two of these
                    pass
        self.steps += 1


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Python's own handler of Ctrl-C, which a process that was started in the background does not have."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_in_the_middle_of_a_step_waits_for_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InterruptedInTheMiddle, "interrupt_at", 2)
    handler = signal.getsignal(signal.SIGINT)
    learn = learner(opt_func=InterruptedInTheMiddle)
    before = [parameter.detach().clone() for parameter in learn.model.parameters()]
    with pytest.raises(KeyboardInterrupt) as caught:
        learn.fit(1)
    moved = {
        float((now.detach() - then).mean().round()) for now, then in zip(learn.model.parameters(), before, strict=True)
    }
    assert moved == {3.0}, "three whole steps for every parameter"
    assert caught.value.__notes__ == [
        "interrupted in epoch 0, batch 2 of training; no step of the optimiser was left unfinished."
    ]
    assert signal.getsignal(signal.SIGINT) is handler


class Hungry(nn.Module):
    """Asks for more memory than any machine has when it sees a batch of training."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept = self.linear(x)
        held.append(weakref.ref(kept))
        if self.training:
            torch.empty(1 << 60, dtype=torch.uint8)
        return kept


held: list[weakref.ref] = []


def test_out_of_memory_says_what_was_held_and_releases_it() -> None:
    learn = learner()
    learn.model, learn.splitter = Hungry(), lambda model: [list(model.parameters())]
    with pytest.raises(RuntimeError, match="can't allocate memory") as caught:
        learn.fit(1)
    notes = "\n".join(caught.value.__notes__)
    assert "Memory ran out with inputs" in notes
    assert "bs=4 with GradientAccumulation(n_acc=8)" in notes
    gc.collect()
    assert held[-1]() is None, "the traceback must not keep what the model made"
    assert learn.xb == ()


def test_mixed_precision_is_put_back_too() -> None:
    learn = learner(cbs=MixedPrecision("bf16"))
    autocast, scaler = learn.autocast, learn.scaler
    with pytest.raises(RuntimeError, match="planted"):
        learn.fit(1, cbs=Bomb("after_backward", RuntimeError, 2))
    assert learn.autocast is autocast
    assert learn.scaler is scaler
    learn.undo()
    learn.fit(1)
