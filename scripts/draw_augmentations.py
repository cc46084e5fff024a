"""Draw what each augmentation does over its range, one strip each, for the guide: docs/images/augment/*.jpg.

python scripts/draw_augmentations.py [--out FOLDER] [--only WORD ...]
"""

import argparse
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import albumentations as A
import kornia.augmentation as K
import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torchvision.transforms import v2

from laminar.core.adapters import to_transform
from laminar.core.pipeline import Pipeline
from laminar.core.seed import set_seed
from laminar.core.transform import Transform
from laminar.core.types import TensorBBox, TensorImage, TensorMask, TensorPoint, plain
from laminar.data.transforms import IntToFloatTensor
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
from laminar.vision.crop import CropPad, RandomCrop, RandomResizedCrop, RatioResize, Resize
from laminar.vision.erasing import RandomErasing
from laminar.vision.images import PILImage
from laminar.vision.outside import BoxesOutside, PointsOutside
from laminar.vision.symmetries import turn_image
from laminar.vision.turning import FlipItem

SIDE, WIDE = 128, 192
COLUMNS = 8
OUT = Path(__file__).parent.parent / "docs" / "images" / "augment"

Cells = list[tuple[str, Any]]  # what stands above a picture, and the picture: an array or a whole sample
Numbers = Sequence[float]


def scene(width: int = SIDE) -> Image.Image:
    """A picture with a sky, a house, a tree and a sun: what is up, left, bright and red can be told."""
    rows = np.linspace(0, 1, SIDE)[:, None, None]
    sky = (1 - rows) * np.array([70, 130, 220]) + rows * np.array([200, 225, 245])
    image = Image.fromarray(np.broadcast_to(sky, (SIDE, width, 3)).astype(np.uint8).copy())
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 92, width, SIDE), fill=(90, 150, 70))
    pen.ellipse((width - 40, 10, width - 14, 36), fill=(250, 215, 70))
    pen.rectangle((26, 56, 82, 104), fill=(214, 186, 150))
    pen.polygon([(18, 58), (54, 26), (90, 58)], fill=(178, 62, 48))
    pen.rectangle((48, 76, 62, 104), fill=(96, 62, 40))
    pen.rectangle((32, 66, 44, 80), fill=(60, 80, 120))
    pen.line([(width - 28, 104), (width - 28, 66)], fill=(100, 70, 40), width=5)
    pen.ellipse((width - 40, 46, width - 14, 80), fill=(50, 110, 50))
    return image


def bytes_of(image: Image.Image) -> Tensor:
    """Uint8 ``[3, height, width]``."""
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)


def batch(n: int = COLUMNS) -> TensorImage:
    """The scene `n` times, as bytes."""
    return TensorImage(bytes_of(scene()).expand(n, 3, SIDE, SIDE))


def arrays(pictures: Tensor) -> list[Any]:
    """Pictures ``[n, 3, height, width]``, bytes or 0 to 1, as matplotlib wants them."""
    pixels = plain(pictures)
    pixels = pixels.float() / 255 if pixels.dtype is torch.uint8 else pixels
    return [picture.permute(1, 2, 0).clamp(0, 1).numpy() for picture in pixels]


def fixed(step: Callable[[list[float]], Transform], values: Numbers) -> Cells:
    """A step of batches at each of `values`."""
    out = step(list(values))(batch(len(values)), split_idx=0)
    return list(zip([f"{value:g}" for value in values], arrays(out), strict=True))


def drawn(steps: Sequence[Any], titles: Sequence[str] = ("",) * COLUMNS) -> Cells:
    """Steps of batches, each picture by its own draw."""
    return list(zip(titles, arrays(Pipeline(steps, split_idx=0)(batch(len(titles)))), strict=True))


def one_by_one(steps: dict[str, Any]) -> Cells:
    """Each step, ours or another library's, on a sample of its own."""
    cells = []
    for name, step in steps.items():
        transform = to_transform(step)
        in_batches = transform.order > 9
        x = IntToFloatTensor()(batch(1)) if in_batches else batch(1)[0]
        made = transform((x,), split_idx=0)[0]
        cells.append((name, arrays(made if made.ndim == 4 else made[None])[0]))
    return cells


