"""Files that earlier versions exported stay readable: one of each format is kept.

``python -c "import tests.learner.test_format_versions as t; t.write()"``, from the root of the repository, writes one
of the present format.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from laminar.data.block import DataBlock
from laminar.data.blocks import CategoryBlock
from laminar.data.labels import parent_label
from laminar.data.sources import get_files
from laminar.data.splitters import GrandparentSplitter
from laminar.learner import Learner, load_learner
from laminar.learner.export import FORMAT_VERSION
from laminar.vision.augment import Flip
from laminar.vision.blocks import ImageBlock
from laminar.vision.crop import Resize

FILES = Path(__file__).with_name("files")
EXPECTED = {"dark": [0.99925, 0.00075], "light": [0.0083, 0.9917]}


def build(width: int) -> nn.Module:
    """A network of a few hundred weights."""
    return nn.Sequential(
        nn.Conv2d(3, width, 3, 2),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, 2),
    )


def write() -> None:
    """Train on dark and light squares, and keep the export."""
    folder = FILES / "squares"
    generator = np.random.default_rng(0)
    for split in ("train", "valid"):
        for label, low in (("dark", 0), ("light", 128)):
            for number in range(8):
                file = folder / split / label / f"{number}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(generator.integers(low, low + 128, (12, 15, 3), dtype=np.uint8)).save(file)
    block = DataBlock(
        (ImageBlock, CategoryBlock), get_items=get_files, get_y=parent_label, splitter=GrandparentSplitter(),
        item_tfms=Resize(10), batch_tfms=Flip(),
    )  # fmt: skip
    torch.manual_seed(0)
    learn = Learner(block.dataloaders(folder, bs=4), build(6))
    learn.model_recipe = (build, {"width": 6})
    learn.fit(5, 3e-2)
    learn.export(FILES / f"format_{FORMAT_VERSION}.laminar")
    shutil.rmtree(folder)


@pytest.mark.parametrize("version", [2, FORMAT_VERSION])
def test_a_file_of_each_format_predicts_what_it_did(version: int) -> None:
    learn = load_learner(FILES / f"format_{version}.laminar", trust=[build])
    assert list(learn.dls.vocab) == ["dark", "light"]
    for label, low in (("dark", 10), ("light", 200)):
        picture = Image.new("RGB", (15, 12), (low, low, low))
        decoded, number, probabilities = learn.predict(picture)
        assert decoded == label == learn.dls.vocab[number]
        assert probabilities.tolist() == pytest.approx(EXPECTED[label], abs=1e-3)
