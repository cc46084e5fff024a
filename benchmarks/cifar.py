"""CIFAR-10 pictures as small files, from loading to the trained network, with laminar and with fastai.

A folder or archive with `train/<class>/*.jpg` and `test/<class>/*.jpg` of 32 pixels, and a small CIFAR ResNet (He et
al. 2015, option A) that goes on from weights in a safetensors file; aug_transforms, one cycle. Time (of the processor,
without workers) is that of `fit_one_cycle`, validation included: at 32 pixels most of it is decoding, collation,
augmentation and the loop. Compare `--workers 0` and `--workers 2`.
"""

import argparse
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn
from turns import Result, clock, take_turns, training_parser


class Block(nn.Module):
    """Two convolutions and a shortcut without parameters: every other pixel, padded with channels of zeros."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False), nn.BatchNorm2d(n_out)
        self.conv2, self.bn2 = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False), nn.BatchNorm2d(n_out)
        self.stride, self.padding = stride, (n_out - n_in) // 2

    def forward(self, x: Tensor) -> Tensor:
        """Add what the convolutions make of `x` to it."""
        shortcut = x
        if self.stride > 1:
            shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.padding, self.padding))
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(out + shortcut)


class CifarResNet(nn.Module):
    """The networks of He et al. for CIFAR: three stages of `n` blocks with 16, 32 and 64 channels."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*(Block(16, 16, 1) for _ in range(n)))
        self.layer2 = nn.Sequential(*(Block(32 if i else 16, 32, 1 if i else 2) for i in range(n)))
        self.layer3 = nn.Sequential(*(Block(64 if i else 32, 64, 1 if i else 2) for i in range(n)))
        self.linear = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of ten classes."""
        x = F.relu(self.bn1(self.conv1(x)))
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


def network(weights: str) -> CifarResNet:
    """The network that the weights belong to."""
    from safetensors.torch import load_file

    state = load_file(weights)
    model = CifarResNet(sum(name.startswith("layer1.") and name.endswith(".conv1.weight") for name in state))
    model.load_state_dict(state)
    return model


def timed_fit(learn, args: argparse.Namespace) -> Result:
    """Train `learn` and report; both frameworks understand the same calls."""
    start = clock(args)
    learn.fit_one_cycle(args.epochs, args.lr)
    seconds = clock(args) - start
    loss, accuracy = learn.validate()
    return {"seconds": seconds, "loss": float(loss), "accuracy": float(accuracy)}


def loaders_and_learner(library, path: Path, args: argparse.Namespace):
    """The same program in both frameworks."""
    library.set_seed(args.seed)
    dls = library.ImageDataLoaders.from_folder(
        path,
        valid="test",
        batch_tfms=[
            *library.aug_transforms(size=args.size, max_rotate=5, max_warp=0, max_zoom=1.05),
            library.Normalize.from_stats(*library.imagenet_stats),
        ],
        bs=args.bs,
        num_workers=args.workers,
        device="cpu",
    )
    return library.Learner(
        dls, network(args.weights), loss_func=library.CrossEntropyLossFlat(), metrics=library.accuracy
    )


def laminar_run(path: Path, args: argparse.Namespace) -> Result:
    from laminar.vision import all as laminar

    return timed_fit(loaders_and_learner(laminar, path, args), args)


def fastai_run(path: Path, args: argparse.Namespace) -> Result:
    from fastai.vision import all as fastai

    learn = loaders_and_learner(fastai, path, args)
    with learn.no_bar(), learn.no_logging():
        return timed_fit(learn, args)


RUNS = {"laminar": laminar_run, "fastai": fastai_run}


def main() -> None:
    parser = training_parser(__doc__, RUNS, size=32, epochs=1, bs=64)
    parser.add_argument("--lr", type=float, default=1e-3)
    title = "CIFAR ResNet, fit_one_cycle({epochs}, {lr}): batches of {bs}, {workers} workers, threads {threads}"
    take_turns(parser, RUNS, needs="test", figure="accuracy", title=title)


if __name__ == "__main__":
    main()
