"""Draw what each augmentation of batches does over its range, for the guide: one row each.

python scripts/draw_augmentations.py [--out FILE]
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image, ImageDraw

from laminar.core.seed import set_seed
from laminar.core.transform import Transform
from laminar.core.types import TensorImage, plain
from laminar.vision.augment import (
    Brightness,
    Contrast,
    Dihedral,
    Flip,
    Hue,
    RandomResizedCropGPU,
    Rotate,
    Saturation,
    Warp,
    Zoom,
    aug_transforms,
)
from laminar.vision.erasing import RandomErasing

SIDE = 128
COLUMNS = 8
OUT = Path(__file__).parent.parent / "docs" / "images" / "augmentations.png"

Drawn = list[float]
FIXED: dict[str, tuple[Callable[[Drawn], Transform], Drawn]] = {
    "Flip": (lambda values: Flip(p=1.0, draw=values), [0, 1] * 4),
    "Dihedral": (lambda values: Dihedral(p=1.0, draw=values), list(range(8))),
    "Rotate": (lambda values: Rotate(p=1.0, draw=values), [-40, -25, -10, -5, 5, 10, 25, 40]),
    "Zoom": (
        lambda values: Zoom(p=1.0, draw=values, draw_x=0.5, draw_y=0.5),
        [0.6, 0.8, 0.9, 1.0, 1.1, 1.3, 1.6, 2.0],
    ),
    "Warp, in x": (
        lambda values: Warp(p=1.0, draw_x=values, draw_y=0.0),
        [-0.5, -0.3, -0.2, -0.1, 0.1, 0.2, 0.3, 0.5],
    ),
    "Brightness": (lambda values: Brightness(p=1.0, draw=values), [0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9]),
    "Contrast": (lambda values: Contrast(p=1.0, draw=values), [0.2, 0.4, 0.6, 0.8, 1.25, 1.7, 2.5, 5.0]),
    "Saturation": (lambda values: Saturation(p=1.0, draw=values), [0.0, 0.3, 0.6, 0.8, 1.25, 1.7, 2.5, 4.0]),
    "Hue": (lambda values: Hue(p=1.0, draw=values), [-0.4, -0.2, -0.1, -0.05, 0.05, 0.1, 0.2, 0.4]),
}
RANDOM: dict[str, Callable[[], list[Transform]]] = {
    "RandomResizedCropGPU": lambda: [RandomResizedCropGPU(SIDE, min_scale=0.2)],
    "RandomErasing": lambda: [RandomErasing(1.0, sl=0.05, max_count=3)],
    "aug_transforms()": aug_transforms,
}


def scene() -> Any:
    """A picture with a sky, a house and a sun: what is up, left, bright and red can be told."""
    rows = np.linspace(0, 1, SIDE)[:, None, None]
    sky = (1 - rows) * np.array([70, 130, 220]) + rows * np.array([200, 225, 245])
    image = Image.fromarray(np.broadcast_to(sky, (SIDE, SIDE, 3)).astype(np.uint8).copy())
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 92, SIDE, SIDE), fill=(90, 150, 70))
    pen.ellipse((88, 10, 114, 36), fill=(250, 215, 70))
    pen.rectangle((26, 56, 82, 104), fill=(214, 186, 150))
    pen.polygon([(18, 58), (54, 26), (90, 58)], fill=(178, 62, 48))
    pen.rectangle((48, 76, 62, 104), fill=(96, 62, 40))
    pen.rectangle((32, 66, 44, 80), fill=(60, 80, 120))
    pen.line([(100, 104), (100, 66)], fill=(100, 70, 40), width=5)
    pen.ellipse((88, 46, 114, 80), fill=(50, 110, 50))
    return image


def drawn_rows(batch: TensorImage) -> list[tuple[str, torch.Tensor, list[str]]]:
    """For each augmentation its name, its pictures ``[n, 3, height, width]`` of 0 to 1, and what stands above each."""
    rows = []
    for name, (make, values) in FIXED.items():
        out = make(values)(batch, split_idx=0)
        rows.append((name, plain(out), [f"{value:g}" for value in values]))
    for name, make_all in RANDOM.items():
        out = batch
        for step in make_all():
            out = step(out, split_idx=0)
        rows.append((name, plain(out), [""] * COLUMNS))
    return rows


def main() -> None:
    """Read the arguments, draw, write."""
    parser = argparse.ArgumentParser(description="Draw what each augmentation does over its range.")
    parser.add_argument("--out", type=Path, default=OUT, help="file to write")
    out = parser.parse_args().out
    set_seed(2)
    pixels = torch.from_numpy(np.asarray(scene()).copy()).permute(2, 0, 1).float() / 255
    rows = drawn_rows(TensorImage(pixels.expand(COLUMNS, 3, SIDE, SIDE)))
    figure, axes = plt.subplots(len(rows), COLUMNS, figsize=(COLUMNS * 1.05 + 1.6, len(rows) * 1.2))
    for row, (name, pictures, titles) in zip(axes, rows, strict=True):
        for ax, picture, title in zip(row, pictures, titles, strict=True):
            ax.imshow(picture.permute(1, 2, 0).clamp(0, 1).numpy())
            ax.set_title(title, fontsize=8, pad=2)
            ax.set_axis_off()
        row[0].text(-12, SIDE / 2, name, ha="right", va="center", fontsize=9)
    figure.subplots_adjust(0.19, 0.005, 0.995, 0.98, wspace=0.06, hspace=0.2)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=80)
    with Image.open(out) as drawn:
        small = drawn.convert("RGB").quantize(256)  # a third of the size
    small.save(out, optimize=True)
    print(f"{out}: {out.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
