"""Pictures made by code."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def smooth_picture() -> Callable[..., Image.Image]:
    """Make a picture without sharp edges, so that two ways to scale it must nearly agree."""

    def make(width: int = 96, height: int = 64, seed: int = 0) -> Image.Image:
        coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
        return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)

    return make


@pytest.fixture
def picture(smooth_picture: Callable[..., Image.Image]) -> Image.Image:
    return smooth_picture()


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Make ``split/class/number.png`` below a folder; each class has a colour of its own."""

    def make(splits: dict[str, int], classes: tuple[str, ...] = ("cat", "dog"), size: int = 24) -> Path:
        for split, count in splits.items():
            for number, name in enumerate(classes):
                folder = tmp_path / "pictures" / split / name
                folder.mkdir(parents=True)
                for index in range(count):
                    pixels = np.full((size, size + 8, 3), 40, dtype=np.uint8)
                    pixels[..., number % 3] = 200 - index
                    Image.fromarray(pixels).save(folder / f"{name}_{index}.png")
        return tmp_path / "pictures"

    return make
