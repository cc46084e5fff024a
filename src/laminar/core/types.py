"""Typed tensors: what a tensor means travels with it, so that it can be transformed rightly and shown.

They stand on torchvision's ``tv_tensors``, so every ``torchvision.transforms.v2`` transform works on them. This is
the only file that names torchvision's types. A type and its metadata survive operations whose typed arguments are all
of one type; operations over several types give a plain tensor and never refuse.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self
from typing import cast as typing_cast

import numpy as np
import torch
from torch import Tensor
from torch._C import DisableTorchFunctionSubclass  # torch's documented way to write a subclass
from torchvision.tv_tensors import BoundingBoxes, BoundingBoxFormat, Image, KeyPoints, Mask, TVTensor

from laminar.core.show import show_boxes, show_image, show_points, show_title

__all__ = [
    "TensorBase",
    "TensorImageBase",
    "TensorImage",
    "TensorImageBW",
    "TensorMask",
    "TensorPoint",
    "TensorBBox",
    "TensorCategory",
    "TensorMultiCategory",
    "TensorFloat",
    "TitledTensorScalar",
    "plain",
    "cast",
    "retain_type",
    "metadata",
    "is_showable",
    "is_torchvision_transform",
]


class TensorBase(Tensor):
    """A tensor with a meaning. Subclass it, give it a ``show``, and it goes through the whole house.

    Attributes set on an instance are its metadata: they follow it through operations, workers, copies and devices.

    Args:
        data: tensor, array, list or number.
        **meta: attributes to set.

    >>> class Wave(TensorBase):
    ...     def show(self, ctx=None, **kwargs): ctx.plot(self)
    >>> wave = Wave([0.0, 0.5, 0.25], rate=8000)
    >>> type(wave[:2] * 2).__name__, (wave[:2] * 2).rate
    ('Wave', 8000)
    """

    def __new__(cls, data: Any, **meta: Any) -> Self:
        tensor = data if isinstance(data, Tensor) else _as_tensor(data)
        typed = tensor.as_subclass(cls)
        typed.__dict__.update(metadata(data))
        typed.__dict__.update(meta)
        return typed

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        with DisableTorchFunctionSubclass():
            output = func(*args, **(kwargs or {}))
        if type(output) is not Tensor and not isinstance(output, (tuple, list)):
            return output  # sizes, numbers, and an in-place operation's own object
        if func is Tensor.__getitem__ and type(args[0]) is Tensor:
            return output  # picked by a typed index, not made of it
        like = _common_typed((*args, *kwargs.values()) if kwargs else args)
        return output if like is None else _wrap_output(output, like, func)

    @classmethod
    def wrap(cls, tensor: Tensor, like: Tensor, **meta: Any) -> Self:
        """Give `tensor` the type and metadata of `like`; torchvision's kernels call this with what they changed."""
        typed = tensor.as_subclass(cls)
        typed.__dict__.update(metadata(like))
        typed.__dict__.update(meta)
        return typed

    def _stale_after(self, func: Callable[..., Any] | None) -> tuple[str, ...]:
        """Names of metadata that operation `func` (None: unknown) makes wrong. Nothing, unless a subclass says so."""
        return ()

    # Read without the detour through __torch_function__.
    @property
    def shape(self) -> torch.Size:  # type: ignore[override]  # a property in torch too, typed as attribute
        """The sizes."""
        with DisableTorchFunctionSubclass():
            return super().shape

    @property
    def ndim(self) -> int:  # type: ignore[override]  # see shape
        """The number of dimensions."""
        with DisableTorchFunctionSubclass():
            return super().ndim

    @property
    def dtype(self) -> torch.dtype:  # type: ignore[override]  # see shape
        """The type of the elements."""
        with DisableTorchFunctionSubclass():
            return super().dtype

    @property
    def device(self) -> torch.device:  # type: ignore[override]  # see shape
        """Where it is."""
        with DisableTorchFunctionSubclass():
            return super().device

    def __format__(self, format_spec: str) -> str:
        return format(self.item() if self.ndim == 0 and format_spec else str(self), format_spec)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        result = type(self).wrap(self.detach().clone(), self).requires_grad_(self.requires_grad)
        result.__dict__.update(copy.deepcopy(metadata(self), memo))
        return typing_cast(Self, result)

    def __repr__(self, *, tensor_contents: Any = None) -> Any:  # type: ignore[override]  # untyped in torch
        meta = "".join(f", {name}={value!r}" for name, value in metadata(self).items())
        text = repr(plain(self))
        return f"{type(self).__name__}{text.removeprefix('tensor')[:-1]}{meta})"


def _as_tensor(data: Any) -> Tensor:
    """Make a tensor of anything; unlike torch, 64-bit floats from numpy and Python become 32-bit ones."""
    if isinstance(data, np.ndarray) and data.dtype == np.uint16:
        data = data.astype(np.float32)  # torch has few operations for uint16
    tensor = torch.as_tensor(data if isinstance(data, np.ndarray | list | tuple | int | float) else np.asarray(data))
    return tensor.float() if tensor.dtype is torch.float64 else tensor


