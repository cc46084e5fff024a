"""Recipes from a source to loaders."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from laminar.core.errors import ConfigError
from laminar.core.transform import Transform
from laminar.core.types import TensorCategory, TensorFloat, TensorImage, TensorMultiCategory
from laminar.data.block import DataBlock, merged
from laminar.data.blocks import CategoryBlock, MultiCategoryBlock, RegressionBlock, TransformBlock
from laminar.data.labels import ColReader, ItemGetter, parent_label
from laminar.data.loaders import DataLoaders
from laminar.data.normalize import Normalize
from laminar.data.sources import get_image_files
from laminar.data.splitters import ColSplitter, GrandparentSplitter, IndexSplitter, RandomSplitter
from laminar.data.transforms import IntToFloatTensor, ToTensor


def open_picture(file: Path | str) -> TensorImage:
    with Image.open(file) as picture:
        return TensorImage(np.array(picture)).permute(2, 0, 1)


def PictureBlock() -> TransformBlock:
    return TransformBlock(type_tfms=open_picture, batch_tfms=IntToFloatTensor())


class Scale(Transform):
    def __init__(self, by: float = 1.0) -> None:
        super().__init__()
        self.by = by

    def encodes(self, x: TensorImage) -> TensorImage:
        return x * self.by


@pytest.fixture
def folder() -> Path:
    for split, count in (("train", 6), ("valid", 2)):
        for kind in ("cat", "dog"):
            for i in range(count):
                file = Path("pets", split, kind, f"{i}.png")
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (8, 6), (i * 10, 100 * (split == "valid"), 200 - (kind == "dog"))).save(file)
    return Path("pets")


def pets(**changes: Any) -> DataBlock:
    options = {
        "blocks": (PictureBlock, CategoryBlock),
        "get_items": get_image_files,
        "get_y": parent_label,
        "splitter": GrandparentSplitter(),
        **changes,
    }
    return DataBlock(**options)


def test_a_folder_becomes_batches(folder: Path) -> None:
    dls = pets().dataloaders(folder, bs=4, device="cpu")
    x, y = dls.one_batch()
    assert (type(x), x.shape, x.dtype) == (TensorImage, (4, 3, 6, 8), torch.float32)
    assert type(y) is TensorCategory
    assert (dls.vocab, dls.c, len(dls.train_ds), len(dls.valid_ds)) == (["cat", "dog"], 2, 12, 4)


def test_a_recipe_is_never_changed(folder: Path) -> None:
    block = pets(batch_tfms=Normalize(), blocks=(PictureBlock(), CategoryBlock()))
    first = block.dataloaders(folder, bs=4, device="cpu")
    files = [file for file in get_image_files(folder) if file.parent.name == "cat"]
    other = block.dataloaders(folder, bs=4, device="cpu")
    assert block.user_batch_tfms[0].mean is None
    assert block.blocks[1].type_tfms[0].vocab is None
    assert first.train.after_batch.find(Normalize) is not other.train.after_batch.find(Normalize)
    new = block.new(batch_tfms=[])
    assert new is not block
    assert len(block.batch_tfms) == 2
    assert len(new.batch_tfms) == 1
    assert len(files) == 8


def test_transforms_given_later_take_the_place_of_the_blocks(folder: Path) -> None:
    block = pets(batch_tfms=[IntToFloatTensor(div=510.0)])
    assert [step.div for step in block.batch_tfms] == [510.0]
    x, _ = block.dataloaders(folder, bs=4, device="cpu").one_batch()
    assert x.max() < 0.5


def test_merging_keeps_every_transform_of_one_list() -> None:
    first, second = Scale(1), Scale(2)
    assert merged([ToTensor()], [first, second])[1:] == [first, second]
    assert [step.by for step in merged([Scale(3)], [first, second])] == [1, 2]
    assert len(merged([str.upper], [str.lower])) == 2
    assert len(merged([str.upper], [str.upper])) == 1


def test_the_default_splitter_takes_a_random_fifth(folder: Path) -> None:
    dls = pets(splitter=None).dataloaders(folder, bs=4, device="cpu")
    assert (len(dls.train_ds), len(dls.valid_ds)) == (13, 3)


def test_several_labels_from_a_table() -> None:
    table = pd.DataFrame({"x": [1.0, 2.0, 3.0], "tags": ["a b", "", "b"], "is_valid": [False, False, True]})
    block = DataBlock(
        (TransformBlock, MultiCategoryBlock),
        get_x=ColReader("x"),
        get_y=ColReader("tags", label_delim=" "),
        splitter=ColSplitter(),
    )
    dls = block.dataloaders(table, bs=2, device="cpu")
    x, y = dls.valid.one_batch()
    assert type(y) is TensorMultiCategory
    assert y.tolist() == [[0.0, 1.0]]
    assert (dls.vocab, dls.c) == (["a", "b"], 2)
    assert dls.valid.decode_batch((x, y))[0][1] == ["b"]


def test_encoded_labels_and_quantities() -> None:
    rows = [([0, 1], 0.5), ([1, 1], 1.5), ([0, 0], 2.5)]
    block = DataBlock(
        (TransformBlock, MultiCategoryBlock(encoded=True, vocab=["a", "b"]), RegressionBlock),
        n_inp=1,
        get_x=ItemGetter(1),
        get_y=[ItemGetter(0), ItemGetter(1)],
        splitter=IndexSplitter([2]),
    )
    dls = block.dataloaders(rows, bs=1, device="cpu")
    assert dls.target_types == (TensorMultiCategory, TensorFloat)
    sample = dls.valid.decode_batch(dls.valid.one_batch())[0]
    assert sample[1] == []
    assert sample[2] == 2.5


def test_columns_become_items() -> None:
    block = DataBlock.from_columns((TransformBlock, CategoryBlock), splitter=IndexSplitter([3]))
    dls = block.dataloaders(([1.0, 2.0, 3.0, 4.0], ["a", "b", "a", "b"]), bs=1, device="cpu")
    assert dls.valid.one_batch()[0].tolist() == [4.0]
    assert dls.vocab == ["a", "b"]


def test_loaders_arguments_come_from_blocks_and_from_the_call() -> None:
    block = DataBlock(
        (TransformBlock(dls_kwargs={"create_batch": lambda samples: len(samples)}), CategoryBlock),
        get_y=lambda i: i % 2,
        get_x=float,
    )
    dls = block.dataloaders(list(range(10)), bs=3, device="cpu", seed=5)
    assert dls.one_batch() == 3
    assert dls.train.seed == 5


def test_from_dblock_applies_a_recipe(folder: Path) -> None:
    assert len(DataLoaders.from_dblock(pets(), folder, bs=2, device="cpu").valid) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"get_x": [str, str]}, r"get_x has 2 function\(s\) for 1 block\(s\).*Pipeline\(\[...\]\)"),
        ({"getters": [str]}, r"getters has 1 function\(s\) for 2 block\(s\)"),
        ({"getters": [str, str], "get_x": str}, "say the same thing"),
        ({"n_inp": 3}, "n_inp=3 does not fit 2 blocks"),
    ],
)
def test_getters_that_do_not_fit_the_blocks_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DataBlock((TransformBlock, CategoryBlock), **options)


def test_what_is_no_block_is_refused() -> None:
    with pytest.raises(ConfigError, match="a block is a TransformBlock or a function that makes one, got 'image'"):
        DataBlock(("image", CategoryBlock))
    with pytest.raises(ConfigError, match="pass vocab="):
        MultiCategoryBlock(encoded=True)


@pytest.mark.parametrize(
    ("call", "nearest"),
    [
        (lambda: DataBlock(spliter=RandomSplitter()), "splitter"),
        (lambda: DataBlock.from_columns(itemtfms=None), "item_tfms"),
        (lambda: pets().dataloaders("x", shuffel=True), "shuffle"),
    ],
)
def test_a_misspelt_keyword_is_an_error_with_the_nearest(call: Any, nearest: str) -> None:
    with pytest.raises(TypeError, match=f"Did you mean '{nearest}'"):
        call()


def test_pain_09_summary_tells_every_step_without_alarm_and_ends_with_a_verdict(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pets(item_tfms=Scale(), batch_tfms=Normalize()).summary(folder, bs=2)
    told = capsys.readouterr().out
    for part in (
        "16 items, divided into 12, 4",
        "The first training item: pets/train/cat/0.png",
        "get_y=parent_label makes it str 'cat'",
        "Categorize(",
        "ToTensor(): touches nothing here",
        "Scale() makes it (TensorImage (3, 6, 8) float32 from 0 to 200",
        "Normalize",
        "Verdict: this works.",
    ):
        assert part in told
    assert "fail" not in told
    assert "rror" not in told


def test_pain_09_summary_fails_where_the_loaders_fail_and_says_at_which_step(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (9, 9)).save(folder / "train/cat/1.png")
    for attempt in (pets().summary, pets().dataloaders):
        with pytest.raises(ValueError, match="has different shapes"):
            attempt(folder, bs=12)
    assert "fails: DataError: element 0 of the samples" in capsys.readouterr().out
