"""What it costs to make training batches of photos: images a second, one process, one thread.

Included: reading the file (from the page cache, after a warm-up), decoding, RandomResizedCrop(224) with everybody's
default range (8 to 100 % of the area), conversion to a tensor of bytes, labels where the library makes them, and
collating to one uint8 batch of 64 on the CPU. Not included: conversion to float, normalisation, batch augmentation, the
copy to a device. Every library goes through its own loader, shuffling, without workers.

Measured twice: with the photos as they are, and with some of them enlarged to 12 megapixels, as cameras make them.
Before that, how far laminar's way to a crop (reduced-scale decoding, scaling in bytes) is from the exact one: peak
signal to noise ratio against decoding in full and Pillow's own cropping and antialiased scaling.
"""

import argparse
import math
import random
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from photos import photo_folder
from PIL import Image
from rounds import interleaved, median_ratio, print_table
from torch import Tensor
from torchvision.io import ImageReadMode, decode_image, read_file
from torchvision.transforms import v2

SIZE, BATCH = 224, 64
Contender = Callable[[], object]


def consume(batches: Iterable[tuple[Tensor, ...]], n: int) -> None:
    """Go through the batches and make sure that they are what was to be made."""
    seen = 0
    for images, *_ in batches:
        assert images.dtype == torch.uint8, images.dtype
        assert images.shape[1:] == (3, SIZE, SIZE), images.shape
        seen += len(images)
    assert seen == n, f"{seen} images instead of {n}"


# ---- laminar ---------------------------------------------------------------------------------------------------------


def laminar_items(files: list[Path], by_torchcodec: bool = False) -> Contender:
    """By Pillow alone, as it is installed by default, or with the extra `fast`."""
    from laminar.data import Categorize, DataLoader, Datasets, ToTensor, parent_label
    from laminar.vision import jpeg
    from laminar.vision.crop import RandomResizedCrop
    from laminar.vision.images import PILImage

    torchcodec = jpeg.decoder() if by_torchcodec else None

    datasets = Datasets(files, [[PILImage.create], [parent_label, Categorize()]])
    crop = [RandomResizedCrop(SIZE), ToTensor()]
    loader = DataLoader(datasets, BATCH, shuffle=True, after_item=crop, split_idx=0)

    def run() -> None:
        jpeg.decoder = lambda: torchcodec
        consume(loader, len(files))

    return run


def laminar_sharpness(files: list[Path], n: int = 100) -> list[float]:
    """Decibels between laminar's crops (as drawn in training) and the exact ones."""
    from laminar.vision.crop import RandomResizedCrop
    from laminar.vision.images import PILImage

    random.seed(0)
    transform, decibels = RandomResizedCrop(SIZE), []
    for file in files[:n]:
        with Image.open(file) as image:
            exact_source = image.convert("RGB")
        transform.draw(training=True)
        cut = transform.cut(exact_source.size)
        exact = exact_source.resize(cut.size, Image.Resampling.BILINEAR, box=cut.box)
        ours = PILImage.create(file).resized(cut.size, cut.box)
        error = np.mean((np.asarray(exact, dtype=float) - np.asarray(ours, dtype=float)) ** 2)
        decibels.append(20 * math.log10(255) - 10 * math.log10(max(error, 1e-9)))
    return decibels


# ---- fastai ----------------------------------------------------------------------------------------------------------


def fastai_items(files: list[Path]) -> Contender:
    from fastai.data.core import Datasets
    from fastai.data.transforms import Categorize, ToTensor, parent_label
    from fastai.vision.augment import RandomResizedCrop
    from fastai.vision.core import PILImage

    datasets = Datasets(files, [[PILImage.create], [parent_label, Categorize()]], splits=[list(range(len(files))), []])
    loaders = datasets.dataloaders(
        bs=BATCH,
        after_item=[RandomResizedCrop(SIZE), ToTensor()],
        drop_last=False,
        num_workers=0,
        device=torch.device("cpu"),
    )
    return lambda: consume(loaders.train, len(files))


# ---- torchvision -----------------------------------------------------------------------------------------------------


