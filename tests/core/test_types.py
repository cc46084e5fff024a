import copy
import io
import itertools
import pickle

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.transforms import v2
from torchvision.tv_tensors import Image

from laminar.core.errors import DataError
from laminar.core.pipeline import Pipeline
from laminar.core.titled import Category, MultiCategory, TitledFloat, TitledInt, TitledStr, TitledTuple
from laminar.core.types import (
    LMTensorText,
    TensorBase,
    TensorBBox,
    TensorBBoxLabel,
    TensorCategory,
    TensorFloat,
    TensorImage,
    TensorImageBW,
    TensorMask,
    TensorMultiCategory,
    TensorPoint,
    TensorText,
    TitledTensorScalar,
    cast,
    is_showable,
    is_torchvision_transform,
    metadata,
    plain,
    retain_type,
    tensor,
)

ALL_TYPES = [
    TensorBase, TensorImage, TensorImageBW, TensorMask, TensorPoint, TensorBBox, TensorCategory, TensorMultiCategory,
    TensorFloat, TitledTensorScalar, TensorBBoxLabel, TensorText, LMTensorText,
]  # fmt: skip


class Wave(TensorBase):
    def show(self, ctx=None, **kwargs):
        ctx.plot(self)
        return ctx


def example(kind):
    return kind(torch.arange(4.0).reshape(1, 4) + 1)


@pytest.mark.parametrize("kind", ALL_TYPES)
@pytest.mark.parametrize(
    "operation",
    [
        lambda x: x + 1, lambda x: 2 * x, lambda x: x[0], lambda x: x.clone(), lambda x: x.float(),
        lambda x: torch.stack([x, x]), lambda x: torch.cat([x, x]), lambda x: x.detach(), lambda x: x.to("cpu"),
        lambda x: torch.add(x, other=x),
        lambda x: x.max(dim=0).values, lambda x: x.unbind()[0], lambda x: copy.deepcopy(x),
        lambda x: pickle.loads(pickle.dumps(x)),
    ],
)  # fmt: skip
def test_operations_keep_the_type_and_the_users_metadata(kind, operation):
    x = example(kind)
    x.origin = "here"
    result = operation(x)
    assert type(result) is kind
    assert result.origin == "here"


@pytest.mark.parametrize(("left", "right"), list(itertools.permutations(ALL_TYPES, 2)))
def test_operations_over_two_types_give_a_plain_tensor(left, right):
    a, b = example(left), example(right)
    for result in (a + b, a == b, torch.stack([a, b]), torch.where(a > 0, a, b)):
        assert type(result) is Tensor


def test_operations_with_plain_tensors_keep_the_type():
    x = TensorImage(torch.rand(3, 4, 4))
    assert type(x - torch.ones(3, 1, 1)) is TensorImage
    assert type(torch.ones(3, 1, 1) * x) is TensorImage
    assert type(x.shape) is torch.Size
    assert isinstance(x.mean().item(), float)


def test_in_place_operations_return_the_same_object():
    x = TensorImage(torch.zeros(3, 4, 4))
    assert x.add_(1) is x
    assert x.eq(1).all()


def test_typed_tensors_work_with_plain_losses_and_modules():
    x, target = TensorImage(torch.rand(2, 3)), TensorCategory(torch.tensor([0, 1]))
    layer = nn.Linear(3, 2)
    loss = nn.CrossEntropyLoss()(layer(x), target)
    loss.backward()
    assert layer.weight.grad is not None


def test_numbers_lists_and_arrays_become_typed_tensors_of_32_bits():
    assert TensorFloat(1.5).dtype is torch.float32
    assert TensorImage(np.zeros((3, 2, 2))).dtype is torch.float32
    assert TensorCategory([1, 2]).dtype is torch.int64
    assert TensorImage(np.full((1, 2, 2), 40000, dtype=np.uint16)).max() == 40000


def test_slicing_a_mask_keeps_its_codes():
    mask = TensorMask(torch.zeros(4, 4, dtype=torch.long), codes=["sky", "road"])
    assert mask[:2].codes == ["sky", "road"]
    assert mask.long().codes == ["sky", "road"]


def test_arithmetic_makes_the_canvas_unknown_rather_than_wrong():
    points = TensorPoint([[1.0, 2.0]], canvas_size=(10, 20))
    assert points[:1].canvas_size == (10, 20)
    assert points.clone().canvas_size == (10, 20)
    assert (points * 2).canvas_size is None
    assert type(points * 2) is TensorPoint


@pytest.mark.parametrize(
    ("transform", "canvas"),
    [(v2.Resize((4, 6)), (4, 6)), (v2.CenterCrop(4), (4, 4)), (v2.RandomHorizontalFlip(1.0), (8, 12))],
)
def test_torchvision_transforms_keep_types_and_tell_the_new_canvas(transform, canvas):
    image = TensorImage(torch.rand(3, 8, 12))
    mask = TensorMask(torch.zeros(8, 12, dtype=torch.long), codes=["a"])
    points = TensorPoint([[3.0, 4.0]], canvas_size=(8, 12))
    boxes = TensorBBox([[3.0, 3.0, 6.0, 6.0]], canvas_size=(8, 12))
    result = transform(image, mask, points, boxes)
    assert [type(part) for part in result] == [TensorImage, TensorMask, TensorPoint, TensorBBox]
    assert tuple(result[0].shape[-2:]) == canvas
    assert result[1].codes == ["a"]
    assert result[2].canvas_size == result[3].canvas_size == canvas


