"""Every typed value goes through workers, collate, devices and back as what it is; own types and pairs too."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from laminar.core.device import to_device
from laminar.core.pipeline import Pipeline
from laminar.core.titled import Category, MultiCategory, TitledFloat, TitledStr
from laminar.core.transform import Transform
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
    metadata,
    plain,
)
from laminar.data.lists import TfmdLists
from laminar.data.loader import DataLoader
from laminar.data.transforms import IntToFloatTensor, ToTensor
from laminar.vision import RandomResizedCrop, Resize, aug_transforms
from laminar.vision.data import ImageDataLoaders
from laminar.vision.images import PILImage


class Wave(TensorBase):
    def show(self, ctx=None, **kwargs):
        ctx.plot(self)
        return ctx


def every_type(number: int) -> tuple[Any, ...]:
    size = (6, 8)
    return (
        TensorImage(torch.full((3, *size), number, dtype=torch.uint8)),
        TensorImageBW(torch.rand(1, *size)),
        TensorMask(torch.zeros(size, dtype=torch.uint8), codes=["sky", "road"]),
        TensorPoint([[1.0, 2.0]], canvas_size=size),
        TensorBBox([[1.0, 2.0, 3.0, 4.0]] * (number % 3), canvas_size=size)
        if number % 3
        else TensorBBox.create([], size),
        TensorBBoxLabel([1] * (number % 3)) if number % 3 else TensorBBoxLabel(torch.zeros(0, dtype=torch.int64)),
        TensorCategory(number),
        TensorMultiCategory([0.0, 1.0]),
        TensorFloat(number / 2),
        TitledTensorScalar(number),
        TensorText([number, 2, 3]),
        LMTensorText([number, 2, 3]),
        Wave([0.0, number], rate=8000),
    )


class Everything:
    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        return every_type(index)


@pytest.mark.parametrize("workers", [0, 1])
def test_types_and_metadata_survive_workers_collation_and_devices(workers: int) -> None:
    sample = every_type(1)
    for batch in DataLoader(Everything(), bs=3, num_workers=workers):
        for moved in (batch, to_device(batch, "meta")):
            for part, given in zip(moved, sample, strict=True):
                assert type(part) is type(given)
                assert part.shape[0] == 3
                assert metadata(part) == metadata(given)


def test_titled_values_keep_their_class_through_transforms_and_workers() -> None:
    values = [Category("cat"), MultiCategory(["a", "b"]), TitledStr("one two"), TitledFloat(1.5)]
    assert [type(value) for value in Pipeline([Transform(lambda x: x)])(tuple(values))] == [type(v) for v in values]


class ImagePair(tuple):
    "Two pictures and whether they are alike: the whole of an own type."

    def show(self, ctx=None, **kwargs):
        one, other, same = self
        ax = TensorImage(torch.cat([plain(one), plain(other)], -1)).show(ctx=ctx)
        ax.set_title(str(bool(same)))
        return ax


class MakePair(Transform):
    def __init__(self, files):
        self.files = files

    def encodes(self, file: Path):
        other = random.choice(self.files)
        same = torch.tensor(int(other.stem[0] == file.stem[0]))
        return ImagePair((PILImage.create(file), PILImage.create(other), same))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = []
    for number in range(8):
        noise = np.random.default_rng(number).integers(0, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{'ab'[number % 2]}{number}.png")
        paths.append(tmp_path / f"{'ab'[number % 2]}{number}.png")
    return paths


def test_pairs_of_a_users_type_are_drawn_batched_taken_apart_and_shown(files: list[Path]) -> None:
    settings = {"after_item": [RandomResizedCrop(16), ToTensor()], "after_batch": [IntToFloatTensor()], "seed": 4}
    make = Pipeline([MakePair(files)])

    class Pairs:
        def __len__(self):
            return len(files)

        def __getitem__(self, index):
            return make(files[index])

    loader = DataLoader(Pairs(), bs=4, split_idx=0, **settings)
    batch = loader.one_batch()
    assert type(batch) is ImagePair
    assert [type(part) for part in batch[:2]] == [TensorImage, TensorImage]
    assert batch[0].is_floating_point()
    samples = loader.decode_batch(batch)
    assert [type(sample) for sample in samples] == [ImagePair] * 4
    assert samples[0].show() is not None
    worked = [plain(part) for b in DataLoader(Pairs(), bs=4, split_idx=0, num_workers=2, **settings) for part in b]
    here = [plain(part) for b in DataLoader(Pairs(), bs=4, split_idx=0, **settings) for part in b]
    assert all(torch.equal(one, other) for one, other in zip(worked, here, strict=True))


class Careless(Transform):
    """A user's transform of items that draws from everywhere."""

    def encodes(self, x: TensorImage) -> TensorImage:
        return x.float() / 255 + random.random() + float(np.random.rand()) + torch.rand(x.shape)


