"""`get_c`: how many outputs a model needs for the targets of some loaders."""

from __future__ import annotations

from typing import Any

from laminar.core.errors import ConfigError

__all__ = ["UnknownOutputsError", "get_c"]


class UnknownOutputsError(ConfigError, AttributeError):
    """The data do not say how many outputs a model needs; an AttributeError too, for ``hasattr(dls, "c")`` to work."""


def get_c(dls: Any) -> int:
    """How many outputs a model needs for the targets of `dls`: what a transform says, else the number of classes.

    Raises:
        ConfigError: nothing says so.
    """
    train = dls.train
    said = getattr(train.dataset, "c", None)
    if said is not None:
        return int(said)
    for pipeline in (train.after_item, train.after_batch):
        for transform in pipeline:
            if getattr(transform, "c", None) is not None:
                return int(transform.c)
    vocab = train.vocab
    if vocab is None:
        raise UnknownOutputsError("the data do not say how many outputs a model needs; pass n_out=... to the learner")
    several = isinstance(vocab, list) and vocab and isinstance(vocab[-1], list)
    return len(vocab[-1] if several else vocab)
