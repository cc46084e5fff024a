"""Batch transforms that belong to a model, such as the normalisation its weights expect, on any loaders it is given.

A learner may be handed loaders that know nothing of them: other loaders for the next fit, ``dls.test_dl(items)`` of the
loaders it was built from. Where such a transform is missing it is added, to a copy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from laminar.core.pipeline import Pipeline
from laminar.core.transform import Transform
from laminar.nn.calling import TARGET_NAMES

__all__ = ["loader_for_model", "loaders_for_model", "parts_of"]


def loaders_for_model(dls: Any, tfms: Sequence[Transform]) -> Any:
    """`dls` if its training batches pass through transforms of these classes already, else new loaders that do."""
    missing = _missing(getattr(dls[0], "after_batch", None), tfms) if tfms and hasattr(dls, "with_tfms") else []
    return dls.with_tfms(missing) if missing else dls


def loader_for_model(loader: Any, tfms: Sequence[Transform]) -> Any:
    """A loader of our own, with those of `tfms` added (to it) that it lacks; others are returned as they are."""
    if hasattr(loader, "add_tfms"):
        missing = _missing(getattr(loader, "after_batch", None), tfms)
        if missing:
            loader.add_tfms(missing)
    return loader


def _missing(after_batch: Pipeline | None, tfms: Sequence[Transform]) -> list[Transform]:
    return [tfm for tfm in tfms if after_batch is not None and after_batch.find(type(tfm)) is None]


def parts_of(batch: Any) -> tuple[Any, ...]:
    """A batch as inputs and targets: of a mapping, all of it and what is under a usual name for targets."""
    if isinstance(batch, tuple | list):
        return tuple(batch)
    if isinstance(batch, Mapping):
        return dict(batch), *(batch[name] for name in TARGET_NAMES if name in batch)
    return (batch,)
