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


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    """``images/*.png``, ``labels/*_P.png`` with the class of each pixel, ``codes.txt``, ``valid.txt``."""
    path = tmp_path / "camvid"
    (path / "images").mkdir(parents=True)
    (path / "labels").mkdir()
    (path / "codes.txt").write_text("Road\nCar\nVoid\n")
    generator = np.random.default_rng(0)
    for number in range(12):
        mask = np.zeros((30, 40), np.uint8)
        left, top = generator.integers(2, 24), generator.integers(4, 16)
        mask[top : top + 12, left : left + 14] = 1
        mask[:3] = 2
        pixels = generator.integers(0, 60, (30, 40, 3), dtype=np.uint8)
        pixels[mask == 1, 0] += 150
        pixels[mask == 2, 2] += 120
        Image.fromarray(pixels).save(path / "images" / f"{number:04}.png")
        Image.fromarray(mask).save(path / "labels" / f"{number:04}_P.png")
    (path / "valid.txt").write_text("\n".join(f"{number:04}.png" for number in range(8, 12)))
    return path


@pytest.fixture
def biwi(tmp_path: Path) -> Path:
    """``person/frame_*_rgb.jpg`` with ``frame_*_pose.txt`` (where the head is, in millimetres) and ``rgb.cal``."""
    path = tmp_path / "biwi"
    generator = np.random.default_rng(0)
    for person in ("01", "09", "13"):
        (path / person).mkdir(parents=True)
        (path / person / "rgb.cal").write_text(
            "50 0 32 \n0 50 24 \n0 0 1 \n\n0 0 0 0 \n\n1 0 0 \n0 1 0 \n0 0 1 \n\n0 0 0 \n\n64 48\n"
        )
        for number in range(6):
            x, y, z = generator.uniform(-300, 300), generator.uniform(-200, 200), generator.uniform(800, 1000)
            pixels = generator.integers(0, 60, (48, 64, 3), dtype=np.uint8)
            column, row = int(50 * x / z + 32), int(50 * y / z + 24)
            pixels[row - 3 : row + 4, column - 3 : column + 4] = 220
            stem = path / person / f"frame_{number:05}"
            Image.fromarray(pixels).save(f"{stem}_rgb.jpg")
            Path(f"{stem}_pose.txt").write_text(f"1 0 0 \n0 1 0 \n0 0 1 \n\n{x:.3f} {y:.3f} {z:.3f} \n")
    return path


@pytest.fixture
def planet(tmp_path: Path) -> Path:
    """``labels.csv`` with columns image_name (without ending) and tags (separated by a space); ``train/*.jpg``."""
    path = tmp_path / "planet"
    (path / "train").mkdir(parents=True)
    rows = []
    for number in range(20):
        present = [bit for bit in range(3) if (number % 7 + 1) >> bit & 1]
        pixels = np.random.default_rng(number).integers(0, 60, (32, 32, 3), dtype=np.uint8)
        pixels[..., present] += 120
        Image.fromarray(pixels).save(path / "train" / f"train_{number}.jpg")
        rows.append((f"train_{number}", " ".join(("clear", "water", "road")[bit] for bit in present)))
    pd.DataFrame(rows, columns=["image_name", "tags"]).to_csv(path / "labels.csv", index=False)
    return path
