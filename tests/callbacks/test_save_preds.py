import pytest
import torch
from torch import nn

from laminar.callbacks import Callback, SavePredsCallback
from laminar.core import SavedBatches
from laminar.core.errors import ConfigError, DataError


def test_saved_predictions_are_those_of_get_preds(make_learner, tmp_path) -> None:
    learn = make_learner()
    expected = learn.get_preds(0, with_input=True, with_decoded=True, with_loss=True)
    inputs, preds, targets, decided, losses = learn.get_preds(
        0, with_input=True, with_decoded=True, with_loss=True, save_preds=tmp_path / "p", save_targs=tmp_path / "t"
    )
    assert isinstance(preds, SavedBatches)
    assert isinstance(targets, SavedBatches)
    assert len(preds) == len(learn.dls[0])
    for one, other in zip((inputs, preds.read(), targets.read(), decided.read(), losses), expected, strict=True):
        assert torch.equal(one, other)
    assert torch.equal(preds.item(20), expected[1][20])
    assert torch.equal(SavedBatches(tmp_path / "p").read(), expected[1])


def test_either_may_be_saved_alone_and_an_activation_be_given(make_learner, tmp_path) -> None:
    learn = make_learner()
    preds, targets = learn.get_preds(save_preds=tmp_path / "p", act=lambda raw: raw + 1)
    assert torch.equal(preds.read(), learn.get_preds(act=lambda raw: raw + 1)[0])
    assert isinstance(targets, torch.Tensor)
    preds, targets = learn.get_preds(save_targs=tmp_path / "t")
    assert isinstance(preds, torch.Tensor)
    assert torch.equal(targets.read(), learn.get_preds()[1])


def test_without_labels_there_are_no_targets_to_save(make_learner, tmp_path) -> None:
    learn = make_learner()
    without = [(x,) for x, _ in learn.dls[1]]
    preds, targets = learn.get_preds(dl=without, save_preds=tmp_path / "p", save_targs=tmp_path / "t")
    assert targets is None
    assert preds.n_items == 32


def test_several_outputs_are_saved_together(make_learner, toys, tmp_path) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = toys.net()

        def forward(self, x):
            return self.inner(x), x

    learn = make_learner(Two(), loss_func=lambda pred, y: nn.functional.cross_entropy(pred[0], y))
    preds, _ = learn.get_preds(save_preds=tmp_path)
    expected, _ = learn.get_preds()
    for one, other in zip(preds.read(), expected, strict=True):
        assert torch.equal(one, other)


def test_memory_holds_one_batch_at_a_time(make_learner, toys, tmp_path) -> None:
    import gc

    alive: list[int] = []

    def count(cb: Callback) -> None:
        alive.append(sum(1 for thing in gc.get_objects() if type(thing) is torch.Tensor and thing.shape == (3, 7)))

    gc.collect()
    gc.freeze()
    learn = make_learner(nn.Linear(4, 7), dls=toys.Loaders([toys.batches(60, 3, classes=7)] * 2, tmp_path), check=False)
    learn.get_preds(save_preds=tmp_path / "p", save_targs=tmp_path / "t", cbs=Callback(after_batch=count))
    kept = list(alive)
    alive.clear()
    learn.get_preds(cbs=Callback(after_batch=count))
    gc.unfreeze()
    assert max(kept) <= 4
    assert max(alive) >= 20  # which this test would see


def test_an_interrupted_pass_leaves_nothing_that_looks_complete(make_learner, tmp_path) -> None:
    def interrupt(cb: Callback) -> None:
        if cb.iter == 1:
            raise KeyboardInterrupt

    learn = make_learner()
    learn.get_preds(save_preds=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        learn.get_preds(save_preds=tmp_path, cbs=Callback(after_pred=interrupt))
    with pytest.raises(DataError, match="their writing was interrupted"):
        SavedBatches(tmp_path)


def test_one_folder_for_both_is_refused(make_learner, tmp_path) -> None:
    with pytest.raises(ConfigError, match="same folder"):
        make_learner().get_preds(save_preds=tmp_path, save_targs=str(tmp_path))
    with pytest.raises(ConfigError, match="nothing to predict"):
        make_learner().get_preds(dl=[], save_preds=tmp_path)


def test_the_callback_writes_raw_outputs_of_any_evaluation(make_learner, tmp_path) -> None:
    learn, saving = make_learner(), SavePredsCallback(tmp_path)
    learn.validate(cbs=saving)
    assert torch.equal(saving.preds.read(), learn.get_preds(act=lambda raw: raw)[0])
