"""Blocks: how one kind of thing (a picture, a class, a number) is read, batched and shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from laminar.core.errors import ConfigError
from laminar.core.pipeline import Pipeline
from laminar.core.transform import Transform
from laminar.data.loader import DataLoader
from laminar.data.options import LoadersOptions
from laminar.data.transforms import (
    Categorize,
    EncodedMultiCategorize,
    MultiCategorize,
    OneHotEncode,
    RegressionSetup,
    ToTensor,
)

__all__ = ["CategoryBlock", "MultiCategoryBlock", "RegressionBlock", "Steps", "TransformBlock", "listed", "made"]

Steps = Any  # a transform, a function, or an iterable of them


class TransformBlock:
    """How one kind of thing is read, batched and shown.

    Args:
        type_tfms: transforms that make the typed value of what the getter gives.
        item_tfms: transforms of the value; `ToTensor` is always among them.
        batch_tfms: transforms of a batch of values, on the device.
        dl_type: class of the loaders, if this kind needs its own.
        dls_kwargs: arguments of the loaders, if this kind needs some.
        join_batch_tfms: makes fewer transforms of batches of those of all blocks and of the caller, if some can be done
            in one; it changes none of them.
    """

    def __init__(
        self,
        type_tfms: Steps = None,
        item_tfms: Steps = None,
        batch_tfms: Steps = None,
        dl_type: type[DataLoader] | None = None,
        dls_kwargs: LoadersOptions | None = None,
        join_batch_tfms: Callable[[Iterable[Any]], list[Transform]] | None = None,
    ) -> None:
        self.type_tfms, self.batch_tfms = listed(type_tfms), listed(batch_tfms)
        self.item_tfms = [ToTensor(), *listed(item_tfms)]
        self.dl_type, self.dls_kwargs = dl_type, dls_kwargs or {}
        self.join_batch_tfms = join_batch_tfms


def CategoryBlock(  # a factory that reads like a class, under the name people know
    vocab: Sequence[Any] | None = None, sort: bool = True, add_na: bool = False
) -> TransformBlock:
    """One class for each item.

    Args:
        vocab: the classes, whose order is kept; None to find them in the training items.
        sort: sort the classes that were found.
        add_na: add a class ``"#na#"`` for labels that are none of the classes.
    """
    return TransformBlock(type_tfms=Categorize(vocab, sort=sort, add_na=add_na))


def MultiCategoryBlock(
    encoded: bool = False, vocab: Sequence[Any] | None = None, add_na: bool = False
) -> TransformBlock:
    """Any number of classes for each item.

    Args:
        encoded: the labels come as vectors of zeros and ones already.
        vocab: the classes; None (only if not `encoded`) to find them in the training items.
        add_na: add a class ``"#na#"`` for labels that are none of the classes.

    Raises:
        ConfigError: encoded labels without `vocab`.
    """
    if not encoded:
        return TransformBlock(type_tfms=[MultiCategorize(vocab, add_na=add_na), OneHotEncode()])
    if vocab is None:
        raise ConfigError("labels that are encoded already need the names of their classes: pass vocab=[...]")
    return TransformBlock(type_tfms=EncodedMultiCategorize(vocab))


def RegressionBlock(n_out: int | None = None) -> TransformBlock:
    """One or several quantities for each item.

    Args:
        n_out: how many; None to take it from the first training item.
    """
    return TransformBlock(type_tfms=RegressionSetup(c=n_out))


def made(block: Any) -> TransformBlock:
    """The block, of a block or of a function that makes one."""
    built = block if isinstance(block, TransformBlock) or not callable(block) else block()
    if not isinstance(built, TransformBlock):
        raise ConfigError(f"a block is a TransformBlock or a function that makes one, got {block!r}")
    return built


def listed(steps: Steps) -> list[Any]:
    """Steps as a list."""
    if steps is None:
        return []
    if isinstance(steps, Pipeline):
        return list(steps.transforms)
    if isinstance(steps, Iterable) and not callable(steps):
        return [step for step in steps if step is not None]
    return [steps]
