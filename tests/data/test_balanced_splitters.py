"""Random splits that keep classes in proportion, or groups together."""

import random
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laminar.core.errors import ConfigError, DataError
from laminar.data.balanced_splitters import GroupedSplitter, StratifiedSplitter
from laminar.data.labels import parent_label

FILES = [Path(f"{kind}/{i}.jpg") for kind, count in {"cat": 50, "dog": 30, "emu": 20}.items() for i in range(count)]
PATIENTS = [f"patient{i % 13}/{i}.dcm" for i in range(130)]


@given(
    classes=st.lists(st.sampled_from("abcdef"), min_size=7, max_size=80),
    share=st.floats(0.05, 0.95),
    seed=st.integers(0, 2**40),
)
def test_stratified_splits_divide_and_each_class_is_trained_on(classes: list[str], share: float, seed: int) -> None:
    train, valid = StratifiedSplitter(classes, share, seed)(list(range(len(classes))))
    assert sorted(train + valid) == list(range(len(classes)))
    assert valid
    assert {classes[i] for i in train} == set(classes)


def test_stratified_splits_keep_the_share_of_each_class() -> None:
    train, valid = StratifiedSplitter(parent_label, 0.2, seed=3)(FILES)
    assert Counter(FILES[i].parent.name for i in valid) == {"cat": 10, "dog": 6, "emu": 4}
    assert len(train) == 80
    assert valid != StratifiedSplitter(parent_label, 0.2, seed=4)(FILES)[1]


def test_an_item_alone_in_its_class_is_trained_on() -> None:
    train, valid = StratifiedSplitter(["a", "b", "c", "c", "c"], 0.9, seed=0)(list(range(5)))
    assert {0, 1} < set(train)
    assert len(valid) == 2


def test_classes_of_one_item_each_cannot_be_divided() -> None:
    with pytest.raises(DataError, match=r"each of the 3 items is alone in its class \(for example 'x'\)"):
        StratifiedSplitter(["x", "y", "z"])([1, 2, 3])


@given(
    groups=st.lists(st.integers(0, 9), min_size=2, max_size=80).filter(lambda groups: len(set(groups)) > 1),
    share=st.floats(0.05, 0.95),
    seed=st.integers(0, 2**40),
)
def test_grouped_splits_never_part_a_group(groups: list[int], share: float, seed: int) -> None:
    train, valid = GroupedSplitter(groups, share, seed)(list(range(len(groups))))
    assert sorted(train + valid) == list(range(len(groups)))
    assert train
    assert valid
    assert not {groups[i] for i in train} & {groups[i] for i in valid}


def test_grouped_splits_come_near_the_share() -> None:
    _, valid = GroupedSplitter(lambda name: name.split("/")[0], 0.25, seed=1)(PATIENTS)
    assert 0.2 <= len(valid) / len(PATIENTS) <= 0.3


def test_one_group_that_is_nearly_everything_does_not_empty_a_split() -> None:
    train, valid = GroupedSplitter(["big"] * 98 + ["a", "b"], 0.2, seed=0)(list(range(100)))
    assert min(len(train), len(valid)) >= 1


def test_one_group_only_is_an_error() -> None:
    with pytest.raises(DataError, match="all 4 items belong to one group, 'g'"):
        GroupedSplitter(["g"] * 4)([1, 2, 3, 4])


@pytest.mark.parametrize("splitter", [StratifiedSplitter, GroupedSplitter])
def test_the_order_of_listing_and_the_global_generator_do_not_matter(splitter: type) -> None:
    names = PATIENTS
    mixed = random.Random(1).sample(names, len(names))
    state = random.getstate()
    by = lambda name: name.split("/")[0]  # noqa: E731
    _, valid = splitter(by, 0.3, seed=1)(names)
    _, valid_mixed = splitter(by, 0.3, seed=1)(mixed)
    assert {names[i] for i in valid} == {mixed[i] for i in valid_mixed}
    assert random.getstate() == state


@pytest.mark.parametrize("splitter", [StratifiedSplitter, GroupedSplitter])
def test_a_column_says_what_an_item_belongs_to(splitter: type) -> None:
    table = pd.DataFrame({"file": [f"{i}.jpg" for i in range(12)], "kind": list("aabbccaabbcc")})
    assert splitter("kind", 0.4, seed=1)(table) == splitter(1, 0.4, seed=1)(table)
    assert splitter("kind", 0.4, seed=1)(table) == splitter(list(table["kind"]), 0.4, seed=1)(table)
    with pytest.raises(DataError, match=r"there is no column 'kimd'. Did you mean 'kind'\?"):
        splitter("kimd")(table)
    with pytest.raises(ConfigError, match="by='kind' names a column, but the items are no data frame"):
        splitter("kind")(["a.jpg", "b.jpg"])


def test_a_value_for_each_item_is_needed() -> None:
    with pytest.raises(ConfigError, match="`by` has 2 values for 3 items"):
        GroupedSplitter(["a", "b"])([1, 2, 3])


def test_a_function_that_fails_names_the_item() -> None:
    with pytest.raises(IndexError) as caught:
        StratifiedSplitter(lambda name: name.split("/")[1])(["a/b", "nothing"])
    assert "for item 1: nothing" in caught.value.__notes__[0]
