"""`HookCallback`: a function of what layers do, for the time of a fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from laminar.callbacks.base import Callback
from laminar.core.errors import ConfigError
from laminar.nn.hooks import HookFunction, Hooks

__all__ = ["HookCallback", "leaves"]


class HookCallback(Callback):
    """Has hooks on layers while a fit runs: subclasses define ``hook(module, inputs, output)``, or one is given.

    What the hook returned last is in ``self.hooks.stored``, a value for each layer.

    Args:
        modules: the layers; by default all that have parameters and no layers inside.
        every: have hooks on every so many training batches only; None for all batches, validation too.
        is_forward: False for gradients, see `Hook`.
        detach: see `Hook`.
        cpu: give the hook tensors on the CPU; an accelerator then waits at each layer.
        include_paramless: by default, take layers without parameters too.
        hook: called with the layer, its inputs and its output.

    Raises:
        ConfigError: there is no hook.
    """

    passes = ("fit",)

    def __init__(
        self,
        modules: Sequence[nn.Module] | None = None,
        every: int | None = None,
        is_forward: bool = True,
        detach: bool = True,
        cpu: bool = True,
        include_paramless: bool = False,
        hook: HookFunction | None = None,
    ) -> None:
        self.modules, self.every, self.include_paramless = modules, every, include_paramless
        self.is_forward, self.detach, self.cpu = is_forward, detach, cpu
        self.hooks = Hooks((), self._call)
        self._given = hook
        if hook is None and type(self).hook is HookCallback.hook:
            raise ConfigError(f"{type(self).__name__} has no hook: define hook(self, m, i, o) or pass hook=function.")

    def hook(self, m: nn.Module, i: Any, o: Any) -> Any:
        """What to do whenever a layer is used; what it returns is kept."""
        return None if self._given is None else self._given(m, i, o)

    def _call(self, m: nn.Module, inputs: Any, output: Any) -> Any:
        return self.hook(m, inputs, output)

    def _put_on(self) -> None:
        modules = leaves(self.learn.model, self.include_paramless) if self.modules is None else self.modules
        self.hooks = Hooks(modules, self._call, self.is_forward, self.detach, self.cpu)

    def before_fit(self) -> None:
        """Put hooks on, if they are for all batches."""
        if self.every is None:
            self._put_on()

    def before_batch(self) -> None:
        """Put hooks on, if this batch is one of those."""
        if self.every is not None and self.training and self.train_iter % self.every == 0:
            self._put_on()

    def after_batch(self) -> None:
        """Take hooks off, if they are not for all batches."""
        if self.every is not None:
            self.hooks.remove()

    def cleanup_fit(self) -> None:
        """Take hooks off."""
        self.hooks.remove()


def leaves(model: nn.Module, include_paramless: bool = False) -> list[nn.Module]:
    """The layers of `model` that have no layers inside.

    Args:
        model: where they are.
        include_paramless: those without parameters too.
    """
    found = [m for m in model.modules() if not any(True for _ in m.children())]
    return [m for m in found if include_paramless or next(m.parameters(), None) is not None]
