"""Numbers for classes."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from laminar.core.errors import DataError
from laminar.data.vocab import CategoryMap

labels = st.lists(st.text(max_size=5), min_size=1)


@given(labels)
def test_every_label_comes_back(column: list[str]) -> None:
    classes = CategoryMap(column)
    assert classes.map_ids(classes.map_objs(column)) == column
    assert classes == sorted(set(column))


def test_order_of_first_occurrence_is_kept_unless_sorted() -> None:
    assert CategoryMap(["b", "a", "b"], sort=False) == ["b", "a"]


def test_missing_values_are_no_class() -> None:
    assert CategoryMap(["b", None, float("nan"), pd.NA, "a"]) == ["a", "b"]


def test_numbers_of_numpy_and_torch_are_pythons() -> None:
    classes = CategoryMap([np.int64(2), torch.tensor(1), 1])
    assert classes == [1, 2]
    assert classes.number_of(np.int32(2)) == 1


def test_categorical_columns_keep_their_order_and_strict_drops_what_does_not_occur() -> None:
    column = pd.Series(pd.Categorical(["low", "high"], categories=["low", "middle", "high"]))
    assert CategoryMap(column) == ["low", "middle", "high"]
    assert CategoryMap(column, strict=True) == ["low", "high"]


def test_unknown_labels_belong_to_na_and_do_not_grow_the_vocabulary() -> None:
    classes = CategoryMap(["a", "b"], add_na=True)
    assert classes == ["#na#", "a", "b"]
    assert classes.map_objs(["zzz", "b", None]) == [0, 2, 0]
    assert len(classes.o2i) == len(classes) == 3


def test_an_unknown_label_is_an_error_that_names_the_nearest() -> None:
    classes = CategoryMap(["hat", "shirt"])
    with pytest.raises(
        DataError, match=r"label 'shrt' is none of the 2 classes: 'hat', 'shirt'. Did you mean 'shirt'\?"
    ):
        classes.number_of("shrt")
    assert len(classes.o2i) == 2


def test_labels_of_two_types_cannot_be_sorted() -> None:
    with pytest.raises(DataError, match=r"labels of different types cannot be sorted: int and str"):
        CategoryMap(["a", 1])


def test_copies_know_their_numbers() -> None:
    assert copy.deepcopy(CategoryMap(list("ba"))).o2i == {"a": 0, "b": 1}
