import json

import pytest
import torch

from laminar.core.errors import ConfigError, DataError
from laminar.core.pipeline import Pipeline
from laminar.core.rebuilding import from_recipe
from laminar.core.recipe import builder, call_recipe, qualified_name, to_recipe
from laminar.core.titled import Category
from laminar.core.transform import RandTransform, Transform
from laminar.core.types import TensorImage


class Power(Transform):
    def __init__(self, exponent=2, table=None, order=None):
        super().__init__(order=order)
        self.exponent, self.table = exponent, table

    def encodes(self, x: int):
        return x**self.exponent


def round_trip(value, trust=()):
    tensors = {}
    data = json.loads(json.dumps(to_recipe(value, tensors)))
    return from_recipe(data, tensors, trust)


@pytest.mark.parametrize(
    "value",
    [None, True, 1, 1.5, "a", [1, (2, "b")], {"a": 1, 2: (3,)}, torch.float16, Category, RandTransform(p=0.25).p],
)
def test_plain_values_come_back(value):
    result = round_trip(value)
    assert result == value
    assert type(result) is type(value)


def test_tensors_come_back_with_their_type():
    image = TensorImage(torch.rand(3, 2, 2))
    result = round_trip([image, image.as_subclass(torch.Tensor)])
    assert torch.equal(result[0], image)
    assert [type(part) for part in result] == [TensorImage, torch.Tensor]


def test_pipelines_come_back_with_their_arguments():
    pipeline = Pipeline([RandTransform(p=0.5, order=3), Power(3, table=torch.ones(2))], split_idx=1)
    result = round_trip(pipeline, trust=[Power])
    assert result.split_idx == 1
    assert result(2) == 8
    assert result.find(RandTransform).p == 0.5
    assert result.find(RandTransform).order == 3
    assert torch.equal(result.find(Power).table, torch.ones(2))


def test_classes_from_elsewhere_must_be_trusted():
    with pytest.raises(ConfigError, match=r"data asks for .*Power, which is not part of laminar.*trust=\[Power\]"):
        round_trip(Power())


def test_lambdas_and_local_functions_cannot_be_written():
    def local(x):
        return x

    for function in (lambda x: x, local):
        with pytest.raises(ConfigError, match="cannot be found again"):
            to_recipe(Pipeline([Transform(function)]), {})


@pytest.mark.parametrize(
    "data",
    [
        {"$name": "os:system"},
        {"$name": "laminar.core.recipe:importlib"},
        {"$name": "laminar.core.recipe:importlib.import_module"},
        {"$name": "laminar.core.recipe:from_recipe"},
        {"$name": "laminar.core.seed:set_seed"},
        {"$name": "laminar.core.recipe:_find_ours"},
        {"$name": "laminar.core.titled:Category.__class__"},
        {"$name": "laminar."},
        {"$name": "laminar.nothing:here"},
        {"$transform": "laminar.core.titled:Category", "arguments": {}},
        {"$transform": "laminar.core.transform:RandTransform", "arguments": {"q": 1}},
        {"$enum": "laminar.core.titled:Category", "name": "a"},
        {"$tensor": "absent", "type": None},
        {"$dtype": "load"},
        {"$eval": "1"},
    ],
)
def test_hostile_or_broken_data_is_refused(data):
    with pytest.raises((ConfigError, DataError), match=r"^manifest"):
        from_recipe(data, {}, where="manifest")


def test_objects_of_unknown_kind_cannot_be_written():
    with pytest.raises(ConfigError, match="cannot write"):
        to_recipe(object(), {})


def test_calls_of_marked_builders_are_made_again():
    @builder
    class Thing:
        def __init__(self, size=1):
            self.size = size

    tensors = {}
    data = call_recipe(Power, {"exponent": 3}, tensors)
    assert data == {"$build": qualified_name(Power), "arguments": {"exponent": 3}}
    Thing.__qualname__ = "Thing"
    written = to_recipe(Thing(4), tensors)
    assert from_recipe(written, tensors, trust=[Thing]).size == 4
    with pytest.raises(DataError, match="is not what the file takes it for"):
        from_recipe({"$build": "laminar.core.seed:set_seed", "arguments": {"s": 1}}, {})
