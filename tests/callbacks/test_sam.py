"""Sharpness-aware minimisation."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from laminar.callbacks import SAM, Callback, GradientAccumulation, MixedPrecision, MixUp
from laminar.core.errors import ConfigError
from laminar.optim import SGD


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))


def by_hand(model: nn.Module, batches, lr: float, rho: float, adaptive: bool) -> None:
    """The paper's algorithm, written out."""
    for x, y in batches:
        parameters = list(model.parameters())
        gradients = torch.autograd.grad(F.cross_entropy(model(x), y), parameters)
        scales = [p.detach().abs() if adaptive else torch.ones_like(p) for p in parameters]
        norm = torch.cat([(s * g).flatten() for s, g in zip(scales, gradients, strict=True)]).norm()
        moves = [rho * s * s * g / norm for s, g in zip(scales, gradients, strict=True)]
        with torch.no_grad():
            for p, move in zip(parameters, moves, strict=True):
                p += move
        there = torch.autograd.grad(F.cross_entropy(model(x), y), parameters)
        with torch.no_grad():
            for p, move, gradient in zip(parameters, moves, there, strict=True):
                p -= move + lr * gradient


@pytest.mark.parametrize("adaptive", [False, True])
def test_steps_are_those_of_the_paper(make_learner, toys, adaptive) -> None:
    learn = make_learner(net(), opt_func=SGD, cbs=SAM(0.3, adaptive))
    reference = copy.deepcopy(learn.model)
    learn.fit(2, 0.5)
    by_hand(reference, learn.dls[0] * 2, 0.5, 0.3, adaptive)
    for ours, theirs in zip(learn.model.parameters(), reference.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)


def test_what_is_reported_belongs_to_the_weights_themselves(make_learner) -> None:
    with_sam, plain = make_learner(net(), cbs=SAM(1.0)), make_learner(net())
    for learn in (with_sam, plain):
        learn.fit(1, 0.0)
    assert with_sam.recorder.batch_losses == plain.recorder.batch_losses


def test_batch_norms_count_each_batch_once(make_learner) -> None:
    with_sam, plain = make_learner(cbs=SAM(1.0)), make_learner()
    for learn in (with_sam, plain):
        learn.fit(1, 0.0)
    assert all(torch.equal(a, b) for a, b in zip(with_sam.model.buffers(), plain.model.buffers(), strict=True))


def test_the_second_loss_passes_through_the_other_callbacks(make_learner) -> None:
    # The loss of both passes is divided by the window's share, so that two halves make a whole.
    seen: list[float] = []
    note = Callback(after_backward=lambda cb: seen.append((cb.loss_grad / cb.learn.loss_func(cb.pred, *cb.yb)).item()))
    learn = make_learner(net(), opt_func=SGD, cbs=[SAM(1e-6), GradientAccumulation(32), MixedPrecision("bf16")])
    learn.fit(1, 0.1, cbs=note)
    assert seen == pytest.approx([0.5] * 4, rel=1e-2)


def test_mixed_batches_are_mixed_in_both_passes(make_learner) -> None:
    losses: list[float] = []
    listen = Callback(after_loss=lambda cb: losses.append(cb.learn.loss.item()) if cb.training else None)
    make_learner(net(), cbs=[SAM(1e-9), MixUp()]).fit(1, 0.0, cbs=listen)
    assert losses[::2] == pytest.approx(losses[1::2], abs=1e-5)


def test_a_distance_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"SAM\(rho=0\)"):
        SAM(0)
