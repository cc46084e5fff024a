"""`HFModel`: a model of transformers as laminar calls it, and as an export builds it again."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from laminar.core.errors import ConfigError, DataError, require
from laminar.core.recipe import builder
from laminar.text.hf.adapters import with_adapter

__all__ = ["HFModel", "hf_network", "too_long", "without_adapters"]

_LARGEST = 10_000_000  # of any number in a configuration, so that a file cannot ask for more than a model has
_DEEPEST = 1000  # layers
_NOT_TAKEN = (
    "auto_map", "quantization_config", "_attn_implementation", "_attn_implementation_internal", "attn_implementation",
    "_name_or_path", "name_or_path", "_commit_hash", "transformers_version", "backbone", "use_pretrained_backbone",
    "use_timm_backbone", "experts_implementation", "_experts_implementation",
)  # fmt: skip


class HFModel(nn.Module):
    """Calls a model of transformers with what it knows of a batch, and returns its predictions as tensors.

    Args:
        hf_model: the model of transformers, which stays what it is; one with adapters (peft) too.
        outputs: which of its outputs are the predictions; several names for a tuple.
    """

    def __init__(self, hf_model: nn.Module, outputs: str | Sequence[str] = "logits") -> None:
        super().__init__()
        self.hf_model, self.outputs = hf_model, outputs
        inner = without_adapters(hf_model)
        self._names = _taken_by_name(type(inner))
        self.max_length = _n_positions(inner)
        trained = frozenset(name for name, parameter in hf_model.named_parameters() if parameter.requires_grad)
        self.trained = None if inner is hf_model else trained  # of a model with adapters, these and the head alone

    @property
    def config(self) -> Any:
        """The configuration of the model."""
        return self.hf_model.config

    def forward(self, labels: Tensor | None = None, **inputs: Any) -> Any:
        """The predictions; with `labels`, a dict of ``loss``, the model's own, and ``preds``.

        Args:
            labels: targets, for the model's own loss.
            **inputs: ``input_ids`` and what else the tokenizer gives; what the model does not take is left out.

        Raises:
            DataError: the texts are longer than the model has positions for.
        """
        known = {name: part for name, part in inputs.items() if name in self._names}
        if "input_ids" in known and self.max_length is not None and known["input_ids"].shape[-1] > self.max_length:
            raise DataError(too_long(known["input_ids"].shape[-1], self.max_length))
        if "use_cache" in self._names:
            known.setdefault("use_cache", False)
        if labels is None:
            return self._predictions(self.hf_model(**known))
        output = self.hf_model(**known, labels=labels)
        return {"loss": output["loss"], "preds": self._predictions(output)}

    def _predictions(self, output: Any) -> Any:
        if isinstance(self.outputs, str):
            return output[self.outputs]
        return tuple(output[name] for name in self.outputs)


def without_adapters(hf_model: Any) -> Any:
    """The model of transformers inside one of peft's; any other as it is."""
    return hf_model.get_base_model() if hasattr(hf_model, "get_base_model") else hf_model


def too_long(length: int, limit: int) -> str:
    """The message about texts that are longer than a model takes."""
    return (
        f"a text of {length} tokens, and the model takes {limit}. Cut longer ones: HFTextBlock(tokenizer, "
        f"max_length={limit}), or max_length={limit} in the call that makes the loaders."
    )


def _taken_by_name(kind: type) -> frozenset[str]:
    """What the ``forward`` of a class of models takes by name; where it hands everything on, that of its base class."""
    names: frozenset[str] = frozenset()
    for one in kind.__mro__:
        if "forward" in vars(one):
            found = inspect.signature(vars(one)["forward"]).parameters.values()
            names |= {p.name for p in found if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)} - {"self"}
            if "input_ids" in names or not any(p.kind is p.VAR_KEYWORD for p in found):
                break
    return names


def _n_positions(hf_model: nn.Module) -> int | None:
    """How many tokens a model has learned positions for; None if it counts without a table."""
    for name, module in hf_model.named_modules():
        last = name.rpartition(".")[2]
        if isinstance(module, nn.Embedding) and ("position" in name or last == "wpe") and "relative" not in name:
            offset = getattr(module, "offset", 0)  # BART's and OPT's tables begin with rows that are not used
            padding = 0 if module.padding_idx is None else module.padding_idx + 1
            return int(module.num_embeddings - (offset or padding))
    return None


@builder
def hf_network(
    model_class: str,
    config: Mapping[str, Any],
    outputs: str | Sequence[str] = "logits",
    adapter: Mapping[str, Any] | None = None,
) -> HFModel:
    """The model of `hf_learner` without its weights: what an export asks for.

    Args:
        model_class: the name of a class of transformers.
        config: its configuration, as data.
        outputs: see `HFModel`.
        adapter: the configuration of adapters (peft's LoRA), as data; None without.

    Raises:
        MissingExtraError: transformers, or peft, is not installed.
        ConfigError: no such class, or a configuration that no model has.
    """
    transformers = require("transformers", "hf", "a model of transformers")
    kind: Any = getattr(transformers, model_class, None) if not model_class.startswith("_") else None
    if not _is_model(kind, transformers.PreTrainedModel):
        raise ConfigError(f"transformers {transformers.__version__} has no model of class {model_class!r}")
    _check_config(config)
    made = kind.config_class.from_dict({name: part for name, part in config.items() if name not in _NOT_TAKEN})
    model: Any = kind(made).to(torch.float32)
    if adapter is not None:
        model = with_adapter(model, adapter)
    return HFModel(model, outputs)


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
