"""What a trained model needs of its data to be used elsewhere: the fitted transforms, without items or labelling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from laminar.core.errors import ConfigError
from laminar.core.pipeline import Pipeline
from laminar.core.recipe import builder, call_recipe, inference_recipe
from laminar.data.datasets import Datasets
from laminar.data.lists import TfmdLists
from laminar.data.loader import DataLoader
from laminar.data.loaders import DataLoaders
from laminar.data.transforms import Getter

__all__ = ["inference_loaders", "without_items"]

_VALIDATION = 1


@builder
def inference_loaders(
    members: Sequence[Pipeline],
    n_inp: int,
    types: Sequence[type],
    bs: int,
    after_item: Pipeline,
    before_batch: Pipeline,
    after_batch: Pipeline,
    create_batch: Callable[[list[Any]], Any] | None = None,
) -> DataLoaders:
    """Make loaders without items, for `DataLoaders.test_dl` and for decoding.

    Args:
        members: the fitted pipeline of each input and target, without what reads labels.
        n_inp: how many of them are inputs.
        types: the class of each part of a batch.
        bs: items in a batch.
        after_item: transforms of a sample.
        before_batch: transforms of a list of samples.
        after_batch: transforms of a batch.
        create_batch: makes a batch of a list of samples; None collates them.

    Raises:
        ConfigError: numbers that do not fit.
    """
    if not 0 < n_inp <= len(members) or bs < 1:
        raise ConfigError(f"n_inp={n_inp} and bs={bs} do not fit {len(members)} inputs and targets")
    lists = [TfmdLists([], steps, split_idx=_VALIDATION, do_setup=False) for steps in members]
    loader = DataLoader(
        Datasets(tls=lists, n_inp=n_inp), bs=bs, split_idx=_VALIDATION, do_setup=False,
        after_item=after_item, before_batch=before_batch, after_batch=after_batch, create_batch=create_batch,
    )  # fmt: skip
    loader.remember_types(types)
    return DataLoaders(loader, loader.new(), device="cpu")


def without_items(dls: DataLoaders) -> DataLoaders:
    """Loaders without items that treat new ones as `dls` does in validation: those that an export of `dls` gives."""
    return inference_loaders(**_inference_arguments(dls))


@inference_recipe.register
def _inference_recipe(dls: DataLoaders, tensors: object) -> Any:
    return call_recipe(inference_loaders, _inference_arguments(dls), tensors)  # type: ignore[arg-type]  # a dict


def _inference_arguments(dls: DataLoaders) -> dict[str, Any]:
    """The arguments with which `inference_loaders` makes loaders that treat new items as `dls` does in validation."""
    loader = dls.valid if len(dls) > 1 else dls.train
    if not isinstance(loader, DataLoader) or not isinstance(loader.dataset, Datasets | TfmdLists):
        raise ConfigError(
            f"it is not known how {loader!r} makes its batches. Only loaders built from Datasets, TfmdLists or a "
            "DataBlock can be exported; of others, save the weights: learn.save(...)."
        )
    dataset = loader.dataset
    lists, n_inp = (dataset.tls, dataset.n_inp) if isinstance(dataset, Datasets) else ([dataset], 1)
    return {
        "members": [_for_new_items(tl.tfms, number >= n_inp) for number, tl in enumerate(lists)],
        "n_inp": n_inp,
        "types": list(loader.types),
        "bs": loader.bs or 1,
        "after_item": _for_new_items(loader.after_item),
        "before_batch": _for_new_items(loader.before_batch),
        "after_batch": _for_new_items(loader.after_batch),
        "create_batch": loader.create_batch,
    }


def _for_new_items(steps: Pipeline, target: bool = False) -> Pipeline:
    """Without what reads labels or file names, and without what runs in training only."""
    kept = [step for step in steps if not isinstance(step, Getter) and step.split_idx in (None, _VALIDATION)]
    if target:  # new items have no label to read, so a function that only reads is not needed
        kept = [step for step in kept if step.enc is None or step.dec is not None]
    return Pipeline(kept, split_idx=_VALIDATION)
