"""Hooks: what goes into the layers of a network, what comes out, and gradients; and what that tells of its sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Self, TypeAlias, overload

import torch
from torch import Tensor, nn
from torch.autograd.graph import register_multi_grad_hook

from laminar.core.device import apply, tensors_in, to_detach
from laminar.core.errors import ConfigError
from laminar.nn.calling import evaluating

__all__ = [
    "Hook",
    "HookFunction",
    "Hooks",
    "dummy_eval",
    "hook_input",
    "hook_inputs",
    "hook_output",
    "hook_outputs",
    "in_channels",
    "model_sizes",
    "num_features_model",
]

HookFunction: TypeAlias = Callable[[nn.Module, Any, Any], Any]
"""Called with a layer, its inputs (a tuple) and its output, or with the gradients of these; what it returns is kept."""

_SIDES = (32, 64, 128, 256, 512)  # pixels; networks that shrink their input more often need a larger one


class Hook:
    """Calls a function whenever a layer is used, and keeps what it returned last, in `stored`.

    Use it in a ``with`` block: it comes off at the end, after an exception and Ctrl-C too. What is stored stays. A copy
    of the model (deepcopy, pickle) is made without the hook, and a copy of the hook is on no layer.

    A model that ``torch.compile`` has compiled does not look for hooks that came later: add them before the first
    batch, or call the model under ``torch.compiler.set_stance("force_eager")``.

    Args:
        m: the layer.
        f: called with the layer, a tuple of its inputs (those given by name come last) and its output.
        is_forward: False: call it in the backward pass, with tuples of the gradients of the loss by inputs and outputs
            (``nn.Module.register_full_backward_hook``, which refuses a layer whose output is then changed in place, and
            warns where no input has a gradient; ``hook_output(m, grad=True)`` does neither).
        detach: give `f` tensors that are cut from their graph.
        cpu: give `f` tensors on the CPU; on an accelerator each call then waits for it.

    >>> layer = nn.Linear(3, 2)
    >>> with Hook(layer, lambda module, inputs, output: output.shape) as hook:
    ...     _ = layer(torch.zeros(5, 3))
    >>> hook.stored, hook.removed
    (torch.Size([5, 2]), True)
    """

    def __init__(
        self, m: nn.Module, f: HookFunction, is_forward: bool = True, detach: bool = True, cpu: bool = False
    ) -> None:
        self.f, self.detach, self.cpu = f, detach, cpu
        self.stored: Any = None
        self._handle: Any = self._put_on(m, is_forward)

    def _put_on(self, m: nn.Module, is_forward: bool) -> Any:
        if is_forward:
            return m.register_forward_hook(_OnOriginalOnly(self._on_forward), with_kwargs=True)
        return m.register_full_backward_hook(_OnOriginalOnly(self._call))

    def _on_forward(self, m: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
        self._call(m, (*inputs, *named.values()), output)

    def _call(self, m: nn.Module, inputs: Any, output: Any) -> None:
        if self.detach or self.cpu:
            inputs, output = to_detach(inputs, self.cpu), to_detach(output, self.cpu)
        self.stored = self.f(m, inputs, output)

    @property
    def removed(self) -> bool:
        """Whether the hook is on no layer any more."""
        return self._handle is None

    def remove(self) -> None:
        """Take the hook off; a second call does nothing."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_handle": None}