def items(steps: dict[str, Transform], split_idx: int = 0) -> Cells:
    """Each step on the wide scene."""
    return [(name, np.asarray(step(PILImage.create(scene(WIDE)), split_idx=split_idx))) for name, step in steps.items()]


def annotated(n: int) -> tuple[Any, ...]:
    """Scenes with a mask of the house, points on roof and sun, and boxes around tree and house."""
    mask = Image.new("L", (SIDE, SIDE))
    pen = ImageDraw.Draw(mask)
    pen.rectangle((26, 56, 82, 104), fill=1)
    pen.polygon([(18, 58), (54, 26), (90, 58)], fill=1)
    points = torch.tensor([[54.0, 26], [101, 23], [32, 104], [82, 104]])
    boxes = torch.tensor([[18.0, 26, 90, 104], [88, 46, 114, 104]])
    ids = torch.from_numpy(np.asarray(mask).copy())
    return (
        TensorImage(IntToFloatTensor()(batch(n))),
        TensorMask(ids.expand(n, SIDE, SIDE)),
        TensorPoint(points.expand(n, 4, 2), canvas_size=(SIDE, SIDE)),
        TensorBBox(boxes.expand(n, 2, 4), canvas_size=(SIDE, SIDE)),
    )


def together(steps: dict[str, Sequence[Transform]]) -> Cells:
    """All parts of a sample under each list of steps."""
    cells = []
    for name, step in steps.items():
        sample = Pipeline(step, split_idx=0)(annotated(1))
        cells.append((name, tuple(type(part).wrap(plain(part)[0], part) for part in sample)))
    return cells


def outside(mode: str) -> list[Transform]:
    """A picture pushed to the side, and what becomes of what leaves it."""
    pushed = Zoom(p=1.0, draw=1.7, draw_x=0.95, draw_y=0.6)
    return [pushed, PointsOutside(mode), BoxesOutside(mode)]


