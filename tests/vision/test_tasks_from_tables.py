"""Every task's targets can stand in the columns of a table, or in lists."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from laminar.vision.all import (
    BBoxBlock,
    BBoxLblBlock,
    DataBlock,
    ImageBlock,
    ImageDataLoaders,
    MaskBlock,
    PointBlock,
    RegressionBlock,
    Resize,
    TensorBBox,
    TensorFloat,
    TensorMask,
    TensorPoint,
    get_c,
)


@pytest.fixture
def table(tmp_path: Path) -> pd.DataFrame:
    """Pictures of 12 by 16 pixels; a mask, a point, a quantity and boxes with names for each."""
    generator = np.random.default_rng(0)
    rows = []
    for number in range(6):
        picture, mask = tmp_path / f"{number}.png", tmp_path / f"{number}_mask.png"
        Image.fromarray(generator.integers(0, 255, (12, 16, 3), dtype=np.uint8)).save(picture)
        Image.fromarray(generator.integers(0, 3, (12, 16), dtype=np.uint8)).save(mask)
        boxes = [[1, 1, 8, 8], [4, 4, 10, 10]][: number % 3]  # none in every third
        rows.append(
            (picture.name, str(mask), [8.0, 6.0], 0.5 * number, boxes, ["cat", "dog"][: number % 3], number > 3)
        )
    return pd.DataFrame(rows, columns=["file", "mask", "point", "size", "boxes", "names", "is_valid"])


@pytest.mark.parametrize(
    ("column", "block", "kind", "shape", "outputs"),
    [
        ("mask", MaskBlock(["a", "b", "c"]), TensorMask, (4, 8, 8), 3),
        ("point", PointBlock, TensorPoint, (4, 1, 2), 2),
        ("size", RegressionBlock, TensorFloat, (4,), 1),
    ],
)
def test_targets_in_a_column(table, tmp_path, column, block, kind, shape, outputs) -> None:
    dls = ImageDataLoaders.from_df(
        table, tmp_path, fn_col="file", label_col=column, y_block=block, valid_col="is_valid", item_tfms=Resize(8), bs=4
    )
    by_lists = ImageDataLoaders.from_lists(
        tmp_path,
        [tmp_path / name for name in table.file],
        list(table[column]),
        y_block=block,
        item_tfms=Resize(8),
        bs=4,
    )
    for loaders in (dls, by_lists):
        targets = loaders.one_batch()[1]
        assert type(targets) is kind
        assert tuple(targets.shape) == shape
        assert get_c(loaders) == outputs
        assert len(loaders.show_batch(max_n=2)) == 2


def test_boxes_and_names_in_two_columns_with_pictures_that_have_none(table, tmp_path) -> None:
    block = DataBlock(
        blocks=(ImageBlock, BBoxBlock, BBoxLblBlock),
        n_inp=1,
        get_x=lambda row: tmp_path / row["file"],
        get_y=[lambda row: row["boxes"], lambda row: row["names"]],
        splitter=lambda items: ([0, 1, 2, 3], [4, 5]),
        item_tfms=Resize(8),
    )
    dls = block.dataloaders(table, bs=4, shuffle=False)
    _, boxes, names = dls.valid.eval_loader().one_batch()
    assert type(boxes) is TensorBBox
    assert (boxes.shape, names.tolist()) == ((2, 2, 4), [[1, 0], [1, 2]])
    assert len(dls.show_batch(max_n=4)) == 4
    empty = dls.train_ds[0]
    assert (len(empty[1]), len(empty[2])) == (0, 0)
