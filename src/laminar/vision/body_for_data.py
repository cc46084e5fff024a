"""From loaders and an architecture to a learner: what `vision_learner` and `unet_learner` have in common."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from laminar.core.errors import ConfigError, check_keywords
from laminar.core.types import TensorImageBase
from laminar.data.normalize import Normalize
from laminar.learner.learner import Learner, LearnerOptions
from laminar.vision.models.body import MEASURED_SIZES, Arch, Cut, arch_name, body_splitter, create_body, named_arch
from laminar.vision.models.measuring import on_meta
from laminar.vision.models.pretrained import PretrainedBody, Weights, pretrained_body
from laminar.vision.models.scales import check_scales
from laminar.vision.models.timm_networks import TIMM_PREFIX, TimmBody

__all__ = [
    "Beginning",
    "begin",
    "check_runs",
    "check_order",
    "check_sizes",
    "found_body",
    "is_convolutional",
    "learner_around",
    "normalized",
    "shape_of",
]


@dataclass(frozen=True)
class Beginning:
    """A body for the data, and what else is asked for.

    Attributes:
        dls: the loaders, which are not changed.
        arch: where the body is from.
        cut: see `body.create_body`.
        found: the body, and what it wants of its input.
        n_in: channels of the pictures.
        n_out: outputs.
        model_options: arguments for what is put on the body.
        learner_options: arguments of `Learner`.
    """

    dls: Any
    arch: Arch
    cut: Cut
    found: PretrainedBody
    n_in: int
    n_out: int
    model_options: Any
    learner_options: Any

    def recipe(self) -> dict[str, Any]:
        """The arguments with which `vision_network` or `unet_network` makes the same network."""
        arch, body, name = self.arch, self.found.body, arch_name(self.arch)
        home = "" if isinstance(arch, str) else getattr(arch, "__module__", "")
        if home.startswith(("torchvision.", "laminar.")) and named_arch(name) is arch:
            arch = name
        if home.startswith("timm."):
            arch = TIMM_PREFIX + name
        size = body.size if isinstance(body, TimmBody) and body.fixed else None
        about = {"arch": arch, "n_out": self.n_out, "cut": self.cut, "n_in": self.n_in, "size": size}
        return {**about, **self.model_options}


def begin(
    called: Callable[..., Learner],
    dls: Any,
    arch: Arch,
    options: Mapping[str, Any],
    of_model: type,
    *,
    pretrained: bool | Weights,
    weights: Weights,
    cut: Cut,
    n_in: int | None,
    n_out: int | None,
    scales: bool = False,
) -> Beginning:
    """Check and sort the arguments of a learner function, ask the data what is not said, and make the body.

    Args:
        called: the function, whose name and arguments stand in messages.
        dls: loaders of pictures.
        arch: a function that makes the network that the body is cut from, or its name.
        options: further keyword arguments.
        of_model: the ``TypedDict`` of those that are for what is put on the body; the others are `Learner`'s.
        pretrained: see `vision_learner`, as all others.
        weights: other weights.
        cut: where to cut.
        n_in: channels of the pictures.
        n_out: outputs.
        scales: features at several scales are needed.

    Raises:
        ConfigError: the arguments are in another order, neither they nor the data say what is needed, or the body does
            not take pictures of this size.
        TypeError: an unknown argument.
        WeightsError: the weights cannot be found, or do not fit.
    """
    name = called.__name__
    own = [part.name for part in inspect.signature(called).parameters.values() if part.kind is part.KEYWORD_ONLY]
    check_keywords(options, [*own, *of_model.__annotations__, *LearnerOptions.__annotations__], name)
    check_order(dls, name)
    if not isinstance(pretrained, bool):
        weights, pretrained = pretrained, True
    channels, size = shape_of(dls)
    n_in = channels if n_in is None else n_in
    if size is not None and 0 < n_in != channels:
        raise ConfigError(
            f"n_in={n_in}, but the pictures of these loaders have {channels} channels. Leave n_in out, or open them as "
            "another kind (img_cls=PILImageBW has one channel)."
        )
    n_out = int(dls.c) if n_out is None else n_out
    check_sizes(n_in, n_out)
    found = found_body(arch, pretrained, weights, cut, n_in, size, scales)
    if size is not None:
        check_runs(found.body, arch_name(arch), n_in, size)
    return Beginning(
        dls,
        arch,
        cut,
        found,
        n_in,
        n_out,
        {key: value for key, value in options.items() if key in of_model.__annotations__},
        {key: value for key, value in options.items() if key not in of_model.__annotations__},
    )


def check_sizes(n_in: int, n_out: int) -> None:
    """Refuse a network without channels or outputs.

    Raises:
        ConfigError: there are none.
    """
    if n_in < 1 or n_out < 1:
        raise ConfigError(f"a network needs at least one channel and one output, got n_in={n_in} and n_out={n_out}")


def check_runs(body: nn.Module, name: str, n_in: int, size: tuple[int, int]) -> None:
    """Refuse pictures that a body cannot be run on but others can: too small ones, or sides that it does not divide.

    Args:
        body: pictures to features; nothing is computed.
        name: of its architecture, for the message.
        n_in: channels of the pictures.
        size: height and width of the pictures.

    Raises:
        ConfigError: with the sizes that do.
    """
    failure = _failure(body, n_in, size)
    fitting = [side for side in MEASURED_SIZES if failure and not _failure(body, n_in, (side, side))]
    if failure and fitting:
        raise ConfigError(
            f"{name} cannot be run on pictures of {size[0]}x{size[1]} pixels ({failure}). It can on "
            f"{' or '.join(f'{side}x{side}' for side in fitting)}: item_tfms=Resize({fitting[0]})."
        ) from failure


def _failure(body: nn.Module, n_in: int, size: tuple[int, int]) -> Exception | None:
    try:
        on_meta(body, torch.empty(1, n_in, *size, device="meta"))
    except (RuntimeError, ValueError, AssertionError) as error:
        return error
    return None


def found_body(
    arch: Arch,
    pretrained: bool,
    weights: Weights,
    cut: Cut,
    n_in: int,
    size: tuple[int, int] | None = None,
    scales: bool = False,
) -> PretrainedBody:
    """The body of `arch`, with weights if they are wanted, for pictures of `size` if it must be told.

    With `scales`, one that has features at one scale only is refused, whatever the size.
    """
    if pretrained or weights is not None:
        found = pretrained_body(arch, weights, n_in, cut)
    else:
        found = PretrainedBody(create_body(arch, n_in, cut), None, None, pretrained=False)
    if scales:
        check_scales(found.body)
    if size is not None and isinstance(found.body, TimmBody):
        found.body.fit_to(size)
    return found


def learner_around(
    model: nn.Module,
    beginning: Beginning,
    network: Callable[..., nn.Module] | None,
    normalize: bool,
    channels_last: bool | None,
) -> Learner:
    """A learner of a network with a body: pictures normalised as the body wants them, a pretrained body frozen.

    Args:
        model: its first child is the body.
        beginning: the body, and what else was asked for.
        network: makes `model` anew, of the arguments that `beginning` writes down; None if nothing does.
        normalize: see `vision_learner`, as the following.
        channels_last: of the weights.
    """
    dls, found = beginning.dls, beginning.found
    if channels_last or (channels_last is None and is_convolutional(model)):
        model = model.to(memory_format=torch.channels_last)
    if normalize:
        dls = normalized(dls, found.mean, found.std)
    learn = Learner(dls, model, **{"splitter": body_splitter, **beginning.learner_options})
    if dls is not beginning.dls:  # loaders that come later are normalised alike
        learn.model_tfms = [dls.train.after_batch.find(Normalize)]
    learn.model_recipe = None if network is None else (network, beginning.recipe())
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


def shape_of(dls: Any) -> tuple[int, tuple[int, int] | None]:
    """Channels of the pictures of `dls`, and their height and width; 3 and None where that cannot be seen."""
    batch = dls.train.peek([0]) if hasattr(dls, "train") else next(iter(dls[0]))
    first = batch[0] if isinstance(batch, tuple | list) else batch
    if not isinstance(first, Tensor) or first.ndim != 4:
        return 3, None
    _, channels, height, width = first.shape
    return channels, (height, width)


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
