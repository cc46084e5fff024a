"""Augmentations of other libraries as steps of a pipeline: torchvision, albumentations and kornia.

They are used as they are: `to_transform` knows them. A module that was never imported cannot have instances, so none of
the libraries is imported here before one of its transforms is met.
"""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from laminar.core.coordinates import canvas_of, move
from laminar.core.errors import ConfigError, DataError, describe
from laminar.core.random import item_random, rand_per_item
from laminar.core.transform import ItemTransform, Transform
from laminar.core.types import (
    TensorBBox,
    TensorImageBase,
    TensorMask,
    TensorPoint,
    is_torchvision_transform,
    plain,
    refuse_unknown_canvas,
    with_canvas_of_picture,
)

__all__ = ["AlbumentationsTransform", "ForeignTransform", "KorniaTransform", "TorchvisionTransform", "to_transform"]

_TRAINING = 0
_SEEDING = threading.Lock()  # albumentations' transforms hold their generators: seeding and drawing is one step
_SEEDS = 2**24  # what float32 of `rand_per_item` tells apart


class ForeignTransform(ItemTransform):
    """A transform of another library; it sees whole samples and draws once for each.

    Args:
        transform: the library's object.
        split_idx: as in `Transform`.
    """

    library: ClassVar[str] = "another library"

    def __init__(self, transform: Any, split_idx: int | None = None) -> None:
        super().__init__(split_idx=split_idx)
        self.transform = transform

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.transform!r})"


class TorchvisionTransform(ForeignTransform):
    """A ``torchvision.transforms.v2`` transform as a step of a pipeline, for items or batches.

    It runs after `ToTensor`, on typed tensors, so that masks are never mixed.

    Args:
        transform: the torchvision object.
        split_idx: as in `Transform`.
        each: treat the pictures of a batch one by one, each with its own draw; otherwise one draw serves them all.
    """

    library = "torchvision"
    order = 5.5

    def __init__(self, transform: Callable[..., Any], split_idx: int | None = None, each: bool = False) -> None:
        super().__init__(transform, split_idx)
        self.each = each

    def encodes(self, x: object) -> Any:
        """Hand the sample over; torchvision keeps the types."""
        n = _batch_size(x) if self.each else None
        if n is None:
            return self._called(x)
        seeds = (rand_per_item(n) * _SEEDS).long().tolist()
        return _joined([self._seeded(sample, seed) for sample, seed in zip(_apart(x, n), seeds, strict=True)], x)

    def _seeded(self, sample: Any, seed: int) -> Any:
        with item_random(seed, 0, 0):
            return self._called(sample)

    def _called(self, sample: Any) -> Any:
        refuse_unknown_canvas(sample, self.transform)
        return with_canvas_of_picture(self.transform(sample))

    def __repr__(self) -> str:
        return repr(self.transform)


