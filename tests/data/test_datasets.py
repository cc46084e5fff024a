"""Lists and data sets: items seen through pipelines."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from laminar.core.errors import ConfigError, DataError
from laminar.core.transform import Transform
from laminar.core.types import TensorCategory, TensorImage
from laminar.data.datasets import Datasets
from laminar.data.labels import ColReader, parent_label
from laminar.data.lists import TfmdLists
from laminar.data.transforms import Categorize, Getter


class TrainOnly(Transform):
    split_idx = 0

    def encodes(self, x: int) -> int:
        return x + 100


class Mean(Transform):
    mean: float | None = None

    def setups(self, items: object) -> None:
        self.mean = sum(items) / len(items)

    def encodes(self, x: int) -> float:
        return x - self.mean

    def decodes(self, x: float) -> float:
        return x + self.mean


def open_picture(file: Path | str | bytes | np.ndarray) -> TensorImage:
    """As pictures are opened from anything: the array is the value, a path gives its length."""
    value = torch.as_tensor(file) if isinstance(file, np.ndarray) else torch.full((1, 2, 2), float(len(str(file))))
    return TensorImage(value)


FILES = [Path(f"train/{kind}/{i}.jpg") for i in range(3) for kind in "ab"]


def test_transforms_learn_from_training_items_and_each_sees_what_those_before_made() -> None:
    listed = TfmdLists([1, 2, 3, 100], [lambda x: x * 10, Mean()], splits=[[0, 1, 2], [3]])
    assert listed.tfms[1].mean == 20
    assert list(listed.valid) == [980]
    assert listed.decode(listed[0]) == 10


def test_training_only_transforms_run_on_the_training_split_alone() -> None:
    listed = TfmdLists([1, 2, 3], TrainOnly(), splits=[[0, 1], [2]])
    assert list(listed) == [1, 2, 3]
    assert list(listed.train) == [101, 102]
    assert list(listed.valid) == [3]
    assert list(listed.train.with_split(1)) == [1, 2]


def test_more_than_two_splits_are_allowed() -> None:
    listed = TfmdLists(list("abcd"), splits=[[0], [1, 2], [3]])
    assert [list(listed.subset(i)) for i in range(listed.n_subsets)] == [["a"], ["b", "c"], ["d"]]


@given(st.lists(st.integers(), min_size=1), st.data())
def test_items_of_every_kind_are_taken_apart_alike(numbers: list[int], data: st.DataObject) -> None:
    numbers = [n % 1000 for n in numbers]
    chosen = data.draw(st.lists(st.integers(0, len(numbers) - 1), unique=True))
    for kind in (numbers, tuple(numbers), np.array(numbers), torch.tensor(numbers), pd.Series(numbers)):
        listed = TfmdLists(kind, int, splits=[chosen, []])
        assert list(listed.train) == [numbers[i] for i in chosen]


def test_rows_of_a_data_frame_keep_each_columns_type() -> None:
    table = pd.DataFrame({"number": [1, 2], "share": [0.5, 1.5]})
    dsets = Datasets(table, [[ColReader("number")], [ColReader("share")]])
    assert dsets[0] == (1, 0.5)
    assert isinstance(dsets[0][0], int)


def test_a_path_in_place_of_items_is_an_error_with_the_remedy() -> None:
    with pytest.raises(DataError, match=r"a list of items is needed, got the single PosixPath .*get_image_files"):
        TfmdLists(Path("folder"), str)


def test_datasets_give_a_tuple_with_a_member_for_each_pipeline() -> None:
    dsets = Datasets(FILES, [[open_picture], [parent_label, Categorize()]], splits=[[0, 1, 2, 3], [4, 5]])
    picture, label = dsets.train[1]
    assert type(picture) is TensorImage
    assert type(label) is TensorCategory
    assert dsets.decode((picture, label))[1] == "b"
    assert (dsets.n_inp, dsets.c, dsets.vocab, len(dsets.valid)) == (1, 2, ["a", "b"], 2)
    assert len(dsets[:3]) == 3
    assert [len(sample) for sample in dsets[[0, 5]]] == [2, 2]


def test_n_inp_can_be_said_and_must_fit() -> None:
    assert Datasets([1], [[int], [int], [int]]).n_inp == 2
    assert Datasets([1], [[int], [int], [int]], n_inp=1).n_inp == 1
    with pytest.raises(ConfigError, match="n_inp=4 does not fit samples of 3 members"):
        Datasets([1], [[int], [int], [int]], n_inp=4)


def test_several_vocabularies_come_as_a_list() -> None:
    dsets = Datasets(["a", "b"], [[Categorize()], [str.upper, Categorize()]])
    assert dsets.vocab == [["a", "b"], ["A", "B"]]


def test_show_puts_all_members_on_the_same_axes() -> None:
    dsets = Datasets(FILES, [[open_picture], [parent_label, Categorize()]])
    ax = dsets.show(dsets[0])
    assert ax.get_title() == "a"
    assert len(ax.images) == 1


def test_deterministic_datasets_are_known_as_such() -> None:
    assert Datasets(FILES, [[Getter(parent_label), Categorize()]]).deterministic
    assert not Datasets(FILES, [[lambda path: path]]).deterministic


def test_a_new_item_begins_at_the_transform_for_its_type() -> None:
    listed = TfmdLists(FILES, [Getter(lambda path: path.with_suffix(".png"), "get_x"), open_picture])
    raw = listed.infer(Path("x.jpg"))
    assert torch.equal(raw, open_picture("x.png"))  # a raw item goes through everything
    assert torch.equal(listed.infer("x.jpeg"), open_picture("x.png"))  # a text counts as a path
    assert torch.equal(listed.infer(b"12"), open_picture(b"12"))  # anything else leaves the getter out
    array = np.zeros((1, 2, 2), dtype=np.float32)
    assert type(listed.infer(array)) is TensorImage


def test_a_new_item_that_no_transform_takes_is_an_error() -> None:
    listed = TfmdLists(FILES, [Getter(str, "get_x"), Doubles()])
    with pytest.raises(
        DataError, match=r"str 'abc' is nothing that these transforms take: .*of type PosixPath|nothing"
    ):
        TfmdLists([1.5], [Doubles()]).infer("abc")
    assert listed.infer(2.0) == 4.0


class Doubles(Transform):
    def encodes(self, x: float) -> float:
        return x * 2


def test_a_test_set_has_the_inputs_alone_or_with_labels() -> None:
    dsets = Datasets(
        FILES, [[open_picture], [Getter(parent_label, "get_y"), Categorize()]], splits=[[0, 1, 2, 3], [4, 5]]
    )
    assert [len(sample) for sample in dsets.test_set([b"x", Path("a/1.jpg")])] == [1, 1]
    labelled = dsets.test_set([Path("train/b/9.jpg")], with_labels=True)
    assert int(labelled[0][1]) == 1


def test_an_emptied_data_set_keeps_its_transforms() -> None:
    empty = Datasets(FILES, [[open_picture], [parent_label, Categorize()]]).new_empty()
    assert len(empty) == 0
    assert empty.vocab == ["a", "b"]
    assert type(empty.test_set([Path("x.jpg")])[0][0]) is TensorImage
