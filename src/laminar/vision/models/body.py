"""The part of a classifier that looks, cut from torchvision's networks, ours or yours, for any number of channels."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor, nn
from torchvision import models as torchvision_models

from laminar.core.errors import ConfigError, suggest
from laminar.vision.models import xresnet, xresnet_variants
from laminar.vision.models.measuring import channels_in, on_meta
from laminar.vision.models.timm_networks import TIMM_PREFIX, TimmBody, is_timm, timm_arch, timm_names
from laminar.vision.models.vision_transformer import TransformerBody, is_transformer

__all__ = [
    "Arch",
    "Body",
    "Cut",
    "Grouped",
    "adapt_channels",
    "arch_name",
    "body_groups",
    "body_splitter",
    "build_arch",
    "check_arch",
    "create_body",
    "cut_model",
    "named_arch",
    "num_features",
]

Arch: TypeAlias = Callable[..., nn.Module] | str
Cut: TypeAlias = int | Callable[[nn.Module], nn.Module] | None

_HEAD_LAYERS = (
    nn.Linear,
    nn.Dropout,
    nn.Flatten,
    nn.Identity,
    nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool1d,
    nn.AdaptiveMaxPool2d,
    nn.AdaptiveAvgPool3d,
    nn.AdaptiveMaxPool3d,
    nn.Softmax,
    nn.LogSoftmax,
)
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
# Sides of the pictures that networks are measured with: the least that nearly all take; then what some insist on.
MEASURED_SIZES = (64, 224, 299)
# Where the first group of layers ends, counted in the body's children; others are halved.
_FIRST_GROUP = {"ResNet": 6, "SqueezeNet": 5, "DenseNet": 7, "VGG": 22, "AlexNet": 6, "XResNet": 3}


class Body(nn.Sequential):
    """The layers of a network before its pool and classifier.

    Args:
        *layers: in order.
        first_group: how many of them make the first group of layers; None for half.
    """

    def __init__(self, *layers: Any, first_group: int | None = None) -> None:
        super().__init__(*layers)
        self.first_group = first_group


@runtime_checkable
class Grouped(Protocol):
    """A body that knows which of its layers are early and which late."""

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """Parameters of the early and of the late layers."""


def arch_name(arch: Arch) -> str:
    """The name of an architecture: the function's, or as given."""
    return arch if isinstance(arch, str) else getattr(arch, "__name__", type(arch).__name__)


def named_arch(name: str) -> Callable[..., nn.Module]:
    """The function of ours, of torchvision's or of timm's that makes the classifier called `name`.

    A name that both have is torchvision's; ``"timm/resnet18"`` is timm's.

    Raises:
        ConfigError: there is none; the message gives the closest name.
    """
    ours: dict[str, Callable[..., nn.Module]] = {
        known: getattr(module, known)
        for module in (xresnet, xresnet_variants)
        for known in module.__all__
        if known.startswith("x")
    }
    if name in ours:
        return ours[name]
    theirs = torchvision_models.list_models(module=torchvision_models)
    if name not in theirs:
        timms = timm_names()
        if name.startswith(TIMM_PREFIX) or name.partition(".")[0] in timms:
            return timm_arch(name)
        installed = "timm" if timms else "timm (which is not installed: pip install 'laminar[timm]')"
        raise ConfigError(
            f"no classifier is called {name!r}, here, in torchvision or in {installed}."
            f"{suggest(name, [*theirs, *ours, *timms])}"
        )
    builder: Callable[..., nn.Module] = torchvision_models.get_model_builder(name)
    return builder


def check_arch(arch: Any) -> None:
    """Refuse a network where a function that makes one is needed.

    Raises:
        ConfigError: with how to write it.
    """
    if isinstance(arch, nn.Module) or not (isinstance(arch, str) or callable(arch)):
        raise ConfigError(
            "arch must be a function that makes a network (resnet34, not resnet34()), or a name, got "
            f"{type(arch).__name__}. For a network of yours: Learner(dls, model), or arch=lambda: model."
        )


