"""XResNets that weigh their channels (xse_), have narrow groups (xresnext, Xie et al. 2017), both, or more stages."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, Unpack

from torch import nn

from laminar.core.errors import check_keywords
from laminar.nn.residual import ResBlock, SEBlock, SEResNeXtBlock
from laminar.vision.models.xresnet import XResNet, XResNetOptions, without_weights

__all__ = [
    "xresnet18_deep",
    "xresnet18_deeper",
    "xresnet34_deep",
    "xresnet34_deeper",
    "xresnet50_deep",
    "xresnet50_deeper",
    "xse_resnext18_deep",
    "xse_resnext18_deeper",
    "xse_resnext34_deep",
    "xse_resnext34_deeper",
    "xse_resnext50_deep",
    "xse_resnext50_deeper",
    "xsenet154",
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

_LAYERS: dict[str, tuple[int, Sequence[int]]] = {  # expansion, and blocks of each stage
    "18": (1, [2, 2, 2, 2]),
    "34": (1, [3, 4, 6, 3]),
    "50": (4, [3, 4, 6, 3]),
    "101": (4, [3, 4, 23, 3]),
    "152": (4, [3, 8, 36, 3]),
    "154": (4, [3, 8, 36, 3]),
    "18_deep": (1, [2, 2, 2, 2, 1, 1]),
    "34_deep": (1, [3, 4, 6, 3, 1, 1]),
    "50_deep": (4, [3, 4, 6, 3, 1, 1]),
    "18_deeper": (1, [2, 2, 1, 1, 1, 1, 1, 1]),
    "34_deeper": (1, [3, 4, 6, 3, 1, 1, 1, 1]),
    "50_deeper": (4, [3, 4, 6, 3, 1, 1, 1, 1]),
}


class _Maker(Protocol):
    def __call__(self, pretrained: bool = False, n_out: int = 1000, **options: Unpack[XResNetOptions]) -> XResNet: ...


def _variant(
    kind: str,
    depth: str,
    block: Callable[..., nn.Module],
    what: str,
    layers: Sequence[int] | None = None,
    p: float = 0.0,
) -> _Maker:
    """The function that makes one network: its name, its blocks, what its docstring says of them."""
    name = f"{kind}{depth}"
    expansion, usual = _LAYERS[depth]
    layers = layers or usual

    def make(pretrained: bool = False, n_out: int = 1000, **options: Unpack[XResNetOptions]) -> XResNet:
        without_weights(name, pretrained)
        check_keywords(options, XResNetOptions, name)
        given: dict[str, Any] = {"p": p, **options}
        return XResNet(block, expansion, layers, n_out=n_out, **given)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"XResNet of {sum(layers)} blocks in {len(layers)} stages, {what}; `options` are those of `XResNet`."
    return make


_PLAIN = "going on after the usual four to small, deep features"
_WEIGHED = "whose blocks weigh their channels (Hu et al., 2018)"
_GROUPED = "whose blocks have 32 narrow groups (Xie et al., 2017)"
_BOTH = "whose blocks have 32 narrow groups and weigh their channels"
_SENET = "whose blocks weigh their channels and have 64 groups, with dropout, as SENet-154 (Hu et al., 2018)"
_plain_groups = partial(SEResNeXtBlock, reduction=0)
_DEEPER_GROUPS = [3, 4, 4, 2, 2, 1, 1, 1]

xresnet18_deep = _variant("xresnet", "18_deep", ResBlock, _PLAIN)
xresnet34_deep = _variant("xresnet", "34_deep", ResBlock, _PLAIN)
xresnet50_deep = _variant("xresnet", "50_deep", ResBlock, _PLAIN)
xresnet18_deeper = _variant("xresnet", "18_deeper", ResBlock, _PLAIN)
xresnet34_deeper = _variant("xresnet", "34_deeper", ResBlock, _PLAIN)
xresnet50_deeper = _variant("xresnet", "50_deeper", ResBlock, _PLAIN)
xse_resnet18 = _variant("xse_resnet", "18", SEBlock, _WEIGHED)
xse_resnet34 = _variant("xse_resnet", "34", SEBlock, _WEIGHED)
xse_resnet50 = _variant("xse_resnet", "50", SEBlock, _WEIGHED)
xse_resnet101 = _variant("xse_resnet", "101", SEBlock, _WEIGHED)
xse_resnet152 = _variant("xse_resnet", "152", SEBlock, _WEIGHED)
xsenet154 = _variant("xsenet", "154", partial(SEBlock, groups=64), _SENET, p=0.2)
xresnext18 = _variant("xresnext", "18", _plain_groups, _GROUPED)
xresnext34 = _variant("xresnext", "34", _plain_groups, _GROUPED)
xresnext50 = _variant("xresnext", "50", _plain_groups, _GROUPED)
xresnext101 = _variant("xresnext", "101", _plain_groups, _GROUPED)
xse_resnext18 = _variant("xse_resnext", "18", SEResNeXtBlock, _BOTH)
xse_resnext34 = _variant("xse_resnext", "34", SEResNeXtBlock, _BOTH)
xse_resnext50 = _variant("xse_resnext", "50", SEResNeXtBlock, _BOTH)
xse_resnext101 = _variant("xse_resnext", "101", SEResNeXtBlock, _BOTH)
xse_resnext18_deep = _variant("xse_resnext", "18_deep", SEResNeXtBlock, _BOTH)
xse_resnext34_deep = _variant("xse_resnext", "34_deep", SEResNeXtBlock, _BOTH)
xse_resnext50_deep = _variant("xse_resnext", "50_deep", SEResNeXtBlock, _BOTH)
xse_resnext18_deeper = _variant("xse_resnext", "18_deeper", SEResNeXtBlock, _BOTH)
xse_resnext34_deeper = _variant("xse_resnext", "34_deeper", SEResNeXtBlock, _BOTH, _DEEPER_GROUPS)
xse_resnext50_deeper = _variant("xse_resnext", "50_deeper", SEResNeXtBlock, _BOTH, _DEEPER_GROUPS)
