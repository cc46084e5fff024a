"""What predicting costs around a network: milliseconds for `learn.predict(file)`, and `get_preds` beside a bare loop.

`predict`: a JPEG photo of 400 x 533 pixels to 224 pixels and a network of one linear layer, so that what is around it
is seen. Each is compared with the same decoding, conversion, normalisation and network written out by hand: laminar's
with laminar's way to a picture, fastai's with Pillow's.

`get_preds`: pictures in memory through a small convolutional network, batches of 64, compared with a loop over torch's
loader that collects the outputs.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from rounds import interleaved, median_difference, median_ratio, print_table
from torch import Tensor, nn

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZE, CLASSES = 224, 10
CALLS = 20
"""Predictions in a round."""
Contender = Callable[[], object]


class Tiny(nn.Module):
    """A network that costs next to nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, CLASSES)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.linear(pictures.mean((2, 3)))


def normalised(pictures: Tensor) -> Tensor:
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    return pictures.float().div_(255).sub_(mean).div_(std)


def write_photos(folder: Path) -> list[Path]:
    """Smooth pictures, a folder for each class."""
    noise = np.random.default_rng(0)
    files = []
    for number in range(8 * CLASSES):
        coarse = Image.fromarray(noise.integers(0, 256, (12, 9, 3), dtype=np.uint8))
        file = folder / f"class{number % CLASSES}" / f"{number}.jpg"
        file.parent.mkdir(exist_ok=True)
        coarse.resize((400, 533), Image.Resampling.BICUBIC).save(file, quality=90)
        files.append(file)
    return files


# ---- one file --------------------------------------------------------------------------------------------------------


def learner_of(framework: object, folder: Path) -> object:
    """A learner of `laminar.vision.all` or of `fastai.vision.all`: the two are written alike."""
    dls = framework.ImageDataLoaders.from_folder(
        folder, valid_pct=0.5, seed=0, item_tfms=framework.Resize(SIZE), bs=4, num_workers=0, device="cpu",
        batch_tfms=framework.Normalize.from_stats(MEAN, STD),
    )  # fmt: skip
    return framework.Learner(dls, Tiny(), loss_func=framework.CrossEntropyLossFlat())


def laminar_predict(files: list[Path]) -> Contender:
    from laminar.vision import all as laminar

    learn = learner_of(laminar, files[0].parent.parent)
    return lambda: learn.predict(files[0])


def laminar_by_hand(files: list[Path]) -> Contender:
    from laminar.vision.crop import Resize
    from laminar.vision.images import PILImage, image2tensor

    resize, model = Resize(SIZE), Tiny().eval()

    def run() -> Tensor:
        pictures = image2tensor(resize(PILImage.create(files[0]), split_idx=1))[None]
        with torch.no_grad():
            return model(normalised(pictures)).softmax(-1)

    return run


def fastai_predict(files: list[Path]) -> Contender:
    from fastai.vision import all as fastai

    learn = learner_of(fastai, files[0].parent.parent)

    def run() -> object:
        with learn.no_bar():
            return learn.predict(files[0])

    return run


def fastai_by_hand(files: list[Path]) -> Contender:
    from fastai.vision.augment import Resize
    from fastai.vision.core import PILImage, image2tensor

    resize, model = Resize(SIZE), Tiny().eval()

    def run() -> Tensor:
        pictures = image2tensor(resize(PILImage.create(files[0]), split_idx=1))[None]
        with torch.no_grad():
            return model(normalised(pictures)).softmax(-1)

    return run


PREDICTING = {
    "laminar": (laminar_predict, laminar_by_hand),
    "fastai": (fastai_predict, fastai_by_hand),
}


# ---- a whole set -----------------------------------------------------------------------------------------------------


def small_network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, CLASSES),
    )  # fmt: skip


def torch_loader(pictures: Tensor, classes: Tensor) -> torch.utils.data.DataLoader[tuple[Tensor, ...]]:
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(pictures, classes), 64)


