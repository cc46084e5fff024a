"""Loaders of texts: streams for language models, batches of like length for anything else."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np

from laminar.core.errors import ConfigError, DataError
from laminar.core.pipeline import Pipeline
from laminar.core.random import permutation, random_generator
from laminar.core.types import LMTensorText, TensorText
from laminar.data.fetching import BatchRequest, Fetched
from laminar.data.loader import DataLoader
from laminar.data.orders import SortedDL
from laminar.data.transforms import ToTensor
from laminar.text.padding import Pad_Chunk
from laminar.text.streams import Stream, TextPlaces, text_lengths, text_places

__all__ = ["LMDataLoader", "SortedTextDL"]

_CUTS = 1 << 41  # address of where the batches of an epoch are cut


class LMDataLoader(DataLoader):
    """Batches for language models: texts and, as targets, the same texts one word later.

    All texts make one stream (in another order in each epoch, if shuffled), which is cut into `bs` streams: one for
    each row of a batch. A row goes on where the row of the batch before ended, so a model can carry its state along.
    Every word is there once in an epoch, as input (but for the last of all) and as target (but for the first). What
    is left over when the rest is divided among the rows, fewer than `bs` words, is a last batch with one row, which
    goes on with row 0; `drop_last` leaves it out.

    Nothing is copied together: where texts lie in a file, a batch reads its words from there. Batches are made in
    this process, whatever `num_workers`, since each is but a look into memory.

    Args:
        dataset: numbers of texts, or tuples that begin with them.
        bs: rows of a batch.
        seq_len: words in a row.
        jitter: in training, move where batches are cut, at random, by up to this share of half `seq_len` (0 to 1), so
            that a word does not always stand at the same place.
        **options: see `DataLoader`; not `sampler`, `n`, `create_item`, `create_batch`, `before_batch` and transforms
            of items.

    Raises:
        ConfigError: an option that does not go with streams, or too few words for one batch.

    >>> import torch
    >>> dl = LMDataLoader([torch.arange(9)], bs=2, seq_len=3)
    >>> [x.tolist() for x, y in dl]
    [[[4, 5, 6], [0, 1, 2]], [[7], [3]]]
    """

    def __init__(self, dataset: Any, bs: int = 64, *, seq_len: int = 72, jitter: float = 0.0, **options: Any) -> None:
        if seq_len < 1 or not 0 <= jitter < 1:
            raise ConfigError(f"seq_len must be at least 1 and jitter from 0 to below 1, got {seq_len} and {jitter}")
        if asked := [name for name in ("sampler", "n", "create_item", "create_batch") if options.get(name) is not None]:
            raise ConfigError(f"{asked[0]} chooses items, and a language model reads all texts as one stream")
        self.seq_len, self.jitter = seq_len, jitter
        self._drop, self._rows = bool(options.get("drop_last")), int(options.get("batch_size") or bs)
        self._known_places: TextPlaces | None = None
        self._running: tuple[tuple[int, int], tuple[Stream, np.ndarray[Any, Any]]] | None = None
        super().__init__(dataset, bs, **{**options, "num_workers": 0, "prefetch_factor": None})
        self.remember_types((LMTensorText, TensorText))
        strange = [step for step in [*self.after_item, *self.before_batch] if not isinstance(step, ToTensor)]
        if strange:
            raise ConfigError(
                f"{strange[0]!r} is for items, and a language model's batches are cut from one stream: give it as a "
                "transform of batches (batch_tfms)"
            )

    @property
    def places(self) -> TextPlaces:
        """Where the words of the texts are."""
        if self._known_places is None:
            self._known_places = text_places(self.dataset)
        return self._known_places

    def _check(self) -> None:
        self._check_sizes()
        total = int(self.places.lengths.sum())
        if total > 1 and not len(self):
            raise ConfigError(
                f"no batch at all: the {len(self.dataset)} texts have {total} words, and bs={self.bs} rows need "
                f"{self._rows + 1}. Pass a smaller bs, or drop_last=False."
            )

    @property
    def _each(self) -> int:
        """Words of an epoch in each row."""
        return max(0, int(self.places.lengths.sum()) - 1) // self._rows

    @property
    def _left_over(self) -> int:
        """Words of the batch with one row."""
        return 0 if self._drop else max(0, int(self.places.lengths.sum()) - 1) % self._rows

    @property
    def _n_full(self) -> int:
        return -(-self._each // self.seq_len)

    def __len__(self) -> int:
        """How many batches an epoch has."""
        return self._n_full + (self._left_over > 0)

    @property
    def n_items(self) -> int:
        """How many rows all batches of an epoch have."""
        return self._n_full * self._rows + (self._left_over > 0)

    def order(self, seed: int, epoch: int) -> Sequence[int]:
        """The numbers of the rows; texts are mixed inside the stream."""
        return range(self.n_items)

    def _fetch_here(self, seed: int, epoch: int, first: int) -> Iterator[tuple[BatchRequest, Fetched]]:
        for request in self._requests(seed, epoch, first):
            yield request, self._fetched(request)

    def _fetched(self, request: BatchRequest) -> Fetched:
        (stream, cuts), number = self._epoch_of(request.seed, request.epoch), request.number
        if number < self._n_full:
            start, stop = int(cuts[number]), int(cuts[number + 1])
            rows = np.arange(self._rows)[::-1, None] * self._each  # row 0 is the end of the stream: see the class
        else:
            rows, start, stop = np.array([[self._rows * self._each]]), 0, self._left_over
        words = stream.at(rows + np.arange(start, stop + 1))
        inputs, targets = words[:, :-1].as_subclass(LMTensorText), words[:, 1:].as_subclass(TensorText)
        return Fetched((inputs, targets), request.indices)

    def _epoch_of(self, seed: int, epoch: int) -> tuple[Stream, np.ndarray[Any, Any]]:
        """The stream of an epoch, and where its batches begin and end in each row."""
        if self._running is None or self._running[0] != (seed, epoch):
            count = len(self.places.lengths)
            order = permutation(count, seed, epoch) if self.shuffle else range(count)
            cuts = np.minimum(np.arange(self._n_full + 1) * self.seq_len, self._each)
            most = int(self.jitter * self.seq_len / 2) if self.shuffle else 0
            if most and self._n_full > 1:
                moved = random_generator(seed, _CUTS + epoch).integers(-most, most + 1, self._n_full - 1)
                cuts[1:-1] = np.minimum(cuts[1:-1] + moved, self._each - 1)
            self._running = (seed, epoch), (self.places.stream(np.asarray(order, dtype=np.int64)), cuts)
        return self._running[1]

    def peek(self, indices: Sequence[int]) -> Any:
        """The first batch of an epoch that is never trained; rows cannot be chosen."""
        if not len(self):
            raise DataError(f"this loader has nothing to look at: its {type(self.dataset).__name__} holds no items")
        return self.one_batch()

    def random_batch(self, count: int) -> Any:
        """A batch; rows cannot be chosen."""
        return self.one_batch()

    def answer(self, request: BatchRequest) -> Fetched:
        """Make the batch that `request` addresses."""
        fetched = self._fetched(request)
        return Fetched(self._finish(request, fetched), fetched.items)

    def replay(self, epoch: int, item: int | str | PurePath | None = None, batch: int | None = None) -> Any:
        """Make a batch exactly as it was in an epoch.

        Raises:
            ConfigError: an item was asked for: rows are cut from a stream of all texts.
        """
        if item is not None:
            raise ConfigError("a language model's batches hold pieces of texts, not items; ask for batch=...")
        return super().replay(epoch, batch=batch)

    def decode_batch(self, b: Any, max_n: int | None = 9, full: bool = True) -> list[Any]:
        """Take a batch apart into pairs of texts: what the model reads, and what it should say of it."""
        words = getattr(self.dataset, "tls", [self.dataset])[0]
        batch = self.after_batch.decode(tuple(part[:max_n].cpu() for part in b))
        decode = getattr(words, "decode", lambda text, full: text)
        return [tuple(decode(part, full=full) for part in sample) for sample in zip(*batch, strict=True)]


class SortedTextDL(SortedDL):
    """`SortedDL` that knows the lengths of texts from their tokenizer, where they have been tokenized already.

    Args:
        dataset: see `DataLoader`.
        bs: texts in a batch.
        seq_len: words in a piece, for a `Pad_Chunk` among the steps before a batch is made; None leaves it as it is.
        **options: see `SortedDL`.
    """

    def __init__(self, dataset: Any, bs: int = 64, *, seq_len: int | None = None, **options: Any) -> None:
        self.seq_len = seq_len
        if seq_len is not None:
            steps = Pipeline(options.get("before_batch")).transforms
            options["before_batch"] = [
                Pad_Chunk(step.pad_idx, step.pad_first, seq_len, step.max_words)
                if isinstance(step, Pad_Chunk)
                else step
                for step in steps
            ]
        super().__init__(dataset, bs, **options)
        self._tell_enormous_texts()

    def _tell_enormous_texts(self) -> None:
        """Warn of texts of which not all words are read."""
        limit = next((step.max_words for step in self.before_batch if isinstance(step, Pad_Chunk)), None)
        known = None if limit is None else text_lengths(self.dataset)
        if known is None or not len(known) or known.max() <= limit:
            return
        warnings.warn(
            f"{(known > limit).sum()} of {len(known)} texts have more than {limit:,} words (the longest, "
            f"number {known.argmax()} of its split, has {known.max():,}): the last {limit:,} are read. For more, "
            "pass before_batch=Pad_Chunk(max_words=...).",
            stacklevel=2,
        )

    def lengths(self) -> Sequence[float]:
        """The length of each text."""
        if self.res is None:
            known = text_lengths(self.dataset)
            if known is not None:
                self.res = known.tolist()
        return super().lengths()
