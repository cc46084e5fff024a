"""Occlusion: how much less sure a model is when a part of the picture is covered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from laminar.core.errors import ConfigError
from laminar.interpret.attribution import Attribution, chosen_classes, question_about, scores_of
from laminar.interpret.base import TrainedLearner
from laminar.interpret.confusion import class_names
from laminar.nn.calling import call_model, evaluating
from laminar.nn.decoding import activation_of

__all__ = ["occlusion", "occlusion_map"]


def occlusion(
    learn: TrainedLearner,
    items: Any = None,
    target: Any = None,
    size: int | float = 0.25,
    stride: int | None = None,
    bs: int = 32,
    n: int = 4,
) -> Attribution:
    """Show which parts of pictures a model needs for a class: slower than `grad_cam`, and of any model.

    Args:
        learn: a trained learner, whose model looks at one picture for each item.
        items: see `grad_cam`.
        target: see `grad_cam`.
        size: side of the square that is covered: pixels, or a share of the shorter side.
        stride: pixels from one square to the next; None for half a square.
        bs: how many covered pictures are predicted at a time.
        n: how many of the validation set.

    Returns:
        The maps: how much of the class's probability is lost where it is covered, below 0 where it is won;
        ``.show()`` draws them over the pictures.

    Raises:
        ConfigError: there is nothing to look at, no such class, or the square does not fit.
    """
    question = question_about(learn, items, n)
    model: nn.Module = learn.model
    activation = activation_of(learn.loss_func)

    def probabilities(pictures: Tensor) -> Tensor:
        found: Tensor = activation(call_model(model, (pictures,)))
        return found

    pictures = question.pictures
    with evaluating(model), torch.no_grad():
        outputs = call_model(model, (pictures,))
        classes = chosen_classes(outputs, target, class_names(learn.dls, 0))
        maps = [
            occlusion_map(probabilities, picture, int(number), size, stride, bs)
            for picture, number in zip(pictures, classes, strict=True)
        ]
    return question.answer(torch.stack(maps), classes, outputs, "Occlusion")


def occlusion_map(
    predict: Callable[[Tensor], Tensor],
    picture: Tensor,
    target: int,
    size: int | float = 0.25,
    stride: int | None = None,
    bs: int = 32,
) -> Tensor:
    """How much less likely a class becomes where a picture is covered by a square of its own mean colour.

    Zeiler & Fergus, "Visualizing and Understanding Convolutional Networks", 2014. Squares overlap; a pixel gets the
    mean of those that cover it.

    Args:
        predict: pictures ``[n, channels, height, width]`` to probabilities ``[n, classes]``.
        picture: ``[channels, height, width]``.
        target: number of the class.
        size: see `occlusion`, as all others.
        stride: between squares.
        bs: pictures at a time.

    Returns:
        ``[height, width]``, float32.

    Raises:
        ConfigError: the square does not fit into the picture.
    """
    _, height, width = picture.shape
    side = round(size * min(height, width)) if isinstance(size, float) and size < 1 else int(size)
    step = max(1, side // 2) if stride is None else stride
    if not 1 <= side <= min(height, width) or step < 1:
        raise ConfigError(f"size={size} and stride={stride} do not fit pictures of {height}x{width} pixels.")
    corners = [(y, x) for y in _starts(height, side, step) for x in _starts(width, side, step)]
    classes = torch.tensor([target])
    whole = scores_of(predict(picture[None]).detach(), classes)[0]
    lost = torch.zeros(height, width, device=picture.device)
    covered = torch.zeros_like(lost)
    colour = picture.mean((1, 2), keepdim=True)
    for start in range(0, len(corners), bs):
        places = corners[start : start + bs]
        copies = picture.repeat(len(places), 1, 1, 1)
        for copied, (y, x) in zip(copies, places, strict=True):
            copied[:, y : y + side, x : x + side] = colour
        scores = scores_of(predict(copies).detach(), classes.expand(len(places)))
        for score, (y, x) in zip(scores, places, strict=True):
            lost[y : y + side, x : x + side] += whole - score
            covered[y : y + side, x : x + side] += 1
    return lost / covered.clamp(min=1)


def _starts(length: int, side: int, step: int) -> Iterator[int]:
    """Where squares begin along a side: every `step` pixels, and the last at the end."""
    yield from range(0, length - side, step)
    yield length - side
