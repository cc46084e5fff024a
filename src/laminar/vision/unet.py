"""`unet_learner`: a network that says something of each pixel, on the body of any architecture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Unpack

from torch import Tensor, nn

from laminar.core.errors import check_keywords
from laminar.core.recipe import builder
from laminar.learner.learner import Learner, LearnerOptions
from laminar.vision.body_for_data import begin, check_sizes, found_body, learner_around
from laminar.vision.models.body import Arch, Cut, body_splitter
from laminar.vision.models.pretrained import Weights
from laminar.vision.models.unet import DynamicUnet, UnetOptions

__all__ = ["UnetLearnerOptions", "create_unet_model", "unet_learner", "unet_network"]


class UnetLearnerOptions(LearnerOptions, UnetOptions, total=False):
    """Keyword arguments of `unet_learner` that go to `Learner` and to `DynamicUnet`."""


def create_unet_model(
    arch: Arch,
    n_out: int,
    img_size: tuple[int, int] | None = None,
    pretrained: bool = True,
    cut: Cut = None,
    n_in: int = 3,
    weights: Weights = None,
    init: Callable[[Tensor], object] | None = nn.init.kaiming_normal_,
    **unet: Unpack[UnetOptions],
) -> DynamicUnet:
    """Make a U-Net on the body of an architecture.

    Args:
        arch: a function that makes the network that the body is cut from, or its name.
        n_out: outputs for each pixel.
        img_size: see `DynamicUnet`.
        pretrained: give the body its weights.
        cut: where to cut, see `body.create_body`.
        n_in: channels of the pictures.
        weights: which weights, see `pretrained.find_weights`; None for those that belong to `arch`.
        init: draws the weights of the way up in place; None leaves their own start.
        **unet: see `DynamicUnet`.

    Raises:
        ConfigError: the network cannot be cut, or has no features at several scales.
        WeightsError: the weights cannot be found, or do not fit.
    """
    check_keywords(unet, [*_MODEL_ARGUMENTS, *UnetOptions.__annotations__], "create_unet_model")
    body = found_body(arch, pretrained, weights, cut, n_in).body
    return DynamicUnet(body, n_out, img_size, init=init, **unet)


_MODEL_ARGUMENTS = ("arch", "n_out", "img_size", "pretrained", "cut", "n_in", "weights", "init")


@builder
def unet_network(
    arch: Arch,
    n_out: int,
    *,
    cut: Cut = None,
    n_in: int = 3,
    size: tuple[int, int] | None = None,
    **unet: Unpack[UnetOptions],
) -> DynamicUnet:
    """The network that `create_unet_model` makes, without weights: what an export asks for, which fetches nothing.

    Args:
        arch: see `create_unet_model`, as all others.
        n_out: outputs for each pixel.
        cut: where to cut.
        n_in: channels of the pictures.
        size: height and width of the pictures, for networks that must be told.
        **unet: see `DynamicUnet`.
    """
    check_sizes(n_in, n_out)
    check_keywords(unet, UnetOptions, "unet_network")
    return DynamicUnet(found_body(arch, False, None, cut, n_in, size).body, n_out, init=None, **unet)


unet_network.splitter = body_splitter  # type: ignore[attr-defined]  # with which a loaded learner goes on training


def unet_learner(
    dls: Any,
    arch: Arch,
    *,
    normalize: bool = True,
    n_out: int | None = None,
    pretrained: bool | Weights = True,
    weights: Weights = None,
    cut: Cut = None,
    init: Callable[[Tensor], object] | None = nn.init.kaiming_normal_,
    n_in: int | None = None,
    channels_last: bool | None = None,
    **options: Unpack[UnetLearnerOptions],
) -> Learner:
    """Make a learner for targets with a value for each pixel (masks, pictures): a U-Net on the body of `arch`.

    A pretrained body is frozen: the way up is trained first (see `Learner.fine_tune`). `dls` is not changed; the
    learner gets loaders of its own over the same data.

    Args:
        dls: loaders of pictures and masks, or of pictures and pictures.
        arch: a function that makes a network (``resnet34``, ``mobilenet_v2``, ``xresnet_small``), or its name, see
            `vision_learner`.
        normalize: normalise pictures as the weights expect, see `vision_learner`.
        n_out: outputs for each pixel; None for what the data need: one for each class of the masks.
        pretrained: begin with the weights that belong to `arch`, see `vision_learner`.
        weights: other weights to begin with, see `vision_learner`.
        cut: where to cut the body, see `body.create_body`.
        init: draws the weights of the way up in place; None leaves their own start.
        n_in: channels of the pictures; None to look at the data.
        channels_last: the weights' order, see `vision_learner`.
        **options: those of `Learner` (metrics, cbs, loss_func, lr, ...) and of `DynamicUnet` (self_attention, blur,
            y_range, norm_type, act_cls, ...).

    Raises:
        ConfigError: the network cannot be cut or has no features at several scales, or the data do not say what is
            needed.
        WeightsError: the weights cannot be found, or do not fit.
        TypeError: an unknown argument, with the nearest known one.

    Example::

        learn = unet_learner(dls, resnet34, metrics=[foreground_acc, DiceMulti()])
        learn.fine_tune(5)
    """
    start = begin(
        unet_learner,
        dls,
        arch,
        options,
        UnetOptions,
        pretrained=pretrained,
        weights=weights,
        cut=cut,
        n_in=n_in,
        n_out=n_out,
        scales=True,
    )
    model = DynamicUnet(start.found.body, start.n_out, init=init, **start.model_options)
    return learner_around(model, start, unet_network, normalize, channels_last)