class _OutputGradient(Hook):
    """Keeps the gradients of the loss by a layer's outputs, also where the next layer changes these in place."""

    def _put_on(self, m: nn.Module, is_forward: bool) -> Any:
        return m.register_forward_hook(_OnOriginalOnly(self._watch))

    def _watch(self, m: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        watched = [part for part in tensors_in(output) if part.requires_grad]
        if watched:
            register_multi_grad_hook(watched, lambda gradients: None if self.removed else self._call(m, (), gradients))


class _OnOriginalOnly:
    """What a hooked layer holds: copies of the layer get a function that does nothing in its place."""

    def __init__(self, function: Callable[..., None]) -> None:
        self.function = function

    def __call__(self, *arguments: Any) -> None:
        self.function(*arguments)

    def __reduce__(self) -> tuple[Callable[[], Any], tuple[()]]:
        return _instead_of_a_hook, ()


def _instead_of_a_hook() -> Callable[..., None]:
    return _nothing


def _nothing(*arguments: Any) -> None:
    """Stands in a copy of a layer for a hook that was not copied."""


class Hooks:
    """The same hook on several layers; they come off together.

    Args:
        ms: the layers.
        f: see `Hook`, as all others.
        is_forward: call `f` in the forward pass, not in the backward pass.
        detach: give `f` tensors that are cut from their graph.
        cpu: give `f` tensors on the CPU.

    >>> model = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    >>> with Hooks(model, lambda module, inputs, output: float(output.min())) as hooks:
    ...     _ = model(torch.randn(5, 3))
    >>> len(hooks), hooks.stored[1]
    (2, 0.0)
    """

    def __init__(
        self,
        ms: Iterable[nn.Module],
        f: HookFunction,
        is_forward: bool = True,
        detach: bool = True,
        cpu: bool = False,
    ) -> None:
        self.hooks: list[Hook] = []
        self._put_on_all(Hook(m, f, is_forward, detach, cpu) for m in ms)

    @classmethod
    def _of(cls, hooks: Iterator[Hook]) -> Hooks:
        """Hooks of another kind, put on as they are asked for."""
        made = cls((), _nothing)
        made._put_on_all(hooks)
        return made

    def _put_on_all(self, hooks: Iterator[Hook]) -> None:
        try:
            self.hooks.extend(hooks)
        except BaseException:  # none stays on when one cannot be put on
            self.remove()
            raise

    @property
    def stored(self) -> list[Any]:
        """What each layer's hook has kept."""
        return [hook.stored for hook in self.hooks]

    def remove(self) -> None:
        """Take all hooks off."""
        for hook in self.hooks:
            hook.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()

    @overload
    def __getitem__(self, index: int) -> Hook: ...
    @overload
    def __getitem__(self, index: slice) -> list[Hook]: ...
    def __getitem__(self, index: int | slice) -> Hook | list[Hook]:
        return self.hooks[index]

    def __len__(self) -> int:
        return len(self.hooks)

    def __iter__(self) -> Iterator[Hook]:
        return iter(self.hooks)


def _inputs(m: nn.Module, inputs: Any, output: Any) -> Any:
    return inputs


def _output(m: nn.Module, inputs: Any, output: Any) -> Any:
    return output


def hook_output(module: nn.Module, detach: bool = True, cpu: bool = False, grad: bool = False) -> Hook:
    """Keep what `module` gives, in the hook's `stored`.

    It is the output itself: where the next layer changes it in place (``nn.ReLU(inplace=True)``), that is what is seen.

    Args:
        module: the layer.
        detach: cut it from its graph.
        cpu: move it to the CPU.
        grad: keep the gradients of the loss by its outputs instead, a tuple.
    """
    return (_OutputGradient if grad else Hook)(module, _output, True, detach, cpu)


def hook_outputs(modules: Iterable[nn.Module], detach: bool = True, cpu: bool = False, grad: bool = False) -> Hooks:
    """Keep what each of `modules` gives: `hook_output` on all.

    Args:
        modules: the layers; an `nn.Sequential` stands for its children.
        detach: cut outputs from their graph.
        cpu: move them to the CPU.
        grad: keep the gradients of the loss by the outputs instead.
    """
    return Hooks._of(hook_output(module, detach, cpu, grad) for module in modules)


def hook_input(module: nn.Module, detach: bool = True, cpu: bool = False) -> Hook:
    """Keep what goes into `module`: a tuple, in the hook's `stored`.

    Args:
        module: the layer.
        detach: cut the inputs from their graph.
        cpu: move them to the CPU.
    """
    return Hook(module, _inputs, True, detach, cpu)


def hook_inputs(modules: Iterable[nn.Module], detach: bool = True, cpu: bool = False) -> Hooks:
    """Keep what goes into each of `modules`: `hook_input` on all.

    Args:
        modules: the layers; an `nn.Sequential` stands for its children.
        detach: cut inputs from their graph.
        cpu: move them to the CPU.
    """
    return Hooks(modules, _inputs, True, detach, cpu)


def in_channels(m: nn.Module) -> int:
    """How many channels (features) the first convolution of `m` takes; without any, the first linear layer.

    Raises:
        ConfigError: `m` has neither.
    """
    for part in m.modules():
        if isinstance(part, nn.modules.conv._ConvNd):
            return part.in_channels
    for part in m.modules():
        if isinstance(part, nn.Linear):
            return part.in_features
    raise ConfigError(
        f"{type(m).__name__} has no convolution and no linear layer that would tell how many channels it takes"
    )


def dummy_eval(m: nn.Module, size: Sequence[int] = (64, 64)) -> Any:
    """What `m` gives for one made-up input, in evaluation mode; modes and random states are as before.

    Args:
        m: not changed.
        size: of the input behind ``[1, channels]``: (height, width), (length,), or () for vectors.
    """
    weights = next((p for p in m.parameters() if p.is_floating_point()), torch.empty(()))
    shape = (1, in_channels(m), *size)
    made_up = torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with evaluating(m), torch.no_grad():
        return m(made_up.to(weights))


def model_sizes(m: nn.Module, size: Sequence[int] = (64, 64)) -> list[Any]:
    """Shapes of what the children of `m` give for one input of `size`, in their order.

    Args:
        m: layers in order, such as `nn.Sequential`.
        size: of the input, as for `dummy_eval`.

    Raises:
        ConfigError: a child is not used.
    """
    with hook_outputs(m.children()) as hooks:
        dummy_eval(m, size)
    names = [name for name, _ in m.named_children()]
    if unused := [name for name, hook in zip(names, hooks, strict=True) if hook.stored is None]:
        raise ConfigError(f"{type(m).__name__} does not call its layer(s) {', '.join(unused)}, so these have no sizes")
    return [apply(lambda part: part.shape if isinstance(part, Tensor) else part, out) for out in hooks.stored]


def num_features_model(m: nn.Module) -> int:
    """How many features (channels) `m` gives for a picture.

    Raises:
        ConfigError: it runs on no square picture of 32 to 512 pixels, or gives no ``[batch, features, ...]``.
    """
    failure: Exception | None = None
    for side in _SIDES:
        try:
            out = dummy_eval(m, (side, side))
        except (RuntimeError, ValueError, AssertionError) as error:
            failure = error
            continue
        if isinstance(out, Tensor) and out.ndim >= 2:
            return int(out.shape[1])
        raise ConfigError(f"{type(m).__name__} gives {type(out).__name__}, not one tensor of [batch, features, ...]")
    raise ConfigError(
        f"{type(m).__name__} runs on no picture of {_SIDES[0]} to {_SIDES[-1]} pixels: {failure}"
    ) from failure
