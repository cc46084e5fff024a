"""Hugging Face data sets as sources: the real library."""

import datasets as hugging_face
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader as TorchLoader

from laminar.data import Categorize, DataBlock, DataLoader, DataLoaders, Datasets, RandomSplitter
from laminar.data.blocks import CategoryBlock, TransformBlock
from laminar.learner import Learner

SPLITS = [list(range(16)), list(range(16, 20))]


@pytest.fixture
def points() -> hugging_face.Dataset:
    rows = {"point": [[float(i), 1.0] for i in range(20)], "side": [["left", "right"][i > 9] for i in range(20)]}
    return hugging_face.Dataset.from_dict(rows)


def point_of(row: dict) -> torch.Tensor:
    return torch.tensor(row["point"])


def side_of(row: dict) -> str:
    return row["side"]


def test_rows_go_through_datasets_to_a_trained_model(points: hugging_face.Dataset) -> None:
    sets = Datasets(points, [[point_of], [side_of, Categorize()]], splits=SPLITS)
    dls = sets.dataloaders(bs=4, device="cpu")
    learn = Learner(dls, nn.Linear(2, dls.c))
    with learn.no_bar(), learn.no_logging():
        learn.fit(1)
    preds, targets = learn.get_preds()
    assert preds.shape == (4, 2)
    assert [dls.vocab[target] for target in targets] == ["right"] * 4
    assert len(dls.test_dl([{"point": [1.0, 2.0]}]).one_batch()[0]) == 1


def test_rows_go_through_a_data_block(points: hugging_face.Dataset) -> None:
    recipe = DataBlock((TransformBlock, CategoryBlock), get_x=point_of, get_y=side_of, splitter=RandomSplitter(seed=0))
    dls = recipe.dataloaders(points, bs=4, device="cpu")
    assert list(dls.vocab) == ["left", "right"]
    assert dls.one_batch()[0].shape == (4, 2)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_data_set_in_torchs_format_makes_batches_of_dicts(points: hugging_face.Dataset, workers: int) -> None:
    rows = points.remove_columns("side").with_format("torch")
    batch = next(iter(DataLoader(rows, bs=4, num_workers=workers)))
    assert batch["point"].shape == (4, 2)


def test_a_stream_comes_through_torchs_loader(points: hugging_face.Dataset) -> None:
    stream = points.to_iterable_dataset().with_format("torch")
    dls = DataLoaders(TorchLoader(stream, batch_size=4), device="cpu")
    assert sum(len(batch["point"]) for batch in dls.train) == 20


def test_a_streamed_data_set_is_gone_through_and_transformed(points: hugging_face.Dataset) -> None:
    stream = points.to_iterable_dataset(num_shards=2)
    pair = [lambda row: (point_of(row), side_of(row) == "right")]
    for workers in (0, 2):
        loader = DataLoader(stream, bs=4, after_item=pair, num_workers=workers)
        found = torch.cat([inputs for inputs, _ in loader])
        assert sorted(found[:, 0].tolist()) == list(range(20))
