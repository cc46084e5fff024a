"""Pairs of pictures that shall not look alike."""

import random

import torch

from laminar.core.pipeline import Pipeline
from laminar.core.random import batch_random
from laminar.core.rebuilding import from_recipe
from laminar.core.recipe import to_recipe
from laminar.core.separately import Separately
from laminar.core.transform import RandTransform, Transform
from laminar.core.types import TensorCategory, TensorImage, plain
from laminar.vision import RandomCrop, Rotate, aug_transforms
from laminar.vision.turning import FlipItem


def pair(batch: int = 0) -> tuple[TensorImage, TensorImage, TensorCategory]:
    shape = (batch, 3, 24, 24) if batch else (3, 24, 24)
    noise = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    label = TensorCategory(torch.ones(batch, dtype=torch.int64) if batch else 1)
    return TensorImage(noise), TensorImage(noise.clone()), label


def test_pain_63_the_two_pictures_of_a_pair_may_be_augmented_alike_or_each_by_itself() -> None:
    random.seed(0)
    one, other, label = RandomCrop(12)(pair(), split_idx=0)
    assert torch.equal(plain(one), plain(other))
    one, other, label = Separately(RandomCrop(12))(pair(), split_idx=0)
    assert one.shape == other.shape == (3, 12, 12)
    assert not torch.equal(plain(one), plain(other))
    assert label == 1
    with batch_random(1, 0, 0, range(4)):
        one, other, _ = Rotate(45, p=1.0)(pair(4), split_idx=0)
        assert torch.equal(plain(one), plain(other))
        one, other, labels = Separately(aug_transforms(p_affine=1.0))(pair(4), split_idx=0)
    assert not torch.equal(plain(one), plain(other))
    assert type(labels) is TensorCategory


def test_two_views_of_a_picture_do_not_depend_on_the_batch() -> None:
    step = Separately(Rotate(45, p=1.0))
    first, second, label = pair(4)
    with batch_random(1, 0, 0, range(4)):
        whole = step((first, second, label), split_idx=0)
    with batch_random(1, 0, 9, [2]):
        alone = step((first[2:3], second[2:3], label[2:3]), split_idx=0)
    for view, single in zip(whole[:2], alone[:2], strict=True):
        torch.testing.assert_close(plain(view)[2:3], plain(single), atol=1e-5, rtol=0)


def test_it_runs_where_its_transforms_run_and_stands_where_they_stand() -> None:
    step = Separately([FlipItem(1.0), RandomCrop(12)])
    assert step.order == FlipItem(1.0).order
    image = step(pair(), split_idx=1)[0]
    assert torch.equal(plain(image), plain(RandomCrop(12)(pair(), split_idx=1)[0]))
    assert not step.deterministic
    tensors: dict[str, torch.Tensor] = {}
    assert repr(from_recipe(to_recipe(step, tensors), tensors)) == repr(step)


class Half(Transform):
    deterministic = True

    def setups(self, items):
        self.seen = items

    def encodes(self, x: float):
        return x / 2

    def decodes(self, x: float):
        return x * 2


def test_it_is_undone_and_set_up_like_its_transforms() -> None:
    step = Separately(Half())
    pipeline = Pipeline([step])
    pipeline.setup([1, 2])
    assert step.tfms[0].seen == [1, 2]
    assert pipeline.decode(pipeline((3.0, (5.0, "a")))) == (3.0, (5.0, "a"))
    assert step.deterministic
    assert not step.touches("a")


class Drawn(RandTransform):
    def before_call(self, b, split_idx):
        self.do, self.shift = True, random.random()

    def encodes(self, x: float):
        return x + self.shift


def test_parts_deep_in_a_sample_are_drawn_for_too() -> None:
    (a, b), c = Separately(Drawn())(((1.0, 1.0), 1.0), split_idx=0)
    assert len({a, b, c}) == 3
