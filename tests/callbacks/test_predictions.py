"""Collecting what goes through the model."""

import pytest
import torch

from laminar.callbacks import CollectDataCallback, FetchPredsCallback, predictions
from laminar.core.errors import ConfigError


def test_predictions_are_fetched_after_each_validation(make_learner) -> None:
    fetch = FetchPredsCallback(with_input=True, with_decoded=True)
    learn = make_learner()
    learn.fit(2, 0.1, cbs=fetch)
    expected = learn.get_preds(with_input=True, with_decoded=True)
    assert fetch.name == "fetch_preds"
    assert all(torch.equal(a, b) for a, b in zip(fetch.preds, expected, strict=True))


def test_another_set_may_be_fetched(make_learner) -> None:
    fetch = FetchPredsCallback(ds_idx=0)
    learn = make_learner()
    learn.fit(1, 0.1, cbs=fetch)
    assert torch.equal(fetch.preds[0], learn.get_preds(0)[0])


def test_every_batch_is_kept_with_what_became_of_it(make_learner) -> None:
    collect = CollectDataCallback()
    learn = make_learner()
    learn.fit(1, 0.0, cbs=collect)
    train, valid = learn.dls
    assert len(collect.data) == len(train) + len(valid)
    for (xb, yb, pred, loss), (x, y) in zip(collect.data, [*train, *valid], strict=True):
        assert torch.equal(xb[0], x)
        assert torch.equal(yb[0], y)
        assert torch.allclose(learn.loss_func(pred, y), loss)


def test_predictions_that_memory_cannot_hold_are_refused_after_a_batch(make_learner, monkeypatch, tmp_path) -> None:
    learn = make_learner()
    preds, _ = learn.get_preds()
    monkeypatch.setattr(predictions, "_memory", lambda: preds.nbytes)
    with pytest.raises(ConfigError, match=r"predictions like those of the first batch, Tensor .* need .*save_preds="):
        learn.get_preds()
    assert torch.equal(learn.get_preds(save_preds=tmp_path)[0].read(), preds)
    assert len(learn.get_preds(act=lambda raw: raw[:, :0])[0]) == len(preds)
    monkeypatch.setattr(predictions, "_memory", lambda: None)
    assert torch.equal(learn.get_preds()[0], preds)
