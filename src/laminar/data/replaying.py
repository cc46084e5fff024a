"""Looking again at what an item, or a batch, was at some time of a training: nothing was kept, it is made anew."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Any, Protocol

from laminar.core.errors import ConfigError, DataError, suggest
from laminar.data.collation import uncollate
from laminar.data.fetching import BatchRequest, Fetched
from laminar.data.items import item_at, name_of

__all__ = ["number_of_item", "replay"]


class Replayable(Protocol):
    """A loader whose batches have addresses."""

    dataset: Any

    def requests(self, epoch: int) -> list[BatchRequest]: ...
    def answer(self, request: BatchRequest) -> Fetched: ...


def replay(loader: Replayable, epoch: int, item: int | str | PurePath | None = None, batch: int | None = None) -> Any:
    """Make a sample, or a whole batch, exactly as it was in an epoch: all transforms run again on the same draws.

    The whole batch is made for a single sample too, since a transform of batches may look at all of it.

    Args:
        loader: a loader of ours.
        epoch: number of the epoch, from 0.
        item: number of an item in the loader's data set, or its file (the end of the path will do).
        batch: number of a batch in the epoch, in place of `item`.

    Returns:
        the sample or the batch, with its types, on the loader's device.

    Raises:
        ConfigError: neither or both of `item` and `batch` were given.
        DataError: the epoch has no such item or batch.
    """
    if (item is None) == (batch is None):
        raise ConfigError("replay needs either an item or the number of a batch: replay(epoch=3, item=12)")
    requests = loader.requests(epoch)
    if batch is not None:
        if not 0 <= batch < len(requests):
            raise DataError(f"epoch {epoch} has {len(requests)} batches, there is no batch {batch} (they count from 0)")
        return loader.answer(requests[batch]).batch
    index = item if isinstance(item, int) else number_of_item(loader.dataset, item)
    for request in requests:
        if index in request.indices:
            answer = loader.answer(request)
            if index in answer.items:
                return uncollate(answer.batch)[list(answer.items).index(index)]
            raise DataError(f"item {index} was left out of epoch {epoch}: a transform skipped it")
    raise DataError(
        f"item {index} is in no batch of epoch {epoch}, which has {sum(len(r.indices) for r in requests)} items of "
        f"{len(loader.dataset)} (drop_last, n or a sampler may leave items out)"
    )


def number_of_item(dataset: Any, file: str | PurePath | None) -> int:
    """The number of the item that is read from `file`; the end of its path will do.

    Raises:
        DataError: there is no such item, there are several, or the data set does not tell its items.
    """
    raw = getattr(dataset, "items", None)
    if raw is None or callable(raw):
        raise DataError(f"{type(dataset).__name__} does not tell what its items are; give the item's number")
    wanted = Path(str(file)).parts
    names = [name_of(item_at(raw, index)) for index in range(len(raw))]
    found = [index for index, name in enumerate(names) if Path(name).parts[-len(wanted) :] == wanted]
    if len(found) != 1:
        several = f"{len(found)} items are called {file}: {', '.join(names[index] for index in found[:3])}. Say more."
        raise DataError(several if found else f"no item is called {file}.{suggest(str(file), names)}")
    return found[0]
