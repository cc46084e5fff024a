"""Items that cannot be made: named with a line that makes them again, or left out within a budget."""

import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from laminar.core.errors import ConfigError, DataError
from laminar.core.transform import RandTransform
from laminar.data import DataLoader, DataLoaders, Datasets, SkipItemException
from laminar.learner import Learner
from laminar.nn.losses import MSELossFlat


def halve(number: int) -> float:
    if number % 10 == 3:
        raise ValueError(f"{number} is unlucky")
    return number / 2


def loaders(count: int = 40, **options: Any) -> DataLoaders:
    splits = [list(range(count - 10)), list(range(count - 10, count))]
    dsets = Datasets(list(range(count)), [[halve], [float]], splits=splits)
    return dsets.dataloaders(bs=5, device="cpu", check=False, **options)


def test_an_error_names_split_item_transform_value_and_a_line_that_makes_it_again() -> None:
    dls = loaders(shuffle=False, seed=7)
    with pytest.raises(ValueError, match="3 is unlucky") as caught:
        list(dls.train)
    notes = "\n".join(caught.value.__notes__)
    assert "item 3 of the training split" in notes
    assert "halve" in notes
    assert "int" in notes
    line = notes[notes.index("dls.train.new") :].splitlines()[0]
    with pytest.raises(ValueError, match="3 is unlucky"):
        eval(line, {"dls": dls})


def notes_of(make: Callable[[], object]) -> str:
    with pytest.raises(ValueError, match="unlucky") as caught:
        make()
    return "\n".join(caught.value.__notes__)


def test_the_line_that_makes_an_item_again_names_the_loader_that_has_it() -> None:
    dls = loaders(shuffle=False, seed=7)
    notes = notes_of(lambda: list(dls.train.eval_loader()))
    assert "item 3 of the training split" in notes
    line = notes[notes.index("dls.train.eval_loader()") :].splitlines()[0]
    assert "item 3" in notes_of(lambda: eval(line, {"dls": dls}))
    others = DataLoaders(dls.valid, dls.valid.new(), dls.train.new())
    assert "dls[2].new(seed=7).item(3, epoch=0)" in notes_of(lambda: list(others[2]))


def test_where_no_loader_has_an_item_no_line_is_given() -> None:
    dls = loaders(shuffle=False)
    notes = notes_of(lambda: list(dls.test_dl([1, 23])))
    assert "item 1 of the new items: int 23" in notes
    assert "makes it again" not in notes
    splits = [[3, 0, 1], [2]]
    building = notes_of(lambda: Datasets(range(4), [[halve], [float]], splits=splits).dataloaders(device="cpu"))
    assert "item 0 of the training split: int 3" in building
    assert "makes it again" not in building


@pytest.mark.parametrize("workers", [0, 2])
def test_skipping_finishes_the_epoch_and_keeps_what_was_left_out(workers: int) -> None:
    dls = loaders(on_bad_item="skip", bad_item_budget=5, num_workers=workers, seed=1)
    for _ in range(2):
        values = sorted(2 * value for x, _ in dls.train for value in x.tolist())
        assert values == [number for number in range(30) if number % 10 != 3]
    list(dls.valid)
    assert sorted((bad.split, bad.index, bad.name) for bad in dls.bad_items) == [
        (0, 3, "int 3"), (0, 13, "int 13"), (0, 23, "int 23"), (1, 3, "int 33"),
    ]  # fmt: skip
    assert "unlucky" in dls.bad_items[0].error
    assert "halve" in dls.bad_items[0].error
    assert pickle.loads(pickle.dumps(dls.bad_items)) == dls.bad_items


def test_loaders_of_the_same_items_keep_one_record_of_those_left_out() -> None:
    dls = loaders(on_bad_item="skip", bad_item_budget=3, shuffle=False)
    list(dls.with_tfms(None).train)
    found = [(0, 3), (0, 13), (0, 23)]
    assert [(bad.split, bad.index) for bad in dls.bad_items] == found
    list(dls.train.eval_loader())  # the same items, as validation makes them: neither others nor more of them
    assert [(bad.split, bad.index) for bad in dls.bad_items] == found
    new = dls.test_dl([1, 23])
    list(new.eval_loader())
    assert [(bad.split, bad.name) for bad in new.bad_items] == [(None, "int 23")]
    assert len(dls.bad_items) == 3
    assert not dls.train.new(bad_item_budget=1).bad_items