def _common_typed(args: Sequence[Any], found: TensorBase | None = None) -> TensorBase | None:
    """The first typed argument, looking into lists as `torch.stack` takes them; None if there are several types.

    (torch's own list of types is no help: for comparisons it holds the left side's only.)
    """
    for arg in args:
        kind = type(arg)
        if kind is Tensor or kind is int or kind is float:
            continue
        if isinstance(arg, _TYPED):
            if found is not None and kind is not type(found):
                return None
            found = typing_cast(TensorBase, arg)
        elif kind is list or kind is tuple:
            nested = _common_typed(arg, found)
            if nested is None and found is not None:
                return None
            found = nested
    return found if isinstance(found, TensorBase) else None


def _wrap_output(output: Any, like: TensorBase, func: Callable[..., Any] | None) -> Any:
    if isinstance(output, Tensor):
        if type(output) is not Tensor:
            return output
        typed = output.as_subclass(type(like))
        meta = like.__dict__
        if meta:
            stale = like._stale_after(func)
            typed.__dict__.update({name: None if name in stale else value for name, value in meta.items()})
        return typed
    if isinstance(output, tuple | list):
        return type(output)(_wrap_output(part, like, func) for part in output)  # also torch.return_types of max, sort
    return output


_TYPED = (TensorBase, TVTensor)


class TensorImageBase(TensorBase, Image):  # type: ignore[misc]  # both define __repr__; ours wins
    """A picture, ``[..., channels, height, width]``, uint8 (0 to 255) or floating point (0 to 1)."""

    _show_args: ClassVar[dict[str, Any]] = {"cmap": "viridis"}

    def show(self, ctx: Any = None, **kwargs: Any) -> Any:
        """Draw on axes `ctx` (made when None) and return them; `kwargs` go to ``Axes.imshow``."""
        return show_image(self, ctx=ctx, **{**self._show_args, **kwargs})


class TensorImage(TensorImageBase):
    """A colour picture, ``[..., 3, height, width]``."""


class TensorImageBW(TensorImage):
    """A picture with one channel, ``[..., 1, height, width]``."""

    _show_args: ClassVar[dict[str, Any]] = {"cmap": "Greys_r"}


class TensorMask(TensorBase, Mask):
    """Class of each pixel, ``[..., height, width]``, integer.

    Args:
        data: the class ids.
        codes: names of the classes; index = id.
    """

    codes: Sequence[str] | None
    _show_args: ClassVar[dict[str, Any]] = {"alpha": 0.5, "cmap": "tab20", "interpolation": "nearest"}

    def show(self, ctx: Any = None, **kwargs: Any) -> Any:
        """Draw half transparent over what `ctx` holds already; colours are fixed by `codes` where there are some."""
        codes = metadata(self).get("codes")
        limits = {} if codes is None else {"vmin": 0, "vmax": len(codes)}
        return show_image(self, ctx=ctx, **{**self._show_args, **limits, **kwargs})


# Operations that leave coordinates what they are: moves, copies, selections, joins.
_KEEPS_COORDINATES = {
    Tensor.clone, Tensor.to, Tensor.detach, Tensor.requires_grad_, Tensor.pin_memory, Tensor.cpu, Tensor.cuda,
    Tensor.contiguous, Tensor.float, Tensor.double, Tensor.half, Tensor.__getitem__, Tensor.index_select, Tensor.select,
    Tensor.unsqueeze, Tensor.squeeze, Tensor.view, Tensor.reshape, Tensor.unbind, Tensor.split, Tensor.chunk,
    torch.clone, torch.unsqueeze, torch.squeeze, torch.stack, torch.cat, torch.reshape, torch.unbind, torch.chunk,
    torch.split, torch.index_select,
}  # fmt: skip


class _Coordinates(TensorBase):
    """Positions in a picture. Arithmetic on them makes the canvas size unknown (None), rather than wrong."""

    canvas_size: tuple[int, int] | None

    def _stale_after(self, func: Callable[..., Any] | None) -> tuple[str, ...]:
        return () if func in _KEEPS_COORDINATES else ("canvas_size",)


class TensorPoint(_Coordinates, KeyPoints):  # type: ignore[misc]  # see TensorImageBase; a canvas may be unknown here
    """Key points as ``[..., n, 2]`` (x, y) in pixels of a canvas of ``(height, width)``.

    Args:
        data: the coordinates.
        canvas_size: height and width of the picture, None when unknown.
    """

    def __new__(cls, data: Any, *, canvas_size: tuple[int, int] | None = None, **meta: Any) -> Self:
        known = metadata(data).get("canvas_size") if canvas_size is None else canvas_size
        return super().__new__(cls, data, canvas_size=known, **meta)

    @classmethod
    def create(cls, points: Any, img_size: tuple[int, int] | None = None) -> Self:
        """Make points of any sequence of (x, y); `img_size` is (height, width)."""
        return cls(_as_tensor(points).reshape(-1, 2).float(), canvas_size=img_size)

    def show(self, ctx: Any = None, **kwargs: Any) -> Any:
        """Draw as dots on axes `ctx`."""
        return show_points(self, ctx=ctx, **kwargs)