def strips() -> dict[str, Callable[[], Cells]]:
    """Every strip by the name of its file."""
    degrees, half = [-40, -25, -10, -5, 5, 10, 25, 40], [-0.5, -0.3, -0.2, -0.1, 0.1, 0.2, 0.3, 0.5]
    shares = [0.2, 0.4, 0.6, 0.8, 1.25, 1.7, 2.5, 5.0]
    levels = (0, 4, 8, 12, 16, 20, 25, 30)
    modes = ("zeros", "border", "reflection")
    eight = [f"draw {number}" for number in range(1, 9)]
    return {
        "flip": lambda: fixed(lambda values: Flip(p=1.0, draw=values), [0, 1]),
        "dihedral": lambda: fixed(lambda values: Dihedral(p=1.0, draw=values), range(8)),
        "rotate": lambda: fixed(lambda values: Rotate(p=1.0, draw=values), degrees),
        "zoom": lambda: fixed(
            lambda values: Zoom(p=1.0, draw=values, draw_x=0.5, draw_y=0.5), [0.6, 0.8, 0.9, 1.0, 1.1, 1.3, 1.6, 2.0]
        ),
        "zoom_across": lambda: fixed(
            lambda values: Zoom(p=1.0, draw=1.6, draw_x=values, draw_y=0.5), [0, 0.15, 0.3, 0.45, 0.55, 0.7, 0.85, 1]
        ),
        "warp_x": lambda: fixed(lambda values: Warp(p=1.0, draw_x=values, draw_y=0.0), half),
        "warp_y": lambda: fixed(lambda values: Warp(p=1.0, draw_x=0.0, draw_y=values), half),
        "crop_gpu": lambda: [
            (f"{area:g} of the area", drawn([RandomResizedCropGPU(SIDE, area, max_scale=area)], [""])[0][1])
            for area in (0.08, 0.15, 0.25, 0.35, 0.5, 0.65, 0.8, 1.0)
        ],
        "padding": lambda: [
            (f"{mode}, {name}", drawn([step(mode)], [""])[0][1])
            for name, step in {
                "rotate": lambda mode: Rotate(p=1.0, draw=25, pad_mode=mode),
                "zoom": lambda mode: Zoom(p=1.0, draw=0.6, draw_x=0.5, draw_y=0.5, pad_mode=mode),
            }.items()
            for mode in modes
        ],
        "brightness": lambda: fixed(
            lambda values: Brightness(p=1.0, draw=values), [0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9]
        ),
        "contrast": lambda: fixed(lambda values: Contrast(p=1.0, draw=values), shares),
        "saturation": lambda: fixed(lambda values: Saturation(p=1.0, draw=values), [0.0, 0.3, *shares[2:7], 4.0]),
        "hue": lambda: fixed(lambda values: Hue(p=1.0, draw=values), [-0.5, -0.3, -0.2, -0.1, 0.1, 0.2, 0.3, 0.5]),
        "erasing": lambda: [
            (f"{share:g} of the area", drawn([IntToFloatTensor(), RandomErasing(1.0, share, share)], [""])[0][1])
            for share in (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6)
        ],
        "erasing_count": lambda: drawn([IntToFloatTensor(), RandomErasing(1.0, 0.2, 0.3, max_count=5)], eight),
        "recipe": lambda: drawn(aug_transforms(), eight),
        "recipe_mult": lambda: drawn(aug_transforms(mult=2.0), eight),
        "recipe_vert": lambda: drawn(aug_transforms(flip_vert=True, max_rotate=45.0, min_scale=0.5), eight),
        "together": lambda: together(
            {
                "as it is": [], "Flip": [Flip(1.0)], "Dihedral": [Dihedral(1.0, draw=3)],
                "Rotate": [Rotate(p=1.0, draw=20)], "Zoom": [Zoom(p=1.0, draw=1.3, draw_x=0.2, draw_y=0.4)],
                "Warp": [Warp(p=1.0, draw_x=0.3, draw_y=0.1)],
                "a random crop": [RandomResizedCropGPU(SIDE, 0.5, max_scale=0.6)],
                "aug_transforms": aug_transforms(mult=2.0),
            }
        ),
        "outside": lambda: together({"as it is": [], **{mode: outside(mode) for mode in ("keep", "clip", "drop")}}),
        "flip_item": lambda: items({"as it is": FlipItem(0.0), "FlipItem": FlipItem(1.0)}),
        "dihedral_item": lambda: [(str(k), np.asarray(turn_image(scene(WIDE), k))) for k in range(8)],
        "resize": lambda: (
            items({f"crop {number}": Resize(SIDE) for number in (1, 2)})
            + items({"squish": Resize(SIDE, "squish")})
            + items({f"pad, {mode}": Resize(SIDE, "pad", mode) for mode in modes})
            + items({"crop, validation": Resize(SIDE)}, split_idx=1)
        ),
        "random_resized_crop": lambda: (
            items({f"{area:g} of the area": RandomResizedCrop(SIDE, area, max_scale=area) for area in
                   (0.08, 0.15, 0.25, 0.4, 0.55, 0.7, 0.9)})
            + items({"validation": RandomResizedCrop(SIDE)}, split_idx=1)
        ),
        "random_crop": lambda: (
            items({f"draw {number}": RandomCrop(80) for number in range(1, 8)})
            + items({"validation": RandomCrop(80)}, split_idx=1)
        ),
        "crop_pad": lambda: (
            items({f"{size} pixels": CropPad(size) for size in (64, 96, SIDE)})
            + items({f"{WIDE + 48}, {mode}": CropPad(WIDE + 48, mode) for mode in modes})
        ),
        "ratio_resize": lambda: items({f"{size} pixels": RatioResize(size) for size in (12, 24, 48, 96, WIDE)}),
        "rand_augment": lambda: one_by_one({f"magnitude {m}": v2.RandAugment(2, m) for m in levels}),
        "trivial_augment": lambda: one_by_one({name: v2.TrivialAugmentWide() for name in eight}),
        "auto_augment": lambda: one_by_one({name: v2.AutoAugment() for name in eight}),
        "aug_mix": lambda: one_by_one({f"severity {s}": v2.AugMix(severity=s) for s in (1, 2, 3, 4, 5, 6, 8, 10)}),
        "albumentations": lambda: one_by_one(
            {
                "GaussianBlur": A.GaussianBlur((5, 7), p=1.0), "MotionBlur": A.MotionBlur((9, 9), p=1.0),
                "GaussNoise": A.GaussNoise((0.15, 0.15), p=1.0),
                "ImageCompression": A.ImageCompression("jpeg", (5, 5), p=1.0),
                "ElasticTransform": A.ElasticTransform(120, 8, p=1.0),
                "GridDistortion": A.GridDistortion(5, 0.5, p=1.0),
                "CoarseDropout": A.CoarseDropout((6, 6), p=1.0), "Posterize": A.Posterize((2, 2), p=1.0),
            }
        ),
        "kornia": lambda: one_by_one(
            {
                "GaussianBlur": K.RandomGaussianBlur((9, 9), (2.0, 2.0), p=1.0),
                "MotionBlur": K.RandomMotionBlur(9, 35.0, 0.5, p=1.0),
                "GaussianNoise": K.RandomGaussianNoise(0.0, 0.15, p=1.0), "Solarize": K.RandomSolarize(0.1, 0.1, p=1.0),
                "ThinPlateSpline": K.RandomThinPlateSpline(0.2, p=1.0), "JPEG": K.RandomJPEG((5.0, 5.0), p=1.0),
                "Equalize": K.RandomEqualize(p=1.0), "ChannelShuffle": K.RandomChannelShuffle(p=1.0),
            }
        ),
    }  # fmt: skip