class Photos(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """Photos through a function that reads one; the label costs nothing."""

    def __init__(self, files: list[Path], read: Callable[[Path], Tensor]) -> None:
        self.files, self.read = files, read

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.read(self.files[index]), 0


def torchvision_pil(files: list[Path]) -> Contender:
    """The picture is opened and cropped by PIL, and becomes a tensor at the end."""
    transform = v2.Compose([v2.RandomResizedCrop(SIZE), v2.PILToTensor()])

    def read(file: Path) -> Tensor:
        with Image.open(file) as image:
            return transform(image.convert("RGB"))

    loader = torch.utils.data.DataLoader(Photos(files, read), BATCH, shuffle=True)
    return lambda: consume(loader, len(files))


def torchvision_tensor(files: list[Path]) -> Contender:
    """The picture is a tensor from the decoder on."""
    transform = v2.RandomResizedCrop(SIZE, antialias=True)

    def read(file: Path) -> Tensor:
        return transform(decode_image(read_file(str(file)), ImageReadMode.RGB))

    loader = torch.utils.data.DataLoader(Photos(files, read), BATCH, shuffle=True)
    return lambda: consume(loader, len(files))


def decoding_alone(files: list[Path]) -> Contender:
    """For orientation: torchvision's decoder at full size, and nothing else."""

    def run() -> None:
        for file in files:
            decode_image(read_file(str(file)), ImageReadMode.RGB)

    return run


CONTENDERS: dict[str, Callable[[list[Path]], Contender]] = {
    "fastai": fastai_items,
    "laminar": laminar_items,
    "laminar with its extra `fast`": lambda files: laminar_items(files, by_torchcodec=True),
    "torchvision, PIL and v2": torchvision_pil,
    "torchvision, decode and v2": torchvision_tensor,
    "decoding alone": decoding_alone,
}
REFERENCE = "fastai"


def enlarged(files: list[Path], folder: Path, megapixels: int = 12) -> list[Path]:
    """Write the photos again with so many pixels."""
    written = []
    for number, file in enumerate(files):
        with Image.open(file) as image:
            scale = math.sqrt(megapixels * 1e6 / (image.width * image.height))
            large = image.convert("RGB").resize((round(image.width * scale), round(image.height * scale)))
        target = folder / file.parent.name / f"{number:03}.jpg"
        target.parent.mkdir(exist_ok=True)
        large.save(target, quality=90)
        written.append(target)
    return written


def measure(title: str, files: list[Path], names: list[str], rounds: int) -> None:
    """Print images a second of each contender."""
    decibels = laminar_sharpness(files)
    print(f"\nlaminar's crops against exact ones: least {min(decibels):.1f} dB, median {median(decibels):.1f} dB")
    seconds = interleaved({name: CONTENDERS[name](files) for name in names}, rounds)
    rates = {name: sorted(len(files) / taken for taken in times) for name, times in seconds.items()}
    rows = [
        [
            name,
            f"{median(rate):.0f}",
            f"{rate[0]:.0f} to {rate[-1]:.0f}",
            f"{1 / median_ratio(seconds, name, REFERENCE):.2f}",
        ]
        for name, rate in rates.items()
    ]
    print_table(
        f"{title}: {len(files)} to {SIZE}-pixel uint8 batches of {BATCH}, median of {rounds} rounds",
        ["", "images a second", "rounds", f"times {REFERENCE}"],
        rows,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder or archive of photos (else LAMINAR_BENCH_DATA, else made on the spot)")
    parser.add_argument("--images", type=int, default=512, help="at most so many in a round")
    parser.add_argument("--large", type=int, default=32, help="so many enlarged ones in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", help="words that choose among the contenders")
    args = parser.parse_args()

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    with photo_folder(args.data) as folder, TemporaryDirectory(prefix="laminar-bench-") as large_folder:
        files = sorted(file for file in folder.glob("**/*") if file.suffix.lower() in {".jpg", ".jpeg"})
        files = files[:: max(1, len(files) // args.images)][: args.images]
        chosen = [
            name for name in CONTENDERS if name == REFERENCE or not args.only or any(word in name for word in args.only)
        ]
        measure("Photos", files, chosen, args.rounds)
        if args.large:
            large = enlarged(files[:: max(1, len(files) // args.large)][: args.large], Path(large_folder))
            measure("Photos of 12 megapixels", large, chosen, min(args.rounds, 3))


if __name__ == "__main__":
    main()
