"""Small pictures held in memory, for studies that train many small networks on the same batches in the same order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from laminar.core.errors import DataError
from laminar.data.external import untar_data
from laminar.data.glyphs import glyph_item

__all__ = ["InMemory", "Pictures", "load_pictures"]


@dataclass(frozen=True)
class Pictures:
    """Normalised pictures ``[n, 3, 32, 32]`` and classes ``[n]``, for training and for validation."""

    train_x: Tensor
    train_y: Tensor
    valid_x: Tensor
    valid_y: Tensor
    classes: int


def load_pictures(data: str | Path | None = None, n: int | None = None) -> Pictures:
    """Read pictures of 32 pixels.

    Args:
        data: a folder or an archive with ``train/class/picture`` and ``test/class/picture``; None for embedded glyphs.
        n: take so many of each class for training.

    Raises:
        DataError: there are no such folders.
    """
    if data is None:
        train, valid = _glyphs(range(n or 60)), _glyphs(range(1000, 1040))
    else:
        folder = untar_data(data, show_progress=False)
        train, valid = _folder(folder / "train", n), _folder(folder / "test", None)
    mean, std = train[0].mean((0, 2, 3), keepdim=True), train[0].std((0, 2, 3), keepdim=True)
    return Pictures((train[0] - mean) / std, train[1], (valid[0] - mean) / std, valid[1], int(train[1].max()) + 1)


def _glyphs(numbers: range, characters: str = "ACEHKLTY") -> tuple[Tensor, Tensor]:
    items = [(glyph_item(c, number, size=32).image, y) for number in numbers for y, c in enumerate(characters)]
    return _stacked(items)


def _folder(folder: Path, n: int | None) -> tuple[Tensor, Tensor]:
    classes = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not classes:
        raise DataError(f"{folder}: there are no folders of classes. The study reads train/class/picture and test/...")
    files = [(file, y) for y, path in enumerate(classes) for file in sorted(path.iterdir())[:n]]
    return _stacked([(Image.open(file).convert("RGB").resize((32, 32)), y) for file, y in files])


def _stacked(items: Sequence[tuple[Any, int]]) -> tuple[Tensor, Tensor]:
    pixels = torch.from_numpy(np.stack([np.asarray(picture) for picture, _ in items]))
    return pixels.permute(0, 3, 1, 2).float() / 255, torch.tensor([y for _, y in items])


class _Batches:
    """Batches in an order that depends on the seed and the epoch alone."""

    def __init__(self, x: Tensor, y: Tensor, bs: int, seed: int | None) -> None:
        self.x, self.y, self.bs, self.seed, self.epoch = x, y, bs, seed, 0

    def __len__(self) -> int:
        return len(self.x) // self.bs if self.seed is not None else -(-len(self.x) // self.bs)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.arange(len(self.x))
        if self.seed is not None:
            generator = torch.Generator().manual_seed(1_000_003 * self.seed + self.epoch)
            order, self.epoch = torch.randperm(len(self.x), generator=generator), self.epoch + 1
        for start in range(0, len(self) * self.bs, self.bs):
            rows = order[start : start + self.bs]
            yield self.x[rows], self.y[rows]


class InMemory(list[Any]):
    """The two loaders of a run: training pictures in an order that depends on the seed alone, validation pictures.

    Args:
        pictures: the data.
        bs: batch size for training.
        seed: of the order.
    """

    def __init__(self, pictures: Pictures, bs: int, seed: int) -> None:
        train = _Batches(pictures.train_x, pictures.train_y, bs, seed)
        super().__init__([train, _Batches(pictures.valid_x, pictures.valid_y, 250, None)])
        self.device, self.n_inp, self.path, self.vocab = torch.device("cpu"), 1, Path(), None
