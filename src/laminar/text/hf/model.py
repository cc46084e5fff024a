"""`HFModel`: a model of transformers as laminar calls it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from laminar.core.errors import ConfigError, DataError

__all__ = ["HFModel", "too_long", "without_adapters"]


class HFModel(nn.Module):
    """Calls a model of transformers with what it knows of a batch, and returns its predictions as tensors.

    Args:
        hf_model: the model of transformers, which stays what it is; one with adapters (peft) too.
        outputs: which of its outputs are the predictions; several names for a tuple.
        task: the name of the `HFTask` that it is for.
    """

    def __init__(self, hf_model: nn.Module, outputs: str | Sequence[str] = "logits", task: str = "") -> None:
        super().__init__()
        self.hf_model, self.outputs, self.task = hf_model, outputs, task
        inner = without_adapters(hf_model)
        self._names = _taken_by_name(type(inner))
        if getattr(inner.config, "type_vocab_size", 2) < 2:  # some tokenizers tell kinds of text apart all the same
            self._names -= {"token_type_ids"}
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
        wanted = [self.outputs] if isinstance(self.outputs, str) else list(self.outputs)
        if missing := [name for name in wanted if name not in output]:
            raise ConfigError(
                f"{type(without_adapters(self.hf_model)).__name__} returns {', '.join(output)}, and no {missing[0]}: it"
                f" has no head for {self.task or 'this task'}. Pass its name, folder or configuration in place of the"
                " model, so that it is made for the data."
            )
        return output[self.outputs] if isinstance(self.outputs, str) else tuple(output[name] for name in self.outputs)


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