class AlbumentationsTransform(ForeignTransform):
    """A transform of albumentations, or several in its ``Compose``, as a step for items.

    It runs after `ToTensor`. Pictures and masks are handed over as arrays, points and corners of boxes as its key
    points; all that are outside stay, and a box becomes the upright box around its moved corners. Positions agree with
    the pixels to half a pixel.

    Args:
        transform: the object of albumentations.
        split_idx: as in `Transform`; by default it augments training data only.
    """

    library = "albumentations"
    order = 5.5

    def __init__(self, transform: Any, split_idx: int | None = _TRAINING) -> None:
        super().__init__(transform, split_idx)
        self._whole: dict[tuple[int, bool], Any] = {}

    def encodes(self, x: object) -> Any:
        """Transform all parts of a sample by one draw, seeded from Python's `random`.

        Raises:
            DataError: there is no picture that is a tensor.
        """
        parts = x if isinstance(x, tuple) else (x,)
        pictures = [plain(part) for part in parts if isinstance(part, TensorImageBase)]
        if not pictures or pictures[0].ndim != 3:
            raise DataError(
                f"{self!r} works on single pictures that are tensors, found {describe(x)}.{_PLACE_OF_ITEMS}"
            )
        masks = [plain(part) for part in parts if isinstance(part, TensorMask)]
        positions = _Positions(parts, pictures[0])
        given: dict[str, Any] = {_name_of(i): _channels_last(picture) for i, picture in enumerate(pictures)}
        if masks:
            given["masks"] = [(mask if mask.dtype is torch.uint8 else mask.float()).numpy() for mask in masks]
        moves = bool(positions.found) and self._moves_positions()
        if moves:
            given["keypoints"] = positions.together(0).numpy()
        with _SEEDING:
            whole = self._composed(len(pictures), moves)
            whole.set_random_seed(random.getrandbits(31))
            out = whole(**given)
        made = iter([_channels_first(out[_name_of(i)]) for i in range(len(pictures))])
        made_masks = iter(
            [torch.as_tensor(new).to(old.dtype) for new, old in zip(out.get("masks", ()), masks, strict=True)]
        )
        if moves:
            positions.set_moved(torch.as_tensor(out["keypoints"]), 0, tuple(out["image"].shape[:2]))
        return _put_back(x, made, made_masks, positions)

    def _moves_positions(self) -> bool:
        """Whether the transform moves anything.

        Raises:
            DataError: it moves pixels, and cannot say where points go.
        """
        movers = [leaf for leaf in _leaves(self.transform) if _derives(leaf, "DualTransform")]
        lost = [leaf for leaf in movers if "keypoints" not in leaf.targets]
        if lost:
            raise DataError(f"{lost[0]!r} cannot move points and boxes; leave it out, or leave them out of the sample")
        return bool(movers)

    def _composed(self, n_pictures: int, moves: bool) -> Any:
        """The transform with what it needs to know of further pictures and of key points."""
        if (n_pictures, moves) not in self._whole:
            A = sys.modules["albumentations"]
            self._whole[n_pictures, moves] = A.Compose(
                [self.transform],
                keypoint_params=A.KeypointParams("xy", remove_invisible=False) if moves else None,
                additional_targets={_name_of(i): "image" for i in range(1, n_pictures)},
            )
        return self._whole[n_pictures, moves]


_PLACE_OF_ITEMS = " Put transforms of albumentations among item_tfms; they run after ToTensor."
_PLACE_OF_BATCHES = " Put transforms of kornia among batch_tfms; they run after IntToFloatTensor."


class KorniaTransform(ForeignTransform):
    """An augmentation of kornia, or several in its ``AugmentationSequential``, as a step for batches, on their device.

    It runs after `IntToFloatTensor`, and draws for each picture unless it was made with ``same_on_batch=True``. Points
    and corners of boxes are handed over as its key points, masks are fetched by nearest neighbour.

    Args:
        transform: the object of kornia.
        split_idx: as in `Transform`; by default it augments training data only.
    """

    library = "kornia"
    order = 15.0

    def __init__(self, transform: Any, split_idx: int | None = _TRAINING) -> None:
        super().__init__(transform, split_idx)
        self._sequences: dict[tuple[str, ...], Any] = {}

    def encodes(self, x: object) -> Any:
        """Transform all parts of a batch by one draw.

        Raises:
            DataError: there is no batch of pictures in floating point.
        """
        parts = x if isinstance(x, tuple) else (x,)
        pictures = [plain(part) for part in parts if isinstance(part, TensorImageBase)]
        if not pictures or pictures[0].ndim != 4 or not pictures[0].is_floating_point():
            raise DataError(
                f"{self!r} works on batches of pictures from 0 to 1, found {describe(x)}.{_PLACE_OF_BATCHES}"
            )
        masks = [plain(part) for part in parts if isinstance(part, TensorMask)]
        positions = _Positions(parts, pictures[0])
        given = [*pictures, *(mask[:, None].to(pictures[0].dtype) for mask in masks)]
        keys = ["input"] * len(pictures) + ["mask"] * len(masks)
        if positions.found:
            given.append(positions.together(1))
            keys.append("keypoints")
        out = self._sequence(keys)(*given)
        out = list(out) if isinstance(out, list | tuple) else [out]
        made = iter(out[: len(pictures)])
        made_masks = iter(
            part[:, 0].round().to(mask.dtype) for part, mask in zip(out[len(pictures) :], masks, strict=False)
        )
        if positions.found:
            positions.set_moved(out[-1], 1, tuple(out[0].shape[-2:]))
        return _put_back(x, made, made_masks, positions)

    def _sequence(self, keys: list[str]) -> Any:
        """The transform with what it needs to know of the parts."""
        if tuple(keys) not in self._sequences:
            sequential = sys.modules["kornia.augmentation"].AugmentationSequential
            self._sequences[tuple(keys)] = sequential(self.transform, data_keys=keys)
        return self._sequences[tuple(keys)]


