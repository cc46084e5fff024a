"""Dividing items into training and validation."""

import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from laminar.core.errors import ConfigError, DataError
from laminar.data.splits import check_splits
from laminar.data.splitters import (
    ColSplitter,
    EndSplitter,
    FileSplitter,
    FuncSplitter,
    GrandparentSplitter,
    IndexSplitter,
    MaskSplitter,
    RandomSplitter,
    RandomSubsetSplitter,
    TrainTestSplitter,
)

PICTURES = [Path(f"train/{kind}/{i}.jpg") for kind in "ab" for i in range(4)] + [
    Path(f"valid/a/{i}.jpg") for i in range(2)
]


def random_states() -> tuple[Any, ...]:
    numpy_state = np.random.get_state()
    return random.getstate(), numpy_state[1].tobytes(), numpy_state[2], torch.get_rng_state().tolist()


@given(count=st.integers(2, 200), share=st.floats(0.01, 0.99), seed=st.integers(0, 2**40))
@pytest.mark.parametrize("kind", ["random", "end", "stratified"])
def test_splitters_divide_items_into_disjoint_parts_none_empty(kind: str, count: int, share: float, seed: int) -> None:
    items = list(range(count))
    splitter = {
        "random": RandomSplitter(share, seed),
        "end": EndSplitter(share),
        "stratified": TrainTestSplitter(share, seed),
    }[kind]
    train, valid = splitter(items)
    assert sorted(train + valid) == items
    assert train
    assert valid


def test_random_splitter_leaves_the_global_random_state_alone() -> None:
    before = random_states()
    RandomSplitter(seed=42)(PICTURES)
    RandomSplitter()(PICTURES)
    assert random_states() == before


def test_random_splitter_with_a_seed_repeats_itself_and_other_seeds_differ() -> None:
    items = list(range(100))
    assert RandomSplitter(seed=3)(items) == RandomSplitter(seed=3)(items)
    assert RandomSplitter(seed=3)(items) != RandomSplitter(seed=4)(items)


def test_random_splitter_without_a_seed_follows_the_seed_of_the_run() -> None:
    items = list(range(100))
    torch.manual_seed(5)
    first = RandomSplitter()(items)
    torch.rand(3)
    assert RandomSplitter()(items) == first
    torch.manual_seed(6)
    assert RandomSplitter()(items) != first


def test_random_splitter_does_not_care_in_which_order_files_were_listed() -> None:
    mixed = random.Random(1).sample(PICTURES, len(PICTURES))
    _, valid = RandomSplitter(0.3, seed=1)(PICTURES)
    _, valid_mixed = RandomSplitter(0.3, seed=1)(mixed)
    assert {PICTURES[i] for i in valid} == {mixed[i] for i in valid_mixed}


def test_random_splitter_puts_at_least_one_of_few_items_into_validation() -> None:
    assert [len(part) for part in RandomSplitter(0.2)([1, 2, 3, 4])] == [3, 1]


def test_one_item_cannot_be_divided() -> None:
    with pytest.raises(DataError, match=r"1 item\(s\) cannot be divided"):
        RandomSplitter()(["a"])


@pytest.mark.parametrize("share", [0, 1, 20, -0.1])
def test_random_splitter_refuses_what_is_no_share(share: float) -> None:
    with pytest.raises(ConfigError, match="valid_pct must be a share between 0 and 1"):
        RandomSplitter(share)


def test_end_splitter_takes_the_last_or_the_first() -> None:
    assert EndSplitter(0.3)(list(range(10)))[1] == [7, 8, 9]
    assert EndSplitter(0.3, valid_last=False)(list(range(10)))[1] == [0, 1, 2]


def test_train_test_splitter_keeps_the_share_of_each_class() -> None:
    classes = ["a"] * 80 + ["b"] * 20
    train, valid = TrainTestSplitter(0.25, random_state=1, stratify=classes)(list(range(100)))
    assert Counter(classes[i] for i in valid) == {"a": 20, "b": 5}
    assert len(train) == 75


def test_train_test_splitter_takes_numbers_of_items() -> None:
    assert [len(part) for part in TrainTestSplitter(3, 1, train_size=5)(list(range(10)))] == [5, 3]


def test_train_test_splitter_names_the_class_with_a_single_item() -> None:
    with pytest.raises(
        DataError, match=r"class 'b' has a single item .*StratifiedSplitter keeps such an item for training"
    ):
        TrainTestSplitter(stratify=["a", "a", "b"])([1, 2, 3])


def test_grandparent_splitter_goes_by_the_folder_above_the_class() -> None:
    train, valid = GrandparentSplitter()(PICTURES)
    assert (len(train), valid) == (8, [8, 9])


def test_grandparent_splitter_takes_several_names() -> None:
    train, valid = GrandparentSplitter(("train", "extra"), "valid")([*PICTURES, Path("extra/b/1.jpg")])
    assert (len(train), len(valid)) == (9, 2)


