"""Small data in the shapes of the well-known data sets, made by code."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

BREEDS = {"Abyssinian": 0, "Bengal": 1, "great_pyrenees": 2, "pug": 0}


def coloured(channel: int, seed: int, size: tuple[int, int] = (40, 48)) -> Image.Image:
    """Grain in which one channel is brighter."""
    pixels = np.random.default_rng(seed).integers(0, 90, (*size, 3), dtype=np.uint8)
    pixels[..., channel] += 120
    return Image.fromarray(pixels)


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """``images/Breed_number.jpg``; names of cats begin with a capital, of dogs with a small letter."""
    folder = tmp_path / "pets" / "images"
    folder.mkdir(parents=True)
    for breed, channel in BREEDS.items():
        for number in range(8):
            coloured(channel, number, (40 + number, 48)).save(folder / f"{breed}_{number}.jpg")
    return tmp_path / "pets"


@pytest.fixture
def imagenette(tmp_path: Path) -> Path:
    """``train/class/*.png`` and ``val/class/*.png``."""
    path = tmp_path / "imagenette"
    for split, count in (("train", 8), ("val", 4)):
        for channel, name in enumerate(("n01440764", "n02102040", "n02979186")):
            (path / split / name).mkdir(parents=True)
            for number in range(count):
                coloured(channel, number).save(path / split / name / f"{number}.png")
    return path


@pytest.fixture
def pascal(tmp_path: Path) -> Path:
    """``train.csv`` with columns fname, labels (separated by a space) and is_valid; ``train/*.jpg``."""
    path = tmp_path / "pascal"
    (path / "train").mkdir(parents=True)
    rows = []
    for number in range(16):
        coloured(number % 3, number).save(path / "train" / f"{number:06}.jpg")
        labels = " ".join(name for bit, name in enumerate(("car", "person", "chair")) if (number % 7 + 1) >> bit & 1)
        rows.append((f"{number:06}.jpg", labels, number >= 12))
    pd.DataFrame(rows, columns=["fname", "labels", "is_valid"]).to_csv(path / "train.csv", index=False)
    return path
