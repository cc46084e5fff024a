"""`vision_learner`: a network for the pictures at hand, from an architecture and (usually) its pretrained weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, Unpack

import torch
from torch import Tensor, nn

from laminar.core.errors import ConfigError, check_keywords
from laminar.core.recipe import builder
from laminar.core.types import TensorImageBase
from laminar.data.normalize import Normalize
from laminar.learner.learner import Learner, LearnerOptions
from laminar.vision.models.body import Arch, Cut, arch_name, body_splitter, create_body, named_arch, num_features
from laminar.vision.models.head import create_head, init_head
from laminar.vision.models.pretrained import PretrainedBody, Weights, pretrained_body
from laminar.vision.models.timm_networks import TIMM_PREFIX, TimmBody

__all__ = ["HeadOptions", "VisionLearnerOptions", "create_vision_model", "vision_learner", "vision_network"]


class HeadOptions(TypedDict, total=False):
    """Keyword arguments of `create_head`, which documents them."""

    lin_ftrs: Sequence[int] | None
    ps: float | Sequence[float]
    pool: bool
    concat_pool: bool
    first_bn: bool
    bn_final: bool
    lin_first: bool
    y_range: tuple[float, float] | None


class VisionLearnerOptions(LearnerOptions, HeadOptions, total=False):
    """Keyword arguments of `vision_learner` that go to `Learner` and to `create_head`."""


def create_vision_model(
    arch: Arch,
    n_out: int,
    pretrained: bool = True,
    weights: Weights = None,
    cut: Cut = None,
    n_in: int = 3,
    init: Callable[[Tensor], object] | None = nn.init.kaiming_normal_,
    custom_head: nn.Module | None = None,
    **head: Unpack[HeadOptions],
) -> nn.Sequential:
    """Make a network of a body and a new head.

    Args:
        arch: a function that makes the network that the body is cut from, or its name.
        n_out: outputs: classes, or quantities.
        pretrained: give the body its weights.
        weights: which weights, see `pretrained.find_weights`; None for those that belong to `arch`.
        cut: where to cut, see `body.create_body`.
        n_in: channels of the pictures.
        init: draws the head's weights in place; None leaves torch's own start.
        custom_head: the head to use; features in, outputs out.
        **head: see `create_head`.

    Raises:
        ConfigError: the network cannot be cut.
        WeightsError: the weights cannot be found, or do not fit.
    """
    check_keywords(head, HeadOptions, "create_vision_model")
    body = found_body(arch, pretrained, weights, cut, n_in).body
    return _with_head(body, n_out, n_in, init, custom_head, head)


@builder
def vision_network(
    arch: Arch,
    n_out: int,
    *,
    cut: Cut = None,
    n_in: int = 3,
    size: tuple[int, int] | None = None,
    **head: Unpack[HeadOptions],
) -> nn.Sequential:
    """The network that `create_vision_model` makes, without weights: what an export asks for, which fetches nothing.

    Args:
        arch: see `create_vision_model`, as all others.
        n_out: outputs.
        cut: where to cut.
        n_in: channels of the pictures.
        size: height and width of the pictures, for networks that must be told.
        **head: see `create_head`.
    """
    if n_in < 1 or n_out < 1:
        raise ConfigError(f"a network needs at least one channel and one output, got n_in={n_in} and n_out={n_out}")
    check_keywords(head, HeadOptions, "vision_network")
    body = found_body(arch, False, None, cut, n_in, size).body
    return _with_head(body, n_out, n_in, None, None, head)


vision_network.splitter = body_splitter  # type: ignore[attr-defined]  # with which a loaded learner goes on training


def found_body(
    arch: Arch, pretrained: bool, weights: Weights, cut: Cut, n_in: int, size: tuple[int, int] | None = None
) -> PretrainedBody:
    """The body of `arch`, with weights if they are wanted, for pictures of `size` if it must be told."""
    if pretrained or weights is not None:
        found = pretrained_body(arch, weights, n_in, cut)
    else:
        found = PretrainedBody(create_body(arch, n_in, cut), None, None, pretrained=False)
    if size is not None and isinstance(found.body, TimmBody):
        found.body.fit_to(size)
    return found


def _with_head(
    body: nn.Module,
    n_out: int,
    n_in: int,
    init: Callable[[Tensor], object] | None,
    custom_head: nn.Module | None,
    options: HeadOptions,
) -> nn.Sequential:
    if custom_head is not None:
        return nn.Sequential(body, custom_head)
    head = create_head(num_features(body, n_in), n_out, **_for_body(body, options))
    init_head(head, init)
    return nn.Sequential(body, head)


def _for_body(body: nn.Module, options: HeadOptions) -> HeadOptions:
    """Options of a head for features that may have been pooled already."""
    if not (isinstance(body, TimmBody) and body.pooled):
        return options
    if options.get("pool") or options.get("concat_pool"):
        raise ConfigError(f"{type(body.model).__name__} pools its features itself: leave out pool and concat_pool")
    return {"lin_ftrs": [], **options, "pool": False}


def vision_learner(
    dls: Any,
    arch: Arch,
    *,
    normalize: bool = True,
    n_out: int | None = None,
    pretrained: bool | Weights = True,
    weights: Weights = None,
    cut: Cut = None,
    init: Callable[[Tensor], object] | None = nn.init.kaiming_normal_,
    custom_head: nn.Module | None = None,
    n_in: int | None = None,
    channels_last: bool | None = None,
    **options: Unpack[VisionLearnerOptions],
) -> Learner:
    """Make a learner for pictures: body of `arch`, head for these data, input normalised as the weights expect.

    A pretrained body is frozen: the head is trained first (see `Learner.fine_tune`). `dls` is not changed; the learner
    gets loaders of its own over the same data.

    Args:
        dls: loaders of pictures.
        arch: a function that makes a network (``resnet34``, ``mobilenet_v2``, ``xresnet_small``), or its name
            (``"resnet18d"`` is timm's; ``"timm/resnet18"`` where torchvision has the name too).
        normalize: normalise pictures with the statistics the weights were trained with; where none are known, as
            without weights, with those of a training batch. Loaders that do so already, or whose batches do not say
            that they are pictures, are left as they are.
        n_out: outputs of the network; None for what the data need.
        pretrained: begin with the weights that belong to `arch`; False begins from scratch. The weights themselves
            may be given here too.
        weights: other weights to begin with: a member of torchvision's enumerations of weights or its name, a path to
            a ``.safetensors`` or ``.pth`` file, or a state dict.
        cut: where to cut the body, see `body.create_body`.
        init: draws the head's weights in place; None leaves torch's own start.
        custom_head: the head to use in place of `create_head`'s.
        n_in: channels of the pictures; None to look at the data.
        channels_last: keep weights, and so what passes between layers, in the order height, width, channels, which is
            faster for convolutions; None does so for networks that mostly are convolutions.
        **options: those of `Learner` (metrics, cbs, loss_func, lr, ...; `splitter` is `body_splitter` by default) and
            of `create_head` (lin_ftrs, ps, concat_pool, y_range, ...).

    Raises:
        ConfigError: the network cannot be cut, or the data do not say what is needed.
        WeightsError: the weights cannot be found, or do not fit.
        TypeError: an unknown argument, with the nearest known one.

    Example::

        learn = vision_learner(dls, resnet34, metrics=accuracy)
        learn.fine_tune(3)
    """
    check_keywords(options, [*_OWN_ARGUMENTS, *VisionLearnerOptions.__annotations__], "vision_learner")
    check_order(dls, "vision_learner")
    head_options: Any = {name: value for name, value in options.items() if name in HeadOptions.__annotations__}
    learner_options: Any = {name: value for name, value in options.items() if name not in head_options}
    if not isinstance(pretrained, bool):
        weights, pretrained = pretrained, True
    n_in = channels_of(dls) if n_in is None else n_in
    n_out = int(dls.c) if n_out is None else n_out
    found = found_body(arch, pretrained, weights, cut, n_in, size_of(dls))
    model = _with_head(found.body, n_out, n_in, init, custom_head, head_options)
    learn = learner_around(dls, model, found, normalize, channels_last, learner_options)
    if custom_head is None:
        recipe = network_recipe(arch, n_out, n_in, cut, found.body, head_options)
        learn.model_recipe = (vision_network, recipe)
    return learn


def learner_around(
    dls: Any, model: nn.Module, found: PretrainedBody, normalize: bool, channels_last: bool | None, options: Any
) -> Learner:
    """A learner of a network with a body: pictures normalised as the body wants them, a pretrained body frozen.

    Args:
        dls: loaders, which are not changed.
        model: its first child is the body.
        found: the body, and what it wants.
        normalize: see `vision_learner`, as the following.
        channels_last: of the weights.
        options: arguments of `Learner`.
    """
    if channels_last or (channels_last is None and is_convolutional(model)):
        model = model.to(memory_format=torch.channels_last)
    given = dls
    if normalize:
        dls = normalized(dls, found.mean, found.std)
    learn = Learner(dls, model, **{"splitter": body_splitter, **options})
    if dls is not given:  # loaders that come later are normalised alike
        learn.model_tfms = [dls.train.after_batch.find(Normalize)]
    return learn.freeze() if found.pretrained else learn


def check_order(dls: Any, called: str) -> None:
    """Refuse an architecture in the place of the loaders.

    Args:
        dls: what was given first.
        called: the function it was given to.

    Raises:
        ConfigError: with how to write it.
    """
    if callable(dls) or isinstance(dls, str):
        name = arch_name(dls)
        raise ConfigError(
            f"{called} takes the loaders first, then what makes the network:"
            f" {called}(dls, {name}). In place of the loaders it got {name}."
        )


_OWN_ARGUMENTS = (
    "normalize", "n_out", "pretrained", "weights", "cut", "init", "custom_head", "n_in", "channels_last",
)  # fmt: skip


def network_recipe(
    arch: Arch, n_out: int, n_in: int, cut: Cut, body: nn.Module, options: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments with which `vision_network` or `unet_network` makes the same network, and `options` of its own."""
    name = arch_name(arch)
    home = "" if isinstance(arch, str) else getattr(arch, "__module__", "")
    if home.startswith(("torchvision.", "laminar.")) and named_arch(name) is arch:
        arch = name
    if home.startswith("timm."):
        arch = TIMM_PREFIX + name
    size = body.size if isinstance(body, TimmBody) and body.fixed else None
    return {"arch": arch, "n_out": n_out, "cut": cut, "n_in": n_in, "size": size, **options}


def _shape_of(dls: Any) -> torch.Size | None:
    """Shape of a batch of pictures; None where that cannot be seen."""
    batch = dls.train.peek([0]) if hasattr(dls, "train") else next(iter(dls[0]))
    first = batch[0] if isinstance(batch, tuple | list) else batch
    return first.shape if isinstance(first, Tensor) and first.ndim == 4 else None


def channels_of(dls: Any) -> int:
    """How many channels the pictures of `dls` have; 3 where that cannot be seen."""
    shape = _shape_of(dls)
    return 3 if shape is None else int(shape[1])


def size_of(dls: Any) -> tuple[int, int] | None:
    """Height and width of the pictures of `dls`; None where that cannot be seen."""
    shape = _shape_of(dls)
    return None if shape is None else (int(shape[2]), int(shape[3]))


def is_convolutional(model: nn.Module) -> bool:
    """Whether most of a network's modules with weights in its body are convolutions."""
    body = next(iter(model.children()), model)
    convolutions = sum(isinstance(part, nn.Conv2d) for part in body.modules())
    linears = sum(isinstance(part, nn.Linear) for part in body.modules())
    return convolutions > 0 and convolutions * 2 >= linears  # ConvNeXt has two linear layers to a convolution


def normalized(dls: Any, mean: Sequence[float] | None, std: Sequence[float] | None) -> Any:
    """Loaders over the same data that normalise pictures; `dls` itself where it does so already or has none.

    Args:
        dls: loaders, which are not changed.
        mean: of each channel, 0 to 1; None to measure a training batch.
        std: standard deviation of each channel.
    """
    if not hasattr(dls, "with_tfms") or dls.train.after_batch.find(Normalize) is not None:
        return dls
    kinds = dls.train.types[: dls.n_inp]
    if not any(issubclass(kind, TensorImageBase) for kind in kinds):
        return dls
    return dls.with_tfms([Normalize() if mean is None or std is None else Normalize.from_stats(mean, std)])
