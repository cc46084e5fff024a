"""Texts that models of transformers write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from laminar.core.errors import ConfigError, DataError, describe
from laminar.nn.calling import evaluating
from laminar.text.hf.model import HFModel
from laminar.text.hf.tokenizer import HFTokenizer

__all__ = ["sampling_options", "write", "write_on"]


def sampling_options(
    temperature: float, top_k: int | None = None, top_p: float | None = None, min_p: float | None = None
) -> dict[str, Any]:
    """What transformers' ``generate`` is told for a temperature; of 0 it takes the likeliest token each time.

    Args:
        temperature: below 1 likely tokens become likelier.
        top_k: draw from the `top_k` likeliest tokens.
        top_p: draw from the likeliest tokens that together have this probability, 0 to 1.
        min_p: leave out tokens whose probability is below this share of the likeliest's, 0 to 1.

    Raises:
        ConfigError: numbers out of range.
    """
    if not temperature >= 0:
        raise ConfigError(f"temperature must be 0 or more, got {temperature}.")
    if top_k is not None and top_k < 1:
        raise ConfigError(f"top_k must be at least 1, got {top_k}.")
    for name, share in (("top_p", top_p), ("min_p", min_p)):
        if share is not None and not 0 < share <= 1:
            raise ConfigError(f"{name} is a probability above 0 and up to 1, got {share}.")
    if temperature == 0:
        return {"do_sample": False}
    limits = {"top_k": top_k or 0, "top_p": 1.0 if top_p is None else top_p, "min_p": min_p}
    return {"do_sample": True, "temperature": temperature, **limits}


def write(
    model: HFModel,
    tokenizer: HFTokenizer,
    inputs: dict[str, Tensor],
    *,
    seed: int | None = None,
    max_new_tokens: int = 64,
    **options: Any,
) -> list[str]:
    """The texts that a model writes for a batch, without what it has read.

    Args:
        model: one that can write; it is asked in evaluation mode.
        tokenizer: its tokenizer.
        inputs: ``input_ids`` and ``attention_mask``, ``[batch, length]``, on the model's device; padded before the text
            for models without a decoder of their own.
        seed: of what is drawn; None draws from torch's generator, which `set_seed` sets.
        max_new_tokens: how many tokens to write at most.
        **options: for transformers' ``generate``: ``num_beams``, ``do_sample``, ``repetition_penalty``, ...

    Raises:
        ConfigError: the model cannot write, or there is nothing to write.
        DataError: text and answer together are longer than the model takes.
    """
    return [tokenizer.decode(row) for row in _numbers(model, tokenizer, inputs, seed, max_new_tokens, **options)]


def write_on(
    model: HFModel,
    tokenizer: HFTokenizer,
    texts: Sequence[str],
    device: torch.device,
    whole: bool = False,
    **options: Any,
) -> list[str]:
    """What a causal model writes after some texts, all at once.

    Args:
        model: a causal language model.
        tokenizer: its tokenizer.
        texts: how the texts begin.
        device: where the model is.
        whole: return how the texts begin, too.
        **options: see `write`.

    Raises:
        DataError: a text is empty.
    """
    hf = tokenizer.hf
    if empty := [text for text in texts if not isinstance(text, str) or not text.strip()]:
        raise DataError(f"a text to begin with is needed, got {describe(empty[0])}")
    rows = [_opened(hf, hf(text)["input_ids"]) for text in texts]
    longest = max(map(len, rows))
    numbers = torch.tensor([[hf.pad_token_id] * (longest - len(row)) + row for row in rows], device=device)
    there = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=device)
    written = _numbers(model, tokenizer, {"input_ids": numbers, "attention_mask": there}, **options)
    begun = rows if whole else [[] for _ in rows]
    return [tokenizer.decode([*start, *more]) for start, more in zip(begun, written, strict=True)]


def _numbers(
    model: HFModel,
    tokenizer: HFTokenizer,
    inputs: dict[str, Tensor],
    seed: int | None = None,
    max_new_tokens: int = 64,
    **options: Any,
) -> list[list[int]]:
    """The tokens that a model writes for a batch."""
    hf_model: Any = model.hf_model
    if not getattr(hf_model, "can_generate", lambda: False)():
        raise ConfigError(f"{type(hf_model).__name__} cannot write texts: it has no head for the next token.")
    if max_new_tokens < 1:
        raise ConfigError(f"max_new_tokens must be at least 1, got {max_new_tokens}")
    of_text = {name: inputs[name] for name in ("input_ids", "attention_mask") if name in inputs}
    length = of_text["input_ids"].shape[1]
    has_decoder = bool(getattr(hf_model.config, "is_encoder_decoder", False))
    written_on = 0 if has_decoder else length
    if model.max_length is not None and written_on + max_new_tokens > model.max_length:
        raise DataError(
            f"{written_on} tokens to begin with and {max_new_tokens} to write are more than the {model.max_length} that"
            " the model takes: begin with a shorter text, or pass a smaller max_new_tokens."
        )
    tokens = {"pad_token_id": tokenizer.hf.pad_token_id}
    with _seeded(seed, of_text["input_ids"].device), evaluating(hf_model), torch.no_grad():
        numbers = hf_model.generate(**of_text, max_new_tokens=max_new_tokens, **{**tokens, **options})
    return [row[written_on:].tolist() for row in numbers]


def _opened(hf: Any, numbers: list[int]) -> list[int]:
    """Tokens without the one that ends texts, which some tokenizers put behind each."""
    return numbers[:-1] if len(numbers) > 1 and numbers[-1] in (hf.eos_token_id, hf.sep_token_id) else numbers


@contextmanager
def _seeded(seed: int | None, device: torch.device) -> Iterator[None]:
    """Draw from a seed inside, and leave the global generators as they were."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
