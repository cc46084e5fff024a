"""XResNets that weigh their channels (xse_), have many narrow groups (xresnext, Xie et al. 2017), or both."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, Unpack

from torch import nn

from laminar.core.errors import check_keywords
from laminar.nn.residual import SEBlock, SEResNeXtBlock
from laminar.vision.models.xresnet import XResNet, XResNetOptions, without_weights

__all__ = [
    "xresnext18",
    "xresnext34",
    "xresnext50",
    "xresnext101",
    "xse_resnet18",
    "xse_resnet34",
    "xse_resnet50",
    "xse_resnet101",
    "xse_resnet152",
    "xse_resnext18",
    "xse_resnext34",
    "xse_resnext50",
    "xse_resnext101",
]

_DEPTHS: dict[int, tuple[int, Sequence[int]]] = {  # expansion, and blocks of each stage
    18: (1, [2, 2, 2, 2]),
    34: (1, [3, 4, 6, 3]),
    50: (4, [3, 4, 6, 3]),
    101: (4, [3, 4, 23, 3]),
    152: (4, [3, 8, 36, 3]),
}


class _Maker(Protocol):
    def __call__(self, pretrained: bool = False, n_out: int = 1000, **options: Unpack[XResNetOptions]) -> XResNet: ...


def _variant(kind: str, depth: int, block: Callable[..., nn.Module], what: str) -> _Maker:
    name = f"{kind}{depth}"

    def make(pretrained: bool = False, n_out: int = 1000, **options: Unpack[XResNetOptions]) -> XResNet:
        without_weights(name, pretrained)
        check_keywords(options, XResNetOptions, name)
        expansion, layers = _DEPTHS[depth]
        given: dict[str, Any] = dict(options)
        return XResNet(block, expansion, layers, n_out=n_out, **given)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"XResNet with the depth of ResNet-{depth} {what}; `options` are those of `XResNet`."
    return make


_WEIGHED = "whose blocks weigh their channels (Hu et al., 2018)"
_GROUPED = "whose blocks have 32 narrow groups (Xie et al., 2017)"
_BOTH = "whose blocks have 32 narrow groups and weigh their channels"
_plain_groups = partial(SEResNeXtBlock, reduction=0)

xse_resnet18 = _variant("xse_resnet", 18, SEBlock, _WEIGHED)
xse_resnet34 = _variant("xse_resnet", 34, SEBlock, _WEIGHED)
xse_resnet50 = _variant("xse_resnet", 50, SEBlock, _WEIGHED)
xse_resnet101 = _variant("xse_resnet", 101, SEBlock, _WEIGHED)
xse_resnet152 = _variant("xse_resnet", 152, SEBlock, _WEIGHED)
xresnext18 = _variant("xresnext", 18, _plain_groups, _GROUPED)
xresnext34 = _variant("xresnext", 34, _plain_groups, _GROUPED)
xresnext50 = _variant("xresnext", 50, _plain_groups, _GROUPED)
xresnext101 = _variant("xresnext", 101, _plain_groups, _GROUPED)
xse_resnext18 = _variant("xse_resnext", 18, SEResNeXtBlock, _BOTH)
xse_resnext34 = _variant("xse_resnext", 34, SEResNeXtBlock, _BOTH)
xse_resnext50 = _variant("xse_resnext", 50, SEResNeXtBlock, _BOTH)
xse_resnext101 = _variant("xse_resnext", 101, SEResNeXtBlock, _BOTH)