class TensorBBox(_Coordinates, BoundingBoxes):  # type: ignore[misc]  # see TensorPoint
    """Boxes as ``[n, 4]``, by default (x1, y1, x2, y2) in pixels of a canvas of ``(height, width)``.

    Args:
        data: the coordinates.
        format: torchvision's ``BoundingBoxFormat`` or its name.
        canvas_size: height and width of the picture, None when unknown.
        clamping_mode: as in torchvision.
    """

    def __new__(
        cls,
        data: Any,
        *,
        format: BoundingBoxFormat | str = BoundingBoxFormat.XYXY,
        canvas_size: tuple[int, int] | None = None,
        clamping_mode: str | None = "soft",
        **meta: Any,
    ) -> Self:
        given = metadata(data)
        kind = BoundingBoxFormat[format.upper()] if isinstance(format, str) else format
        return super().__new__(
            cls,
            data,
            format=given.get("format", kind),
            canvas_size=canvas_size or given.get("canvas_size"),
            clamping_mode=given.get("clamping_mode", clamping_mode),
            **meta,
        )

    @classmethod
    def create(cls, boxes: Any, img_size: tuple[int, int] | None = None) -> Self:
        """Make boxes of any sequence of (x1, y1, x2, y2); `img_size` is (height, width)."""
        return cls(_as_tensor(boxes).reshape(-1, 4).float(), canvas_size=img_size)

    def show(self, ctx: Any = None, **kwargs: Any) -> Any:
        """Draw as outlines on axes `ctx`."""
        return show_boxes(self, ctx=ctx, **kwargs)


class TensorCategory(TensorBase):
    """Index of a class, int64, ``[]`` for an item or ``[batch]``."""


class TensorMultiCategory(TensorCategory):
    """One-hot encoded set of classes, floating point, ``[classes]`` or ``[batch, classes]``."""


class TensorFloat(TensorBase):
    """A quantity to be predicted, float32, ``[]`` or ``[n]`` for an item."""

    def show(self, ctx: Any = None, **kwargs: Any) -> Any:
        """Show the number or numbers as a title."""
        values = plain(self).flatten().tolist()
        return show_title(values[0] if self.ndim == 0 else values, ctx=ctx, **kwargs)


class TitledTensorScalar(TensorBase):
    """A single number that shows itself as a title."""

    def show(self, ctx: Any = None, **kwargs: Any) -> Any:
        """Show the number as a title."""
        return show_title(self.item(), ctx=ctx, **kwargs)


def plain(value: Any) -> Any:
    """Take the types off: tensors inside tuples, lists and dicts become `torch.Tensor`, sharing memory."""
    if isinstance(value, Tensor):
        return value.as_subclass(Tensor) if isinstance(value, TensorBase | TVTensor) else value
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(plain, value))
    if type(value) in (tuple, list):
        return type(value)(map(plain, value))
    if type(value) is dict:
        return {key: plain(part) for key, part in value.items()}
    return value


def metadata(value: object) -> dict[str, Any]:
    """The attributes that travel with a typed tensor; empty for anything else."""
    return dict(value.__dict__) if isinstance(value, TensorBase | TVTensor) else {}


def cast(value: Any, kind: Any) -> Any:
    """Give `value` type `kind`: tensors keep their memory, other things go through ``kind.cast`` or ``kind(value)``."""
    if type(value) is kind:
        return value
    if issubclass(kind, TensorBase):
        return kind(value)
    if isinstance(value, Tensor) and issubclass(kind, Tensor):
        return value.as_subclass(kind)
    special = getattr(kind, "cast", None)
    return kind(value) if special is None else special(value)


def retain_type(new: Any, old: Any) -> Any:
    """Give `new` the type of `old` where an operation lost it: where it is a showable subtype of `new`'s."""
    kind, found = type(old), type(new)
    if found is kind or new is None or not issubclass(kind, found):
        return new
    if isinstance(new, Tensor):
        return _wrap_output(new, old, None) if isinstance(old, TensorBase) and found is Tensor else new
    if found is tuple:
        return kind(*new) if hasattr(kind, "_fields") else kind(new)
    return cast(new, kind) if hasattr(kind, "show") else new


def is_showable(value: object) -> bool:
    """Whether `value` can show itself."""
    return hasattr(value, "show")


def is_torchvision_transform(function: object) -> bool:
    """Whether `function` is a ``torchvision.transforms.v2`` transform, which wants a whole sample at once.

    A module that was never imported cannot have instances, so nothing is imported here.
    """
    v2 = sys.modules.get("torchvision.transforms.v2")
    return v2 is not None and isinstance(function, v2.Transform)
