"""Watching events."""

from laminar.callbacks import VerboseCallback
from laminar.learner import synth_learner


def test_every_event_is_told_in_its_order(capsys) -> None:
    synth_learner(n_trn=1, n_val=1).fit(1, cbs=VerboseCallback())
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("before", "after", "cleanup"))]
    assert told[:5] == ["after_create", "before_fit", "before_epoch", "before_train", "before_batch"]
    assert told[-3:] == ["after_epoch", "after_fit", "cleanup_fit"]
    assert told.count("before_batch") == 2
