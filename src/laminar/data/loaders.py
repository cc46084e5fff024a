"""`DataLoaders`: the loaders of all splits, training first; and how they are built from split data sets."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any, Protocol, Self, Unpack

import torch

from laminar.core.device import default_device
from laminar.core.errors import ConfigError, DataError, check_keywords
from laminar.core.pipeline import Pipeline
from laminar.data.bad_items import BadItem, Origin
from laminar.data.building import build_loaders
from laminar.data.checking.leaks import Leak, find_leaks
from laminar.data.checking.members import Split
from laminar.data.checking.report import CheckReport
from laminar.data.checking.scan import scan
from laminar.data.checks import check_not_empty, check_targets
from laminar.data.foreign import ForeignLoader
from laminar.data.items import is_stream
from laminar.data.loader import DataLoader, own_settings
from laminar.data.loader_options import Device, Transforms
from laminar.data.options import LoadersOptions, TransformedLoadersOptions
from laminar.data.outputs import get_c
from laminar.data.similar import AnyLoader, loader_of, loader_of_nothing, on_device, set_up, with_more

__all__ = ["DataLoaders", "loaders_of"]


class SplitDatasets(Protocol):
    """What loaders are built from: `Datasets`, `TfmdLists`."""

    dl_type: type | None

    @property
    def n_subsets(self) -> int: ...
    @property
    def splits(self) -> list[list[int]] | None: ...
    def subset(self, i: int) -> Any: ...
    def __len__(self) -> int: ...


class DataLoaders:
    """Loaders of all splits, training first; what a learner learns from.

    Args:
        *loaders: loaders of ours, of torch's, or any iterables of batches.
        path: where the learner keeps what belongs to these data.
        device: where batches go; None for the loaders' own, else the accelerator if there is one.
        types: for batches from elsewhere: the typed tensor class of each part, ``(TensorImage, TensorCategory)``.
        n_inp: for batches from elsewhere: how many parts are inputs; all but the last when None.
        vocab: for batches from elsewhere: names of the classes.
        targets: for batches from elsewhere that are dicts: the keys of the targets; all others go into the model, as a
            dict.

    >>> dls = DataLoaders([(torch.zeros(2, 3), torch.zeros(2))], [(torch.ones(2, 3), torch.ones(2))], device="cpu")
    >>> dls.valid.one_batch()[1], dls.n_inp
    (tensor([1., 1.]), 1)
    """

    def __init__(
        self,
        *loaders: Any,
        path: str | Path = ".",
        device: Device = None,
        types: Sequence[type] | None = None,
        n_inp: int | None = None,
        vocab: Sequence[Any] | None = None,
        targets: str | Sequence[str] | None = None,
    ) -> None:
        if not loaders:
            raise ConfigError("DataLoaders needs at least a training loader")
        own = [loader.device for loader in loaders if isinstance(loader, DecodingLoader) and loader.device is not None]
        target = torch.device(device) if device is not None else own[0] if own else default_device()
        self.loaders: list[AnyLoader] = [
            on_device(loader, target)
            if isinstance(loader, DecodingLoader)
            else ForeignLoader(loader, target, types, n_inp, vocab, targets)
            for loader in loaders
        ]
        for number, loader in enumerate(self.loaders):
            if isinstance(loader, DataLoader):
                loader.called(Origin.of_member(number))
        self.path = Path(path)
        self.device: torch.device = target

    def __getitem__(self, i: int) -> AnyLoader:
        """The loader of split `i`.

        Raises:
            DataError: there is none.
        """
        if not -len(self.loaders) <= i < len(self.loaders):
            name = {0: "training", 1: "validation"}.get(i, f"number {i}")
            raise DataError(
                f"there is no loader {name}: these DataLoaders have {len(self.loaders)}. "
                "Split the items (splitter=RandomSplitter(0.2), splits=...), or give DataLoaders(train, valid)."
            )
        return self.loaders[i]

    def __len__(self) -> int:
        return len(self.loaders)

    def __iter__(self) -> Iterator[AnyLoader]:
        return iter(self.loaders)

    @property
    def train(self) -> AnyLoader:
        """The training loader."""
        return self[0]

    @property
    def valid(self) -> AnyLoader:
        """The validation loader."""
        return self[1]

    @property
    def train_ds(self) -> Any:
        """The training data set."""
        return self.train.dataset

    @property
    def valid_ds(self) -> Any:
        """The validation data set."""
        return self.valid.dataset

    # ---- what the data are

    @property
    def vocab(self) -> Any:
        """The classes (or words); None if there are none. May be set, to name them: ``dls.vocab = codes``."""
        return self.train.vocab

    @vocab.setter
    def vocab(self, names: Sequence[Any]) -> None:
        for loader in self.loaders:
            loader.vocab = names

    @property
    def c(self) -> int:
        """How many outputs a model needs for these targets (see `get_c`)."""
        return get_c(self)

    @property
    def n_inp(self) -> int:
        """How many parts of a batch go into the model; the others are targets. May be set: ``dls.n_inp = 2``."""
        return self.train.n_inp

    @n_inp.setter
    def n_inp(self, count: int) -> None:
        for loader in self.loaders:
            loader.n_inp = count

    @property
    def bad_items(self) -> list[BadItem]:
        """The items of all splits that were left out so far (``on_bad_item="skip"``)."""
        return [bad for loader in self.loaders if isinstance(loader, DataLoader) for bad in loader.bad_items]

    @property
    def target_types(self) -> tuple[type, ...]:
        """The classes of the targets."""
        return self.train.target_types

    # ---- batches

    def one_batch(self) -> Any:
        """Make one training batch, in this process."""
        return self.train.one_batch()

    def show_batch(self, b: Any = None, max_n: int = 9, ctxs: Any = None, show: bool = True, **options: Any) -> Any:
        """Show a training batch (see `DataLoader.show_batch`)."""
        return self.train.show_batch(b, max_n=max_n, ctxs=ctxs, show=show, **options)

    def decode_batch(self, b: Any, max_n: int | None = 9, full: bool = True) -> list[Any]:
        """Take a batch apart and undo all transforms (see `DataLoader.decode_batch`)."""
        return self.train.decode_batch(b, max_n, full)

    def replay(
        self, epoch: int, item: int | str | PurePath | None = None, batch: int | None = None, split: int = 0
    ) -> Any:
        """Make a sample or a batch exactly as it was in an epoch (see `laminar.data.replaying.replay`).

        Args:
            epoch: number of the epoch, from 0.
            item: number of an item in its split, or its file.
            batch: number of a batch in the epoch, in place of `item`.
            split: 0 for training, 1 for validation.
        """
        loader = self[split]
        if isinstance(loader, ForeignLoader):
            raise ConfigError(
                f"{loader!r} has batches from elsewhere: what an item was in an epoch, only its maker knows"
            )
        return loader.replay(epoch, item, batch)

    def check(
        self, n_workers: int | None = None, *, show_progress: bool = True, near_copies: bool = True
    ) -> CheckReport:
        """Make every item of all splits in full and report, in one pass, all that is wrong with them.

        It finds items and targets that cannot be made, values that are no numbers, endings that do not fit, copies
        (above all of training items in validation) of files and of pictures that look the same, labels that occur
        once, masks with ids outside their codes or of another size than the picture, points and boxes outside it.

        Args:
            n_workers: threads; None for as many as there are processors.
            show_progress: show a progress bar.
            near_copies: look for pictures that look the same, not only for the same bytes. The time this takes grows
                with the square of their number: seconds for 20,000, minutes for 100,000.

        Returns:
            a report that prints as a table, shows pictures (``report.show()``) and gives the files.

        Raises:
            ConfigError: the batches come from elsewhere, or from a stream, and their items are not known.
        """
        return scan(self._splits(), n_workers, show_progress, near_copies)

    def leaks(self, *, by_bytes: bool = True) -> list[Leak]:
        """Find what stands in several splits: a file that is named in both, or files that hold the same bytes.

        Nothing is decoded, so this is much quicker than `check`, which also finds pictures that look the same.

        Args:
            by_bytes: compare what is in the files, where their sizes are the same; False compares names only.

        Raises:
            ConfigError: the batches come from elsewhere, or from a stream, and their items are not known.
        """
        return find_leaks(self._splits(), by_bytes=by_bytes)

    def _splits(self) -> list[Split]:
        for loader in self.loaders:
            if isinstance(loader, ForeignLoader) or is_stream(loader.dataset):
                raise ConfigError(f"{loader!r} has no items by number: only their maker can check them")
        return [Split(loader.dataset, loader.after_item) for loader in self.loaders]

    # ---- others like these

    def test_dl(
        self,
        test_items: Any,
        with_labels: bool = False,
        bs: int | None = None,
        num_workers: int | None = None,
        *,
        rm_type_tfms: int | None = None,
    ) -> AnyLoader:
        """A loader of new items, with the transforms of validation.

        Args:
            test_items: what the model shall see: paths, bytes, pictures, arrays, tensors, rows of a data frame. Each
                begins at the first transform that is for its type. An iterable of batches, where batches come from
                elsewhere.
            with_labels: read the labels too; items must then be like those trained on.
            bs: items in a batch; None for that of validation.
            num_workers: processes; None for none where the items are few, else as many as validation has.
            rm_type_tfms: leave out so many of the first transforms, in place of beginning by type.
        """
        model = self.loaders[min(1, len(self.loaders) - 1)]
        return loader_of(test_items, model, with_labels, bs, num_workers, rm_type_tfms)

    def new_empty(self) -> Self:
        """The same transforms and settings without items."""
        loaders = [loader_of_nothing(loader) for loader in self.loaders]
        return type(self)(*loaders, path=self.path, device=self.device)

    def with_tfms(self, batch_tfms: Transforms) -> Self:
        """New loaders over the same data with more batch transforms; these here stay as they are."""
        added = Pipeline(batch_tfms)
        loaders = [with_more(loader, added) for loader in self.loaders]
        set_up(loaders[0], added)
        others = copy.copy(self)
        others.loaders = loaders
        return others

    def add_tfms(self, tfms: Transforms, event: str = "after_batch", loaders: Iterable[int] | None = None) -> None:
        """Add transforms to these loaders.

        Args:
            tfms: the transforms.
            event: ``"after_item"``, ``"before_batch"`` or ``"after_batch"``.
            loaders: numbers of the loaders; None for all.
        """
        added = Pipeline(tfms)
        for number in range(len(self.loaders)) if loaders is None else loaders:
            self[number].add_tfms(added, event)

    def to(self, device: Device) -> Self:
        """Send all batches to `device` from now on."""
        self.device = default_device() if device is None else torch.device(device)
        for loader in self.loaders:
            if loader.device != self.device:
                loader.to(self.device)
        return self

    def cpu(self) -> Self:
        """Send all batches to the CPU from now on."""
        return self.to("cpu")

    def cuda(self) -> Self:
        """Send all batches to the CUDA device from now on."""
        return self.to("cuda")

    # ---- made of other things

    @classmethod
    def from_dsets(
        cls, *ds: Any, path: str | Path = ".", bs: int | None = 64, **options: Unpack[TransformedLoadersOptions]
    ) -> DataLoaders:
        """Make a loader for each data set (a length, items by number): the first shuffled, the others in order.

        Args:
            *ds: the data sets, training first.
            path: where the learner keeps what belongs to these data.
            bs: items in a batch.
            **options: see `TransformedLoadersOptions`.
        """
        check_keywords(options, TransformedLoadersOptions, f"{cls.__name__}.from_dsets")
        loaders, device = build_loaders(ds, None, bs, options)
        return DataLoaders(*loaders, path=path, device=device)

    @classmethod
    def from_dblock(
        cls, dblock: Any, source: Any, path: str | Path = ".", bs: int = 64, **options: Unpack[LoadersOptions]
    ) -> DataLoaders:
        """Apply a `DataBlock` to `source` (see `DataBlock.dataloaders`)."""
        made: DataLoaders = dblock.dataloaders(source, path=path, bs=bs, **options)
        return made

    def __repr__(self) -> str:
        return f"{type(self).__name__} on {self.device}: " + "; ".join(map(repr, self.loaders))


DecodingLoader = (DataLoader, ForeignLoader)


def loaders_of(
    dsets: SplitDatasets, bs: int | None, path: str | Path, **options: Unpack[TransformedLoadersOptions]
) -> DataLoaders:
    """Check split data sets and make a loader for each split.

    Args:
        dsets: `Datasets` or `TfmdLists`.
        bs: items in a batch.
        path: where the learner keeps what belongs to these data.
        **options: see `TransformedLoadersOptions`.

    Raises:
        DataError: a split is empty, labels of validation are unknown to training, items cannot be made or collated.
    """
    known = [*TransformedLoadersOptions.__annotations__, *own_settings(options.get("dl_type") or dsets.dl_type)]
    check_keywords(options, known, f"{type(dsets).__name__}.dataloaders")
    check_not_empty(dsets.splits, len(dsets), "splits")
    if options.get("check", True):
        check_targets(getattr(dsets, "tls", [dsets]))
    subsets = [dsets.subset(i) for i in range(dsets.n_subsets)]
    loaders, device = build_loaders(subsets, dsets.dl_type, bs, options)
    return DataLoaders(*loaders, path=path, device=device)
