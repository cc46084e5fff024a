"""What makes a tensor typed: how type and metadata follow it through operations, and how they are put on and taken off.

A type and its metadata survive operations whose typed arguments are all of one type; operations over several types give
a plain tensor and never refuse. `types.py` has the types themselves.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self
from typing import cast as typing_cast

import numpy as np
import torch
from torch import Tensor
from torch._C import DisableTorchFunctionSubclass  # torch's documented way to write a subclass
from torch.nn.utils.rnn import pad_sequence
from torchvision.tv_tensors import TVTensor

from laminar.core.named_tensors import NamedTensors

__all__ = [
    "TensorBase",
    "cast",
    "common_metadata",
    "explode_types",
    "is_showable",
    "metadata",
    "pad_rows",
    "plain",
    "retain_type",
    "tensor",
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
        made = data if isinstance(data, Tensor) else tensor(data)
        typed = made.as_subclass(cls)
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


def tensor(
    x: Any,
    *rest: Any,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Make a tensor of a list, an array, a picture, a column or a table, or of several numbers.

    Unlike torch's own, 64-bit floats become 32-bit ones (uint16, which torch can do little with, too) unless `dtype`
    says otherwise. Memory is shared where it can be.

    Args:
        x: what to make it of.
        *rest: more values, to be in one tensor with `x`.
        dtype: type of the elements.
        device: where it shall be.
        requires_grad: record what is done with it.
        pin_memory: put it into page-locked memory.

    >>> tensor(1, 2, 3), tensor([0.5]).dtype
    (tensor([1, 2, 3]), torch.float32)
    """
    data = (x, *rest) if rest else x
    if not isinstance(data, Tensor | np.ndarray | list | tuple | int | float):
        data = np.asarray(data)
    if isinstance(data, np.ndarray):
        if data.dtype == np.uint16:
            data = data.astype(np.float32)
        elif not data.flags.writeable:
            data = data.copy()
    made = torch.as_tensor(data, dtype=dtype, device=device)
    if made.dtype is torch.float64 and dtype is None:
        made = made.float()
    made = made.pin_memory() if pin_memory else made
    return made.requires_grad_() if requires_grad else made


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


def plain(value: Any) -> Any:
    """Take the types off: tensors inside tuples, lists and dicts become `torch.Tensor`, sharing memory."""
    if isinstance(value, Tensor):
        return value.as_subclass(Tensor) if isinstance(value, TensorBase | TVTensor) else value
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(plain, value))
    if isinstance(value, tuple | list):  # a user's class of tuples, too
        return type(value)(map(plain, value))
    if type(value) is dict or isinstance(value, NamedTensors):
        return {key: plain(part) for key, part in value.items()}
    return value


def explode_types(value: Any) -> Any:
    """The type of a value; of tuples, lists and dicts also those of their members, which is a quick look at a batch.

    >>> explode_types((torch.zeros(2), [1, 2]))
    {<class 'tuple'>: [<class 'torch.Tensor'>, {<class 'list'>: [<class 'int'>, <class 'int'>]}]}
    """
    if isinstance(value, tuple | list):
        return {type(value): [explode_types(part) for part in value]}
    if isinstance(value, Mapping):
        return {type(value): {key: explode_types(part) for key, part in value.items()}}
    return type(value)


def metadata(value: object) -> dict[str, Any]:
    """The attributes that travel with a typed tensor; empty for anything else."""
    return dict(value.__dict__) if isinstance(value, TensorBase | TVTensor) else {}


def common_metadata(values: Sequence[object]) -> dict[str, Any]:
    """Metadata for what is made of several values: what they agree on; None where they do not."""
    first = metadata(values[0])
    if not first:  # pictures: nothing to compare
        return {}
    others = [metadata(value) for value in values[1:]]
    return {
        name: value if all(_same(other.get(name), value) for other in others) else None for name, value in first.items()
    }


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if isinstance(one, Tensor | np.ndarray) or isinstance(other, Tensor | np.ndarray):
        return type(one) is type(other) and np.array_equal(one, other)
    return bool(one == other)


def pad_rows(values: Sequence[TensorBase], fill: float) -> Any:
    """Stack tensors of one type whose numbers of rows differ: ``[n, ...]`` each, to ``[batch, most, ...]``.

    Args:
        values: the tensors; all but the first dimension agree.
        fill: what is put behind the rows of the shorter ones.
    """
    padded = pad_sequence([plain(value) for value in values], batch_first=True, padding_value=fill)
    typed = padded.as_subclass(type(values[0]))
    typed.__dict__.update(common_metadata(values))
    return typed


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