def build_arch(arch: Arch, **options: object) -> nn.Module:
    """Make the whole network with random weights.

    Args:
        arch: a function that makes it (``resnet34``), or the name of one of torchvision's or ours.
        **options: for `arch`.

    Raises:
        ConfigError: no such name, or `arch` is a network already and not a function.
    """
    check_arch(arch)
    function = named_arch(arch) if isinstance(arch, str) else arch
    home = getattr(function, "__module__", "")
    if home.startswith("laminar.") and accepts(function, "n_out"):
        options = {"n_out": 1, **options}  # its own classifier is cut off
    if arch_name(arch) in ("googlenet", "inception_v3") and home.startswith("torchvision."):
        options = {"init_weights": True, **options}  # torchvision warns when it is not said
    return function(**options)


def create_body(arch: Arch | nn.Module, n_in: int = 3, cut: Cut = None, *, pretrained: bool = False) -> nn.Module:
    """The part of a network before its pool and classifier: pictures in, ``[batch, features, height, width]`` out.

    Of a vision transformer: all but its classifier, ``[batch, features]`` out.

    Args:
        arch: a function that makes a network, the name of one of torchvision's, or a network.
        n_in: channels of the pictures.
        cut: how many children to keep (negative: to drop), or a function from the network to its body; None to find
        out.
        pretrained: whether the weights of the network `arch` mean something: then its first layer is adapted to `n_in`
            channels, else drawn anew. (`pretrained.pretrained_body` finds and loads weights.)

    Raises:
        ConfigError: no way to cut is known, or there is no first layer to adapt.
    """
    body = cut_model(arch if isinstance(arch, nn.Module) else build_arch(arch), cut)
    adapt_channels(body, n_in, fresh=not pretrained)
    return body


def cut_model(model: nn.Module, cut: Cut = None) -> nn.Module:
    """Take the body out of a network; layers are shared, not copied. One of timm's loses its classifier.

    Convolutional networks lose pool and classifier, vision transformers their classifier only.

    Args:
        model: the whole network.
        cut: see `create_body`.

    Raises:
        ConfigError: no way to cut is known.
    """
    if callable(cut) and not isinstance(cut, int):
        return cut(model)
    if cut is None and is_timm(model):
        return TimmBody(model)
    if cut is None and is_transformer(model):
        return TransformerBody(model)
    children = [child for name, child in model.named_children() if not name.lower().startswith("aux")]
    if isinstance(cut, int):
        return Body(*children[:cut])
    kind = type(model).__name__
    own = [name for name, _ in model.named_parameters(recurse=False)]
    last = len(children)
    while last and _belongs_to_head(children[last - 1]):
        last -= 1
    if own or last == len(children) or last == 0:
        why = f"has parameters outside its layers ({', '.join(own)})" if own else "has no head that could be told apart"
        raise ConfigError(
            f"create_body does not know how to cut {kind}: it {why}. Pass cut=: a number of children to keep "
            f"({', '.join(f'{i} {name}' for i, (name, _) in enumerate(model.named_children()))}), or a function "
            "that takes the network and returns a body giving [batch, features, height, width]. "
            "Or train the network whole: Learner(dls, model)."
        )
    kept: list[nn.Module] = []
    for child in children[:last]:
        kept.extend(child if isinstance(child, nn.ModuleList) else [child])
    if len(kept) == 1 and type(kept[0]) is nn.Sequential:
        kept = list(kept[0].children())
    if kind == "DenseNet":
        kept.append(nn.ReLU(inplace=True))  # its forward applies one after the features
    return Body(*kept, first_group=_FIRST_GROUP.get(kind))


def _belongs_to_head(layer: nn.Module) -> bool:
    """Whether a layer pools or classifies: no convolution in it, unless the classifier is one (SqueezeNet)."""
    if isinstance(layer, _HEAD_LAYERS):
        return True
    parts = [part for part in layer.modules() if not list(part.children())]
    convolutions = sum(isinstance(part, _CONVOLUTIONS) for part in parts)
    if convolutions:
        return convolutions == 1 and isinstance(parts[-1], nn.AdaptiveAvgPool2d)
    return any(isinstance(part, _HEAD_LAYERS) for part in parts)