class _Positions:
    """The points and corners of boxes of a sample, taken out together and put back one by one.

    Both libraries count from the middle of the first pixel, we from its edge: half a pixel.
    """

    def __init__(self, parts: Sequence[Any], picture: Tensor) -> None:
        self.canvas = (picture.shape[-2], picture.shape[-1])
        self.found: list[Tensor] = []
        self._moved: Iterator[Tensor] | None = None
        for part in parts:
            if isinstance(part, TensorPoint | TensorBBox):
                _moved(part, self._note, canvas_of(part) or self.canvas)

    def _note(self, points: Tensor) -> Tensor:
        self.found.append(points)
        return points

    def together(self, axis: int) -> Tensor:
        """All of them, joined along `axis`."""
        return torch.cat([points.float() for points in self.found], axis) - 0.5

    def set_moved(self, points: Tensor, axis: int, canvas: tuple[int, ...]) -> None:
        """Note where they are now, in pictures of `canvas` (height, width)."""
        sizes = [part.shape[axis] for part in self.found]
        self.canvas = (canvas[0], canvas[1])
        self._moved = iter(torch.split(points.float() + 0.5, sizes, axis))

    def moved(self, part: Any) -> Any:
        """`part` with its new positions, if they have moved."""
        if self._moved is None:
            return part
        places = self._moved
        return _moved(part, lambda old: next(places).to(old), self.canvas)


def _moved(part: Any, function: Callable[[Tensor], Tensor], canvas: tuple[int, int]) -> Any:
    return move(part, function, canvas)


def _put_back(x: Any, pictures: Iterator[Tensor], masks: Iterator[Tensor], positions: _Positions) -> Any:
    """The sample `x` with what was made of its parts."""

    def new(part: Any) -> Any:
        if isinstance(part, TensorImageBase):
            return type(part).wrap(next(pictures), part)
        if isinstance(part, TensorMask):
            return type(part).wrap(next(masks), part)
        return positions.moved(part) if isinstance(part, TensorPoint | TensorBBox) else part

    return tuple(map(new, x)) if isinstance(x, tuple) else new(x)


def _name_of(number: int) -> str:
    return f"image{number or ''}"


def _channels_last(picture: Tensor) -> Any:
    """A picture as albumentations wants it: an array ``[height, width, channels]``."""
    return picture.permute(1, 2, 0).contiguous().numpy()


def _channels_first(made: Any) -> Tensor:
    """A picture as albumentations gives it back: an array with channels last, or what its ToTensorV2 makes."""
    if isinstance(made, Tensor):
        return made
    tensor = torch.from_numpy(made.copy())
    return (tensor[..., None] if tensor.ndim == 2 else tensor).permute(2, 0, 1)


def _batch_size(x: Any) -> int | None:
    """How many pictures a batch has; None for a single sample."""
    for part in x if isinstance(x, tuple) else (x,):
        if isinstance(part, TensorImageBase):
            return int(part.shape[0]) if part.ndim == 4 else None
    return None


