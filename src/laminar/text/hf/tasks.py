"""What a model of transformers is for: a task says which class of models it takes, and how their outputs are read.

Which task it is follows from the class of the targets (`task_for`). A new task is a class of targets with a block that
makes them, an `HFTask`, and a call of `register_task`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from laminar.core.errors import ConfigError
from laminar.core.types import TensorCategory, TensorFloat, TensorMultiCategory
from laminar.data.outputs import get_c
from laminar.learner.losses_for import loss_for
from laminar.nn.losses import LossFunction
from laminar.optim.groups import Splitter
from laminar.text.hf.base_learner import HFLearner
from laminar.text.hf.model import HFModel
from laminar.text.hf.splitters import hf_splitter

__all__ = ["HFTask", "SequenceClassification", "register_task", "task_for", "task_named"]


class HFTask:
    """What a kind of target asks of a model.

    Attributes:
        name: what it is called in messages.
        auto_class: class of transformers that makes its models of a name, a folder or a configuration.
        outputs: which of a model's outputs are its predictions; several names for a tuple.
        model: how laminar calls its models.
        learner: what one does with them.
    """

    name: str
    auto_class: str
    outputs: str | Sequence[str] = "logits"
    model: type[HFModel] = HFModel
    learner: type[HFLearner] = HFLearner

    def wrap(self, hf_model: nn.Module) -> HFModel:
        """A model of transformers as laminar calls it.

        Args:
            hf_model: the model, perhaps with adapters.
        """
        return self.model(hf_model, self.outputs, self.name)

    def settings(self, dls: Any) -> dict[str, Any]:
        """What the data say of the model's configuration."""
        return {}

    def loss(self, dls: Any) -> LossFunction:
        """The loss: the same as a model computes of ``labels``, and one that tells how outputs are read."""
        return loss_for(dls)

    @property
    def splitter(self) -> Splitter:
        """Makes parameter groups of a model."""
        return hf_splitter

    def check(self, model: Any, dls: Any) -> None:
        """Refuse a model that does not fit the data."""


class SequenceClassification(HFTask):
    """One class for each text (or pair), several, or quantities."""

    name = "sequence classification"
    auto_class = "AutoModelForSequenceClassification"

    def settings(self, dls: Any) -> dict[str, Any]:
        """How many classes there are, and what they are called."""
        kinds: Mapping[type, str] = {
            TensorMultiCategory: "multi_label_classification",
            TensorCategory: "single_label_classification",
        }
        target = dls.target_types[0]
        problem = next((name for kind, name in kinds.items() if issubclass(target, kind)), "regression")
        return {**named_classes(dls, get_c(dls)), "problem_type": problem}

    def check(self, model: Any, dls: Any) -> None:
        """Refuse another number of outputs."""
        wanted, found = get_c(dls), model.config.num_labels
        if wanted != found:
            raise ConfigError(
                f"the data have {wanted} classes or quantities, and this {type(model).__name__} has {found} outputs. "
                "Pass its name, folder or configuration in place of the model, so that it is made for the data: "
                f"hf_learner(dls, folder); or make it with num_labels={wanted}."
            )


def named_classes(dls: Any, count: int) -> dict[str, Any]:
    """``num_labels``, ``id2label`` and ``label2id`` of the data's classes; quantities are numbered."""
    vocab = dls.vocab
    several = isinstance(vocab, list | tuple) and len(vocab) > 0 and not isinstance(vocab[0], str | int | float | bool)
    classes = vocab[-1] if several else vocab
    names = [str(name) for name in classes] if classes is not None else [f"LABEL_{i}" for i in range(count)]
    return {
        "num_labels": count,
        "id2label": dict(enumerate(names)),
        "label2id": {name: number for number, name in enumerate(names)},
    }


_TASKS: dict[type, Callable[[], HFTask]] = {TensorCategory: SequenceClassification, TensorFloat: SequenceClassification}


def register_task(target: type, make: Callable[[], HFTask]) -> None:
    """Say which task a class of targets (and its subclasses) stands for.

    Args:
        target: the class.
        make: called without arguments; returns the task.
    """
    _TASKS[target] = make


def task_for(dls: Any) -> HFTask:
    """The task that follows from the targets of some loaders.

    Raises:
        ConfigError: none does.
    """
    kinds = tuple(getattr(dls, "target_types", ()))
    known = [kind for target in kinds[:1] for kind in target.__mro__ if kind in _TASKS]
    if not known:
        found = ", ".join(kind.__name__ for kind in kinds) or "missing"
        wanted = ", ".join(sorted(kind.__name__ for kind in _TASKS))
        raise ConfigError(
            f"no task follows from the data: the targets are {found}, and there are tasks for {wanted}. Pass one: "
            "hf_learner(dls, model, task=...)."
        )
    return _TASKS[known[0]]()


def task_named(name: str) -> HFTask:
    """The task of that name, among those registered.

    Raises:
        ConfigError: there is none.
    """
    known = {task.name: task for task in (make() for make in _TASKS.values())}
    if name not in known:
        raise ConfigError(
            f"there is no task {name!r}, only {', '.join(sorted(known))}. register_task makes one of your own known."
        )
    return known[name]
