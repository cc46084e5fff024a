"""Which tokens a prediction of a classifier of transformers comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from laminar.core.device import to_device
from laminar.core.errors import ConfigError
from laminar.core.types import plain
from laminar.nn.calling import call_model, evaluating
from laminar.text.hf.base_learner import HFLearner
from laminar.text.hf.model import without_adapters
from laminar.text.hf.splitters import first_layers
from laminar.text.text_attribution import TextAttribution, output_asked

__all__ = ["hf_token_attributions"]


def hf_token_attributions(learn: HFLearner, text: Any, target: str | int | None = None) -> TextAttribution:
    """How much each token adds to a classifier's output, compared with a token that says nothing.

    Vectors that the first layer reads, less those of a text of masks (of unknown tokens, where there is no mask), times
    the gradient halfway between both: integrated gradients in one step (Sundararajan et al., "Axiomatic attribution for
    deep networks", 2017). Plain gradient times input says little here: most models normalise vectors of words before
    they read them, and what is normalised does not change with its size. Where layers normalise for themselves (GPT,
    Llama) the figures are rougher than for BERT and its kin. A decoder that reads the text again (BART, T5) adds to the
    same tokens.

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
    numbers = inputs["input_ids"]
    with evaluating(network):
        with torch.no_grad():
            with _read_by_layers(hf_model) as blank:
                call_model(network, ({**inputs, "input_ids": _blank(hf, numbers)},))
            with _read_by_layers(hf_model) as read:
                outputs = call_model(network, (inputs,))[0]
        names = [str(name) for _, name in sorted(hf_model.config.id2label.items())]
        number, label = output_asked(names, outputs, target)
        halfway = [torch.lerp(one, other, 0.5) for one, other in zip(blank, read, strict=True)]
        with torch.enable_grad(), _read_by_layers(hf_model, halfway) as leaves:
            output = call_model(network, (inputs,))[0][number]
            gradients = torch.autograd.grad(output, leaves)
    shares = [
        ((end - begin) * gradient).sum(-1).flatten().float().cpu()
        for begin, end, gradient in zip(blank, read, gradients, strict=True)
    ]
    scores = shares[0][: numbers.shape[1]]
    for share in shares[1:]:  # a decoder reads the text behind a token that begins it
        scores[:-1] += share[1 : len(scores)]
    there = inputs["attention_mask"][0].bool().cpu()
    tokens = [hf.decode([one]).strip() or hf.convert_ids_to_tokens(one) for one in numbers[0].cpu()[there].tolist()]
    return TextAttribution(tokens, scores[there].tolist(), label, float(outputs[number]))


def _blank(hf: Any, numbers: Tensor) -> Tensor:
    """A text of as many tokens that says nothing; special tokens stay."""
    nothing = next(one for one in (hf.mask_token_id, hf.unk_token_id, hf.pad_token_id) if one is not None)
    special = torch.isin(numbers, numbers.new_tensor(hf.all_special_ids))
    return torch.where(special, numbers, nothing)


@contextmanager
def _read_by_layers(hf_model: nn.Module, instead: Sequence[Tensor] = ()) -> Iterator[list[Tensor]]:
    """Collects the vectors of tokens that the first layer of each stack reads, as tensors that gradients end in.

    Args:
        hf_model: the model.
        instead: what they shall read.
    """
    found: list[Tensor] = []
    config: Any = hf_model.config
    layers = first_layers(hf_model)[: 2 if config.is_encoder_decoder else 1]

    def cut(layer: nn.Module, positional: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if layer not in layers[len(found) : len(found) + 1]:
            return None  # one that is used again (ALBERT)
        vectors = instead[len(found)] if instead else positional[0] if positional else named["hidden_states"]
        found.append(vectors.detach().requires_grad_(torch.is_grad_enabled()))
        return (found[-1], *positional[1:]), {key: part for key, part in named.items() if key != "hidden_states"}

    handles = [layer.register_forward_pre_hook(cut, with_kwargs=True) for layer in layers]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