def show(ax: Any, title: str, what: Any) -> None:
    """Draw a picture, or a sample with all its parts."""
    ax.set_title(title, fontsize=7, pad=2)
    ax.set_axis_off()
    if not isinstance(what, tuple):
        ax.imshow(what)
        return
    picture, mask, points, boxes = what
    ax.imshow(arrays(picture[None])[0])
    shown = plain(mask).float().numpy()
    ax.imshow(shown, alpha=shown * 0.55, cmap="cool", vmin=0, vmax=1)
    for x1, y1, x2, y2 in plain(boxes).tolist():
        if x2 > x1:
            ax.add_patch(plt.Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor="white", clip_on=False))
    ax.scatter(*plain(points).T.numpy(), s=14, c="red", edgecolors="white", linewidths=0.5, clip_on=False, zorder=3)
    ax.set_xlim(-0.5, picture.shape[-1] - 0.5)
    ax.set_ylim(picture.shape[-2] - 0.5, -0.5)


def write(cells: Cells, file: Path) -> None:
    """Draw the cells side by side, and write a small JPEG."""
    shapes = [cell[1][0].shape[-2:] if isinstance(cell[1], tuple) else cell[1].shape[:2] for cell in cells]
    widths = [max(width / height, 0.75) for height, width in shapes]
    room = 0.45 if file.stem == "outside" else 0.06
    figure, axes = plt.subplots(
        1, len(cells), figsize=(sum(widths) * 1.1 + room * len(cells), 1.32), width_ratios=widths, squeeze=False
    )
    for ax, (title, what) in zip(axes[0], cells, strict=True):
        show(ax, title, what)
    figure.subplots_adjust(0.005 + room / 12, 0.01 + room / 12, 0.995 - room / 12, 0.86, wspace=room)
    figure.savefig(file, dpi=96, pil_kwargs={"quality": 84, "optimize": True})
    plt.close(figure)


def main() -> None:
    """Read the arguments, draw, write."""
    parser = argparse.ArgumentParser(description="Draw what each augmentation does over its range.")
    parser.add_argument("--out", type=Path, default=OUT, help="folder to write to")
    parser.add_argument("--only", nargs="+", help="words that choose among the strips")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name, make in strips().items():
        if not args.only or any(word in name for word in args.only):
            set_seed(5)
            random.seed(5)
            file = args.out / f"{name}.jpg"
            write(make(), file)
            print(f"{file.name}: {file.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
