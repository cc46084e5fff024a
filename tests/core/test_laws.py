"""Laws that hold for all transforms and pipelines, whatever is in them."""

import random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from laminar.core.pipeline import Pipeline
from laminar.core.random import item_random
from laminar.core.rebuilding import from_recipe
from laminar.core.recipe import to_recipe
from laminar.core.transform import ItemTransform, RandTransform, Transform
from laminar.core.types import (
    TensorBase,
    TensorBBox,
    TensorCategory,
    TensorImage,
    TensorMask,
    TensorPoint,
    metadata,
    plain,
)


class Add(Transform):
    def __init__(self, by: int = 1, split_idx: int | None = None, order: float | None = None) -> None:
        super().__init__(split_idx=split_idx, order=order)
        self.by = by

    def encodes(self, x: int) -> int:
        return x + self.by

    def decodes(self, x: int) -> int:
        return x - self.by


class Flip(Add):
    """Negates, and so does not commute with adding."""

    def encodes(self, x: int) -> int:
        return -x + self.by

    def decodes(self, x: int) -> int:
        return self.by - x


class Jitter(RandTransform):
    def before_call(self, b: Any, split_idx: int | None) -> None:
        self.do, self.shift = True, random.random() + float(np.random.rand()) + float(torch.rand(()))

    def encodes(self, x: float) -> float:
        return x + self.shift


splits = st.sampled_from([None, 0, 1])
transforms = st.builds(
    lambda kind, by, split_idx, order: kind(by, split_idx=split_idx, order=order),
    st.sampled_from([Add, Flip]), st.integers(-9, 9), splits, st.integers(0, 3),
)  # fmt: skip
pipelines = st.lists(transforms, max_size=5)
leaves = st.one_of(st.integers(-99, 99), st.text(max_size=3), st.none(), st.floats(allow_nan=False))
samples = st.recursive(leaves, lambda parts: st.lists(parts, max_size=3).map(tuple), max_leaves=6)


@given(pipelines, splits, samples)
def test_decoding_undoes_encoding_whatever_the_sample_and_the_split(steps, split_idx, sample) -> None:
    pipeline = Pipeline(steps, split_idx=split_idx)
    assert pipeline.decode(pipeline(sample)) == sample


@given(pipelines, splits, st.integers(-99, 99))
def test_a_pipeline_is_its_transforms_of_this_split_in_stable_order(steps, split_idx, x) -> None:
    expected = x
    for step in sorted(steps, key=lambda step: step.order):
        if step.split_idx in (None, split_idx):
            expected = step.encodes(expected)
    assert Pipeline(steps, split_idx=split_idx)(x) == expected


@given(transforms, samples, samples)
def test_a_tuple_is_transformed_member_by_member(step, one, other) -> None:
    split_idx = step.split_idx
    assert step((one, other), split_idx=split_idx) == (step(one, split_idx=split_idx), step(other, split_idx=split_idx))


@given(pipelines, st.one_of(st.text(), st.floats(), st.none()))
def test_values_of_other_types_pass_as_the_very_object(steps, value) -> None:
    assert Pipeline(steps)(value) is value
    assert not any(step.touches(value) for step in steps)


@given(pipelines, splits)
def test_adding_one_by_one_is_building_at_once(steps, split_idx) -> None:
    grown = Pipeline(split_idx=split_idx)
    for step in steps:
        grown.add(step)
    assert grown.transforms == Pipeline(steps).transforms
    assert Pipeline(steps).with_split(split_idx)(3) == grown(3)


@given(pipelines, st.integers(-99, 99))
def test_what_is_written_as_data_and_built_again_does_the_same(steps, x) -> None:
    written: dict[str, torch.Tensor] = {}
    data = to_recipe(Pipeline(steps), written)
    built = from_recipe(data, written, trust=[Add, Flip])
    for split_idx in (None, 0, 1):
        assert built.with_split(split_idx)(x) == Pipeline(steps, split_idx=split_idx)(x)
    assert repr(built) == repr(Pipeline(steps))


@given(st.integers(0, 2**40), st.integers(0, 99), st.integers(0, 10**6), st.floats(-9, 9))
def test_a_random_transform_is_a_function_of_its_address_and_keeps_nothing(seed, epoch, item, x) -> None:
    step, before = Jitter(), dict(Jitter().__dict__)
    with item_random(seed, epoch, item):
        first = step((x, x), split_idx=0)
    with item_random(seed, epoch, item):
        assert step((x, x), split_idx=0) == first
    assert first[0] == first[1]
    assert step.__dict__ == before
    assert step(x, split_idx=1) == x


KINDS = [TensorImage, TensorMask, TensorPoint, TensorBBox, TensorCategory, TensorBase]


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_that_lost_its_type_gets_it_back_with_the_users_metadata(kind) -> None:
    class Loses(Transform):
        def encodes(self, x: TensorBase):
            return plain(x).clone()

    class Whole(ItemTransform):
        def encodes(self, x: tuple):
            return tuple(part + 0 for part in x)

    x = kind(torch.ones(1, 4))
    x.origin = "here"
    (result,) = Whole()((Loses()(x),))
    assert type(result) is kind
    assert result.origin == "here"
    assert set(metadata(result)) == set(metadata(x))


def test_pain_33_every_two_types_mix_in_losses_and_comparisons() -> None:
    for one in KINDS:
        for other in KINDS:
            a, b = one(torch.rand(1, 4)), other(torch.rand(1, 4))
            assert torch.nn.functional.mse_loss(a, b).ndim == 0
            assert (a > b).dtype is torch.bool
            assert torch.maximum(a, b).shape == (1, 4)


def test_pain_32_nothing_is_patched_into_other_packages_classes() -> None:
    import subprocess
    import sys

    program = (
        "import torch, PIL.Image, numpy, pathlib, warnings\n"
        "kinds = [torch.Tensor, PIL.Image.Image, torch.nn.Module, pathlib.Path, torch.utils.data.DataLoader]\n"
        "import torchvision.transforms.v2\n"
        "def names():\n"
        "    return [sorted(vars(kind)) for kind in kinds] + [list(warnings.filters), torch.get_num_threads()]\n"
        "before = names()\n"
        "from laminar.vision.all import *\n"
        "assert names() == before\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
