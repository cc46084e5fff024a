"""`Separately`: parts of one sample that shall not look alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from laminar.core.pipeline import Pipeline
from laminar.core.transform import Transform

__all__ = ["Separately"]


class Separately(Transform):
    """Let transforms draw for each part of a sample anew, where otherwise one draw serves all of it.

    For pairs of pictures and several views of one: each is cropped, turned and lit by draws of its own. Parts that the
    transforms do nothing to stay as they are.

    Args:
        tfms: one transform or several, of items or of batches.

    >>> import random
    >>> noise = Transform(lambda x: x + random.random())
    >>> first, second = Separately(noise)((1.0, 1.0))
    >>> first == second
    False
    """

    def __init__(self, tfms: Callable[[Any], Any] | Iterable[Callable[[Any], Any]]) -> None:
        super().__init__()
        self.tfms = list(Pipeline(tfms))
        self.order = min((transform.order for transform in self.tfms), default=0)

    @property
    def deterministic(self) -> bool:  # type: ignore[override]  # depends on what is inside
        """Whether none of the transforms draws."""
        return all(transform.deterministic for transform in self.tfms)

    def __call__(self, x: Any, split_idx: int | None = None) -> Any:
        """Encode each part, however deep in tuples, by itself."""
        return self._each(x, lambda transform, part: transform(part, split_idx=split_idx), self.tfms)

    def decode(self, x: Any, split_idx: int | None = None) -> Any:
        """Undo it for each part."""
        backwards = self.tfms[::-1]
        return self._each(x, lambda transform, part: transform.decode(part, split_idx=split_idx), backwards)

    def setup(self, items: Any = None, train_setup: bool = False) -> None:
        """Let the transforms learn what they want to know."""
        for transform in self.tfms:
            transform.setup(items, train_setup)

    def touches(self, x: Any) -> bool:
        """Whether any of the transforms would do anything to `x`."""
        return any(transform.touches(x) for transform in self.tfms)

    def _each(self, x: Any, apply: Callable[[Transform, Any], Any], transforms: list[Transform]) -> Any:
        if isinstance(x, tuple):
            members = [self._each(part, apply, transforms) for part in x]
            return type(x)(*members) if hasattr(x, "_fields") else type(x)(members)
        for transform in transforms:
            if transform.touches(x):
                x = apply(transform, x)
        return x
