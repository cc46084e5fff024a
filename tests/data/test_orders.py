"""Which items an epoch has, and in what order."""

from collections import Counter
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from laminar.core.errors import ConfigError
from laminar.data import DataLoader, DataLoaders, Datasets, PartialDL, SortedDL, WeightedDL

SPLITS = [list(range(8)), [8, 9]]


def flat(loader: DataLoader) -> list[int]:
    return [int(index) for batch in loader for index in batch]


def test_weights_say_how_often_an_item_comes() -> None:
    loader = WeightedDL(range(4), 8, wgts=[0, 1, 1, 2], shuffle=True, seed=3)
    counts = Counter(index for _ in range(500) for index in flat(loader))
    assert counts[0] == 0
    assert counts[3] / counts[1] == pytest.approx(2, rel=0.2)
    assert counts[1] / counts[2] == pytest.approx(1, rel=0.2)


def test_weighted_draws_depend_on_seed_and_epoch_alone() -> None:
    def epochs(workers: int) -> list[list[int]]:
        loader = WeightedDL(range(20), 4, wgts=range(20), shuffle=True, seed=1, num_workers=workers)
        return [flat(loader) for _ in range(2)]

    before = torch.get_rng_state()
    first, second = epochs(0)
    assert first != second
    assert epochs(1) == [first, second]
    assert torch.equal(before, torch.get_rng_state())


def test_weighted_loaders_evaluate_every_item_once() -> None:
    dls = Datasets(range(10), [[int]], splits=SPLITS).weighted_dataloaders(range(10), bs=4, device="cpu")
    assert isinstance(dls.train, WeightedDL)
    assert 0 not in {int(index) for _ in range(20) for batch in dls.train for index in batch[0]}
    assert [int(index) for batch in dls.train.eval_loader() for index in batch[0]] == SPLITS[0]
    assert [int(index) for batch in dls.valid for index in batch[0]] == SPLITS[1]
    of_training_alone = Datasets(range(10), [[int]], splits=SPLITS).weighted_dataloaders([1] * 8, bs=4, device="cpu")
    assert len(of_training_alone.train) == 2


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2], r"wgts holds 2 weights for 3 items"),
        ([1, -2, 0], r"number 1 is -2"),
        ([1, 2, float("nan")], r"number 2 is nan"),
        ([0, 0, 0], r"all are 0"),
    ],
)
def test_weights_that_are_none_are_refused(weights: list[float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        WeightedDL(range(3), wgts=weights)


def test_a_part_of_the_items_is_another_one_in_each_epoch() -> None:
    dls = Datasets(range(10), [[int]], splits=SPLITS).partial_dataloaders(4, bs=2, device="cpu")
    first, second = ([int(index) for batch in dls.train for index in batch[0]] for _ in range(2))
    assert len(set(first)) == len(set(second)) == 4
    assert first != second
    assert len(dls.train) == 2
    assert len(dls.train.eval_loader()) == 4
    with pytest.raises(ConfigError, match="partial_n must be at least 1"):
        PartialDL(range(3), partial_n=0)


LENGTHS = st.lists(st.integers(0, 40), min_size=1, max_size=60)


@given(LENGTHS, st.integers(1, 7))
def test_sorted_loaders_go_from_long_to_short_and_predict_in_order(lengths: list[int], bs: int) -> None:
    loader = SortedDL([[0] * length for length in lengths], bs)
    order = loader.order(0, 0)
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[index] for index in order] == sorted(lengths, reverse=True)
    assert list(loader.eval_loader().order(0, 0)) == list(range(len(lengths)))


@given(LENGTHS, st.integers(1, 7), st.integers(0, 5))
def test_shuffled_sorted_batches_hold_every_item_once_and_like_lengths(lengths: list[int], bs: int, epoch: int) -> None:
    loader = SortedDL(range(len(lengths)), bs, res=lengths, shuffle=True)
    order = loader.order(0, epoch)
    assert sorted(order) == list(range(len(lengths)))
    batches = [[lengths[index] for index in order[start : start + bs]] for start in range(0, len(order), bs)]
    whole = [batch for batch in batches if len(batch) == bs]
    assert all(batch == sorted(batch, reverse=True) for batch in batches)
    if whole:
        assert whole[0][0] == max(batch[0] for batch in whole)
    if len(lengths) <= bs * 50:  # sorted among each other: ranges of lengths do not overlap
        ranges = sorted((batch[-1], batch[0]) for batch in whole)
        assert all(high <= low for (_, high), (low, _) in pairwise(ranges))


def test_lengths_that_cannot_be_had_are_asked_for() -> None:
    with pytest.raises(TypeError) as caught:
        SortedDL(range(3)).order(0, 0)
    assert "give sort_func or res" in caught.value.__notes__[0]
    assert SortedDL(range(3), sort_func=lambda item: item % 2).order(0, 0) == [1, 0, 2]
    with pytest.raises(ConfigError, match="res holds 2 lengths for 3 items"):
        SortedDL(range(3), res=[1, 2])


def test_settings_of_a_subclass_go_over_to_a_new_one_and_misspelt_ones_are_refused() -> None:
    loader = PartialDL(range(10), 2, partial_n=4, shuffle=True)
    assert loader.new(bs=4).partial_n == 4
    assert loader.new(partial_n=6).n_items == 6
    with pytest.raises(TypeError, match=r"partial_m.*Did you mean 'partial_n'"):
        loader.new(partial_m=6)
    assert DataLoaders(loader, device="cpu").train.partial_n == 4
