"""`NamedTensors`: tensors that have names and belong together, as one part of a sample or a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch

__all__ = ["NamedTensors"]


class NamedTensors(dict[str, Any]):
    """Tensors by name that are one part of a sample: a model takes them by name, as it does a dict.

    A subclass says what they mean, and so how they are shown: unlike of other dicts, the class is kept when batches are
    made of samples, moved and taken apart. A model gets a plain dict.

    >>> NamedTensors.collate([NamedTensors(a=torch.tensor(1)), NamedTensors(a=torch.tensor(2))])
    NamedTensors({'a': tensor([1, 2])})
    """

    @classmethod
    def collate(cls, values: Sequence[Self]) -> Self:
        """A batch of samples whose tensors have the same shapes."""
        return cls({name: torch.stack([value[name] for value in values]) for name in values[0]})

    def uncollate(self) -> list[Self]:
        """The samples of a batch."""
        count = min((len(part) for part in self.values()), default=0)
        return [self.map(lambda part, row=row: part[row]) for row in range(count)]

    def map(self, function: Any) -> Self:
        """What `function` makes of each tensor, under the same names."""
        return type(self)({name: function(part) for name, part in self.items()})

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict(self)!r})"