def test_grandparent_splitter_lists_the_folders_it_found() -> None:
    files = [Path("d/training/a/1.jpg"), Path("d/validation/a/2.jpg"), Path("d/validation/a/3.jpg")]
    with pytest.raises(
        DataError, match=r"no item lies in a folder 'train' .*'validation' \(2 items\), 'training' \(1 items\)"
    ):
        GrandparentSplitter()(files)
    with pytest.raises(DataError, match=r"Did you mean 'validation'\? Pass valid_name=.*\(valid=... in from_folder\)"):
        GrandparentSplitter("training", "valid")(files)


@pytest.mark.parametrize("path", ["train/a/1.jpg", "x//train//a/1.jpg", "./train/./a/1.jpg", "/d/train/a/1.jpg"])
def test_grandparent_splitter_reads_paths_however_they_are_written(path: str) -> None:
    for kind in (str, Path):
        assert GrandparentSplitter()([kind(path), kind("valid/a/2.jpg"), kind("1.jpg")]) == ([0], [1])


def test_index_and_mask_and_func_splitters() -> None:
    items = list(range(5))
    assert IndexSplitter([1, -1])(items) == ([0, 2, 3], [1, 4])
    assert MaskSplitter([False, True, False, False, True])(items) == ([0, 2, 3], [1, 4])
    assert FuncSplitter(lambda item: item in (1, 4))(items) == ([0, 2, 3], [1, 4])


def test_func_splitter_names_the_item_its_function_fails_on() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        FuncSplitter(lambda item: 1 / item)([1, 0])
    assert "for item 1: int 0" in caught.value.__notes__[0]


def test_index_splitter_refuses_items_that_do_not_exist() -> None:
    with pytest.raises(DataError, match="there is no item 7 among 5"):
        IndexSplitter([7])(list(range(5)))


def test_mask_splitter_refuses_a_mask_of_another_length() -> None:
    with pytest.raises(DataError, match="the mask has 1 values for 2 items"):
        MaskSplitter([True])([1, 2])


def test_file_splitter_reads_names() -> None:
    Path("valid.txt").write_text("0.jpg\n\n")
    train, valid = FileSplitter("valid.txt")(PICTURES)
    assert {PICTURES[i].name for i in valid} == {"0.jpg"}
    assert len(train) == len(PICTURES) - 3


def test_file_splitter_says_when_no_name_fits() -> None:
    Path("valid.txt").write_text("nothing.png\n")
    with pytest.raises(DataError, match=r"none of the 1 names in valid.txt \(for example 'nothing.png'\)"):
        FileSplitter("valid.txt")(PICTURES)


def test_col_splitter_goes_by_truth_values_or_by_a_value() -> None:
    table = pd.DataFrame({"is_valid": [False, True, False], "part": ["train", "train", "test"]})
    assert ColSplitter()(table) == ([0, 2], [1])
    assert ColSplitter("part", on="test")(table) == ([0, 1], [2])


def test_col_splitter_refuses_texts_as_truth_values() -> None:
    table = pd.DataFrame({"is_valid": ["False", "True"]})
    with pytest.raises(DataError, match=r"holds 'False' in row 0, which is no truth value. .*on='False'"):
        ColSplitter()(table)


def test_col_splitter_names_the_nearest_column() -> None:
    with pytest.raises(DataError, match=r"there is no column 'is_vaild'. Did you mean 'is_valid'\?"):
        ColSplitter("is_vaild")(pd.DataFrame({"is_valid": [True, False]}))


def test_random_subset_splitter_takes_parts() -> None:
    train, valid = RandomSubsetSplitter(0.5, 3, seed=1)(list(range(20)))
    assert (len(train), len(valid)) == (10, 3)
    assert not set(train) & set(valid)


def test_check_splits_takes_masks_slices_arrays() -> None:
    splits = [slice(0, 2), np.array([False, False, True, False]), torch.tensor([3])]
    assert check_splits(splits, 4) == [[0, 1], [2], [3]]


def test_check_splits_takes_a_list_of_truth_values_as_a_mask() -> None:
    assert check_splits([[True, False, True], [False, True, False]], 3) == [[0, 2], [1]]
    with pytest.raises(DataError, match="a mask has 2 values for 3 items"):
        check_splits([[True, False]], 3)


def test_check_splits_names_items_in_two_splits() -> None:
    with pytest.raises(DataError, match=r"2 item\(s\) are both in split 0 and in split 1: \[1, 2\]"):
        check_splits([[0, 1, 2], [1, 2, 3]], 4)


def test_check_splits_names_items_that_do_not_exist() -> None:
    with pytest.raises(DataError, match=r"split 1 names item 9, but there are only 4 items"):
        check_splits([[0], [9]], 4)


def test_a_million_items_are_split_in_seconds() -> None:
    count = 1_000_000
    names = [f"{'valid' if i % 5 == 0 else 'train'}/{i % 100}/{i:07}.jpg" for i in range(count)]
    random.Random(0).shuffle(names)
    began = time.process_time()
    for splitter in (RandomSplitter(seed=1), GrandparentSplitter()):
        train, valid = check_splits(splitter(names), count)
        assert (len(train), len(valid)) == (800_000, 200_000)
    assert (
        time.process_time() - began < 30
    )  # about 3 on a machine of its own; minutes if something grows with the square
