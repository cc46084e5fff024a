"""Layer groups that begin to train one after the other."""

import itertools

import pytest
import torch
from torch import nn

from laminar.callbacks import Callback, GradualUnfreezing
from laminar.core.errors import ConfigError


def three(model: nn.Sequential) -> list[list[nn.Parameter]]:
    return [list(layer.parameters()) for layer in model]


def trained_in(learn, cbs, n_epoch: int, **options) -> list[list[bool]]:
    """For each epoch, which layers moved."""
    weights: list[list[torch.Tensor]] = []

    def note(cb: Callback) -> None:
        weights.append([layer.weight.detach().clone() for layer in cb.model])

    learn.fit(n_epoch, 0.1, cbs=[cbs, Callback(before_epoch=note, after_fit=note)], **options)
    pairs = itertools.pairwise(weights)
    return [[not torch.equal(a, b) for a, b in zip(before, after, strict=True)] for before, after in pairs]


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2))


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        (1, ["001", "011", "111", "111"]),
        (2, ["001", "001", "011", "011"]),
        ({0: -1, 3: 0}, ["001", "001", "001", "111"]),
        ({1: 1}, ["111", "011", "011", "011"]),
    ],
)
def test_one_more_group_trains_every_so_many_epochs(make_learner, epochs, expected) -> None:
    learn = make_learner(net(), splitter=three)
    moved = trained_in(learn, GradualUnfreezing(epochs), 4)
    assert ["".join(str(int(layer)) for layer in epoch) for epoch in moved] == expected
    assert all(p.requires_grad for p in learn.model.parameters())


def test_a_fit_that_goes_on_is_as_far_as_it_was(make_learner) -> None:
    learn = make_learner(net(), splitter=three)
    assert trained_in(learn, GradualUnfreezing(2), 4, start_epoch=2) == [[False, True, True]] * 2


def test_what_cannot_be_unfrozen_is_told(make_learner) -> None:
    with pytest.raises(ConfigError, match="the model has one parameter group"):
        make_learner(net()).fit(1, cbs=GradualUnfreezing())
    with pytest.raises(ConfigError, match=r"GradualUnfreezing\(0\)"):
        GradualUnfreezing(0)
