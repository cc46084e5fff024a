"""`Pipeline`: transforms in order, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from laminar.core.adapters import to_transform
from laminar.core.errors import describe
from laminar.core.transform import Transform
from laminar.core.types import is_showable

__all__ = ["Pipeline"]

S = TypeVar("S", bound=Transform)
Step = Transform | Callable[[Any], Any]


class Pipeline:
    """Transforms in order; `decode` undoes them from last to first.

    Args:
        funcs: transforms, transform classes or functions; sorted by ``order``, otherwise as given. None does nothing.
        split_idx: 0 runs the training-only transforms, 1 the validation-only ones, None neither.

    >>> pipeline = Pipeline([float, Transform(lambda x: x + 1, dec=lambda x: x - 1)])
    >>> pipeline("2"), pipeline.decode(3.0)
    (3.0, 2.0)
    """

    def __init__(self, funcs: Step | Iterable[Step] | Pipeline | None = None, split_idx: int | None = None) -> None:
        self.transforms: list[Transform] = _sorted(_listed(funcs))
        self.split_idx = split_idx

    def __call__(self, sample: Any, first: int = 0) -> Any:
        """Encode a sample, or a single value, beginning with transform number `first`."""
        split_idx = self.split_idx
        for transform in self.transforms[first:] if first else self.transforms:
            try:
                sample = transform(sample, split_idx=split_idx)
            except Exception as error:
                error.add_note(f"in {transform!r}, encoding {describe(sample)}")
                raise
        return sample

    def decode(self, sample: Any, full: bool = True) -> Any:
        """Undo all transforms, or (not `full`) only as many as it takes until everything can be shown."""
        for transform in reversed(self.transforms):
            if not full and _all_showable(sample):
                break
            try:
                sample = transform.decode(sample, split_idx=self.split_idx)
            except Exception as error:
                error.add_note(f"in {transform!r}, decoding {describe(sample)}")
                raise
        return sample

    def show(self, sample: Any, ctx: Any = None, **kwargs: Any) -> Any:
        """Decode until everything can be shown, and show it: every part on the same axes `ctx`."""
        shown = self.decode(sample, full=False)
        for part in shown if isinstance(shown, tuple) and not is_showable(shown) else (shown,):
            if is_showable(part):
                ctx = part.show(ctx=ctx, **kwargs)
        return ctx

    def setup(self, items: Any = None, train_setup: bool = False) -> None:
        """Set the transforms up one after another, each seeing `items` as those before it make them."""
        waiting, self.transforms = self.transforms, []
        try:
            for transform in waiting:
                try:
                    transform.setup(items, train_setup)
                except Exception as error:
                    error.add_note(f"in {transform.name}, setting up")
                    raise
                self.transforms.append(transform)
        except BaseException:
            self.transforms = waiting
            raise

    def add(self, funcs: Step | Iterable[Step]) -> None:
        """Put more transforms in, where their ``order`` says."""
        self.transforms = _sorted([*self.transforms, *_listed(funcs)])

    def with_split(self, split_idx: int | None) -> Pipeline:
        """The same transforms, for another split."""
        return Pipeline(self, split_idx=split_idx)

    def find(self, kind: type[S]) -> S | None:
        """The first transform of class `kind`, None if there is none."""
        return next((transform for transform in self.transforms if isinstance(transform, kind)), None)

    @property
    def deterministic(self) -> bool:
        """Whether no transform that runs on this split draws random numbers."""
        return all(
            transform.deterministic
            or transform.split_idx not in (None, self.split_idx)
            or (self.split_idx == 1 and not transform.draws_in_validation)
            for transform in self.transforms
        )

    def __len__(self) -> int:
        return len(self.transforms)

    def __iter__(self) -> Any:
        return iter(self.transforms)

    def __getitem__(self, index: int) -> Transform:
        return self.transforms[index]

    def __repr__(self) -> str:
        return "Pipeline: " + (" -> ".join(map(repr, self.transforms)) or "nothing")


def _listed(funcs: Any) -> list[Transform]:
    if funcs is None:
        return []
    if isinstance(funcs, Pipeline):
        return list(funcs.transforms)
    if isinstance(funcs, type) or callable(funcs) or not isinstance(funcs, Iterable):
        return [to_transform(funcs)]
    return [to_transform(step) for step in funcs if step is not None]


def _sorted(transforms: list[Transform]) -> list[Transform]:
    return sorted(transforms, key=lambda transform: transform.order)


def _all_showable(sample: Any) -> bool:
    return is_showable(sample) or (isinstance(sample, tuple) and all(map(is_showable, sample)))
