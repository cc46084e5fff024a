"""What becomes of a loss, of gradients and of weights that are no numbers."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from laminar.callbacks import Callback, TerminateOnNaNCallback
from laminar.core import TrainingError
from laminar.data import DataLoader, DataLoaders, Datasets
from laminar.learner import Learner
from laminar.nn import MSELossFlat


class Root(nn.Module):
    """A root that has no number below 0, and an infinite slope at 0."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sqrt()


def learner(values: list[float], model: nn.Module | None = None, **options: Any) -> Learner:
    """Items are named item-0.txt, ...: the number is the place in `values`."""
    names = [f"item-{number}.txt" for number in range(len(values))]
    lookup = dict(zip(names, values, strict=True))
    dsets = Datasets(names, [[lambda name: torch.tensor([lookup[name]])], [lambda name: torch.tensor([1.0])]])
    loader = DataLoader(dsets.train if hasattr(dsets, "train") else dsets, bs=4)
    model = model or nn.Sequential(Root(), nn.Linear(1, 1))
    learn = Learner(DataLoaders(loader, loader), model, MSELossFlat(), check=False, **options)
    learn.remove_cb(learn.progress)
    learn.logger = lambda row: None
    return learn


def weights(learn: Learner) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in learn.model.parameters()]


def test_the_report_names_layer_batch_and_items_and_the_weights_are_the_last_good_ones(capsys) -> None:
    values = [1.0] * 12
    values[6] = -1.0
    learn = learner(values, cbs=TerminateOnNaNCallback)
    learn.fit(3)
    report = learn.terminate_on_na_n.report
    assert (report.epoch, report.batch, report.split, report.layer) == (0, 1, "training", "0")
    assert report.rows == (2,)
    assert report.items == ("item-6.txt",)
    assert all(torch.isfinite(weight).all() for weight in weights(learn))
    said = capsys.readouterr().out
    assert (
        "epoch 0, batch 1 of training: the first outputs that are no numbers are those of the layer '0' (Root)" in said
    )
    assert "item-6.txt" in said


def test_an_input_that_is_no_number_is_named() -> None:
    learn = learner([1.0, math.inf, 2.0, 3.0], nn.Linear(1, 1), cbs=TerminateOnNaNCallback)
    learn.fit(1)
    assert "input 0 holds values that are no numbers" in learn.terminate_on_na_n.report.first
    assert learn.terminate_on_na_n.report.items == ("item-1.txt",)


def test_a_gradient_that_is_no_number_ends_the_fit_before_the_step() -> None:
    model = nn.Sequential(nn.Linear(1, 1), Root(), nn.Linear(1, 1))
    nn.init.zeros_(model[0].weight)
    nn.init.zeros_(model[0].bias)
    learn = learner([1.0, 1.0, 1.0, 1.0], model, cbs=TerminateOnNaNCallback)
    before = weights(learn)
    learn.fit(2)
    report = learn.terminate_on_na_n.report
    assert "the loss is finite, its gradient is not" in report.first
    assert report.layer == "0", "the way back goes through the root to the output of the layer before it"
    assert "0.weight" in report.first
    assert all(map(torch.equal, before, weights(learn)))


def test_a_loss_that_is_no_number_by_itself_is_told_apart() -> None:
    learn = learner([1.0] * 8, nn.Linear(1, 1), cbs=TerminateOnNaNCallback)
    learn.loss_func = lambda pred, target: (pred.mean() - 1e9).log()
    learn.fit(1)
    assert "the model's outputs are finite" in learn.terminate_on_na_n.report.first
    assert learn.terminate_on_na_n.report.layer is None


def test_weights_spoilt_before_are_told_apart() -> None:
    learn = learner([1.0] * 8, nn.Linear(1, 1), cbs=TerminateOnNaNCallback)
    learn.fit(1)
    assert learn.terminate_on_na_n.report is None
    with torch.no_grad():
        learn.model.bias.fill_(math.nan)
    learn.fit(1)
    assert "weights are no numbers any more: bias" in learn.terminate_on_na_n.report.first


def test_validation_is_watched_too() -> None:
    good, bad = [1.0] * 4, [1.0, -1.0]
    learn = learner(good, cbs=TerminateOnNaNCallback)
    learn.dls = DataLoaders(learn.dls[0], learner(bad).dls[0])
    learn.fit(1)
    assert (learn.terminate_on_na_n.report.split, learn.terminate_on_na_n.report.items) == (
        "validation",
        ("item-1.txt",),
    )


def test_a_loss_spoilt_by_a_callback_ends_the_fit_too() -> None:
    def spoil(cb: Callback) -> None:
        if cb.training and cb.train_iter == 3:
            cb.learn.loss = cb.loss * math.nan

    learn = learner([1.0] * 8, nn.Linear(1, 1), cbs=[TerminateOnNaNCallback, Callback(after_loss=spoil)])
    learn.fit(3)
    assert (learn.terminate_on_na_n.report.epoch, learn.terminate_on_na_n.report.batch) == (1, 1)


def test_the_question_leaves_buffers_and_random_states_as_they_were() -> None:
    model = nn.Sequential(nn.BatchNorm1d(1), nn.Dropout(0.5), Root(), nn.Linear(1, 1))
    states: list[Any] = []

    class Watch(Callback):
        order = 89

        def after_loss(self) -> None:
            states.append((torch.get_rng_state(), model[0].running_mean.clone()))

    learn = learner([1.0, 2.0, 3.0, 4.0], model, cbs=[TerminateOnNaNCallback, Watch])
    learn.fit(1)
    assert learn.terminate_on_na_n.report.layer == "2"
    rng, mean = states[-1]
    assert torch.equal(torch.get_rng_state(), rng)
    assert torch.equal(model[0].running_mean, mean)


def test_without_the_callback_a_fit_ends_with_the_epoch_that_spoilt_the_weights() -> None:
    learn = learner([1.0, 1.0, 1.0, 1.0, 1.0, -1.0])
    before = weights(learn)
    with pytest.raises(TrainingError, match=r"the training loss is nan since batch 1 of epoch 0, it was .* before"):
        learn.fit(5)
    assert len(learn.recorder.batch_losses) == 2
    learn.undo()
    assert all(map(torch.equal, before, weights(learn)))


def test_a_loss_that_is_no_number_while_weights_stay_good_does_not_end_anything() -> None:
    learn = learner([-1.0] * 4, cbs=Callback(before_step=lambda cb: cb.learn.model.zero_grad()))
    learn.fit(2)
    assert len(learn.recorder.values) == 2
