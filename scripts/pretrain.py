"""Train the small network that comes with laminar, and write its weights where the package finds them.

    python scripts/pretrain.py [--epochs N] [--out FILE]

The data are the pretraining classes of the embedded glyph pictures, made on the way; the demo's classes are not among
them. One thread does it, in about ten minutes: so sums are added in one order, and the same versions of torch and
Pillow on the same kind of processor give the same file.
"""

import argparse
import hashlib
import json
import os
import time
from pathlib import Path

import torch
from safetensors.torch import save_file

from laminar.callbacks.channels_last import ChannelsLast
from laminar.core.seed import set_seed
from laminar.data.external import URLs, untar_data
from laminar.data.glyph_characters import PRETRAINING_CHARACTERS, class_name
from laminar.data.glyphs import GENERATOR_VERSION, GLYPH_SETS
from laminar.data.normalize import Normalize
from laminar.learner.learner import Learner
from laminar.metrics.classification import accuracy
from laminar.nn.losses import LabelSmoothingCrossEntropyFlat
from laminar.vision.augment import aug_transforms
from laminar.vision.data import ImageDataLoaders
from laminar.vision.models import xresnet
from laminar.vision.models.xresnet import xresnet_small

SEED = 7
BATCH_SIZE = 128
LEARNING_RATE = 6e-3
WEIGHT_DECAY = 0.05
WEIGHTS = Path(xresnet.__file__).parent / "weights" / "xresnet_small.safetensors"


def train(epochs: int) -> Learner:
    """Train the network from scratch on the pretraining classes."""
    torch.set_num_threads(1)
    set_seed(SEED, reproducible=True)
    dls = ImageDataLoaders.from_folder(
        untar_data(URLs.GLYPHS_PRETRAIN),
        vocab=[class_name(character) for character in PRETRAINING_CHARACTERS],
        bs=BATCH_SIZE,
        batch_tfms=[*aug_transforms(do_flip=False, max_rotate=5.0, max_warp=0.0, min_zoom=0.9), Normalize()],
    )
    learn = Learner(
        dls,
        xresnet_small(n_out=len(dls.vocab)),
        loss_func=LabelSmoothingCrossEntropyFlat(),
        metrics=accuracy,
        cbs=ChannelsLast,
        wd=WEIGHT_DECAY,
    )
    learn.fit_one_cycle(epochs, LEARNING_RATE)
    return learn


def write(learn: Learner, file: Path, epochs: int) -> None:
    """Write the weights in half precision, with all that a reader must know about them, at once or not at all."""
    normalize = learn.dls.train.after_batch.find(Normalize)
    loss, measured_accuracy = learn.validate()
    classes = json.dumps(list(learn.dls.vocab))
    header = {
        "network": "laminar.vision.models.xresnet.xresnet_small",
        "mean": json.dumps([round(value, 4) for value in normalize.mean.flatten().tolist()]),
        "std": json.dumps([round(value, 4) for value in normalize.std.flatten().tolist()]),
        "size": str(GLYPH_SETS["glyphs_pretrain"].size),
        "classes": classes,
        "classes_sha256": hashlib.sha256(classes.encode()).hexdigest(),
        "generator_version": str(GENERATOR_VERSION),
        "training": f"scripts/pretrain.py --epochs {epochs}",
        "accuracy": f"{measured_accuracy:.4f}",
        "loss": f"{loss:.4f}",
        "licence": "Apache-2.0",
    }
    state = {
        name: (value.half() if value.is_floating_point() else value).cpu().contiguous()
        for name, value in learn.model.state_dict().items()
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    save_file(state, unfinished, header)
    unfinished.chmod(0o644)  # safetensors writes for the owner alone, but the file is to be shipped
    os.replace(unfinished, file)
    size = f"{file.stat().st_size / 1e6:.2f} MB"
    print(f"{file}: {size}, accuracy {measured_accuracy:.4f} on {len(learn.dls.vocab)} classes")


def main() -> None:
    """Read the arguments, train, write."""
    parser = argparse.ArgumentParser(description="Train the small network that comes with laminar.")
    parser.add_argument("--epochs", type=int, default=6, help="passes over the pictures (default: 6)")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="file to write (default: into the package)")
    arguments = parser.parse_args()
    start = time.perf_counter()
    learn = train(arguments.epochs)
    write(learn, arguments.out, arguments.epochs)
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
