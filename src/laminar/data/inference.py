"""What a trained model needs of its data to be used elsewhere: the fitted transforms, without items or labelling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from laminar.core.errors import ConfigError
from laminar.core.pipeline import Pipeline
from laminar.core.recipe import builder, call_recipe, inference_recipe
from laminar.data.datasets import Datasets
from laminar.data.foreign import ForeignLoader
from laminar.data.lists import TfmdLists
from laminar.data.loader import DataLoader
from laminar.data.loaders import DataLoaders
from laminar.data.transforms import Getter

__all__ = ["inference_batches", "inference_loaders", "without_items"]

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


@builder
def inference_batches(
    n_inp: int, types: Sequence[type] | None, vocab: Sequence[Any] | None, after_batch: Pipeline
) -> DataLoaders:
    """Make loaders without batches, where it is not known how batches are made: `DataLoaders.test_dl` takes batches.

    Args:
        n_inp: how many parts of a batch are inputs.
        types: the class of each part of a batch; None if they have no meaning.
        vocab: names of the classes; None if there are none.
        after_batch: transforms of a batch.

    Raises:
        ConfigError: `n_inp` does not fit.
    """
    if n_inp < 1:
        raise ConfigError(f"n_inp={n_inp} does not fit")
    loaders = [ForeignLoader([], types=types, n_inp=n_inp, vocab=vocab) for _ in range(2)]
    for loader in loaders:
        loader.after_batch = after_batch
    return DataLoaders(*loaders, device="cpu")


def without_items(dls: DataLoaders) -> DataLoaders:
    """Loaders without items that treat new ones as `dls` does in validation: those that an export of `dls` gives."""
    make, arguments = _inference_call(dls)
    return make(**arguments)


@inference_recipe.register
def _inference_recipe(dls: DataLoaders, tensors: object) -> Any:
    return call_recipe(*_inference_call(dls), tensors)  # type: ignore[arg-type]  # a dict


def _inference_call(dls: DataLoaders) -> tuple[Callable[..., DataLoaders], dict[str, Any]]:
    """What makes loaders that treat new items as `dls` does in validation, and its arguments."""
    loader = dls.valid if len(dls) > 1 else dls.train
    if isinstance(loader, DataLoader) and isinstance(loader.dataset, Datasets | TfmdLists):
        return inference_loaders, _arguments_for_items(loader)
    return inference_batches, _arguments_for_batches(loader)


def _arguments_for_batches(loader: DataLoader | ForeignLoader) -> dict[str, Any]:
    """Where items are made by others, their batches are what is known."""
    types = loader.given_types if isinstance(loader, ForeignLoader) else loader.types
    known = types is not None and all(issubclass(kind, Tensor) for kind in types)
    vocab = loader.vocab
    return {
        "n_inp": loader.n_inp,
        "types": list(types) if known and types is not None else None,
        "vocab": None if vocab is None else list(vocab),
        "after_batch": _for_new_items(loader.after_batch),
    }


def _arguments_for_items(loader: DataLoader) -> dict[str, Any]:
    dataset: Any = loader.dataset
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
