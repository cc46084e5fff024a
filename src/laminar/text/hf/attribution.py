"""Which tokens a prediction of a classifier of transformers comes from."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from laminar.core.device import to_device
from laminar.core.errors import ConfigError
from laminar.core.types import plain
from laminar.text.gradient_times_input import TextAttribution, shares_of_tokens
from laminar.text.hf.base_learner import HFLearner
from laminar.text.hf.model import without_adapters

__all__ = ["hf_token_attributions"]


def hf_token_attributions(learn: HFLearner, text: Any, target: str | int | None = None) -> TextAttribution:
    """How much each token adds to a classifier's output (see `token_attributions`, which calls this).

    A decoder that reads the text again (BART, T5) adds to the same tokens.

    Args:
        learn: a learner whose model gives each text (or pair) classes or quantities.
        text: what the data were made of.
        target: the class asked about, or the number of the output; None for the largest output.

    Raises:
        ConfigError: there is no such class, or the model is no classifier.
    """
    network = learn.network.to(learn.device)
    hf, hf_model = learn.tokenizer, without_adapters(network.hf_model)
    if not isinstance(network.outputs, str):
        raise ConfigError(
            f"{type(hf_model).__name__} is no classifier of whole texts, of which tokens add to an output."
        )
    inputs = to_device(plain(learn.dls.test_dl([text], num_workers=0).peek([0])[0]), learn.device)
    table = hf_model.get_input_embeddings().weight
    lookups = [part for part in hf_model.modules() if isinstance(part, nn.Embedding) and part.weight is table]
    names = [str(name) for _, name in sorted(hf_model.config.id2label.items())]
    found = shares_of_tokens(network, (inputs,), lookups, names, target)
    numbers, scores = inputs["input_ids"][0].cpu(), torch.zeros(inputs["input_ids"].shape[1])
    for asked, added in found.parts:
        _add(scores, numbers, asked, added)
    there = inputs["attention_mask"][0].bool().cpu()
    tokens = [hf.decode([number]).strip() or hf.convert_ids_to_tokens(number) for number in numbers[there].tolist()]
    return TextAttribution(tokens, scores[there].tolist(), found.label, found.output)


def _add(scores: Tensor, numbers: Tensor, asked: Tensor, added: Tensor) -> None:
    """Add what a lookup's tokens add to those of the text: it is the text, or this behind a token that begins it."""
    if asked.equal(numbers):
        scores += added
    elif asked[1:].equal(numbers[:-1]):
        scores[:-1] += added[1:]
