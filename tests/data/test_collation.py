"""Samples into batches, and back."""

from collections import namedtuple
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from laminar.core.errors import DataError
from laminar.core.types import TensorBBox, TensorBBoxLabel, TensorCategory, TensorImage, TensorMask, plain
from laminar.data.collation import collate, first_items, uncollate

Pair = namedtuple("Pair", ["x", "y"])

tensors = st.lists(st.integers(-5, 5), min_size=2, max_size=2).map(torch.tensor)
leaves = st.one_of(tensors, st.text(max_size=3))


@dataclass
class Sample:
    x: torch.Tensor
    name: str


def equal(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return type(a) is type(b) and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, tuple | list):
        return type(a) is type(b) and len(a) == len(b) and all(map(equal, a, b))
    return bool(a == b)


@given(st.lists(st.one_of(st.tuples(tensors, st.text(max_size=3), st.tuples(tensors))), min_size=1, max_size=4))
def test_uncollate_undoes_collate_of_tuples(samples: list[Any]) -> None:
    assert equal(uncollate(collate(samples)), samples)


@given(st.lists(st.fixed_dictionaries({"x": tensors, "t": st.text(max_size=3)}), min_size=1, max_size=4))
def test_uncollate_undoes_collate_of_dicts(samples: list[Any]) -> None:
    assert equal(uncollate(collate(samples)), samples)


def test_named_tuples_and_dataclasses_are_kept() -> None:
    batch = collate([Pair(torch.tensor(1), "a"), Pair(torch.tensor(2), "b")])
    assert isinstance(batch, Pair)
    assert batch.x.tolist() == [1, 2]
    assert uncollate(batch)[1] == Pair(torch.tensor(2), "b")
    made = collate([Sample(torch.tensor([1]), "a"), Sample(torch.tensor([2]), "b")])
    assert isinstance(made, Sample)
    assert made.name == ["a", "b"]
    assert uncollate(made)[0].x.tolist() == [1]


def test_types_and_metadata_are_kept() -> None:
    masks = [TensorMask(torch.zeros(2, 2), codes=["a", "b"]) for _ in range(3)]
    batch, numbers = collate([(mask, TensorCategory(1)) for mask in masks])
    assert type(batch) is TensorMask
    assert batch.shape == (3, 2, 2)
    assert batch.codes == ["a", "b"]
    assert type(numbers) is TensorCategory


def test_numbers_become_float32_and_int64() -> None:
    floats, ints, flags, arrays = collate([(0.5, 1, True, np.zeros(2)), (1.5, 2, False, np.ones(2))])
    assert (floats.dtype, ints.dtype, flags.dtype) == (torch.float32, torch.int64, torch.bool)
    assert arrays.shape == (2, 2)


def test_texts_paths_and_absent_values() -> None:
    assert collate([("a", Path("x"), None), ("b", Path("y"), None)]) == (["a", "b"], [Path("x"), Path("y")], None)


def test_pictures_with_the_channel_last_stay_so() -> None:
    pictures = [torch.randint(0, 256, (5, 4, 3), dtype=torch.uint8) for _ in range(2)]
    batch = collate([TensorImage(picture.permute(2, 0, 1)) for picture in pictures])
    assert type(batch) is TensorImage
    assert batch.shape == (2, 3, 5, 4)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(batch[1].permute(1, 2, 0).as_subclass(torch.Tensor), pictures[1])


def test_pictures_with_the_channel_first_stay_so() -> None:
    assert collate([TensorImage(torch.zeros(3, 5, 4)) for _ in range(2)]).is_contiguous()


def test_error_for_different_sizes_names_both_items_and_the_remedy() -> None:
    samples = [(TensorImage(torch.zeros(3, 4, 4)), 0), (TensorImage(torch.zeros(3, 4, 5)), 1)]
    with pytest.raises(
        DataError,
        match=r"element 0 of the samples \(TensorImage\) has different shapes: \(3, 4, 4\) in a.jpg, "
        r"\(3, 4, 5\) in b.jpg. .*item_tfms=Resize\(224\)",
    ):
        collate(samples, ["a.jpg", "b.jpg"].__getitem__)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([], "there are no samples"),
        ([(1, None), (2, torch.zeros(1))], r"element 1 of the samples is NoneType None in sample 0, but Tensor"),
        ([{"a": 1}, {"b": 1}], r"the sample has the keys \['a'\] in sample 0, but \['b'\] in sample 1"),
        (
            [{"a": [1, 2]}, {"a": [1]}],
            r"element 'a' of the samples has 2 members in sample 0, but 1 in sample 1. .*padding",
        ),
        ([object(), object()], r"the sample is object .*cannot be part of a batch \(sample 0\).*ToTensor"),
        ([1, "a"], r"the sample is int 1 in sample 0, but str 'a' in sample 1"),
        ([torch.zeros(1), "a"], r"the sample is Tensor .* in sample 0, but str 'a'"),
        ([(torch.zeros(2),), (torch.zeros(3),)], r"element 0 of the samples \(Tensor\) .*pad them in before_batch"),
    ],
)
def test_errors_say_what_does_not_fit(samples: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        collate(samples)


def test_first_items_shortens_every_part() -> None:
    batch = collate([{"x": torch.tensor([i]), "n": str(i)} for i in range(5)])
    short = first_items(batch, 2)
    assert short["x"].tolist() == [[0], [1]]
    assert short["n"] == ["0", "1"]
    assert first_items(batch, None) is batch


class ImagePair(tuple):
    def show(self, ctx=None, **kwargs):
        return ctx


def test_tuples_of_a_users_class_stay_of_that_class() -> None:
    pair = ImagePair((TensorImage(torch.rand(3, 4, 4)), TensorImage(torch.rand(3, 4, 4))))
    batch = collate([(pair, 1), (pair, 2)])
    assert type(batch[0]) is ImagePair
    assert [type(part) for part in batch[0]] == [TensorImage, TensorImage]
    first = uncollate(batch)[0]
    assert type(first[0]) is ImagePair
    assert torch.equal(plain(first[0][1]), plain(pair[1]))


def test_metadata_that_samples_do_not_agree_on_is_none_in_the_batch() -> None:
    one, other = (
        TensorImage(torch.rand(3, 2, 2), origin="a", rate=8),
        TensorImage(torch.rand(3, 2, 2), origin="b", rate=8),
    )
    batch = collate([one, other])
    assert (batch.origin, batch.rate) == (None, 8)


def test_boxes_and_their_labels_are_padded_with_zeros_also_where_there_are_none() -> None:
    several = TensorBBox.create([[1, 2, 3, 4], [0, 0, 2, 2]], img_size=(8, 8)), TensorBBoxLabel([1, 2])
    none = TensorBBox.create([], img_size=(8, 8)), TensorBBoxLabel(torch.tensor([], dtype=torch.int64))
    boxes, labels = collate([none, several, none])
    assert (type(boxes), type(labels)) == (TensorBBox, TensorBBoxLabel)
    assert boxes.shape == (3, 2, 4)
    assert tuple(boxes.canvas_size) == (8, 8)
    assert plain(boxes)[1].tolist() == [[1, 2, 3, 4], [0, 0, 2, 2]]
    assert labels.tolist() == [[0, 0], [1, 2], [0, 0]]
    assert collate([none, none])[0].shape == (2, 0, 4)


def test_a_type_may_say_itself_how_a_batch_is_made() -> None:
    class Sentence(str):
        @classmethod
        def collate(cls, values):
            return max(values, key=len)

    assert collate([Sentence("a"), Sentence("abc")]) == "abc"
