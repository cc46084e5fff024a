"""What a check is to know of pictures, masks, points and boxes (see `laminar.data.checking.examine.examine`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from laminar.core.coordinates import canvas_of
from laminar.core.types import TensorBBox, TensorImageBase, TensorMask, TensorPoint, plain
from laminar.data.checking.examine import Facts, Surroundings, examine
from laminar.vision import decoding
from laminar.vision.aligned import same_shape
from laminar.vision.images import PILBase, PILMask

__all__: list[str] = []

_THUMBNAIL = (16, 16)


@examine.register
def _picture(x: PILBase, around: Surroundings) -> Facts:
    facts = Facts(size=x.size, mode=x.mode)
    if x.filename:
        header = decoding.read_header(Path(x.filename))
        facts.mode = header.mode
        _check_ending(facts, Path(x.filename), header.format)
    x.load()
    facts.thumbnail = np.asarray(x.convert("L").resize(_THUMBNAIL, Image.Resampling.BOX))
    return facts


@examine.register
def _mask_file(x: PILMask, around: Surroundings) -> Facts:
    facts = Facts(size=x.size, mode=x.mode)
    _check_mask(facts, torch.as_tensor(x.pixels()), around)
    return facts


@examine.register
def _tensor_picture(x: TensorImageBase, around: Surroundings) -> Facts:
    facts: Facts = examine(plain(x), around)
    facts.size = (x.shape[-1], x.shape[-2])
    facts.mode = f"{x.shape[-3]} channels of {facts.mode}" if x.ndim > 2 else facts.mode
    if not facts.troubles and x.ndim in (2, 3):
        values = plain(x).float()
        grey = (values.mean(0) if x.ndim == 3 else values).numpy()
        low, high = float(grey.min()), float(grey.max())
        scale = 1.0 if not x.is_floating_point() else 255.0 if low >= 0 and high <= 1 else 255.0 / max(high - low, 1e-6)
        offset = 0.0 if low >= 0 else low
        image = Image.fromarray(((grey - offset) * scale).clip(0, 255).astype(np.uint8))
        facts.thumbnail = np.asarray(image.resize(_THUMBNAIL, Image.Resampling.BOX))
    return facts


@examine.register
def _mask(x: TensorMask, around: Surroundings) -> Facts:
    facts = Facts(size=(x.shape[-1], x.shape[-2]), mode=str(x.dtype).removeprefix("torch."))
    _check_mask(facts, plain(x), around)
    return facts


@examine.register
def _points(x: TensorPoint, around: Surroundings) -> Facts:
    facts: Facts = examine(plain(x), around)
    _check_canvas(facts, x, around)
    _check_inside(facts, plain(x), x, around, "points")
    return facts


@examine.register
def _boxes(x: TensorBBox, around: Surroundings) -> Facts:
    facts: Facts = examine(plain(x), around)
    if x.format.name != "XYXY":
        return facts
    corners = plain(x)
    turned = int((corners[..., 2:] <= corners[..., :2]).any(-1).sum())
    if turned:
        facts.troubles.append(("empty box", f"{turned} of {len(corners)} boxes have no area"))
    _check_canvas(facts, x, around)
    _check_inside(facts, corners.reshape(-1, 2, 2), x, around, "corners of boxes")
    return facts


def _check_ending(facts: Facts, file: Path, found: str) -> None:
    """A file whose name says another kind than its content."""
    Image.init()
    said = Image.EXTENSION.get(file.suffix.lower())
    kinds = {"MPO": "JPEG"}
    if said is not None and kinds.get(found, found) != kinds.get(said, said):
        facts.troubles.append(("wrong ending", f"{file.suffix} says {said}, the content is {found}"))


def _check_mask(facts: Facts, ids: Tensor, around: Surroundings) -> None:
    codes, ignored = around.fitted("codes"), around.fitted("ignore_index")
    if codes is not None:
        strange = [int(value) for value in torch.unique(ids) if not 0 <= value < len(codes) and value != ignored]
        if strange:
            message = f"it holds {strange[:5]}, codes has {len(codes)} classes (0 to {len(codes) - 1})"
            facts.troubles.append(("outside codes", message))
    picture = around.picture_size
    if picture is not None and facts.size != picture:
        kind = "mask of other size" if facts.size and same_shape(facts.size, picture) else "mask of other shape"
        facts.troubles.append((kind, f"the mask is {_size(facts.size)}, the picture {_size(picture)}"))


def _check_canvas(facts: Facts, x: TensorPoint | TensorBBox, around: Surroundings) -> None:
    """Points or boxes that say they are of a picture of another shape."""
    canvas, picture = canvas_of(x), around.picture_size
    if canvas is not None and picture is not None and not same_shape((canvas[1], canvas[0]), picture):
        message = f"they are of a picture {_size((canvas[1], canvas[0]))}, the picture is {_size(picture)}"
        facts.troubles.append(("positions of other shape", message))


def _check_inside(facts: Facts, places: Tensor, x: TensorPoint | TensorBBox, around: Surroundings, what: str) -> None:
    size = around.picture_size if x.canvas_size is None else (x.canvas_size[1], x.canvas_size[0])
    if x.scaled or size is None or not len(places):
        return
    outside = ((places < 0) | (places > places.new_tensor(size))).any(-1)
    if outside.any():
        worst = [round(float(value), 1) for value in places[outside][0]]
        message = f"{int(outside.sum())} of {outside.numel()} {what}, for example {worst} of a picture {_size(size)}"
        facts.troubles.append(("outside the picture", message))


def _size(size: tuple[int, int] | None) -> str:
    return "of no size" if size is None else f"{size[0]}x{size[1]}"
