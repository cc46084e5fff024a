"""Writing on: which word a language model takes next, and the next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TypedDict, Unpack

import torch
from torch import Tensor, nn

from laminar.core.errors import ConfigError
from laminar.nn.calling import evaluating

__all__ = ["SamplingOptions", "generate", "sample_next"]


class SamplingOptions(TypedDict, total=False):
    """How `sample_next` chooses."""

    temperature: float
    top_k: int | None
    top_p: float | None
    min_p: float | None


def sample_next(
    scores: Tensor,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    banned: Sequence[int] = (),
    generator: torch.Generator | None = None,
) -> int:
    """Draw a word by its probability.

    What is left out, is so in the order of the arguments below; the likeliest word always stays.

    Args:
        scores: of all words, ``[vocabulary]``.
        temperature: below 1 likely words become likelier; 0 takes the likeliest.
        banned: words that are never taken.
        min_p: leave out words of a smaller probability (before the temperature changes it), 0 to 1.
        top_k: take one of the `top_k` likeliest.
        top_p: take one of the likeliest that together have this probability, 0 to 1 (Holtzman et al., "The curious case
            of neural text degeneration", 2020).
        generator: draws; None for torch's global one. It draws on the CPU, whatever the device.

    Raises:
        ConfigError: numbers out of range.
    """
    _check_sampling(temperature, top_k, top_p, min_p)
    scores = scores.detach().float().cpu().clone()
    scores[list(banned)] = -torch.inf
    best = int(scores.argmax())
    if temperature == 0:
        return best
    if min_p is not None:
        scores = _without(scores, scores.softmax(0) < min_p, best)
    scores = scores / temperature
    if top_k is not None and top_k < len(scores):
        scores = _without(scores, scores < scores.topk(top_k).values[-1], best)
    if top_p is not None:
        likeliest = scores.softmax(0).sort(descending=True, stable=True)
        before = likeliest.values.cumsum(0) - likeliest.values
        scores = _without(scores, _in_place(before >= top_p, likeliest.indices), best)
    return int(torch.multinomial(scores.softmax(0), 1, generator=generator))


def _in_place(sorted_values: Tensor, places: Tensor) -> Tensor:
    return torch.empty_like(sorted_values).scatter(0, places, sorted_values)


def _without(scores: Tensor, left_out: Tensor, best: int) -> Tensor:
    """Scores without some words, but with the best."""
    left_out[best] = False
    return scores.masked_fill(left_out, -torch.inf)


def _check_sampling(temperature: float, top_k: int | None, top_p: float | None, min_p: float | None) -> None:
    if not temperature >= 0:
        raise ConfigError(f"temperature must be 0 or more, got {temperature}.")
    if top_k is not None and top_k < 1:
        raise ConfigError(f"top_k must be at least 1, got {top_k}.")
    for name, share in (("top_p", top_p), ("min_p", min_p)):
        if share is not None and not 0 <= share <= 1:
            raise ConfigError(f"{name} is a probability from 0 to 1, got {share}.")


def generate(
    model: nn.Module,
    prompt: Tensor,
    n_words: int,
    *,
    banned: Sequence[int] = (),
    stop: Iterable[int] = (),
    generator: torch.Generator | None = None,
    **sampling: Unpack[SamplingOptions],
) -> list[int]:
    """Write on: each word is drawn from what the model says after all words before it.

    Nothing is read twice: recurrent models keep their state, others remember what they have seen (`remembering`). What
    the model remembered before, it remembers afterwards.

    Args:
        model: a language model: numbers of words ``[1, length]`` in, scores ``[1, length, vocabulary]`` out, or a tuple
            that begins with them.
        prompt: numbers of the words to begin with, int64, ``[length]``, on the model's device.
        n_words: how many to write.
        banned: words that are never taken.
        stop: words that end the text, which are the last taken.
        generator: draws, see `sample_next`.
        **sampling: see `sample_next`.

    Returns:
        The numbers of the words written, without the prompt.

    Raises:
        ConfigError: the prompt is empty, or numbers are out of range.
    """
    if prompt.ndim != 1 or not len(prompt):
        raise ConfigError(f"a prompt is at least one word, [length]; got shape {tuple(prompt.shape)}.")
    ends, written = set(stop), list[int]()
    with torch.no_grad(), evaluating(model), _remembering(model):
        words = prompt
        while len(written) < n_words:
            output = model(words[None])
            scores = output[0] if isinstance(output, tuple | list) else output
            written.append(sample_next(scores[0, -1], banned=banned, generator=generator, **sampling))
            if written[-1] in ends:
                break
            words = prompt.new_tensor(written[-1:])
    return written


@contextmanager
def _remembering(model: nn.Module) -> Iterator[None]:
    """A model that remembers from call to call, also one that otherwise does not."""
    with ExitStack() as stack:
        for part in model.modules():
            remember = getattr(part, "remembering", None)
            if callable(remember):
                stack.enter_context(remember())
        yield