def adapt_channels(body: nn.Module, n_in: int, fresh: bool = False) -> None:
    """Make the first convolution of `body` take `n_in` channels (changes `body`).

    From weights for red, green and blue: for one channel their sum, so that a grey picture gives what it gave as
    colours; for two the first two, times 1.5; for more than three zeros for the others. The bias is kept.

    Args:
        body: a network.
        n_in: channels of the pictures.
        fresh: draw new weights instead.

    Raises:
        ConfigError: there is no convolution, or its weights are not for 3 channels.
    """
    found = next(((name, part) for name, part in body.named_modules() if isinstance(part, nn.Conv2d)), None)
    if found is None:
        raise ConfigError(f"cannot set n_in={n_in}: {type(body).__name__} has no convolution")
    name, old = found
    if old.in_channels == n_in:
        return
    if old.groups != 1 or (old.in_channels != 3 and not fresh):
        raise ConfigError(
            f"cannot adapt {name} to n_in={n_in}: it takes {old.in_channels} channels in {old.groups} groups, "
            "and only weights for 3 channels can be adapted"
        )
    new = copy.deepcopy(old)  # timm's convolutions have classes of their own
    new.in_channels = n_in
    new.weight = nn.Parameter(_weights_for(old.weight.detach(), n_in))
    if fresh:
        new.reset_parameters()
    parent, _, attribute = name.rpartition(".")
    setattr(body.get_submodule(parent), attribute, new)


def _weights_for(weight: Tensor, n_in: int) -> Tensor:
    """RGB weights ``[out, 3, height, width]`` for `n_in` channels."""
    if n_in == 1:
        return weight.sum(1, keepdim=True)
    if n_in == 2:
        return weight[:, :2] * 1.5
    more = max(0, n_in - weight.shape[1])
    return torch.cat([weight[:, :n_in], weight.new_zeros(len(weight), more, *weight.shape[2:])], 1)


def num_features(body: nn.Module, n_in: int | None = None) -> int:
    """How many features `body` gives, found by passing the shape of a picture through it; nothing is computed.

    Args:
        body: pictures to features.
        n_in: channels of the pictures; None to read it from the first convolution.

    Raises:
        ConfigError: the result is not ``[batch, features, height, width]``.
    """
    if isinstance(body, TimmBody | TransformerBody):
        return body.features
    n_in = channels_in(body) if n_in is None else n_in
    failure: Exception | None = None
    for size in MEASURED_SIZES:
        try:
            out = on_meta(body, torch.empty(1, n_in, size, size, device="meta"))
            break
        except (RuntimeError, ValueError, AssertionError) as error:
            failure = error
    else:
        raise ConfigError(
            f"the body cannot be run on a picture with {n_in} channels: {failure}. Pass cut= (see create_body)."
        ) from failure
    if not isinstance(out, Tensor) or out.ndim != 4:
        shape = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise ConfigError(
            f"the body gives {shape} instead of [batch, features, height, width]; pass another cut= (see create_body)"
        )
    return int(out.shape[1])


def body_splitter(model: nn.Module) -> list[list[nn.Parameter]]:
    """Groups of layers of a network made of body and head: early layers, late layers, head.

    The default for `vision_learner`. Where the early layers end depends on the architecture; a body of fewer than four
    layers is one group.
    """
    body, *head = model.children()
    rest = [parameter for layer in head for parameter in layer.parameters()]
    return [*body_groups(body), rest]


def body_groups(body: nn.Module) -> list[list[nn.Parameter]]:
    """Early and late layers of a body; one group for a body of fewer than four layers."""
    if isinstance(body, Grouped):
        return [group for group in body.layer_groups() if group]
    layers = list(body.children())
    if len(layers) < 4:  # a stem and a sequence of stages, for one
        layers = [layer for child in layers for layer in (child if type(child) is nn.Sequential else [child])]
    first = getattr(body, "first_group", None) or 0
    if not 0 < first < len(layers):  # as with VGGs without norms, which have fewer layers
        first = len(layers) // 2 if len(layers) >= 4 else 0
    groups = [layers[:first], layers[first:]] if first else [[body]]
    return [[parameter for layer in group for parameter in layer.parameters()] for group in groups]


def accepts(arch: Callable[..., Any], argument: str) -> bool:
    """Whether the function `arch` takes an argument of this name."""
    try:
        return argument in inspect.signature(arch).parameters
    except (TypeError, ValueError):
        return False
