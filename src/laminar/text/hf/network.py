"""`hf_network`: a model of transformers as an export describes it, built without weights and without code of others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from laminar.core.errors import ConfigError, require
from laminar.core.recipe import builder
from laminar.text.hf.adapters import adapter_as_data, with_adapter
from laminar.text.hf.base_learner import HFLearner
from laminar.text.hf.model import HFModel, without_adapters
from laminar.text.hf.splitters import hf_splitter
from laminar.text.hf.tasks import HFTask, task_named

__all__ = ["hf_network", "network_recipe"]

_LARGEST = 10_000_000  # of any number in a configuration, so that a file cannot ask for more than a model has
_DEEPEST = 1000  # layers
_NOT_TAKEN = (
    "auto_map", "quantization_config", "_attn_implementation", "_attn_implementation_internal", "attn_implementation",
    "_name_or_path", "name_or_path", "_commit_hash", "transformers_version", "backbone", "use_pretrained_backbone",
    "use_timm_backbone", "experts_implementation", "_experts_implementation",
)  # fmt: skip
_NOT_WRITTEN = ("_name_or_path", "dtype")  # where it came from


@builder
def hf_network(
    model_class: str,
    config: Mapping[str, Any],
    task: str = "sequence classification",
    adapter: Mapping[str, Any] | None = None,
    pad_idx: int | None = None,
) -> HFModel:
    """The model of `hf_learner` without its weights: what an export asks for.

    Args:
        model_class: the name of a class of transformers.
        config: its configuration, as data.
        task: the name of the `HFTask` that it is for.
        adapter: the configuration of adapters (peft's LoRA), as data; None without.
        pad_idx: number of the token that pads texts, of which a model made without one is told.

    Raises:
        MissingExtraError: transformers, or peft, is not installed.
        ConfigError: no such class or task, or a configuration that no model has.
    """
    chosen = task_named(task)
    transformers = require("transformers", "hf", "a model of transformers")
    kind: Any = getattr(transformers, model_class, None) if not model_class.startswith("_") else None
    if not _is_model(kind, transformers.PreTrainedModel):
        raise ConfigError(f"transformers {transformers.__version__} has no model of class {model_class!r}")
    _check_config(config)
    made = kind.config_class.from_dict({name: part for name, part in config.items() if name not in _NOT_TAKEN})
    model: Any = kind(made).to(torch.float32)
    if pad_idx is not None:
        model.config.pad_token_id = pad_idx
    if adapter is not None:
        model = with_adapter(model, adapter)
    return chosen.wrap(model)


def _learner(dls: Any, model: HFModel, **options: Any) -> HFLearner:
    """The learner of an export's model: that of its task."""
    return task_named(model.task).learner(dls, model, **options)


hf_network.learner = _learner  # type: ignore[attr-defined]  # what a loaded learner is,
hf_network.splitter = hf_splitter  # type: ignore[attr-defined]  # and with which groups it goes on training


def network_recipe(model: HFModel, task: HFTask) -> Any:
    """How an export builds a model: `hf_network` and its arguments; None if its class is not transformers' own.

    Args:
        model: the model.
        task: what it is for.
    """
    transformers = require("transformers", "hf", "hf_learner")
    hf_model: Any = model.hf_model
    inner = without_adapters(hf_model)
    name = type(inner).__name__
    if getattr(transformers, name, None) is not type(inner):
        return None
    config = {key: _plain(part) for key, part in inner.config.to_dict().items() if key not in _NOT_WRITTEN}
    arguments: dict[str, Any] = {"model_class": name, "config": config, "task": task.name}
    if getattr(inner.get_input_embeddings(), "padding_idx", None) is None and config.get("pad_token_id") is not None:
        arguments["pad_idx"] = config["pad_token_id"]
        config["pad_token_id"] = None
    if inner is not hf_model:
        arguments["adapter"] = adapter_as_data(hf_model)
        if arguments["adapter"] is None:
            return None
    return hf_network, arguments


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value


def _is_model(kind: Any, base: type) -> bool:
    return isinstance(kind, type) and issubclass(kind, base) and getattr(kind, "config_class", None) is not None


def _check_config(config: Mapping[str, Any], where: str = "config") -> None:
    """Refuse what asks for code or files of others, or for more than any model has."""
    for name, value in config.items():
        place = f"{where}[{name!r}]"
        if isinstance(value, Mapping):
            refused = [one for one in _NOT_TAKEN if value.get(one)]
            if refused:
                raise ConfigError(f"{place} asks for {refused[0]!r}, which is not read from a file")
            _check_config(value, place)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            layers = isinstance(name, str) and ("layer" in name and "norm" not in name)
            if abs(value) > (_DEEPEST if layers else _LARGEST) and value != float("inf"):
                raise ConfigError(f"{place} is {value}, more than any model has")
