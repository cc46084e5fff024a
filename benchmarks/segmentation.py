"""The same segmentation with laminar and with fastai: mean intersection over union and wall time for each seed.

A folder or archive of road scenes with `images/*.jpg`, `labels/*.png` (values are classes), `train.txt` and `val.txt`
(names without ending) and `codes.txt`, as CamVid comes; its last class means nothing and is left out of loss and
figure. A U-Net on MobileNetV2 with ImageNet weights from a safetensors file, aug_transforms; one frozen epoch and
`--epochs` unfrozen ones. `--size` is the height of the pictures, whose sides are as 3 to 4. Time (of the processor,
without workers) is that of `fine_tune`, validation after each epoch included; the figure is counted afterwards by the
same lines for both.
"""

import argparse
from pathlib import Path

import torch
from turns import Result, clock, take_turns, training_parser


def names_of(path: Path, split: str) -> list[str]:
    """The names of a split's pictures."""
    return (path / f"{split}.txt").read_text().split()


def file_lists(path: Path) -> tuple[list[Path], list[list[int]], list[str]]:
    """Pictures, the numbers of those for training and for validation, and the names of the classes."""
    train, valid = names_of(path, "train"), names_of(path, "val")
    files = [path / "images" / f"{name}.jpg" for name in [*train, *valid]]
    splits = [list(range(len(train))), list(range(len(train), len(files)))]
    return files, splits, (path / "codes.txt").read_text().split()


def mask_of(file: Path) -> Path:
    """The mask of a picture."""
    return file.parent.parent / "labels" / f"{file.stem}.png"


def timed_fine_tune(learn, n_classes: int, args: argparse.Namespace) -> Result:
    """Fine-tune `learn` and report; both frameworks understand the same calls."""
    start = clock(args)
    learn.fine_tune(args.epochs, args.lr)
    seconds = clock(args) - start
    return {"seconds": seconds, **scores(learn, n_classes)}


def scores(learn, n_classes: int) -> Result:
    """Mean intersection over union, and the share of pixels that are right, over all validation pixels but the void."""
    counts = torch.zeros(n_classes, n_classes, dtype=torch.int64)
    learn.model.eval()
    with torch.no_grad():
        for pictures, masks in learn.dls.valid:
            decided = learn.model(pictures.as_subclass(torch.Tensor)).argmax(1).flatten()
            targets = masks.as_subclass(torch.Tensor).long().flatten()
            known = targets != n_classes - 1
            pairs = targets[known] * n_classes + decided[known]
            counts += torch.bincount(pairs, minlength=n_classes**2).view(n_classes, n_classes)
    hits = counts.diagonal()[:-1]
    union = counts.sum(0)[:-1] + counts.sum(1)[:-1] - hits
    return {
        "mIoU": float((hits / union.clamp(min=1))[union > 0].mean()),
        "accuracy": float(hits.sum() / counts.sum()),
    }


def laminar_run(path: Path, args: argparse.Namespace) -> Result:
    from laminar.vision import all as laminar

    laminar.set_seed(args.seed)
    files, splits, codes = file_lists(path)
    dls = laminar.DataBlock(
        blocks=(laminar.ImageBlock, laminar.MaskBlock(codes)),
        get_y=mask_of,
        splitter=lambda items: splits,
        batch_tfms=laminar.aug_transforms(size=(args.size, args.size * 4 // 3)),
    ).dataloaders(files, bs=args.bs, num_workers=args.workers, device="cpu")
    learn = laminar.unet_learner(
        dls,
        laminar.mobilenet_v2,
        weights=args.weights,
        loss_func=laminar.CrossEntropyLossFlat(axis=1, ignore_index=len(codes) - 1),
    )
    return timed_fine_tune(learn, len(codes), args)


def fastai_run(path: Path, args: argparse.Namespace) -> Result:
    from fastai.vision import all as fastai
    from fastai.vision.learner import default_split, model_meta
    from safetensors.torch import load_file
    from torchvision import models

    def architecture(weights: object = None, **_: object) -> object:
        model = models.mobilenet_v2()
        model.load_state_dict(load_file(args.weights))
        return model

    model_meta[architecture] = {"cut": lambda m: m.features, "split": default_split, "stats": fastai.imagenet_stats}
    fastai.set_seed(args.seed)
    files, splits, codes = file_lists(path)
    dls = fastai.DataBlock(
        blocks=(fastai.ImageBlock, fastai.MaskBlock(codes)),
        get_y=mask_of,
        splitter=lambda items: splits,
        batch_tfms=fastai.aug_transforms(size=(args.size, args.size * 4 // 3)),
    ).dataloaders(files, bs=args.bs, num_workers=args.workers, device="cpu")
    learn = fastai.unet_learner(
        dls, architecture, loss_func=fastai.CrossEntropyLossFlat(axis=1, ignore_index=len(codes) - 1)
    )
    with learn.no_bar(), learn.no_logging():
        return timed_fine_tune(learn, len(codes), args)


RUNS = {"laminar": laminar_run, "fastai": fastai_run}


def main() -> None:
    parser = training_parser(__doc__, RUNS, size=96, epochs=2, bs=8)
    parser.add_argument("--lr", type=float, default=1e-3)
    title = "U-Net on MobileNetV2, height {size}, fine_tune({epochs}, {lr}): batches of {bs}, threads {threads}"
    take_turns(parser, RUNS, needs="codes.txt", figure="mIoU", title=title)


if __name__ == "__main__":
    main()
