"""What an item or a batch was in an epoch can be made again exactly."""

import random

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from laminar.core.errors import ConfigError, DataError
from laminar.core.random import rand_per_item
from laminar.core.transform import Transform
from laminar.core.types import TensorImage, plain
from laminar.data.fetching import SkipItemException
from laminar.data.loader import DataLoader
from laminar.data.loaders import DataLoaders
from laminar.vision import RandomResizedCrop, aug_transforms
from laminar.vision.data import ImageDataLoaders


class Drawing(Transform):
    """Draws in every way users draw, for an item or for a batch."""

    def encodes(self, x: Tensor) -> Tensor:
        noise = torch.rand(x.shape) + float(np.random.rand()) + random.random()
        return x + noise


class PerItem(Transform):
    def encodes(self, x: Tensor) -> Tensor:
        return x + rand_per_item(len(x))[:, None]


def drawing_loader(**options: object) -> DataLoader:
    items = [torch.full((2,), float(i)) for i in range(10)]
    settings = {"bs": 4, "shuffle": True, "seed": 3, "after_item": Drawing(), "after_batch": [Drawing(), PerItem()]}
    return DataLoader(items, **{**settings, **options})


@pytest.mark.parametrize("workers", [0, 1])
def test_every_item_of_every_epoch_is_made_again_exactly(workers: int) -> None:
    loader = drawing_loader(num_workers=workers)
    epochs = [list(loader) for _ in range(3)]
    fresh = drawing_loader()
    for epoch in (2, 0, 1):
        for number, batch in enumerate(epochs[epoch]):
            assert torch.equal(fresh.replay(epoch, batch=number), batch)
        order = [index for request in fresh.requests(epoch) for index in request.indices]
        rows = torch.cat(epochs[epoch])
        for place, index in enumerate(order):
            assert torch.equal(fresh.replay(epoch, item=index), rows[place])


def test_replaying_disturbs_nothing() -> None:
    loader, other = drawing_loader(), drawing_loader()
    torch.manual_seed(1)
    before = torch.get_rng_state().tolist(), random.getstate()
    first = next(iter(loader))
    loader.replay(5, item=3)
    assert (torch.get_rng_state().tolist(), random.getstate()) == before
    assert torch.equal(first, next(iter(other)))


def test_a_picture_is_found_by_its_file_and_looks_as_it_did(tmp_path) -> None:
    for number in range(16):
        file = tmp_path / ("valid" if number > 11 else "train") / "ab"[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(noise).save(file)
    dls = ImageDataLoaders.from_folder(
        tmp_path, item_tfms=RandomResizedCrop(16), batch_tfms=aug_transforms(), bs=4, device="cpu"
    )
    seen = {}
    for epoch in range(2):
        order = [index for request in dls.train.requests(epoch) for index in request.indices]
        pictures = torch.cat([plain(batch[0]) for batch in dls.train])
        seen[epoch] = dict(zip(order, pictures, strict=False))
    number = next(iter(seen[1]))
    file = dls.train_ds.items[number]
    for name in (file, str(file), "/".join(file.parts[-2:]), number):
        sample = dls.replay(epoch=1, item=name)
        assert type(sample[0]) is TensorImage
        assert torch.equal(plain(sample[0]), seen[1][number])
    if number in seen[0]:
        assert not torch.equal(seen[0][number], seen[1][number])
    valid = dls.replay(epoch=1, item=0, split=1)
    assert torch.equal(plain(valid[0]), plain(dls.replay(epoch=7, item=0, split=1)[0]))


class SkipThree(Transform):
    def encodes(self, x: int) -> int:
        if x == 3:
            raise SkipItemException
        return x


def test_what_cannot_be_replayed_says_why(tmp_path) -> None:
    loader = DataLoader(list(range(10)), bs=4, after_item=SkipThree(), drop_last=True)
    with pytest.raises(ConfigError, match=r"either an item or the number of a batch"):
        loader.replay(0)
    with pytest.raises(DataError, match=r"epoch 0 has 2 batches, there is no batch 2"):
        loader.replay(0, batch=2)
    with pytest.raises(DataError, match=r"item 3 was left out of epoch 1: a transform skipped it"):
        loader.replay(1, item=3)
    with pytest.raises(DataError, match=r"item 9 is in no batch of epoch 1, which has 8 items of 10 \(drop_last"):
        loader.replay(1, item=9)
    with pytest.raises(DataError, match=r"list does not tell what its items are; give the item's number"):
        loader.replay(1, item="cat.jpg")
    dls = DataLoaders([torch.zeros(2)], [torch.zeros(2)])
    with pytest.raises(ConfigError, match=r"batches from elsewhere"):
        dls.replay(0, item=1)


def test_a_file_that_is_not_there_or_not_unique_is_answered_with_names(tmp_path) -> None:
    for name in ("a/one.png", "b/one.png", "b/two.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    files = sorted(tmp_path.rglob("*.png"))
    loader = DataLoader(TellsItems(files), bs=1)
    with pytest.raises(DataError, match=r"2 items are called one.png: .*a.one.png"):
        loader.replay(0, item="one.png")
    with pytest.raises(DataError, match=r"no item is called three.png"):
        loader.replay(0, item="three.png")
    assert loader.replay(0, item="b/two.png") == 2


class TellsItems(list):
    def __init__(self, items: list) -> None:
        super().__init__(range(len(items)))
        self.items = items
