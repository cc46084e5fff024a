"""What it costs to make training batches of photos: images a second, one process, one thread.

Included: reading the file (from the page cache, after a warm-up), decoding, RandomResizedCrop(224) with everybody's
default range (8 to 100 % of the area), conversion to a tensor of bytes, labels where the library makes them, and
collating to one uint8 batch of 64 on the CPU. Not included: conversion to float, normalisation, batch augmentation, the
copy to a device. Every library goes through its own loader, shuffling, without workers.
"""

import argparse
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

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


def laminar_items(files: list[Path]) -> Contender:
    from laminar.data import Categorize, DataLoader, Datasets, ToTensor, parent_label
    from laminar.vision.crop import RandomResizedCrop
    from laminar.vision.images import PILImage

    datasets = Datasets(files, [[PILImage.create], [parent_label, Categorize()]])
    crop = [RandomResizedCrop(SIZE), ToTensor()]
    loader = DataLoader(datasets, BATCH, shuffle=True, after_item=crop, split_idx=0)
    return lambda: consume(loader, len(files))


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
    "torchvision, PIL and v2": torchvision_pil,
    "torchvision, decode and v2": torchvision_tensor,
    "decoding alone": decoding_alone,
}
REFERENCE = "fastai"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder or archive of photos (else LAMINAR_BENCH_DATA, else made on the spot)")
    parser.add_argument("--images", type=int, default=512, help="at most so many in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", help="words that choose among the contenders")
    args = parser.parse_args()

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    with photo_folder(args.data) as folder:
        files = sorted(file for file in folder.glob("**/*") if file.suffix.lower() in {".jpg", ".jpeg"})
        files = files[:: max(1, len(files) // args.images)][: args.images]
        chosen = [
            name for name in CONTENDERS if name == REFERENCE or not args.only or any(word in name for word in args.only)
        ]
        seconds = interleaved({name: CONTENDERS[name](files) for name in chosen}, args.rounds)

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
        f"Items: {len(files)} photos to {SIZE}-pixel uint8 batches of {BATCH}, median of {args.rounds} rounds",
        ["", "images a second", "rounds", f"times {REFERENCE}"],
        rows,
    )


if __name__ == "__main__":
    main()
