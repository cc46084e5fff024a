"""From a folder of pictures to a fine-tuned model: the first program to run, and to read.

``python -m laminar.demo`` fine-tunes the small network that comes with laminar on pictures of classes it never saw,
trains the same network from scratch, and writes down what it measured. No net is needed.
``python -m laminar.demo --help`` tells how to run it on a folder of pictures of your own.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from laminar.callbacks.lr_finder import steep, valley
from laminar.core.errors import LaminarError
from laminar.core.lazy import lazy_module
from laminar.core.seed import set_seed
from laminar.data.external import untar_data
from laminar.data.known import URLs
from laminar.data.loaders import DataLoaders
from laminar.interpret.classification import ClassificationInterpretation
from laminar.learner.learner import Learner
from laminar.metrics.classification import accuracy
from laminar.vision.augment import aug_transforms
from laminar.vision.crop import Resize
from laminar.vision.data import ImageDataLoaders, ImageLoadersOptions
from laminar.vision.learner import vision_learner

__all__ = ["Outcome", "load", "main", "train_both"]

plt = lazy_module("matplotlib.pyplot")

SCRATCH_RATE = 3e-3  # the best of 1e-3, 3e-3, 1e-2 and 3e-2 on the embedded pictures
VALID_NAMES = ("valid", "validation", "val", "test")


@dataclass(frozen=True)
class Outcome:
    """What was measured of one training: share of validation pictures that are right, and seconds."""

    accuracy: float
    seconds: float


def load(folder: Path, size: int, flip: bool) -> DataLoaders:
    """Make loaders of ``train/class/picture`` and ``valid/class/picture``, or of ``class/picture`` split at random.

    Args:
        folder: of pictures.
        size: side in pixels to which they are brought.
        flip: mirror them in training; good for photos, bad for characters.
    """
    options: ImageLoadersOptions = {
        "bs": 32,
        "item_tfms": Resize(size),
        "batch_tfms": aug_transforms(do_flip=flip, max_warp=0.1),
    }
    for valid in VALID_NAMES:
        if (folder / "train").is_dir() and (folder / valid).is_dir():
            return ImageDataLoaders.from_folder(folder, valid=valid, **options)
    return ImageDataLoaders.from_folder(folder, valid_pct=0.2, seed=42, **options)


def train_both(
    dls: DataLoaders, arch: str, weights: Path | None, epochs: int, keep: Callable[[str], None]
) -> tuple[Outcome, Outcome]:
    """Fine-tune a pretrained network, look at it from all sides, and train the same network from scratch.

    Args:
        dls: pictures and their classes.
        arch: name of the network.
        weights: file with its pretrained weights; None for those that belong to it.
        epochs: passes over the pictures, after a first one in which only the head is trained.
        keep: keeps the figure that was drawn last, under a name.

    Returns:
        What was measured of the fine-tuned network, and of the one from scratch.
    """
    dls.show_batch(max_n=16)
    keep("batch")

    learn = vision_learner(dls, arch, weights=weights, metrics=accuracy)
    print(f"\nFine-tuning {arch}, pretrained")
    # Both rules are drawn. With a frozen body the descent begins early, and its middle, `valley`, is often too low.
    rate = learn.lr_find(suggest_funcs=(steep, valley)).steep
    keep("learning_rate")
    tuned = timed(learn, lambda: learn.fine_tune(epochs, rate))
    learn.recorder.plot_loss()
    keep("losses")
    learn.recorder.plot_sched()
    keep("schedule")
    learn.show_results(max_n=16)
    keep("results")
    seen = ClassificationInterpretation.from_learner(learn)
    seen.plot_confusion_matrix()
    keep("confusion_matrix")
    seen.plot_top_losses(9)
    keep("top_losses")
    for actual, predicted, times in seen.most_confused()[:3]:
        print(f"most confused: {actual} taken for {predicted}, {times} times")

    print(f"\nTraining {arch} from scratch")
    scratch = vision_learner(dls, arch, pretrained=False, metrics=accuracy)
    return tuned, timed(scratch, lambda: scratch.fit_one_cycle(epochs + 1, SCRATCH_RATE))


def timed(learn: Learner, train: Callable[[], None]) -> Outcome:
    """Train, and measure seconds and accuracy."""
    start = time.perf_counter()
    train()
    seconds = time.perf_counter() - start
    share_right = learn.validate()[1]
    return Outcome(0.0 if share_right is None else share_right, seconds)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the demo with the arguments of the command line."""
    parser = argparse.ArgumentParser(prog="python -m laminar.demo", description="Fine-tune a network on pictures.")
    parser.add_argument("--data", type=Path, help="folder of pictures, one folder for each class (default: embedded)")
    parser.add_argument("--arch", default="xresnet_small", help="network, of laminar or torchvision (%(default)s)")
    parser.add_argument("--weights", type=Path, help="file with its weights (default: those that belong to it)")
    parser.add_argument("--epochs", type=int, default=5, help="epochs for the whole network (%(default)s)")
    parser.add_argument("--size", type=int, help="side to which pictures are brought (64; 128 with --data)")
    parser.add_argument("--out", type=Path, default=Path("demo_output"), help="folder for pictures (%(default)s)")
    chosen = parser.parse_args(arguments)

    start = time.perf_counter()
    plt.switch_backend("agg")  # figures go to files
    set_seed(42)
    try:
        embedded = chosen.data is None
        folder = untar_data(URLs.GLYPHS) if embedded else chosen.data
        dls = load(folder, chosen.size or (64 if embedded else 128), flip=not embedded)
        train, valid = len(dls.train_ds), len(dls.valid_ds)
        print(f"{train} pictures for training, {valid} for validation, {len(dls.vocab)} classes")
        tuned, scratch = train_both(dls, chosen.arch, chosen.weights, chosen.epochs, Album(chosen.out).keep)
    except LaminarError as error:
        sys.exit("\n".join([f"{parser.prog}: {error}", *getattr(error, "__notes__", [])]))

    print(f"\n{chosen.epochs + 1} epochs each, measured on the {valid} validation pictures:")
    print(f"  fine-tuned    accuracy {tuned.accuracy:.3f}  {tuned.seconds:6.1f} s")
    print(f"  from scratch  accuracy {scratch.accuracy:.3f}  {scratch.seconds:6.1f} s")
    print(f"{time.perf_counter() - start:.1f} s in all; the pictures are in {chosen.out.resolve()}")


class Album:
    """Keeps figures as PNG files in a folder, numbered in their order."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0
        folder.mkdir(parents=True, exist_ok=True)

    def keep(self, name: str) -> None:
        """Write the current figure."""
        self.count += 1
        plt.savefig(self.folder / f"{self.count}_{name}.png", dpi=80, bbox_inches="tight")
        plt.close("all")


if __name__ == "__main__":
    main()