@pytest.mark.parametrize("workers", [0, 2])
def test_the_items_in_a_batch_are_known_without_those_left_out(workers: int) -> None:
    train = loaders(on_bad_item="skip", bad_item_budget=5, num_workers=workers).train
    for number, (_, y) in enumerate(train):
        assert y.tolist() == list(train.items_in_batch(number))
        assert train.names_in_batch(number, [1]) == [f"int {int(y[1])}"]
    with pytest.raises(DataError, match=r"batch 0 is not known any more.* the last given are 4, 5"):
        train.items_in_batch(0)


class Half(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, None]


def test_predictions_come_with_the_numbers_of_their_items_if_asked() -> None:
    dls = loaders(on_bad_item="skip", bad_item_budget=5)
    learn = Learner(dls, Half(), MSELossFlat(), default_cbs=False, check=False)
    assert len(learn.get_preds()) == 2
    preds, targets, items = learn.get_preds(0, with_items=True)
    assert items.tolist() == [number for number in range(30) if number % 10 != 3] == targets.tolist()
    assert (2 * preds.flatten()).tolist() == items.tolist()
    batches = [(torch.zeros(3), torch.zeros(3, 1)), (torch.zeros(2), torch.zeros(2, 1))]
    assert learn.get_preds(dl=batches, with_items=True)[-1].tolist() == [0, 1, 2, 3, 4]


def test_augmented_predictions_of_other_items_are_not_averaged() -> None:
    class NotAugmented(RandTransform):
        def encodes(self, x: float) -> float:
            raise SkipItemException

    dls = Datasets(range(9), [[halve, NotAugmented(p=0.5)], [float]], splits=[[0, 1], [2, 4, 5, 6, 7, 8]]).dataloaders(
        bs=5, device="cpu", seed=1, check=False
    )
    with pytest.raises(DataError, match="without augmentation 6 could be made, with it"):
        Learner(dls, Half(), MSELossFlat(), default_cbs=False, check=False).tta()


def test_more_bad_items_than_the_budget_end_the_run_and_are_named() -> None:
    dls = loaders(on_bad_item="skip", bad_item_budget=2, shuffle=False)
    with pytest.raises(DataError, match="3 items could not be made, more than bad_item_budget=2") as caught:
        list(dls.train)
    assert "3 is unlucky" in str(caught.value)
    share = loaders(on_bad_item="skip", bad_item_budget=0.1, shuffle=False)
    assert len(list(share.train)) == 6
    with pytest.raises(DataError, match="bad_item_budget=0"):
        list(loaders(on_bad_item="skip", bad_item_budget=0, shuffle=False).train)


def test_an_item_asked_for_is_never_skipped() -> None:
    dls = loaders(on_bad_item="skip", bad_item_budget=5)
    with pytest.raises(DataError, match="item 3 of the training split, int 3, cannot be made: ValueError"):
        dls.train.item(3)


def test_policy_and_budget_are_checked() -> None:
    with pytest.raises(ConfigError, match='"raise" or "skip", not \'ignore\''):
        DataLoader(range(4), on_bad_item="ignore")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="bad_item_budget"):
        DataLoader(range(4), bad_item_budget=-1)


def test_n_is_the_number_of_items() -> None:
    dls = loaders(20)
    assert (dls.train.n, dls.valid.n) == (10, 10)
    first = DataLoader(range(9), bs=2, n=5)
    assert (first.n, first.new(range(3)).n, first.new(range(20)).n, first.new(n=None).n) == (5, 3, 5, 9)


class Sum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x)


def test_how_many_parts_are_inputs_may_be_said_later_and_an_error_says_how() -> None:
    batch = (torch.ones(4, 2), torch.zeros(4, 1), torch.zeros(4, 1))
    dls = DataLoaders([batch], [batch], device="cpu")

    def loss(pred, one, other):
        return MSELossFlat()(pred, one) + MSELossFlat()(pred, other)

    with pytest.raises(TypeError) as caught:
        Learner(dls, Sum(), loss)
    assert any(
        "2 went into the model, 1 to the loss" in note and "dls.n_inp = 1" in note for note in caught.value.__notes__
    )
    dls.n_inp = 1
    Learner(dls, Sum(), loss).fit(1)
    assert (dls.n_inp, dls.valid.n_inp, dls.train.target_types) == (1, 1, (torch.Tensor, torch.Tensor))
    with pytest.raises(ConfigError, match="n_inp=4 does not fit batches of 3 parts"):
        dls.n_inp = 4
