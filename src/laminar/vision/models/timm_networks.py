"""timm's networks as bodies: by name, without their heads, grouped and measured by what they tell of themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from laminar.core.errors import ConfigError, require, suggest
from laminar.vision.models.measuring import channels_in, on_meta

__all__ = ["TIMM_PREFIX", "TimmBody", "TimmScales", "is_timm", "timm_arch", "timm_names"]

TIMM_PREFIX = "timm/"
_AS_PICTURES = {"output_fmt": "NCHW", "intermediates_only": True}


def timm_names() -> list[str]:
    """Names of timm's networks; none where timm is not installed."""
    try:
        timm = _timm("a name of timm's")
    except ImportError:
        return []
    names: list[str] = timm.list_models()
    return names


def timm_arch(name: str) -> Callable[..., nn.Module]:
    """The function that makes the network that timm calls `name`.

    Args:
        name: as in ``timm.list_models()``, with the tag of its weights (``"resnet18.a1_in1k"``) or without, also after
            ``"timm/"``.

    Raises:
        ConfigError: timm has none of this name.
        MissingExtraError: timm is not installed.
    """
    timm = _timm(f"the network {name!r}")
    known = name.removeprefix(TIMM_PREFIX)
    if not timm.is_model(known):
        raise ConfigError(f"timm has no network {known!r}.{suggest(known, timm.list_models())}")

    def build(pretrained: bool = False, **options: Any) -> nn.Module:
        model: nn.Module = timm.create_model(known, pretrained=pretrained, **options)
        return model

    build.__name__ = name
    build.__module__ = "timm"
    return build


def _timm(purpose: str) -> Any:
    return require("timm", "timm", purpose)


def is_timm(model: nn.Module) -> bool:
    """Whether a network is one of timm's that can do without its head."""
    return isinstance(getattr(model, "pretrained_cfg", None), Mapping) and all(
        hasattr(model, name) for name in ("forward_features", "reset_classifier")
    )


class TimmBody(nn.Module):
    """One of timm's networks without its classifier (changes `model`).

    Convolutional ones give ``[batch, features, height, width]``. Those that give tokens, or pictures with channels
    last, keep the pool or class token that they were trained with, and give ``[batch, features]``.

    Args:
        model: made by timm.

    Attributes:
        features: how many there are.
        pooled: whether they come without height and width.
        size: height and width of the pictures `model` was trained on; it takes no other where `fixed`.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        told: Any = model.pretrained_cfg
        self.size = _size_of(model)
        self.fixed = bool(told.get("fixed_input_size"))
        self.pooled = not _gives_pictures(model, self.size)
        reset: Any = model.reset_classifier
        if not self.pooled:
            try:
                reset(0, "")
            except AssertionError:  # a few cannot do without their pool
                self.pooled = True
        if self.pooled:
            reset(0)
        self.model = model
        self.features = int(on_meta(self, _picture(model, self.size)).shape[1])

    def forward(self, x: Tensor) -> Tensor:
        """Features of ``[batch, channels, height, width]``."""
        out: Tensor = self.model(x)
        return out

    def fit_to(self, size: tuple[int, int]) -> None:
        """Take pictures of another size from now on; what encodes positions is interpolated.

        Args:
            size: height and width.

        Raises:
            ConfigError: the network insists on its size.
        """
        if not self.fixed or size == self.size:
            return
        change: Any = getattr(self.model, "set_input_size", None)
        name, (height, width) = type(self.model).__name__, self.size
        if change is None:
            raise ConfigError(
                f"{name} takes pictures of {height}x{width} pixels only, and the data have {size[0]}x{size[1]}: "
                f"item_tfms=Resize({self.size if height != width else height})"
            )
        patch = getattr(getattr(self.model, "patch_embed", None), "patch_size", (1, 1))
        try:
            if any(side % step for side, step in zip(size, patch, strict=True)):
                raise ValueError(f"its patches have {patch[0]}x{patch[1]}")
            change(img_size=size)
            on_meta(self, _picture(self.model, size))
        except (AssertionError, RuntimeError, ValueError) as error:
            raise ConfigError(
                f"{name} cannot take pictures of {size[0]}x{size[1]} pixels ({error}). It was trained on {height}x"
                f"{width}; sides that its patches and windows divide do as well."
            ) from error
        self.size = size

    def last_of_scales(self) -> list[int]:
        """Which of the feature maps that the network tells is the last of its size, for each size.

        Raises:
            ConfigError: it tells none.
        """
        if not hasattr(self.model, "forward_intermediates"):
            raise ConfigError(f"timm's {type(self.model).__name__} does not tell what it finds at each scale")
        method = _Method(self.model, "forward_intermediates", **_AS_PICTURES)
        found = on_meta(method, _picture(self.model, self.size))
        return sorted({part.shape[2]: number for number, part in enumerate(found)}.values())

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """Early and late layers, by the order of layers that timm tells."""
        named = dict(self.model.named_parameters())
        matcher: Any = getattr(self.model, "group_matcher", None)
        if matcher is None:
            layers = [list(child.parameters()) for child in self.model.children()]
        else:
            grouped = require("timm.models", "timm", "groups of layers").group_parameters(
                self.model, matcher(coarse=True)
            )
            layers = [[named[name] for name in grouped[number]] for number in sorted(grouped)]
        first = (len(layers) + 1) // 2
        return [_joined(layers[:first]), _joined(layers[first:])]


class TimmScales(nn.Module):
    """One of timm's networks, giving its features at every scale, the finest first (changes `body`).

    The last feature map of each size counts. Layers after the last one are dropped.

    Args:
        body: as `create_body` makes it.

    Raises:
        ConfigError: the network does not tell its features.
    """

    def __init__(self, body: TimmBody) -> None:
        super().__init__()
        model: Any = body.model
        self.body = body
        self.numbers = body.last_of_scales()
        model.prune_intermediate_layers(self.numbers, prune_norm=True, prune_head=True)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Features of ``[batch, channels, height, width]`` at every scale."""
        model: Any = self.body.model
        return list(model.forward_intermediates(x, indices=self.numbers, **_AS_PICTURES))

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """Early and late layers."""
        return self.body.layer_groups()


class _Method(nn.Module):
    """A method of a network in place of its `forward`, to be measured."""

    def __init__(self, model: nn.Module, name: str, **options: Any) -> None:
        super().__init__()
        self.model, self.name, self.options = model, name, options

    def forward(self, x: Tensor) -> Any:
        return getattr(self.model, self.name)(x, **self.options)


def _gives_pictures(model: nn.Module, size: tuple[int, int]) -> bool:
    """Whether the features have height and width, after their channels."""
    out = on_meta(_Method(model, "forward_features"), _picture(model, size))
    return isinstance(out, Tensor) and out.ndim == 4 and out.shape[1] == model.num_features


def _size_of(model: nn.Module) -> tuple[int, int]:
    told: Any = model.pretrained_cfg
    patches = getattr(model, "patch_embed", None)
    size = getattr(patches, "img_size", None) or told["input_size"][-2:]  # asked for when it was made, or usual
    return int(size[0]), int(size[1])


def _picture(model: nn.Module, size: tuple[int, int]) -> Tensor:
    return torch.empty(1, channels_in(model), *size, device="meta")


def _joined(layers: Iterable[list[nn.Parameter]]) -> list[nn.Parameter]:
    return [parameter for layer in layers for parameter in layer]