def test_torchvision_takes_our_types_for_its_own():
    assert isinstance(TensorImage(torch.rand(3, 2, 2)), Image)
    assert is_torchvision_transform(v2.Identity())
    assert not is_torchvision_transform(torch.nn.Identity())


def test_an_own_type_is_a_class_and_a_show():
    wave = Wave([0.0, 1.0], rate=8000)
    assert is_showable(wave)
    assert (wave * 2).rate == 8000
    assert Wave(wave).rate == 8000
    assert "rate=8000" in repr(wave)
    assert repr(wave).startswith("Wave(")


def test_plain_takes_types_off_without_copying():
    image = TensorImage(torch.rand(3, 2, 2))
    result = plain((image, [image], {"a": image}, 1))
    assert type(result[0]) is type(result[1][0]) is type(result[2]["a"]) is Tensor
    assert result[0].data_ptr() == image.data_ptr()
    assert result[3] == 1


def test_retain_type_puts_back_what_was_lost_and_nothing_else():
    image = TensorImage(torch.rand(3, 2, 2), tag=1)
    restored = retain_type(torch.rand(3, 2, 2), image)
    assert type(restored) is TensorImage
    assert restored.tag == 1
    assert retain_type(None, image) is None
    assert type(retain_type(TensorMask(torch.zeros(2, 2)), image)) is TensorMask
    assert type(retain_type("b", Category("a"))) is Category
    assert retain_type(3, True) == 3
    assert type(retain_type(3, True)) is int


def test_retain_type_does_not_revive_a_canvas():
    points = TensorPoint([[1.0, 2.0]], canvas_size=(4, 4))
    assert retain_type(torch.ones(1, 2), points).canvas_size is None


def test_cast_keeps_memory():
    x = torch.rand(3, 2, 2)
    assert cast(x, TensorImage).data_ptr() == x.data_ptr()
    assert metadata(x) == {}
    assert type(cast(TensorImage(x), Tensor)) is Tensor


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (TitledInt(3), "3"), (TitledFloat(1.5), "1.5"), (TitledStr("a b"), "a b"), (TitledTuple((1, 2)), "(1, 2)"),
        (Category("cat"), "cat"), (MultiCategory(["a", "b"]), "a;b"),
    ],
)  # fmt: skip
def test_titled_values_print_when_there_are_no_axes(value, text, capsys):
    value.show()
    assert capsys.readouterr().out.strip() == text


def test_titled_strings_are_cut_by_words():
    assert TitledStr("one two three").truncate(2) == "one two"


def test_a_plain_tensor_picked_by_a_typed_index_stays_plain():
    probabilities, index = torch.tensor([0.25, 0.75]), TensorCategory(torch.tensor(1))
    assert type(probabilities[index]) is Tensor
    assert f"{probabilities[index]:.1f}" == "0.8"


def test_single_typed_numbers_can_be_formatted():
    assert f"{TensorFloat(0.256):.2f}" == "0.26"
    assert f"{TensorFloat([1.0])}" == "TensorFloat([1.])"


@pytest.mark.parametrize("kind", ALL_TYPES)
def test_typed_tensors_are_saved_and_loaded_as_weights_are(kind):
    x = example(kind)
    x.codes = ["sky", "road"]
    file = io.BytesIO()
    torch.save({"x": x}, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=True)["x"]
    assert type(loaded) is kind
    assert metadata(loaded) == metadata(x)
    assert torch.equal(plain(loaded), plain(x))


def test_an_own_type_is_loaded_as_weights_are_when_it_is_named():
    file = io.BytesIO()
    torch.save(Wave([0.0, 1.0], rate=8000), file)
    file.seek(0)
    with torch.serialization.safe_globals([Wave]):
        loaded = torch.load(file, weights_only=True)
    assert type(loaded) is Wave
    assert loaded.rate == 8000


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (TensorPoint([[1.0, 2.0]]), r"moves TensorPoint in pixels, but their canvas is unknown.*canvas_size="),
        (TensorBBox([[0.0, 0, 1, 1]], scaled=True), r"moves TensorBBox in pixels, but these are scaled.*PointScaler"),
    ],
)
def test_torchvision_transforms_refuse_positions_of_an_unknown_canvas(points, message):
    pipeline = Pipeline([v2.RandomHorizontalFlip(1.0)])
    with pytest.raises(DataError, match=message):
        pipeline((TensorImage(torch.rand(3, 4, 4)), points))


def test_tensors_are_made_of_nearly_anything():
    assert torch.equal(tensor(1, 2, 3), torch.tensor([1, 2, 3]))
    assert tensor(np.zeros(2)).dtype is tensor([0.5]).dtype is tensor(np.uint16([7])).dtype is torch.float32
    assert tensor([1.0], dtype=torch.float64).dtype is torch.float64
    assert tensor(1.0, 2.0, requires_grad=True).requires_grad
    locked = np.arange(3)
    locked.flags.writeable = False
    assert tensor(locked).tolist() == [0, 1, 2]
    pandas = pytest.importorskip("pandas")
    assert tensor(pandas.Series([1, 2])).tolist() == [1, 2]
    assert tensor(pandas.DataFrame({"a": [1.5], "b": [2]})).tolist() == [[1.5, 2.0]]


class Pair(tuple):
    __slots__ = ()


def test_types_come_off_inside_a_users_class_of_tuples():
    pair = plain(Pair([TensorImage(torch.zeros(3, 2, 2)), [TensorMask(torch.zeros(2, 2))]]))
    assert type(pair) is Pair
    assert type(pair[0]) is type(pair[1][0]) is torch.Tensor
