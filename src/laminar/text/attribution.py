"""Which words of a text a prediction comes from."""

from __future__ import annotations

import html
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from laminar.core.errors import ConfigError
from laminar.core.types import plain
from laminar.nn.calling import call_model, evaluating
from laminar.text.models.encoder import encoder_of
from laminar.text.text_learner import TextLearner, text_vocab

__all__ = ["TextAttribution", "token_attributions"]

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


def token_attributions(learn: TextLearner, text: Any, target: str | int | None = None) -> TextAttribution:
    """How much each token of a text adds to a classifier's output: gradient times input, at the embedding.

    It is the change of the output that the model's linear approximation ascribes to each token (Denil et al.,
    "Extraction of salient sentences from labelled documents", 2014). Gradients do not go from one piece of a long text
    to those before it, in training nor here; tokens that the model only reads for its state get 0.

    Args:
        learn: a learner whose model is a classifier of texts.
        text: what the data were made of: a text, a path, a row.
        target: the class asked about, or the number of the output; None for the largest output.

    Raises:
        ConfigError: there is no such class, or the model is no classifier.
    """
    words = plain(learn.dls.test_dl([text], num_workers=0).peek([0])[0]).to(learn.device)
    model = learn.model.to(learn.device)
    encoder = encoder_of(model)
    vocab, pad = text_vocab(learn.dls), encoder.encoder.padding_idx
    words = words[:, words[0] != pad] if pad is not None else words
    # cuDNN keeps no gradients of recurrent layers in evaluation mode
    native = torch.backends.cudnn.flags(enabled=False) if words.is_cuda else nullcontext()
    with evaluating(model), torch.enable_grad(), native, _embeddings(encoder.encoder) as leaves:
        output = call_model(model, (words,))
        outputs = (output[0] if isinstance(output, tuple | list) else output)[0]
        if outputs.ndim != 1:
            raise ConfigError(f"{type(learn).__name__} gives outputs of shape {tuple(outputs.shape)}: no classifier.")
        number, label = _target(learn, outputs, target)
        used = [leaf for leaf in leaves if leaf.requires_grad]
        gradients = iter(torch.autograd.grad(outputs[number], used, allow_unused=True))
    scores: list[Tensor] = []
    for leaf in leaves:
        gradient = next(gradients) if leaf.requires_grad else None
        share = torch.zeros(leaf.shape[1]) if gradient is None else (gradient * leaf.detach()).sum(-1)[0].float().cpu()
        scores.append(share)
    tokens = [vocab[word] for word in words[0].tolist()]
    added = torch.cat(scores)[: len(tokens)].tolist()
    if learn.backwards:
        tokens, added = tokens[::-1], added[::-1]
    return TextAttribution(tokens, added, label, float(outputs[number].detach()))


@contextmanager
def _embeddings(embedding: nn.Embedding) -> Iterator[list[Tensor]]:
    """Collects what an embedding gives, each piece as a tensor of its own that gradients end in."""
    leaves: list[Tensor] = []

    def cut(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        leaf = output.detach().requires_grad_(torch.is_grad_enabled())
        leaves.append(leaf)
        return leaf

    handle = embedding.register_forward_hook(cut)
    try:
        yield leaves
    finally:
        handle.remove()


def _target(learn: TextLearner, outputs: Tensor, target: str | int | None) -> tuple[int, str]:
    """The number of the output asked about, and what it is called."""
    vocab = getattr(learn.dls, "vocab", None)
    several = isinstance(vocab, list | tuple) and len(vocab) > 1 and not isinstance(vocab[-1], str)
    names = [str(name) for name in vocab[-1]] if several and vocab is not None else []
    if isinstance(target, str):
        if target not in names:
            raise ConfigError(f"there is no class {target!r}; there are {', '.join(names) or 'none with names'}.")
        target = names.index(target)
    number = int(outputs.argmax()) if target is None else target
    if not 0 <= number < len(outputs):
        raise ConfigError(f"there is no output {number}: the model has {len(outputs)}, counted from 0.")
    return number, names[number] if number < len(names) else f"output {number}"
