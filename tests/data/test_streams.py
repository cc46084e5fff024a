"""Data sets that can only be gone through: loaders of ours over them, alone and in training."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import IterableDataset, get_worker_info

from laminar.core import ConfigError, DataError, Transform
from laminar.data import DataLoader, DataLoaders, StreamDL
from laminar.learner import Learner
from laminar.nn import MSELossFlat


class Numbers(IterableDataset[Any]):
    """The numbers below `n`, each worker its share of them."""

    def __init__(self, n: int) -> None:
        self.n, self.epochs = n, []

    def set_epoch(self, epoch: int) -> None:
        self.epochs.append(epoch)

    def __iter__(self) -> Iterator[int]:
        worker = get_worker_info()
        return iter(range(self.n) if worker is None else range(worker.id, self.n, worker.num_workers))


def jitter(value: int) -> float:
    return value + random.random()


class Endless:
    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        value = 0
        while True:
            yield torch.tensor([value / 10]), torch.tensor([value / 5])
            value = (value + 1) % 10


def batches(loader: Any) -> list[list[float]]:
    return [batch.tolist() for batch in loader]


def test_a_stream_comes_in_its_order_and_in_batches() -> None:
    loader = DataLoader(Numbers(7), bs=3)
    assert isinstance(loader, StreamDL)
    assert batches(loader) == [[0, 1, 2], [3, 4, 5], [6]]
    assert batches(loader) == [[0, 1, 2], [3, 4, 5], [6]]
    assert batches(DataLoader(Numbers(6), bs=3)) == [[0, 1, 2], [3, 4, 5]]
    assert batches(DataLoader(Numbers(7), bs=3, drop_last=True)) == [[0, 1, 2], [3, 4, 5]]
    assert batches(DataLoader(Numbers(7), bs=3, n=4)) == [[0, 1, 2], [3]]
    assert batches(DataLoader(Numbers(7), bs=3, n=4, drop_last=True)) == [[0, 1, 2]]


@pytest.mark.parametrize("workers", [1, 2])
def test_with_workers_every_item_comes_once(workers: int) -> None:
    loader = DataLoader(Numbers(11), bs=2, num_workers=workers)
    assert sorted(value for batch in batches(loader) for value in batch) == list(range(11))


def test_what_is_drawn_depends_on_the_place_in_the_stream_and_on_the_epoch() -> None:
    def drawn(bs: int, workers: int = 0) -> list[float]:
        return [
            v for b in batches(DataLoader(Numbers(8), bs=bs, after_item=jitter, seed=3, num_workers=workers)) for v in b
        ]

    assert drawn(2) == drawn(3) == drawn(2, workers=1)
    assert len({value % 1 for value in drawn(2, workers=2)}) == 8, "no two workers may draw the same"
    loader = DataLoader(Numbers(4), bs=2, after_item=jitter, seed=3)
    first, second = batches(loader), batches(loader)
    assert first != second
    assert loader.item(2, epoch=1) == pytest.approx(second[1][0], abs=1e-6)


def test_a_data_set_is_told_the_number_of_the_epoch() -> None:
    numbers = Numbers(4)
    loader = DataLoader(numbers, bs=2)
    batches(loader), batches(loader)
    assert numbers.epochs == [0, 1]


def test_looking_at_a_batch_does_not_disturb_an_epoch_that_runs() -> None:
    loader = DataLoader(Numbers(6), bs=2)
    running = iter(loader)
    seen = [next(running).tolist()]
    assert loader.one_batch().tolist() == [0, 1]
    assert loader.item(3) == 3
    assert [*seen, *[b.tolist() for b in running]] == [[0, 1], [2, 3], [4, 5]]


def test_a_random_batch_of_a_stream_is_its_first() -> None:
    assert DataLoader(Numbers(10), bs=4).eval_loader().random_batch(9).tolist() == [0, 1, 2, 3]


def test_an_epoch_can_be_gone_on_with_in_the_middle() -> None:
    whole = batches(DataLoader(Numbers(8), bs=2, after_item=jitter, seed=1))
    loader = DataLoader(Numbers(8), bs=2, after_item=jitter, seed=1)
    loader.start_at(0, 2)
    assert batches(loader) == whole[2:]


def test_skipped_and_bad_items_leave_their_place_empty() -> None:
    def even(value: int) -> int:
        if value == 3:
            raise ValueError("three")
        return value

    with pytest.raises(ValueError, match="three") as caught:
        batches(DataLoader(Numbers(5), bs=2, after_item=even))
    assert "item 3" in "".join(caught.value.__notes__)
    loader = DataLoader(Numbers(5), bs=2, after_item=even, on_bad_item="skip", bad_item_budget=1)
    assert batches(loader) == [[0, 1], [2], [4]]
    assert [bad.index for bad in loader.bad_items] == [3]


def test_what_needs_items_by_number_is_refused() -> None:
    with pytest.raises(ConfigError, match="shuffle needs items by number, and Numbers can only be gone through"):
        DataLoader(Numbers(5), shuffle=True)
    with pytest.raises(ConfigError, match="a generator can be gone through once"):
        DataLoader(value for value in range(3))
    with pytest.raises(ConfigError, match="bad_item_budget cannot be a share"):
        DataLoader(Numbers(5), on_bad_item="skip")
    with pytest.raises(ConfigError, match=r"loader.item\(place, epoch\)"):
        DataLoader(Numbers(5)).replay(0, 3)
    with pytest.raises(TypeError, match="Numbers does not say how many items it has"):
        len(DataLoader(Numbers(5)))
    with pytest.raises(DataError, match="no batch"):
        DataLoader(Numbers(0)).one_batch()


def test_a_learner_trains_on_a_stream_without_end() -> None:
    train = DataLoader(Endless(), bs=8, n=160, after_batch=Transform(lambda batch: batch))
    valid = DataLoader(Endless(), bs=8, n=16)
    learn = Learner(DataLoaders(train, valid), nn.Linear(1, 1), MSELossFlat(), lr=0.1)
    with learn.no_bar(), learn.no_logging():
        learn.fit(3)
    assert learn.validate()[0] < 0.05
    preds, targets = learn.get_preds()
    assert preds.shape == targets.shape == (16, 1)
