"""Mistakes in what a learner and its calls are given, each told with what was given and what helps."""

import copy
import pickle
from functools import partial

import pytest
import sklearn.metrics
import torch
import torchmetrics
from torch.optim.lr_scheduler import StepLR

from laminar.callbacks import GradientAccumulation, TorchScheduler
from laminar.core.errors import ConfigError
from laminar.learner import Batches
from laminar.metrics import accuracy
from laminar.optim import SGD


def ready_scheduler() -> TorchScheduler:
    return TorchScheduler(StepLR(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0), 1))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda make: make(cbs="MixUp"), "str 'MixUp' is no callback"),
        (lambda make: make(opt_func="adam"), r"opt_func is str 'adam'; it takes what makes an optimiser"),
        (lambda make: make(opt_func=SGD([torch.nn.Parameter(torch.zeros(1))], 0.1)), r"partial\(SGD, mom=0.9\)"),
        (lambda make: make(metrics=sklearn.metrics.f1_score).fit(1), r"takes targets first: skm_to_fastai\(f1_score\)"),
        (lambda make: make(metrics=torchmetrics.MeanMetric), r"pass an instance, MeanMetric\(\.\.\.\)"),
        (lambda make: make().fit(-1), "n_epoch is a whole number of epochs, 0 or more, got int -1"),
        (lambda make: make().fit_one_cycle(1, pct_start=2), "pct_start=2: a share of the training, 0 to 1"),
        (lambda make: make().fit_one_cycle(1, div=0), "div=0: the learning rate is divided by it"),
        (lambda make: make().fit_flat_cos(1, div_final=0), "div_final=0: the learning rate is divided by it"),
        (lambda make: make().fit_one_cycle(1, moms=(0.9, 0.8)), r"moms=\(0.9, 0.8\): three numbers are needed"),
        (lambda make: make().fit_sgdr(Batches(3), 1), r"fit_sgdr\(n_cycles=Batches\(3\)\): a whole number"),
        (lambda make: make().fit_sgdr(2, 1.5), r"fit_sgdr\(cycle_len=1.5\): a whole number"),
        (lambda make: make().lr_find(suggest_funcs="vally"), "'vally' is no rule. Did you mean 'valley'?"),
        (lambda make: ready_scheduler(), "TorchScheduler takes what makes a scheduler of the optimiser, got StepLR"),
        (lambda make: GradientAccumulation(0), r"GradientAccumulation\(n_acc=0\)"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_what_helps(make_learner, call, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        call(make_learner)


def test_rules_of_the_rate_finder_go_by_name_too(make_learner) -> None:
    found = make_learner().lr_find(num_it=20, show_plot=False, suggest_funcs=["valley", "steep"])
    assert found._fields == ("valley", "steep")


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda learn: pickle.loads(pickle.dumps(learn))])
def test_a_copied_learner_trains_by_itself(make_learner, copied) -> None:
    first = make_learner(metrics=accuracy, opt_func=partial(SGD, mom=0.9))
    first.logger = len  # in place of a function made inside another, which cannot be pickled
    first.fit(1, 0.1)
    second = copied(first)
    assert second.recorder.learn is second
    before = copy.deepcopy(first.model.state_dict())
    second.fit(1, 0.1)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), first.model.state_dict().values(), strict=True))
    first.recorder.losses.clear()
    second.undo()
    second.fit(1, 0.1)
    first.fit(1, 0.1)
    assert all(
        torch.equal(a, b)
        for a, b in zip(first.model.state_dict().values(), second.model.state_dict().values(), strict=True)
    )
