"""Where the benchmarks take their photos from: a folder, an archive, or pictures made on the spot."""

import math
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

DATA_VARIABLE = "LAMINAR_BENCH_DATA"


@contextmanager
def photo_folder(data: str | None, n_made: int = 256) -> Iterator[Path]:
    """Give a folder of pictures for as long as the context lasts.

    Args:
        data: a folder, a tar archive (unpacked into a temporary folder), or nothing: then the environment variable
            ``LAMINAR_BENCH_DATA`` is asked, and without it `n_made` pictures are made.
        n_made: how many pictures to make.
    """
    source = data or os.environ.get(DATA_VARIABLE)
    if source and Path(source).is_dir():
        yield Path(source)
        return
    with TemporaryDirectory(prefix="laminar-bench-") as folder:
        if source:
            with tarfile.open(source) as archive:
                archive.extractall(folder, filter="data")
        else:
            make_photos(Path(folder), n_made)
        yield only_folder(Path(folder))


def only_folder(path: Path) -> Path:
    """Return the one folder that an archive holds, or `path` itself when it holds several."""
    inside = [child for child in path.iterdir() if not child.name.startswith(".")]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else path


def make_photos(folder: Path, n: int, size: tuple[int, int] = (400, 533)) -> None:
    """Write `n` JPEGs about as large and as hard to decode as photos: broad shapes, finer ones, grain.

    Args:
        folder: gets the sub-folders ``train/{a,b}``.
        n: how many.
        size: width and height in pixels.
    """
    generator = np.random.default_rng(0)
    for number in range(n):
        layers = [
            weight * np.asarray(noise(generator, size, cells), dtype=np.float32)
            for cells, weight in ((4, 0.6), (24, 0.3), (max(size), 0.1))
        ]
        target = folder / "train" / "ab"[number % 2] / f"{number:04}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(sum(layers).clip(0, 255).astype(np.uint8)).save(target, quality=85)


def noise(generator: np.random.Generator, size: tuple[int, int], cells: int) -> Image.Image:
    """Random colours on a grid of `cells` along the longer side, drawn smoothly at `size`."""
    scale = cells / max(size)
    grid = generator.integers(0, 256, (math.ceil(size[1] * scale), math.ceil(size[0] * scale), 3), dtype=np.uint8)
    return Image.fromarray(grid).resize(size, Image.Resampling.BICUBIC)
