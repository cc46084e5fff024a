"""`hf_learner`: any model of transformers in a `Learner`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

import torch
from torch import nn

from laminar.core.errors import ConfigError, DataError, check_keywords, require
from laminar.learner.callback_list import as_list
from laminar.learner.learner import Learner, LearnerOptions
from laminar.text.hf.adapters import adapter_as_data
from laminar.text.hf.model import HFModel, hf_network, too_long, without_adapters
from laminar.text.hf.own_loss import LabelsForModel, OwnLoss
from laminar.text.hf.splitters import hf_splitter
from laminar.text.hf.tasks import HFTask, task_for
from laminar.text.hf.tokenizer import HFTokenizer
from laminar.text.hf.tokenizing import HFTokenize, tokenize_of

__all__ = ["HFLearner", "hf_learner"]

_FINE_TUNING_LR = 5e-5  # what pretrained models of transformers are usually trained with


class HFLearner(Learner):
    """A learner whose model is one of transformers: ``learn.model.hf_model``."""

    @property
    def hf_model(self) -> Any:
        """The model of transformers (or of peft)."""
        return self.model.hf_model

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of transformers that makes the model's inputs."""
        return _tokenize(self.dls).tokenizer.hf

    @property
    def _network(self) -> HFModel:
        assert isinstance(self.model, HFModel), "hf_learner made it"
        return self.model

    @property
    def _hf_tokenizer(self) -> HFTokenizer:
        return _tokenize(self.dls).tokenizer

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write model and tokenizer in transformers' own format, for ``from_pretrained``.

        Of a model with adapters (peft) only these are written, with their configuration.

        Args:
            folder: where, below the learner's path.

        Returns:
            Where it is.
        """
        path = self.path / folder
        options = {"save_embedding_layers": False} if hasattr(self.hf_model, "peft_config") else {}
        self.hf_model.save_pretrained(path, **options)
        self.tokenizer.save_pretrained(path)
        return path


hf_network.learner = HFLearner  # type: ignore[attr-defined]  # what a loaded learner is,
hf_network.splitter = hf_splitter  # type: ignore[attr-defined]  # and with which groups it goes on training


def hf_learner(
    dls: Any,
    model: Any,
    *,
    task: HFTask | None = None,
    config: Mapping[str, Any] | None = None,
    own_loss: bool = False,
    **options: Unpack[LearnerOptions],
) -> HFLearner:
    """Make a learner for a model of transformers: task, number of outputs and names of classes follow from the data.

    Args:
        dls: loaders of an `HFTextBlock`, such as those of `HFDataLoaders`.
        model: the model: one of transformers (with or without peft's adapters); or the name or folder of one, whose
            head is made for the data; or a configuration, for one with random weights. Code that comes with a model is
            never run.
        task: what the model is for; None for what follows from the targets.
        config: changes to the configuration, where the model is given by name, folder or configuration, such as
            ``{"hidden_dropout_prob": 0.2}``.
        own_loss: train with the loss that the model computes, in place of the task's, which is the same for most: for
            models that add something of their own.
        **options: see `Learner`. `lr` is 5e-5 by default for weights that exist, 1e-3 for a configuration; `splitter`
            makes groups of embeddings, layers and head; `loss_func` is the task's.

    Raises:
        MissingExtraError: transformers is not installed.
        ConfigError: data and model do not fit: other classes, a tokenizer with more tokens than the model has rows,
            texts longer than it takes.
        DataError: there is no model of that name, or in that folder.
        TypeError: an unknown argument, with the nearest known one.
    """
    check_keywords(
        options, ["dls", "model", "task", "config", "own_loss", *LearnerOptions.__annotations__], "hf_learner"
    )
    tokenize = _tokenize(dls)
    chosen = task_for(dls) if task is None else task
    is_new = _is_config(model)
    hf_model = _model(model, chosen, chosen.settings(dls), config)
    _check_fit(hf_model, tokenize, chosen, dls)
    adapted = chosen.adapter(hf_model, chosen.outputs)
    _check_lengths(adapted, tokenize)
    options.setdefault("splitter", chosen.splitter)
    if not is_new:
        options.setdefault("lr", _FINE_TUNING_LR)
    if options.get("loss_func") is None:
        options["loss_func"] = chosen.loss(dls)
    if own_loss:
        options["cbs"] = [OwnLoss(), *as_list(options.get("cbs"))]
        dls = dls.with_tfms([LabelsForModel()])
    kind: type[HFLearner] = chosen.network.learner  # type: ignore[attr-defined]  # noted beside each builder
    learn = kind(dls, adapted, **options)
    learn.model_recipe = _recipe(adapted, chosen)
    learn.model_tfms = [LabelsForModel()] if own_loss else []
    return learn


def _tokenize(dls: Any) -> HFTokenize:
    """What tokenizes the texts of some loaders."""
    found = tokenize_of(dls.train)
    if found is None:
        raise ConfigError(
            "the data are not tokenized for a model of transformers. Make them with HFDataLoaders, or with a DataBlock"
            " that has an HFTextBlock(tokenizer)."
        )
    return found


def _is_config(model: Any) -> bool:
    return hasattr(model, "to_diff_dict") and not isinstance(model, nn.Module)


def _model(model: Any, task: HFTask, settings: Mapping[str, Any], changes: Mapping[str, Any] | None) -> Any:
    """The model of transformers that was given, or is made of what was given."""
    transformers = require("transformers", "hf", "hf_learner")
    if isinstance(model, nn.Module):
        if changes:
            raise ConfigError(
                "config changes a model that is made here; this one is made: set model.config, or pass its name"
            )
        inner = without_adapters(model)
        if not isinstance(inner, transformers.PreTrainedModel):
            raise ConfigError(
                f"{type(model).__name__} is no model of transformers. For any other model: Learner(dls, model)."
            )
        return model
    auto = getattr(transformers, task.auto_class)
    wanted = {**settings, **(changes or {})}
    if _is_config(model):
        own = type(model).from_dict({**model.to_dict(), **wanted})
        return auto.from_config(own, dtype=torch.float32)
    if not isinstance(model, str | Path):
        raise ConfigError(f"a model, its name, its folder or its configuration is needed, got {model!r}")
    try:
        return auto.from_pretrained(
            str(model), dtype=torch.float32, use_safetensors=True, ignore_mismatched_sizes=True, **wanted
        )
    except (OSError, ValueError) as error:
        raise DataError(f"no model for {task.name} can be made of {str(model)!r}: {error}") from error


def _check_fit(hf_model: Any, tokenize: HFTokenize, task: HFTask, dls: Any) -> None:
    """Refuse a model that does not fit tokenizer or data; tell it the names of classes, and what pads texts."""
    inner = without_adapters(hf_model)
    tokenizer = tokenize.tokenizer
    rows = inner.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise ConfigError(
            f"the tokenizer has {len(tokenizer)} tokens, and the model rows for {rows}: they do not belong "
            "together. If tokens were added, add rows: model.resize_token_embeddings(len(tokenizer))."
        )
    task.check(inner, dls)
    settings = task.settings(dls)
    inner.config.update({name: settings[name] for name in ("id2label", "label2id", "problem_type") if name in settings})
    if getattr(inner.config, "pad_token_id", None) is None:
        inner.config.pad_token_id = tokenizer.hf.pad_token_id


def _check_lengths(model: HFModel, tokenize: HFTokenize) -> None:
    if model.max_length is not None and tokenize.longest > model.max_length:
        raise ConfigError(too_long(tokenize.longest, model.max_length))


def _recipe(model: HFModel, task: HFTask) -> Any:
    """How an export builds the model; None if its class is not transformers' own."""
    transformers = require("transformers", "hf", "hf_learner")
    hf_model: Any = model.hf_model
    inner = without_adapters(hf_model)
    name = type(inner).__name__
    if getattr(transformers, name, None) is not type(inner):
        return None
    arguments: dict[str, Any] = {"model_class": name, "config": as_data(inner.config), "outputs": model.outputs}
    if inner is not hf_model:
        arguments["adapter"] = adapter_as_data(hf_model)
        if arguments["adapter"] is None:
            return None
    return task.network, arguments


def as_data(config: Any) -> dict[str, Any]:
    """A configuration as data, without where it came from."""
    written = config.to_dict()
    return {name: _plain(part) for name, part in written.items() if name not in ("_name_or_path", "dtype")}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value
