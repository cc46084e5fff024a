"""Grad-CAM: where the features lie that a class rests on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from laminar.core.errors import ConfigError
from laminar.interpret.attribution import Attribution, chosen_classes, question_about, scores_of
from laminar.interpret.base import TrainedLearner
from laminar.interpret.confusion import class_names
from laminar.interpret.feature_maps import Features, features_over, named_layer

__all__ = ["ClassMaps", "grad_cam", "grad_cam_maps"]

_PASSING = (nn.Identity, nn.Dropout)  # layers that only hand on
_TELLING = 4  # rows and columns from which on a map says more than "left" or "above"


class ClassMaps(NamedTuple):
    """Maps ``[n, height, width]`` from 0 to 1, the classes they are for, raw outputs, and the layer they are of."""

    maps: Tensor
    classes: Tensor
    outputs: Tensor
    layer: str


def grad_cam(
    learn: TrainedLearner, items: Any = None, target: Any = None, layer: str | nn.Module | None = None, n: int = 9
) -> Attribution:
    """Show where in pictures the evidence for a class lies (`grad_cam_maps` says how).

    Args:
        learn: a trained learner, whose model looks at one picture for each item.
        items: a file, a picture, a list of them, or a batch as loaders give it (``interp.batch([3, 7])``); None for the
            first of the validation set.
        target: the class to look for, by name or number, or one for each item; None for the model's decision.
        layer: see `grad_cam_maps`.
        n: how many of the validation set.

    Returns:
        The maps; ``.show()`` draws them over the pictures.

    Raises:
        ConfigError: there is nothing to look at, no such class or layer, or no layer that lies over the picture.

    Example::

        grad_cam(learn, "skirt.jpg").show()
        grad_cam(learn, interp.batch(interp.top_losses(4).idxs)).show()
    """
    question = question_about(learn, items, n)
    model: nn.Module = learn.model
    found = grad_cam_maps(model, question.pictures, target, layer, class_names(learn.dls, 0))
    return question.answer(found.maps, found.classes, found.outputs, f"Grad-CAM, layer {found.layer!r}")


def grad_cam_maps(
    model: nn.Module,
    pictures: Tensor,
    target: Any = None,
    layer: str | nn.Module | None = None,
    names: list[str] | None = None,
) -> ClassMaps:
    """Weigh the features of a layer by how much each channel speaks for a class, and keep what speaks for it.

    Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", 2017; for a
    class of pixels, by the mean over them (Vinogradova et al., "Towards Interpretable Semantic Segmentation via
    Gradient-weighted Class Activation Mapping", 2020). Features may also be channels last, or tokens of a transformer.

    Args:
        model: left as it was; gradients of its parameters are not touched, and it may be frozen.
        pictures: as the model gets them, ``[n, channels, height, width]``.
        target: see `grad_cam`.
        layer: by name or as it is; None for the last one that lies over the picture, with four rows and columns (in
            small pictures with two), and has a say in the output. In a network for pixels, the last of the coarsest.
        names: of the classes.

    Raises:
        ConfigError: see `grad_cam`.
    """
    layers = dict(model.named_modules()) if layer is None else named_layer(model, layer)
    with torch.enable_grad():
        outputs, found = features_over(model, pictures, layers)
        if not isinstance(outputs, Tensor):
            raise ConfigError(f"{type(model).__name__} gives {type(outputs).__name__} in place of a tensor of outputs.")
        classes = chosen_classes(outputs.detach(), target, names or [])
        score = scores_of(outputs, classes).sum()
        chosen = found[::-1] if layer is not None else _candidates(found, outputs)
        for features, gradient in _with_gradients(score, chosen):
            maps = _weighed(features, gradient, (pictures.shape[2], pictures.shape[3]))
            return ClassMaps(maps, classes, outputs.detach(), features.name)
    if layer is not None:
        raise ConfigError(
            f"the layer {next(iter(layers))!r} ({type(next(iter(layers.values()))).__name__}) gives nothing that lies "
            "over the picture and has a say in the output."
        )
    raise ConfigError(
        f"{type(model).__name__} has no layer whose features lie over pictures of {pictures.shape[2]}x"
        f"{pictures.shape[3]} with two rows and columns at least. Give larger pictures, or layer=."
    )


def _candidates(found: list[Features], outputs: Tensor) -> list[Features]:
    """Features worth a look, the best first."""
    found = [features for features in found if not isinstance(features.layer, _PASSING)]
    if outputs.ndim == 4:  # up to the pixels again: whole stages of the coarsest know most
        found = [features for features in found if features.values.shape[-2:] != outputs.shape[-2:]]
        found.sort(key=lambda features: (-features.grid.height * features.grid.width, -features.name.count(".")))
    last_first = found[::-1]
    tokens = next((features for features in last_first if features.grid.order == "tokens"), None)
    width = None if tokens is None else tokens.values.shape[2]  # others are queries, keys, or inside of layers
    return _fine_first(
        [features for features in last_first if features.grid.order != "tokens" or features.values.shape[2] == width]
    )


def _fine_first(last_first: list[Features]) -> list[Features]:
    """The same; where the last grid tells too little of a small picture, a whole stage of the last finer one first."""
    fine = [features for features in last_first if min(features.grid.height, features.grid.width) >= _TELLING]
    if not fine or fine[0] is last_first[0]:
        return last_first
    stage = [features for features in fine if features.grid == fine[0].grid]
    return [*sorted(stage, key=lambda features: features.name.count(".")), *last_first]


def _with_gradients(score: Tensor, candidates: list[Features]) -> Iterator[tuple[Features, Tensor]]:
    """Those features that have a say in the score, with its gradient by them, spread over the picture."""
    for features in candidates:
        if not features.values.requires_grad:
            continue
        (gradient,) = torch.autograd.grad(score, [features.values], retain_graph=True, allow_unused=True)
        if gradient is not None:
            spread = features.grid.spread(gradient)
            if bool(spread.any()):  # after its last block a transformer looks at the class token alone
                yield features, spread


def _weighed(features: Features, gradient: Tensor, size: tuple[int, int]) -> Tensor:
    """Positive part of the features' sum, each weighed by its mean gradient: ``[n, *size]``, 0 to 1."""
    values = features.grid.spread(features.values.detach()).float()
    weights = gradient.float().mean((2, 3), keepdim=True)
    coarse = (values * weights).sum(1, keepdim=True).relu()
    fine = interpolate(coarse, size=size, mode="bilinear", align_corners=False)[:, 0]
    most = fine.amax((1, 2), keepdim=True)
    return torch.where(most > 0, fine / most.clamp(min=torch.finfo(fine.dtype).tiny), 0.0)
