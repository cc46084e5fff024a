"""Draw the pictures of the guide to interpretation, from embedded data; takes some minutes.

python scripts/draw_interpretation.py [--out FOLDER]
"""

import argparse
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
from PIL import Image

from laminar.core.seed import set_seed
from laminar.data.blocks import MultiCategoryBlock
from laminar.data.glyphs import make_glyph_scenes, make_glyphs
from laminar.data.sources import get_image_files
from laminar.interpret import (
    ClassificationInterpretation,
    SegmentationInterpretation,
    grad_cam,
    occlusion,
)
from laminar.learner.learner import Learner
from laminar.metrics import DiceMulti, accuracy, accuracy_multi
from laminar.nn.blocks import NormType
from laminar.vision.augment import aug_transforms
from laminar.vision.crop import RandomResizedCrop
from laminar.vision.data import ImageDataLoaders
from laminar.vision.learner import vision_learner
from laminar.vision.models.xresnet import xresnet_small
from laminar.vision.segmentation import SegmentationDataLoaders
from laminar.vision.unet import unet_learner

OUT = Path(__file__).parent.parent / "docs" / "images"
LETTERS = "OQCGDBRPFEIJLT"


def save(name: str, out: Path, dpi: int = 60) -> None:
    """Write the last figure with few colours, and close it."""
    file = out / f"{name}.png"
    plt.savefig(file, dpi=dpi, bbox_inches="tight")
    plt.close("all")
    with Image.open(file) as drawn:
        small = drawn.convert("RGB").quantize(256)
    small.save(file, optimize=True)
    print(f"{file}: {file.stat().st_size // 1000} kB")


def letters(folder: Path, out: Path) -> None:
    """Letters that look alike: mistakes, confusion, probabilities."""
    path = make_glyphs(folder / "letters", LETTERS, per_class=50, valid_per_class=0, size=64)
    dls = ImageDataLoaders.from_path_func(
        path, get_image_files(path), lambda file: file.parent.name[-1].upper(), valid_pct=0.5, seed=0,
        item_tfms=RandomResizedCrop(64, min_scale=0.7), batch_tfms=aug_transforms(do_flip=False), bs=32,
    )  # fmt: skip
    learn = vision_learner(dls, xresnet_small, metrics=accuracy, path=folder)
    learn.fine_tune(4, freeze_epochs=1)
    interp = ClassificationInterpretation.from_learner(learn)
    print(interp.most_confused(3))
    interp.print_classification_report()
    interp.plot_top_losses(6, ncols=6, nrows=1)
    save("top_losses", out)
    interp.plot_confusion_matrix(figsize=(6.5, 6.5))
    save("confusion_matrix", out)


def overconfident(folder: Path, out: Path) -> None:
    """A network that knows its few training pictures by heart: too sure of others, until it is scaled."""
    path = make_glyphs(folder / "few", LETTERS, per_class=90, valid_per_class=0, size=64)
    dls = ImageDataLoaders.from_path_func(
        path, get_image_files(path), lambda file: file.parent.name[-1].upper(), valid_pct=0.5, seed=0, bs=16
    )
    learn = vision_learner(dls, xresnet_small, pretrained=False, metrics=accuracy, path=folder, ps=0.0)
    learn.fit_one_cycle(16, 1e-2)
    interp = ClassificationInterpretation.from_learner(learn)
    _, axes = plt.subplots(1, 2, figsize=(11, 5))
    interp.plot_calibration(10, ax=axes[0])
    scaling = interp.fit_temperature()
    print(scaling)
    ClassificationInterpretation.from_learner(learn, act=scaling).plot_calibration(10, ax=axes[1])
    save("calibration", out)


def scenes(folder: Path, out: Path) -> None:
    """Several glyphs in each picture: where the evidence for each lies."""
    path = make_glyph_scenes(folder / "scenes", "♥★⚓", train=300, valid=40, size=128)
    dls = ImageDataLoaders.from_csv(
        path, csv_fname="labels.csv", fn_col="file", label_col="labels", label_delim=" ", valid_col="is_valid",
        y_block=MultiCategoryBlock, batch_tfms=aug_transforms(), bs=32,
    )  # fmt: skip
    learn = vision_learner(dls, xresnet_small, metrics=accuracy_multi, path=folder)
    learn.fine_tune(10, 4e-3)
    look_at(learn, out)


def painted(folder: Path, out: Path) -> None:
    """Scenes and what a U-Net makes of their masks."""
    path = make_glyph_scenes(folder / "masks", "♥★⚓", train=120, valid=40, size=96, seed=1)
    files = sorted((path / "images").iterdir())
    codes = (path / "codes.txt").read_text().split()
    masks = SegmentationDataLoaders.from_label_func(
        path, files, lambda file: path / "masks" / f"{file.stem}.png", codes=codes, bs=16, seed=0
    )
    painter = unet_learner(masks, xresnet_small, metrics=DiceMulti(), norm_type=NormType.Batch, path=folder)
    painter.fine_tune(2, 4e-3)
    interp = SegmentationInterpretation.from_learner(painter)
    interp.print_segmentation_report()
    interp.plot_top_losses(3, nrows=1)
    save("top_losses_of_masks", out)


def look_at(learn: Learner, out: Path) -> None:
    """Grad-CAM and occlusion, for each class that is in a picture."""
    interp = ClassificationInterpretation.from_learner(learn)
    interp.print_classification_report()
    several = sorted(range(len(interp.targets)), key=lambda index: -int(interp.targets[index].sum()))[:2]
    asked = [
        (index, name)
        for index in several
        for name, there in zip(interp.vocab, interp.targets[index], strict=True)
        if there
    ]
    numbers, names = [index for index, _ in asked], [name for _, name in asked]
    grad_cam(learn, interp.batch(numbers), target=names).show(nrows=2)
    save("grad_cam", out)
    occlusion(learn, interp.batch(numbers[:3]), target=names[:3], size=24, stride=8).show(nrows=1)
    save("occlusion", out)


def main() -> None:
    """Read the arguments, train, draw, write."""
    parser = argparse.ArgumentParser(description="Draw the pictures of the guide to interpretation.")
    parser.add_argument("--out", type=Path, default=OUT, help="folder to write into")
    out = parser.parse_args().out
    set_seed(1)
    with tempfile.TemporaryDirectory() as folder:
        letters(Path(folder), out)
        overconfident(Path(folder), out)
        scenes(Path(folder), out)
        painted(Path(folder), out)


if __name__ == "__main__":
    main()
