"""How much each token adds to an output of a model, by gradient times input, and how that is shown."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from laminar.core.errors import ConfigError
from laminar.nn.calling import call_model, evaluating

__all__ = ["Shares", "TextAttribution", "shares_of_tokens"]

_FOR, _AGAINST = "34, 139, 34", "205, 50, 50"  # red, green, blue


@dataclass(frozen=True, repr=False)
class TextAttribution:
    """A text's tokens, with what each adds to a prediction: shown in colours in a notebook, as a list when printed.

    Attributes:
        tokens: the text's, as the model reads them.
        scores: what each adds to the raw output (logit) for `label`; negative ones speak against it.
        label: the class (or the number of the output) asked about.
        output: the raw output for it.
    """

    tokens: list[str]
    scores: list[float]
    label: str
    output: float

    def __str__(self) -> str:
        width = max(map(len, self.tokens), default=0)
        largest = max(map(abs, self.scores), default=0.0) or 1.0
        rows = [
            f"{token:<{width}} {score:+.4f} {('+' if score > 0 else '-') * round(10 * abs(score) / largest)}".rstrip()
            for token, score in zip(self.tokens, self.scores, strict=True)
        ]
        return "\n".join([f"{self.label} ({self.output:+.3f})", *rows])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        largest = max(map(abs, self.scores), default=0.0) or 1.0
        words = [
            f'<span title="{score:+.4f}" style="background: rgba({_FOR if score > 0 else _AGAINST},'
            f' {0.7 * abs(score) / largest:.3f}); padding: 1px 3px; border-radius: 3px">{html.escape(token)}</span>'
            for token, score in zip(self.tokens, self.scores, strict=True)
        ]
        title = f"<b>{html.escape(self.label)}</b> ({self.output:+.3f}): green speaks for it, red against"
        return f'<div>{title}<p style="line-height: 1.8">{" ".join(words)}</p></div>'


class Shares(NamedTuple):
    """What tokens add to an output.

    Attributes:
        parts: for each time that the model looked tokens up, their numbers and what each adds, ``[length]`` both.
        label: what the output is called.
        output: the raw output.
    """

    parts: list[tuple[Tensor, Tensor]]
    label: str
    output: float


def shares_of_tokens(
    model: nn.Module,
    inputs: Any,
    embeddings: Sequence[nn.Module],
    names: Sequence[str],
    target: str | int | None,
) -> Shares:
    """How much each token adds to a classifier's output for one text.

    Args:
        model: the classifier.
        inputs: of one text, as the model takes them.
        embeddings: the layers that look tokens up.
        names: what the outputs are called.
        target: the one asked about, or its number; None for the largest.

    Raises:
        ConfigError: there is no such output, or the model is no classifier.
    """
    # cuDNN keeps no gradients of recurrent layers in evaluation mode
    native = torch.backends.cudnn.flags(enabled=False) if next(model.parameters()).is_cuda else nullcontext()
    with evaluating(model), torch.enable_grad(), native, _looked_up(embeddings) as found:
        output = call_model(model, inputs)
        outputs = (output[0] if isinstance(output, tuple | list) else output)[0]
        if outputs.ndim != 1:
            raise ConfigError(f"the model gives outputs of shape {tuple(outputs.shape)} for a text: no classifier.")
        number, label = _target(names, outputs, target)
        used = [leaf for _, leaf in found if leaf.requires_grad]
        gradients = iter(torch.autograd.grad(outputs[number], used, allow_unused=True))
    parts = []
    for numbers, leaf in found:
        gradient = next(gradients) if leaf.requires_grad else None
        added = torch.zeros(leaf.shape[1]) if gradient is None else (gradient * leaf.detach()).sum(-1)[0].float().cpu()
        parts.append((numbers[0].cpu(), added))
    return Shares(parts, label, float(outputs[number].detach()))


@contextmanager
def _looked_up(embeddings: Sequence[nn.Module]) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Collects what embeddings are asked and give, each time as a tensor of its own that gradients end in."""
    found: list[tuple[Tensor, Tensor]] = []

    def cut(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        leaf = output.detach().requires_grad_(torch.is_grad_enabled())
        found.append((inputs[0].detach(), leaf))
        return leaf

    handles = [embedding.register_forward_hook(cut) for embedding in embeddings]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _target(names: Sequence[str], outputs: Tensor, target: str | int | None) -> tuple[int, str]:
    """The number of the output asked about, and what it is called."""
    if isinstance(target, str):
        if target not in names:
            raise ConfigError(f"there is no class {target!r}; there are {', '.join(names) or 'none with names'}.")
        target = names.index(target)
    number = int(outputs.argmax()) if target is None else target
    if not 0 <= number < len(outputs):
        raise ConfigError(f"there is no output {number}: the model has {len(outputs)}, counted from 0.")
    return number, names[number] if number < len(names) else f"output {number}"
