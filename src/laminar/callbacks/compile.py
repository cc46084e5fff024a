"""`torch.compile` for the time of a fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict, Unpack

import torch
from torch import nn

from laminar.callbacks.base import Callback
from laminar.core.errors import check_keywords

__all__ = ["CompileModel", "CompileOptions"]


class CompileOptions(TypedDict, total=False):
    """Options of ``torch.compile``."""

    fullgraph: bool
    dynamic: bool | None
    backend: str | Callable[..., Any]
    mode: str | None
    options: dict[str, Any] | None


class CompileModel(Callback):
    """Compiles the model's ``forward`` for the time of a fit; names of weights, files and exports stay what they are.

    The first batch of each shape takes long; later fits of the same model use what is compiled. Predictions outside
    of a fit, which are often of one item, are not compiled.

    Args:
        options: of ``torch.compile``: `mode`, `backend`, `dynamic`, `fullgraph`, `options`.
    """

    order = 6  # when the memory layout is settled
    passes = ("fit", "lr_find")

    def __init__(self, **options: Unpack[CompileOptions]) -> None:
        check_keywords(options, CompileOptions, "CompileModel")
        self.options = options
        self._compiled: tuple[nn.Module, Callable[..., Any]] | None = None
        self._changed: nn.Module | None = None

    def before_fit(self) -> None:
        """Compile, or take what is compiled already."""
        model = self.model
        if self._compiled is None or self._compiled[0] is not model:
            self._compiled = (model, torch.compile(model.forward, **self.options))
        self._changed = model
        model.forward = self._compiled[1]

    def cleanup_fit(self) -> None:
        """Give the model its own ``forward`` back."""
        if self._changed is not None:
            del self._changed.forward  # what the class defines comes to light again
            self._changed = None
