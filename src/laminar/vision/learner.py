"""`vision_learner`: a network for the pictures at hand, from an architecture and (usually) its pretrained weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypedDict, Unpack

from torch import Tensor, nn

from laminar.core.errors import ConfigError, check_keywords
from laminar.core.recipe import builder
from laminar.learner.learner import Learner, LearnerOptions
from laminar.vision.body_for_data import begin, check_sizes, found_body, learner_around
from laminar.vision.models.body import Arch, Cut, body_splitter, num_features
from laminar.vision.models.head import create_head, init_head
from laminar.vision.models.pretrained import Weights
from laminar.vision.models.timm_networks import TimmBody
from laminar.vision.models.vision_transformer import TransformerBody

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
    check_sizes(n_in, n_out)
    check_keywords(head, HeadOptions, "vision_network")
    body = found_body(arch, False, None, cut, n_in, size).body
    return _with_head(body, n_out, n_in, None, None, head)


vision_network.splitter = body_splitter  # type: ignore[attr-defined]  # with which a loaded learner goes on training


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
    if not (isinstance(body, TimmBody | TransformerBody) and body.pooled):
        return options
    if options.get("pool") or options.get("concat_pool"):
        name = type(body.model).__name__ if isinstance(body, TimmBody) else "a vision transformer"
        raise ConfigError(f"{name} pools its features itself: leave out pool and concat_pool")
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
    start = begin(
        vision_learner,
        dls,
        arch,
        options,
        HeadOptions,
        pretrained=pretrained,
        weights=weights,
        cut=cut,
        n_in=n_in,
        n_out=n_out,
    )
    model = _with_head(start.found.body, start.n_out, start.n_in, init, custom_head, start.model_options)
    network = vision_network if custom_head is None else None
    return learner_around(model, start, network, normalize, channels_last)
