"""`hf_learner`: any model of transformers in a `Learner`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import torch
from torch import nn

from laminar.core.errors import ConfigError, DataError, check_keywords, require
from laminar.learner.callback_list import as_list
from laminar.learner.learner import LearnerOptions
from laminar.text.hf.adapters import is_adapter, with_saved_adapter
from laminar.text.hf.base_learner import HFLearner, tokenize_in
from laminar.text.hf.folders import no_such
from laminar.text.hf.model import HFModel, too_long, without_adapters
from laminar.text.hf.network import network_recipe
from laminar.text.hf.own_loss import LabelsForModel, OwnLoss
from laminar.text.hf.tasks import HFTask, task_for
from laminar.text.hf.tokenizing import HFTokenize

__all__ = ["hf_learner"]

_FINE_TUNING_LR = 5e-5  # what pretrained models of transformers are usually trained with


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
            head is made for the data; or a folder of adapters, as `save_pretrained` writes it, put on the model that
            it names; or a configuration, for one with random weights. Code that comes with a model is never run.
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
    tokenize = tokenize_in(dls)
    chosen = task_for(dls) if task is None else task
    is_new = _is_config(model)
    hf_model = _model(model, chosen, chosen.settings(dls), config)
    _check_fit(hf_model, tokenize, chosen, dls)
    network = chosen.wrap(hf_model)
    _check_lengths(network, tokenize)
    options.setdefault("splitter", chosen.splitter)
    if not is_new:
        options.setdefault("lr", _FINE_TUNING_LR)
    if options.get("loss_func") is None:
        options["loss_func"] = chosen.loss(dls)
    if own_loss:
        options["cbs"] = [OwnLoss(), *as_list(options.get("cbs"))]
        dls = dls.with_tfms([LabelsForModel()])
    learn = chosen.learner(dls, network, **options)
    learn.model_recipe = network_recipe(network, chosen)
    learn.model_tfms = [LabelsForModel()] if own_loss else []
    return learn


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
        return _from_config(auto, model, task, wanted)
    if not isinstance(model, str | Path):
        raise ConfigError(f"a model, its name, its folder or its configuration is needed, got {model!r}")
    made = partial(_from_pretrained, auto, task=task, wanted=wanted)
    return with_saved_adapter(model, made) if is_adapter(model) else made(model)


def _from_config(auto: Any, config: Any, task: HFTask, wanted: Mapping[str, Any]) -> Any:
    own = type(config).from_dict({**config.to_dict(), **wanted})
    try:
        return auto.from_config(own, dtype=torch.float32)
    except ValueError as error:
        if "Unrecognized configuration class" not in str(error):
            raise
        raise ConfigError(
            f"transformers has no model for {task.name} with a {type(config).__name__} ({task.auto_class})."
        ) from error


def _from_pretrained(auto: Any, name: str | Path, task: HFTask, wanted: Mapping[str, Any]) -> Any:
    try:
        return auto.from_pretrained(
            str(name), dtype=torch.float32, use_safetensors=True, ignore_mismatched_sizes=True, **wanted
        )
    except (OSError, ValueError) as error:
        raise DataError(no_such(f"model for {task.name}", name, ["config.json"], error)) from error


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
    _check_head(type(inner).__name__, task)
    task.check(inner, dls)
    settings = task.settings(dls)
    inner.config.update({name: settings[name] for name in ("id2label", "label2id", "problem_type") if name in settings})
    if getattr(inner.config, "pad_token_id", None) is None:
        inner.config.pad_token_id = tokenizer.hf.pad_token_id


_ONE_TASK = ("SequenceClassification", "TokenClassification", "QuestionAnswering", "MultipleChoice", "NextSentence")
_OF_WORDS = ("MaskedLM", "CausalLM", "LMHead", "ConditionalGeneration")  # these differ less, and check themselves


def _check_head(name: str, task: HFTask) -> None:
    """Refuse a model that was made for another task, as its class tells."""
    wanted = task.auto_class.removeprefix("AutoModelFor")
    found = next((head for head in (*_ONE_TASK, *_OF_WORDS) if head in name), wanted)
    if found != wanted and (found in _ONE_TASK or wanted in _ONE_TASK):
        raise ConfigError(
            f"the data are for {task.name}, and {name} is a model for something else. Pass its name, folder or"
            f" configuration in place of the model, so that it gets the head; or make it with {task.auto_class}."
        )


def _check_lengths(model: HFModel, tokenize: HFTokenize) -> None:
    if model.max_length is not None and tokenize.longest > model.max_length:
        raise ConfigError(too_long(tokenize.longest, model.max_length))
