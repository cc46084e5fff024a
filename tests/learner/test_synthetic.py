"""A learner of a line."""

import torch

from laminar.learner.synthetic import synth_dbunch, synth_learner


def test_it_learns_the_line_it_was_made_from() -> None:
    learn = synth_learner(lr=0.1)
    learn.fit(12)
    assert abs(learn.model.a.item() - 2) < 0.2
    assert abs(learn.model.b.item() - 3) < 0.2


def test_the_points_are_the_same_in_each_call_and_as_many_as_asked() -> None:
    one, other = synth_dbunch(n_train=3, n_valid=1), synth_dbunch(n_train=3, n_valid=1)
    assert (len(one.train), len(one.valid)) == (3, 1)
    assert torch.equal(next(iter(one.valid))[0], next(iter(other.valid))[0])