def bare_loop(pictures: Tensor, classes: Tensor) -> Contender:
    model, loader = small_network().eval(), torch_loader(pictures, classes)

    def run() -> tuple[Tensor, Tensor]:
        outputs, targets = [], []
        with torch.no_grad():
            for inputs, target in loader:
                outputs.append(model(inputs))
                targets.append(target)
        return torch.cat(outputs).softmax(-1), torch.cat(targets)

    return run


def laminar_get_preds(pictures: Tensor, classes: Tensor) -> Contender:
    from laminar.vision import all as laminar

    loader = torch_loader(pictures, classes)
    learn = laminar.Learner(laminar.DataLoaders(loader, loader), small_network(), laminar.CrossEntropyLossFlat())
    learn.remove_cb(laminar.ProgressCallback)
    return lambda: learn.get_preds()


def fastai_get_preds(pictures: Tensor, classes: Tensor) -> Contender:
    from fastai.vision import all as fastai

    numbers = list(range(len(pictures)))
    datasets = fastai.Datasets(numbers, [[pictures.__getitem__], [classes.__getitem__]], splits=[numbers, numbers])
    dls = datasets.dataloaders(bs=64, num_workers=0, device=torch.device("cpu"))
    learn = fastai.Learner(dls, small_network(), fastai.CrossEntropyLossFlat())
    learn.remove_cb(fastai.ProgressCallback)
    return lambda: learn.get_preds()


WHOLE_SETS = {"a bare loop": bare_loop, "laminar": laminar_get_preds, "fastai": fastai_get_preds}


# ---- measuring -------------------------------------------------------------------------------------------------------


def many(contender: Contender) -> Contender:
    """Call it so often that a round is long enough."""

    def run() -> None:
        for _ in range(CALLS):
            contender()

    return run


def measure_predict(files: list[Path], names: list[str], rounds: int) -> None:
    """Print milliseconds of `predict`, and over what is done by hand."""
    contenders = {}
    for name in names:
        whole, by_hand = PREDICTING[name]
        contenders |= {name: many(whole(files)), f"{name}, by hand": many(by_hand(files))}
    seconds = interleaved(contenders, rounds)
    rows = [
        [
            name,
            f"{median(seconds[name]) * 1000 / CALLS:.2f}",
            f"{median(seconds[f'{name}, by hand']) * 1000 / CALLS:.2f}",
            f"{median_difference(seconds, name, f'{name}, by hand') * 1000 / CALLS:.2f}",
        ]
        for name in names
    ]
    print_table(f"predict(file), median of {rounds} rounds of {CALLS}", ["", "ms", "by hand", "difference"], rows)


def measure_get_preds(n: int, size: int, names: list[str], rounds: int) -> None:
    """Print milliseconds of `get_preds`, and as a multiple of the bare loop's."""
    pictures, classes = torch.rand(n, 3, size, size), torch.randint(CLASSES, (n,))
    seconds = interleaved({name: WHOLE_SETS[name](pictures, classes) for name in names}, rounds)
    print_table(
        f"get_preds of {n} pictures of {size} pixels in memory, median of {rounds} rounds",
        ["", "ms", "times the bare loop"],
        [
            [name, f"{median(taken) * 1000:.0f}", f"{median_ratio(seconds, name, names[0]):.2f}"]
            for name, taken in seconds.items()
        ],
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="of each; one of predict has 20 calls")
    parser.add_argument("--images", type=int, default=2048, help="for get_preds")
    parser.add_argument("--size", type=int, default=64, help="their pixels")
    parser.add_argument("--only", choices=PREDICTING, help="leave the other out")
    args = parser.parse_args()
    torch.set_num_threads(1)
    names = [args.only] if args.only else list(PREDICTING)
    with TemporaryDirectory(prefix="laminar-bench-") as folder:
        measure_predict(write_photos(Path(folder)), names, args.rounds)
    measure_get_preds(args.images, args.size, ["a bare loop", *names], args.rounds)


if __name__ == "__main__":
    main()
