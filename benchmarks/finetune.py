"""The same fine-tuning with laminar and with fastai: validation accuracy and wall time for each seed.

Photos from a folder or archive with `train` and `validation`, ImageNet weights from a safetensors file,
RandomResizedCrop and aug_transforms, one frozen epoch and `--epochs` unfrozen ones. Every run has a process of its
own, and the two frameworks take turns. Time (of the processor, without workers) is that of `fine_tune`, validation
after each epoch included.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from turns import Result, clock, take_turns, training_parser

ARCHITECTURES = ("squeezenet1_1", "mobilenet_v2", "resnet18")


def architecture_of(args: argparse.Namespace) -> str:
    """The network that was asked for, else the one that the weights' file is named after."""
    name = args.arch or Path(args.weights).stem
    if name not in ARCHITECTURES:
        raise SystemExit(f"--arch is needed: the file is called {name!r}, not one of {', '.join(ARCHITECTURES)}")
    return name


def timed_fine_tune(learn, args: argparse.Namespace) -> Result:
    """Fine-tune `learn` and report; both frameworks understand the same two calls."""
    start = clock(args)
    learn.fine_tune(args.epochs)
    seconds = clock(args) - start
    loss, accuracy = learn.validate()
    return {"seconds": seconds, "loss": float(loss), "accuracy": float(accuracy)}


# ---- laminar ---------------------------------------------------------------------------------------------------------


def laminar_run(path: Path, args: argparse.Namespace) -> Result:
    from torchvision import models

    from laminar.vision import all as laminar

    laminar.set_seed(args.seed)
    dls = laminar.ImageDataLoaders.from_folder(
        path,
        valid="validation",
        item_tfms=laminar.RandomResizedCrop(args.size),
        batch_tfms=laminar.aug_transforms(),
        bs=args.bs,
        num_workers=args.workers,
    )
    learn = laminar.vision_learner(
        dls, getattr(models, architecture_of(args)), weights=args.weights, metrics=laminar.accuracy
    )
    if args.bf16:
        learn.to_bf16()
    return timed_fine_tune(learn, args)


# ---- fastai ----------------------------------------------------------------------------------------------------------


def fastai_architecture(name: str, weights: str) -> Callable[..., object]:
    """An architecture as fastai takes it, a function of `weights`, that loads them from the file.

    What fastai knows of torchvision's own function (where to cut, how to split into groups, which statistics) holds for
    this one too; for MobileNetV2, which fastai does not know, it is said here.
    """
    from fastai.vision.core import imagenet_stats
    from fastai.vision.learner import default_split, model_meta
    from safetensors.torch import load_file
    from torchvision import models

    def architecture(weights_: object = None, **_: object) -> object:
        model = getattr(models, name)()
        model.load_state_dict(load_file(weights))
        return model

    unknown = {"cut": -1, "split": default_split, "stats": imagenet_stats}
    model_meta[architecture] = model_meta.get(getattr(models, name), unknown)
    return architecture


def fastai_run(path: Path, args: argparse.Namespace) -> Result:
    from fastai.vision import all as fastai

    fastai.set_seed(args.seed)
    dls = fastai.ImageDataLoaders.from_folder(
        path,
        valid="validation",
        item_tfms=fastai.RandomResizedCrop(args.size),
        batch_tfms=fastai.aug_transforms(),
        bs=args.bs,
        num_workers=args.workers,
        device="cpu",
    )
    learn = fastai.vision_learner(
        dls, fastai_architecture(architecture_of(args), args.weights), metrics=fastai.accuracy
    )
    if args.bf16:
        learn.to_bf16()
    with learn.no_bar(), learn.no_logging():
        return timed_fine_tune(learn, args)


RUNS = {"laminar": laminar_run, "fastai": fastai_run}


def main() -> None:
    parser = training_parser(__doc__, RUNS, size=128, epochs=2, bs=64)
    parser.add_argument("--arch", choices=ARCHITECTURES, help="default: the name of the weights' file")
    parser.add_argument("--bf16", action="store_true", help="call to_bf16() on both")
    title = "{weights}, {size} pixels, fine_tune({epochs}): batches of {bs}, {workers} workers, threads {threads}"
    take_turns(parser, RUNS, needs="validation", figure="accuracy", title=title)


if __name__ == "__main__":
    main()
