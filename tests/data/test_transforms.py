"""Transforms between labels or pictures and tensors."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from laminar.core.errors import ConfigError, DataError
from laminar.core.pipeline import Pipeline
from laminar.core.rebuilding import from_recipe
from laminar.core.recipe import to_recipe
from laminar.core.titled import Category, MultiCategory, TitledFloat, TitledTuple
from laminar.core.types import TensorCategory, TensorFloat, TensorImage, TensorMask, TensorMultiCategory
from laminar.data.lists import TfmdLists
from laminar.data.normalize import Normalize
from laminar.data.transforms import (
    Categorize,
    EncodedMultiCategorize,
    Getter,
    IntToFloatTensor,
    MultiCategorize,
    OneHotEncode,
    RegressionSetup,
    ToTensor,
)

words = st.text(min_size=1, max_size=4)


@given(st.lists(words, min_size=1))
def test_categorize_decodes_what_it_encodes(labels: list[str]) -> None:
    listed = TfmdLists(labels, Categorize())
    assert [listed.decode(number) for number in listed] == labels
    assert all(type(number) is TensorCategory for number in listed)
    assert type(listed.decode(listed[0])) is Category


@given(st.lists(st.lists(words, max_size=3, unique=True), min_size=1))
def test_multi_categorize_and_one_hot_decode_what_they_encode(labels: list[list[str]]) -> None:
    listed = TfmdLists(labels, [MultiCategorize(), OneHotEncode()])
    assert [sorted(listed.decode(vector)) for vector in listed] == [sorted(each) for each in labels]
    assert all(vector.dtype is torch.float32 and vector.shape == (len(listed.vocab),) for vector in listed)
    assert type(listed.decode(listed[0])) is MultiCategory


def test_categorize_learns_from_training_items_only() -> None:
    listed = TfmdLists(["a", "b", "c"], Categorize(), splits=[[0, 1], [2]])
    assert listed.vocab == ["a", "b"]
    with pytest.raises(DataError, match="label 'c' is none of the 2 classes"):
        listed.valid[0]


def test_categorize_keeps_the_order_of_classes_it_is_given() -> None:
    transform = Categorize(["pos", "neg"])
    assert [int(transform(label)) for label in ("pos", "neg")] == [0, 1]


def test_categorize_refuses_classes_given_twice() -> None:
    with pytest.raises(ConfigError, match="vocab names a class twice"):
        Categorize(["a", "a"])


def test_categorize_without_items_says_that_it_knows_no_classes() -> None:
    with pytest.raises(ConfigError, match="it does not know the classes"):
        Categorize()("a")


def test_categorize_names_the_first_item_without_a_label() -> None:
    with pytest.raises(DataError, match=r"1 of 3 items have no label; the first is int 7"):
        TfmdLists([5, 7, 9], [lambda x: None if x == 7 else str(x), Categorize()])


def test_categorize_refuses_numbers_beyond_its_classes() -> None:
    with pytest.raises(DataError, match=r"class number 2 is beyond the 2 classes \(0 to 1\)"):
        Categorize(["a", "b"]).decode(torch.tensor(2))


def test_unknown_labels_do_not_make_the_vocabulary_grow() -> None:
    transform = Categorize(["a", "b"], add_na=True)
    assert int(transform("unknown")) == 0
    assert len(transform.vocab.o2i) == len(transform.vocab) == 3


def test_multi_categorize_refuses_a_text_in_place_of_a_list() -> None:
    with pytest.raises(DataError, match=r"a list of labels is needed .*got str 'a b'.*label_delim"):
        TfmdLists(["a b"], MultiCategorize())


def test_one_hot_decodes_thresholded_predictions() -> None:
    steps = Pipeline([MultiCategorize(["a", "b", "c"]), OneHotEncode(3)])
    assert steps.decode(TensorMultiCategory(torch.tensor([True, False, True]))) == ["a", "c"]


def test_encoded_labels_come_back_as_names() -> None:
    transform = EncodedMultiCategorize(["a", "b", "c"])
    vector = transform([1, 0, 1])
    assert vector.tolist() == [1.0, 0.0, 1.0]
    assert transform.decode(vector) == ["a", "c"]
    assert transform.c == 3
    with pytest.raises(DataError, match=r"a vector of 3 zeros and ones is needed"):
        transform([1, 0])


@given(st.floats(-1e6, 1e6, width=32))
def test_regression_decodes_what_it_encodes(value: float) -> None:
    transform = RegressionSetup()
    encoded = transform(value)
    assert type(encoded) is TensorFloat
    assert transform.decode(encoded) == TitledFloat(value)


def test_regression_of_several_quantities_counts_them() -> None:
    listed = TfmdLists([(1, 2), (3, 4)], RegressionSetup())
    assert listed.c == 2
    assert listed[1].tolist() == [3.0, 4.0]
    assert listed.decode(listed[1]) == TitledTuple((3.0, 4.0))


def test_regression_refuses_names_and_nan() -> None:
    with pytest.raises(DataError, match="use CategoryBlock in place of RegressionBlock"):
        RegressionSetup()("cat")
    with pytest.raises(DataError, match="the target is nan"):
        RegressionSetup()(float("nan"))


def test_getter_takes_a_tuple_whole_and_is_named_by_its_role() -> None:
    getter = Getter(max, "get_y")
    assert getter((1, 3, 2)) == 3
    assert repr(getter) == "get_y=max"


def test_to_tensor_leaves_alone_what_nobody_taught_it() -> None:
    assert ToTensor()(("a", 1)) == ("a", 1)


def test_int_to_float_divides_pictures_and_makes_masks_int64() -> None:
    picture, mask = (
        TensorImage(torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)),
        TensorMask(torch.ones(2, 2).byte(), codes=["a"]),
    )
    floats, numbers = IntToFloatTensor()((picture, mask))
    assert type(floats) is TensorImage
    assert floats.max() == 1.0
    assert numbers.dtype is torch.int64
    assert numbers.codes == ["a"]
    assert picture.dtype is torch.uint8


def test_int_to_float_leaves_floating_point_pictures_alone() -> None:
    picture = TensorImage(torch.rand(3, 2, 2))
    assert torch.equal(IntToFloatTensor()(picture), picture)


@pytest.mark.parametrize("transform", [IntToFloatTensor(), Normalize.from_stats([0.5] * 3, [0.2] * 3)])
def test_batch_transforms_keep_channels_last_and_their_input(transform: IntToFloatTensor | Normalize) -> None:
    raw = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    picture = TensorImage(raw if isinstance(transform, IntToFloatTensor) else raw / 255)
    before = picture.clone()
    result = transform(picture)
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert type(result) is TensorImage
    assert torch.equal(picture, before)


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3), st.lists(st.floats(0.1, 1), min_size=3, max_size=3))
def test_normalize_decodes_what_it_encodes(mean: list[float], std: list[float]) -> None:
    transform = Normalize.from_stats(mean, std)
    picture = TensorImage(torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(1)))
    expected = (picture.as_subclass(torch.Tensor) - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(
        1, 3, 1, 1
    )
    torch.testing.assert_close(transform(picture).as_subclass(torch.Tensor), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(transform.decode(transform(picture)), picture, rtol=1e-4, atol=1e-4)


def test_normalize_touches_pictures_only() -> None:
    transform = Normalize.from_stats([0.5], [0.5])
    assert transform(TensorMask(torch.ones(2, 2))).max() == 1
    assert transform(torch.ones(2)).max() == 1


def test_normalize_refuses_bytes_and_another_number_of_channels() -> None:
    transform = Normalize.from_stats([0.5] * 3, [0.5] * 3)
    with pytest.raises(ConfigError, match="put IntToFloatTensor before it"):
        transform(TensorImage(torch.zeros(1, 3, 2, 2).byte()))
    with pytest.raises(ConfigError, match=r"Normalize has 3 means and got TensorImage|Normalize has 3 means"):
        transform(TensorImage(torch.zeros(1, 1, 2, 2)))


def test_normalize_follows_new_statistics() -> None:
    transform = Normalize.from_stats([0.0], [1.0])
    picture = TensorImage(torch.ones(1, 1, 2, 2))
    assert transform(picture).max() == 1
    transform.mean = torch.ones(1, 1, 1, 1)
    assert transform(picture).max() == 0


def test_normalize_needs_both_statistics() -> None:
    with pytest.raises(ConfigError, match="both mean and std, or neither"):
        Normalize(mean=torch.zeros(1))


def test_fitted_transforms_can_be_written_as_data() -> None:
    fitted = Pipeline([Categorize(["b", "a"]), IntToFloatTensor(div=1.0), Normalize.from_stats([0.1] * 3, [0.2] * 3)])
    tensors: dict[str, torch.Tensor] = {}
    again = from_recipe(to_recipe(fitted, tensors), tensors)
    assert again.find(Categorize).vocab == ["b", "a"]
    assert again.find(Categorize).vocab.o2i == {"b": 0, "a": 1}
    assert again.find(IntToFloatTensor).div == 1.0
    assert torch.equal(again.find(Normalize).mean, fitted.find(Normalize).mean)
    assert np.array_equal(again.find(Normalize).std, fitted.find(Normalize).std)
