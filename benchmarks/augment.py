"""What it costs to augment and normalise a batch of pictures: milliseconds a batch, one thread, on the CPU.

A batch of uint8 pictures (64 x 3 x 224 x 224, with the smoothness of photos) goes in, a normalised float32 batch comes
out. Everybody flips, rotates, zooms, changes the perspective and the light, each picture by its own draw, with fastai's
default ranges and probabilities: laminar and fastai by `aug_transforms()`, kornia by its own augmentations in one
`AugmentationSequential`, torchvision v2 picture by picture, since it draws once for what it is given. Conversion and
normalisation alone, and with one resampling, are there for orientation.
"""

import argparse
from collections.abc import Callable
from statistics import median

import torch
from rounds import interleaved, median_ratio, print_table
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import v2

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
DEGREES, ZOOM, LIGHT, WARP = 10.0, 1.1, 0.2, 0.2
Augmentation = Callable[[Tensor], Tensor]


def laminar_recipe() -> Augmentation:
    from laminar.core.pipeline import Pipeline
    from laminar.core.types import TensorImage
    from laminar.data.normalize import Normalize
    from laminar.data.transforms import IntToFloatTensor
    from laminar.vision.augment import aug_transforms

    steps = Pipeline([*aug_transforms(), IntToFloatTensor(), Normalize.from_stats(MEAN, STD)], split_idx=0)
    return lambda pictures: steps(TensorImage(pictures))


def fastai_recipe() -> Augmentation:
    from fastai.data.transforms import IntToFloatTensor, Normalize
    from fastai.torch_core import TensorImage
    from fastai.vision.augment import aug_transforms
    from fasttransform import Pipeline

    steps = [IntToFloatTensor(), *aug_transforms(), Normalize.from_stats(MEAN, STD, cuda=False)]
    pipeline = Pipeline(steps, split_idx=0)
    return lambda pictures: pipeline(TensorImage(pictures))


def kornia_recipe() -> Augmentation:
    import kornia.augmentation as K

    steps = K.AugmentationSequential(
        K.RandomHorizontalFlip(p=0.5),
        K.RandomAffine(DEGREES, scale=(1.0, ZOOM), padding_mode="reflection", p=0.75),
        K.RandomPerspective(WARP, p=0.75),
        K.ColorJitter(brightness=LIGHT, contrast=LIGHT, p=0.75),
        K.Normalize(torch.tensor(MEAN), torch.tensor(STD)),
    )
    return lambda pictures: steps(pictures.float().div_(255))


def torchvision_recipe() -> Augmentation:
    steps = v2.Compose(
        [
            v2.RandomHorizontalFlip(0.5),
            v2.RandomApply(
                [v2.RandomAffine(DEGREES, scale=(1.0, ZOOM), interpolation=v2.InterpolationMode.BILINEAR)], 0.75
            ),
            v2.RandomPerspective(WARP, p=0.75),
            v2.RandomApply([v2.ColorJitter(brightness=LIGHT, contrast=LIGHT)], 0.75),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )
    return lambda pictures: torch.stack([steps(picture) for picture in pictures])


def normalising_alone() -> Augmentation:
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    return lambda pictures: pictures.float().div_(255).sub_(mean).div_(std)


def one_resampling() -> Augmentation:
    normalise = normalising_alone()

    def augment(pictures: Tensor) -> Tensor:
        maps = torch.eye(2, 3).repeat(len(pictures), 1, 1) + torch.rand(len(pictures), 2, 3) * 0.1
        grid = F.affine_grid(maps, list(pictures.shape), align_corners=True)
        return F.grid_sample(normalise(pictures), grid, padding_mode="reflection", align_corners=True)

    return augment


CONTENDERS: dict[str, Callable[[], Augmentation]] = {
    "fastai": fastai_recipe,
    "laminar": laminar_recipe,
    "kornia": kornia_recipe,
    "torchvision v2, picture by picture": torchvision_recipe,
    "normalising alone": normalising_alone,
    "normalising and one resampling": one_resampling,
}


def smooth_pictures(n: int, size: int) -> Tensor:
    """Random bytes ``[n, 3, size, size]`` whose neighbours resemble each other, as in photos."""
    coarse = torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return F.interpolate(coarse, (size, size), mode="bicubic").clamp_(0, 1).mul_(255).byte()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--size", type=int, default=224, help="pixels")
    parser.add_argument(
        "--channels-last", action="store_true", help="order of the batch in memory, as our loaders make it"
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", nargs="+", help="words that choose among the contenders")
    args = parser.parse_args()
    torch.set_num_threads(1)
    pictures = smooth_pictures(args.batch, args.size)
    if args.channels_last:
        pictures = pictures.contiguous(memory_format=torch.channels_last)

    def contender(augment: Augmentation) -> Callable[[], None]:
        def run() -> None:
            made = augment(pictures)
            assert made.shape == pictures.shape, made.shape
            assert made.dtype == torch.float32, made.dtype

        return run

    names = [name for name in CONTENDERS if not args.only or any(word in name for word in args.only)]
    seconds = interleaved({name: contender(CONTENDERS[name]()) for name in names}, args.rounds)
    print_table(
        f"{args.batch} pictures of {args.size} pixels, median of {args.rounds} rounds",
        ["", "ms a batch", *(f"times {name}" for name in names if name in ("fastai", "kornia"))],
        [
            [
                name,
                f"{median(taken) * 1000:.0f}",
                *(f"{median_ratio(seconds, name, peer):.2f}" for peer in names if peer in ("fastai", "kornia")),
            ]
            for name, taken in seconds.items()
        ],
    )


if __name__ == "__main__":
    main()
