"""Walking one sample, then a batch, through a data block, telling in words what each step did."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor

from laminar.core.errors import describe
from laminar.core.pipeline import Pipeline
from laminar.core.random import batch_random, item_random
from laminar.core.transform import Transform
from laminar.core.types import plain
from laminar.data.datasets import Datasets
from laminar.data.items import item_at, name_of
from laminar.data.loader import DataLoader

__all__ = ["tell_datasets", "tell_loader"]

Say = Callable[[str], None]


def tell_datasets(dsets: Datasets, say: Say) -> None:
    """Tell how many items there are in each split, and follow the first training item through each pipeline."""
    sizes = ", ".join(str(len(dsets.subset(i))) for i in range(dsets.n_subsets))
    say(f"{len(dsets)} items, divided into {sizes}")
    train = dsets.train
    item = item_at(train.items, 0)
    say(f"\nThe first training item: {name_of(item)}")
    for number, tl in enumerate(train.tls):
        role = "input" if number < dsets.n_inp else "target"
        say(f"\nMember {number} ({role}):")
        _follow(tl.tfms, item, say)
        if tl.vocab is not None:
            say(f"  classes: {len(tl.vocab)}")


def tell_loader(loader: DataLoader, count: int, say: Say) -> Any:
    """Follow a sample through the item transforms, then a batch of `count` samples through the batch transforms.

    Returns:
        the batch, after all transforms.
    """
    count = min(count, loader.n_items)
    sample = loader.new(after_item=None, after_batch=None).item(0)
    say("\nItem transforms, on the sample:")
    with item_random(0, 0, 0):
        _follow(loader.after_item, sample, say)
    say(f"\nA batch of {count} samples:")
    raw = loader.new(after_batch=None).peek(range(count))
    say(f"  {describe(raw)}")
    say(f"\nBatch transforms, on {loader.device or 'the CPU'}:")
    with batch_random(0, 0, 0, range(count), loader.device):
        _follow(loader.after_batch, raw, say)
    return loader.peek(range(count))


def _follow(pipeline: Pipeline, value: Any, say: Say) -> None:
    if not len(pipeline):
        say(f"  no transforms; it stays {_tell(value)}")
        return
    say(f"  {_tell(value)}")
    for step in pipeline:
        value = _one_step(pipeline, step, value, say)


def _one_step(pipeline: Pipeline, step: Transform, value: Any, say: Say) -> Any:
    alone = Pipeline([step], split_idx=pipeline.split_idx)
    if step.split_idx not in (None, pipeline.split_idx):
        say(f"  {step!r}: runs on another split")
        return value
    if not step.touches(value):
        say(f"  {step!r}: touches nothing here")
        return value
    result = alone(value)
    say(f"  {step!r} makes it {_tell(result)}")
    return result


def _tell(value: Any) -> str:
    """What a value is, and for tensors from where to where its numbers go."""
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_tell, value)) + ")"
    numbers = list(_ranges([value]))
    return describe(value) + (f" from {numbers[0]}" if numbers else "")


def _ranges(values: Iterable[Any]) -> Iterable[str]:
    for value in values:
        if isinstance(value, Tensor) and value.numel() > 1 and not value.is_complex():
            bare = plain(value)
            yield f"{bare.min().item():.4g} to {bare.max().item():.4g}"
