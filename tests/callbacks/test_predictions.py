"""Collecting what goes through the model."""

import torch

from laminar.callbacks import CollectDataCallback, FetchPredsCallback


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