def loaders(files: list[Path], **options: Any) -> Any:
    settings = {"bs": 3, "item_tfms": [RandomResizedCrop(16), Careless(order=6)], "device": "cpu", "seed": 1, **options}
    return ImageDataLoaders.from_path_func(
        files[0].parent, files, lambda file: file.name[0], valid_pct=0.25, batch_tfms=aug_transforms(), **settings
    ).train


def by_item(loader: Any, epoch: int) -> dict[int, torch.Tensor]:
    loader.start_at(epoch)
    order = [index for request in loader.requests(epoch) for index in request.indices]
    return dict(zip(order, torch.cat([plain(batch[0]) for batch in loader]), strict=False))


def test_pictures_are_the_same_for_0_1_2_and_4_workers_and_every_batch_size(files: list[Path]) -> None:
    torch.manual_seed(11)
    expected = {epoch: by_item(loaders(files, drop_last=False), epoch) for epoch in (0, 1)}
    assert sorted(expected[0]) == list(range(6))
    for options in ({"num_workers": 1}, {"num_workers": 2}, {"num_workers": 4}, {"bs": 2}, {"bs": 6}):
        loader = loaders(files, drop_last=False, **options)
        found = by_item(loader, 1)
        for index, picture in expected[1].items():
            torch.testing.assert_close(found[index], picture, atol=2e-6, rtol=0)
    assert not any(torch.equal(expected[0][index], expected[1][index]) for index in range(6))


def test_the_users_generators_are_untouched_by_a_careless_transform(files: list[Path]) -> None:
    loader = loaders(files)
    random.seed(1)
    np.random.seed(2)
    torch.manual_seed(3)
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    list(loader)
    loader.replay(4, item=2)
    loader.one_batch()
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == before


def test_pain_62_the_size_in_the_metadata_is_the_pictures_after_every_transform() -> None:
    sample = (TensorImage(torch.rand(3, 20, 30)), TensorPoint([[3.0, 4.0]], canvas_size=(20, 30)))
    for step in (Resize(12), Resize((8, 16), "pad"), RandomResizedCrop(9), *aug_transforms(size=(10, 14))):
        image, points = step(sample, split_idx=0)
        assert tuple(points.canvas_size) == tuple(image.shape[-2:])
    assert (sample[1] * 2).canvas_size is None


def test_a_list_of_pairs_needs_no_registration_to_be_drawn_and_knows_its_inputs(files: list[Path]) -> None:
    pairs = TfmdLists(files, MakePair(files), splits=[range(6), range(6, 8)])
    dls = pairs.dataloaders(bs=3, after_item=[Resize(12), ToTensor()], after_batch=[IntToFloatTensor()], device="cpu")
    assert dls.n_inp == 2
    axes = dls.show_batch(max_n=3)
    assert len(axes) == 3
    assert {ax.get_title() for ax in axes} <= {"True", "False"}
    assert axes[0].images[0].get_array().shape[:2] == (12, 24)
    assert TfmdLists([1.0, 2.0]).dataloaders(bs=2, device="cpu", check=False).n_inp == 1
