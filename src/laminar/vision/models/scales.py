"""The features of a body at every scale, the finest first: what a U-Net looks at again on its way up."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torchvision.ops import Permute

from laminar.core.errors import ConfigError
from laminar.vision.models.body import MEASURED_SIZES, body_groups
from laminar.vision.models.measuring import channels_in, on_meta
from laminar.vision.models.timm_networks import TimmBody, TimmScales
from laminar.vision.models.vision_transformer import TransformerBody

__all__ = ["BodyScales", "channels_of_scales", "check_scales", "with_scales"]

_ONE_SCALE = (
    "a U-Net needs features at two scales at least, and this body gives one (as do plain vision transformers). Take "
    "one that makes pictures smaller step by step, such as resnet34, convnext_tiny or swin_t."
)

_SHRINKS = 1.4  # a side that gets smaller by less has only lost its border, as in convolutions without padding
_CHANNELS_LAST = [0, 2, 3, 1]


class BodyScales(nn.Module):
    """A body that gives, besides its result, what it had found just before each step to a smaller picture.

    ``[batch, channels, height, width]`` to a list of feature maps, the finest first and the body's own result last.

    Args:
        body: layers in order, as `create_body` makes it; kept as it is.

    Raises:
        ConfigError: the layers do not pass pictures of features on.
    """

    def __init__(self, body: nn.Sequential) -> None:
        super().__init__()
        self.body = body
        passed = _measured(body)
        names = {id(layer): name for name, layer in body.named_modules()}
        self._paths = [names[id(layer)] for layer, _ in passed]
        self._turned: set[int] = set()  # layers whose features have their channels last (torchvision's Swin)
        turned = False
        for i, (layer, _) in enumerate(passed):
            turned = list(layer.dims) == _CHANNELS_LAST if isinstance(layer, Permute) else turned
            self._turned |= {i} if turned else set()
        sides = [shape[1] if i in self._turned else shape[2] for i, (_, shape) in enumerate(passed)]
        self._kept = {i for i in range(len(sides) - 1) if sides[i] > _SHRINKS * sides[i + 1]}

    def forward(self, x: Tensor) -> list[Tensor]:
        """Features of ``[batch, channels, height, width]`` at every scale."""
        found = []
        for i, path in enumerate(self._paths):
            x = self.body.get_submodule(path)(x)
            if i in self._kept:
                found.append(x.permute(0, 3, 1, 2) if i in self._turned else x)
        return [*found, x]

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """Early and late layers of the body."""
        return body_groups(self.body)


def _measured(body: nn.Sequential) -> list[tuple[nn.Module, torch.Size]]:
    """Layers in order, and the shape that each gives."""
    failure: Exception | None = None
    for size in MEASURED_SIZES:
        try:
            return list(_passed(body, torch.empty(1, channels_in(body), size, size, device="meta")))
        except ConfigError:
            raise
        except (RuntimeError, ValueError, AssertionError) as error:
            failure = error
    raise ConfigError(f"the body cannot be run on a picture: {failure}. Pass cut= (see create_body).") from failure


def _passed(layers: nn.Sequential, x: Tensor) -> Iterator[tuple[nn.Module, torch.Size]]:
    """Each layer with what it gives; a sequence that shrinks the picture more than once is taken apart."""
    for layer in layers:
        out = on_meta(layer, x)
        if not isinstance(out, Tensor) or out.ndim != 4:
            got = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
            raise ConfigError(
                f"the layer {type(layer).__name__} of the body gives {got} instead of [batch, features, height, "
                "width]; pass another cut="
            )
        if type(layer) is nn.Sequential and x.shape[2] > 2 * _SHRINKS * out.shape[2]:
            yield from _passed(layer, x)
        else:
            yield layer, out.shape
        x = out


def with_scales(encoder: nn.Module) -> nn.Module:
    """`encoder`, made to give its features at every scale if it is a sequence of layers, or one of timm's networks.

    Args:
        encoder: layers in order, or a module that gives a list of feature maps, the finest first.

    Raises:
        ConfigError: it gives features at one scale only, or passes no pictures of features on.
    """
    if isinstance(encoder, TransformerBody):
        raise ConfigError(_ONE_SCALE)
    if isinstance(encoder, TimmBody):
        return TimmScales(encoder)
    in_order = isinstance(encoder, nn.Sequential) and type(encoder).forward is nn.Sequential.forward
    return BodyScales(encoder) if in_order and isinstance(encoder, nn.Sequential) else encoder


def check_scales(body: nn.Module) -> None:
    """Refuse a network of timm's, or a vision transformer, that has features at one scale, whatever its input.

    Raises:
        ConfigError: it has.
    """
    if isinstance(body, TransformerBody) or (isinstance(body, TimmBody) and len(body.last_of_scales()) < 2):
        raise ConfigError(_ONE_SCALE)


def channels_of_scales(encoder: nn.Module, size: int) -> list[tuple[int, float]]:
    """Channels of the feature maps of `encoder`, the finest first, and how many times smaller than the picture each is.

    Args:
        encoder: gives a list of feature maps.
        size: side of the picture to measure with, pixels.

    Raises:
        ConfigError: it gives something else, or features at one scale only.
    """
    out = on_meta(encoder, torch.empty(1, channels_in(encoder), size, size, device="meta"))
    if not isinstance(out, list | tuple) or not all(isinstance(part, Tensor) and part.ndim == 4 for part in out):
        raise ConfigError(
            f"{type(encoder).__name__} does not tell what it finds at each scale. A U-Net needs layers in order "
            "(nn.Sequential; cut= takes a function from the network to them), or a module that gives a list of feature "
            "maps, the finest first."
        )
    if len(out) < 2:
        raise ConfigError(_ONE_SCALE)
    return [(int(part.shape[1]), size / part.shape[2]) for part in out]
