"""What the parts of a batch mean, and the way back from a batch to values that can be shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from laminar.core.device import to_cpu
from laminar.core.errors import ConfigError
from laminar.core.pipeline import Pipeline
from laminar.core.show import show_batch, show_results
from laminar.core.types import cast, is_showable
from laminar.data.collation import first_items, uncollate

__all__ = ["DecodesBatches", "types_of"]


class DecodesBatches:
    """What loaders have in common: types of a batch's parts, decoding and showing.

    Attributes:
        dataset: where items come from.
        after_item: transforms of a sample.
        after_batch: transforms of a batch.
    """

    dataset: Any
    after_item: Pipeline
    after_batch: Pipeline
    _types: tuple[type, ...] | None = None
    _n_inp: int | None = None
    _vocab: Sequence[Any] | None = None

    def one_batch(self) -> Any:
        """Make a single batch."""
        raise NotImplementedError(f"{type(self).__name__} must define one_batch")

    def peek(self, indices: Sequence[int]) -> Any:
        """Make a batch of the items with these numbers."""
        raise NotImplementedError(f"{type(self).__name__} must define peek")

    @property
    def types(self) -> tuple[type, ...]:
        """The classes of the parts of a batch."""
        if self._types is None:
            self.remember_types(types_of(self.peek([0])))
        return self._types or ()

    def remember_types(self, types: Sequence[type]) -> None:
        """Take the classes of the parts as known, in place of looking at an item."""
        self._types = tuple(types)

    @property
    def n_inp(self) -> int:
        """How many parts of a batch go into the model; the others are targets. May be set."""
        known = self._said_n_inp() if self._n_inp is None else self._n_inp
        return int(known) if known is not None else max(1, len(self.types) - 1)

    @n_inp.setter
    def n_inp(self, count: int) -> None:
        if not 1 <= count <= len(self.types):
            raise ConfigError(f"n_inp={count} does not fit batches of {len(self.types)} parts")
        self._n_inp = count

    def _said_n_inp(self) -> int | None:
        """How many parts are inputs, as far as the data say so."""
        known: int | None = getattr(self.dataset, "n_inp", None)
        return known

    @property
    def target_types(self) -> tuple[type, ...]:
        """The classes of the targets."""
        return self.types[self.n_inp :]

    @property
    def vocab(self) -> Any:
        """The classes (or words): those given, else of the data set or of a transform of items; None if there are none.

        May be set, to name classes that have only numbers: ``dls.vocab = codes``.
        """
        return self._said_vocab() if self._vocab is None else self._vocab

    @vocab.setter
    def vocab(self, names: Sequence[Any]) -> None:
        known = self.vocab
        if known is not None and len(known) != len(names):
            raise ConfigError(f"{len(names)} names were given for {len(known)} classes: {list(known)}")
        self._vocab = names

    def _said_vocab(self) -> Any:
        """The classes, as far as the data say so."""
        known = (getattr(source, "vocab", None) for source in (self.dataset, *self.after_item))
        return next((vocab for vocab in known if vocab is not None), None)

    def decode_batch(self, b: Any, max_n: int | None = 9, full: bool = True) -> list[Any]:
        """Take a batch apart and undo all transforms, back to values that can be shown.

        Args:
            b: a batch as this loader gives it, anywhere.
            max_n: at most so many items; None for all.
            full: undo everything the data set did; otherwise only until everything can be shown.
        """
        batch = self.after_batch.decode(to_cpu(first_items(b, max_n)))
        decode = getattr(self.dataset, "decode", None)
        samples = [self.after_item.decode(sample) for sample in uncollate(batch)]
        return samples if decode is None else [decode(sample, full=full) for sample in samples]

    def decode_outputs(self, b: Any, out: Any, max_n: int | None = 9) -> list[tuple[Any, ...]]:
        """Decode a model's decided outputs as if they were targets: one tuple for each item.

        Args:
            b: the batch they were made of.
            out: what the loss's ``decodes`` gave, or a tuple of these for several targets.
            max_n: at most so many items; None for all.
        """
        outs = tuple(out) if isinstance(out, tuple | list) else (out,)
        typed = tuple(
            cast(part, kind) if type(part) is Tensor and issubclass(kind, Tensor) else part
            for part, kind in zip(outs, (*self.target_types, *[object] * len(outs)), strict=False)
        )
        samples = self.decode_batch((*tuple(b)[: self.n_inp], *typed), max_n, full=False)
        return [tuple(sample[self.n_inp :]) for sample in samples]

    def show_batch(self, b: Any = None, max_n: int = 9, ctxs: Any = None, show: bool = True, **options: Any) -> Any:
        """Show a batch, decoded: drawn by the function registered for its types (see `laminar.core.show.show_batch`).

        Args:
            b: the batch; None takes one of this loader.
            max_n: at most so many items.
            ctxs: axes to draw on, made when None.
            show: False returns (inputs, targets, decoded samples) in place of drawing.
            **options: for the function that draws: nrows, ncols, figsize, ...
        """
        x, y, samples = self._parts(self.one_batch() if b is None else b, max_n)
        return show_batch(x, y, samples, ctxs=ctxs, max_n=max_n, **options) if show else (x, y, samples)

    def show_results(self, b: Any, out: Any, max_n: int = 9, ctxs: Any = None, **options: Any) -> Any:
        """Show a batch with what a model made of it (see `laminar.core.show.show_results`).

        Args:
            b: the batch.
            out: the model's decided outputs, as in `decode_outputs`.
            max_n: at most so many items.
            ctxs: axes to draw on, made when None.
            **options: for the function that draws: nrows, ncols, figsize, ...
        """
        x, y, samples = self._parts(b, max_n)
        if _draws_itself(b):
            y = self._shown(type(b)((*b[: self.n_inp], *(out if isinstance(out, tuple | list) else (out,)))), max_n)
        return show_results(x, y, samples, self.decode_outputs(b, out, max_n), ctxs=ctxs, max_n=max_n, **options)

    def _shown(self, batch: Any, max_n: int) -> Any:
        """The first items of a batch, as they were before the transforms of batches."""
        return self.after_batch.decode(to_cpu(first_items(batch, max_n)))

    def _parts(self, batch: Any, max_n: int) -> tuple[Any, Any, list[Any]]:
        """Inputs and targets of a batch without what the transforms of batches did, and its decoded samples."""
        samples = self.decode_batch(batch, max_n, full=False)
        shown = self._shown(batch, max_n)
        if _draws_itself(batch):
            return shown, None, samples
        if not isinstance(batch, tuple | list):
            return shown, None, [(sample,) for sample in samples]
        inputs, targets = tuple(shown[: self.n_inp]), tuple(shown[self.n_inp :])
        return inputs[0] if len(inputs) == 1 else inputs, targets[0] if len(targets) == 1 else targets or None, samples


def _draws_itself(batch: Any) -> bool:
    """Whether a batch is of a tuple class of the user's, which draws whole samples."""
    return isinstance(batch, tuple) and is_showable(batch)


def types_of(batch: Any) -> tuple[type, ...]:
    """The classes of the parts of a batch."""
    return tuple(map(type, batch)) if isinstance(batch, tuple | list) else (type(batch),)