def _apart(x: Any, n: int) -> Iterator[Any]:
    """The samples of a batch: typed parts cut along the first axis, the others as they are."""
    kinds = (TensorImageBase, TensorMask, TensorPoint, TensorBBox)
    for i in range(n):
        one = [type(part).wrap(plain(part)[i], part) if isinstance(part, kinds) else part for part in _parts(x)]
        yield tuple(one) if isinstance(x, tuple) else one[0]


def _joined(samples: Sequence[Any], x: Any) -> Any:
    """The way back from `_apart`."""
    kinds = (TensorImageBase, TensorMask, TensorPoint, TensorBBox)
    columns = list(zip(*map(_parts, samples), strict=True))
    whole = [
        type(column[0]).wrap(torch.stack([plain(part) for part in column]), column[0])
        if isinstance(part, kinds)
        else part
        for part, column in zip(_parts(x), columns, strict=True)
    ]
    return tuple(whole) if isinstance(x, tuple) else whole[0]


def _parts(x: Any) -> tuple[Any, ...]:
    return x if isinstance(x, tuple) else (x,)


# ---- recognising them ------------------------------------------------------------------------------------------------

_STILL = frozenset(
    ("CenterCrop", "Crop", "Denormalize", "FromFloat", "LongestMaxSize", "Normalize", "PadIfNeeded", "PadTo", "Resize",
     "SmallestMaxSize", "ToFloat", "ToRGB", "ToTensorV2")
)  # fmt: skip
"""What changes size or scale of every picture alike, and so belongs to validation too."""


def to_transform(step: Any) -> Transform:
    """Make a transform of a transform, a transform class, a transform of another library, or any function.

    Of torchvision's, the policies (``RandAugment``, ``TrivialAugmentWide``, ``AutoAugment``, ``AugMix``) run on
    training data only, each picture by its own draw; all others on both. Of albumentations' and kornia's, those that
    give all pictures one size or scale run on both, all others on training data only.

    Raises:
        TypeError: `step` cannot be called.
        ConfigError: a composition of both kinds, of which it must be said what it is for.
    """
    if isinstance(step, Transform):
        return step
    if isinstance(step, type) and issubclass(step, Transform):
        return step()
    if is_torchvision_transform(step):
        policy = _derives(step, "_AutoAugmentBase")
        return TorchvisionTransform(step, split_idx=_TRAINING, each=True) if policy else TorchvisionTransform(step)
    if _is_of(step, "albumentations", ("BasicTransform", "BaseCompose")):
        return AlbumentationsTransform(step, _split_of(step))
    if _is_of(step, "kornia.augmentation", ("_BasicAugmentationBase", "ImageSequentialBase")):
        return KorniaTransform(step, _split_of(step))
    if not callable(step):
        raise TypeError(f"a transform must be callable, got {step!r} of type {type(step).__name__}")
    return Transform(step)


def _is_of(step: object, module: str, bases: tuple[str, ...]) -> bool:
    """Whether `step` is an object of a class of `module` that derives from one of these."""
    if module not in sys.modules:
        return False
    return any(base.__name__ in bases and base.__module__.startswith(module) for base in type(step).__mro__)


def _derives(step: object, base: str) -> bool:
    return any(kind.__name__ == base for kind in type(step).__mro__)


def _split_of(step: Any) -> int | None:
    """What a transform that does not say it is for: 0, training only, or None, all data."""
    still = {type(part).__name__ in _STILL for part in _leaves(step)}
    if len(still) > 1:
        raise ConfigError(
            f"{step!r} holds both augmentation and what validation needs too (size, scale). Give them one by one, or "
            "say what the whole is for: AlbumentationsTransform(..., split_idx=0) or KorniaTransform(..., split_idx=0) "
            "for training only, split_idx=None for all data."
        )
    return None if still == {True} else _TRAINING


def _leaves(step: Any) -> Iterator[Any]:
    """The transforms that a composition is made of."""
    inner = list(step.children()) if _derives(step, "ImageSequentialBase") else getattr(step, "transforms", ())
    if not inner:
        yield step
    for part in inner:
        yield from _leaves(part)
