"""Which words of a text a prediction comes from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from laminar.core.types import plain
from laminar.nn.calling import call_model, evaluating
from laminar.text.hf.attribution import hf_token_attributions
from laminar.text.hf.base_learner import HFLearner
from laminar.text.models.encoder import encoder_of
from laminar.text.text_attribution import TextAttribution, output_asked
from laminar.text.text_learner import TextLearner, text_vocab

__all__ = ["TextAttribution", "token_attributions"]


def token_attributions(learn: TextLearner | HFLearner, text: Any, target: str | int | None = None) -> TextAttribution:
    """How much each token of a text adds to a classifier's output: gradient times input, at the embedding.

    It is the change of the output that the model's linear approximation ascribes to each token (Denil et al.,
    "Extraction of salient sentences from labelled documents", 2014). Gradients do not go from one piece of a long text
    to those before it, in training nor here; tokens that the model only reads for its state, or not at all, get 0.

    Models of transformers are looked at where their first layer reads (see `hf_token_attributions`).

    Args:
        learn: a learner whose model is a classifier of texts, ours or of transformers.
        text: what the data were made of: a text, a path, a row.
        target: the class asked about, or the number of the output; None for the largest output.

    Raises:
        ConfigError: there is no such class, or the model is no classifier.
    """
    if isinstance(learn, HFLearner):
        return hf_token_attributions(learn, text, target)
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
        number, label = output_asked(_classes(learn), outputs, target)
        used = [leaf for leaf in leaves if leaf.requires_grad]
        gradients = iter(torch.autograd.grad(outputs[number], used, allow_unused=True))
    scores: list[Tensor] = []
    for leaf in leaves:
        gradient = next(gradients) if leaf.requires_grad else None
        share = torch.zeros(leaf.shape[1]) if gradient is None else (gradient * leaf.detach()).sum(-1)[0].float().cpu()
        scores.append(share)
    tokens = [vocab[word] for word in words[0].tolist()]
    size = len(scores[0])  # of a piece: the last is filled up, and the first may not have been read at all
    unread = -(-len(tokens) // size) * size - sum(map(len, scores))
    added = torch.cat([torch.zeros(unread), *scores])[: len(tokens)].tolist()
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


def _classes(learn: TextLearner) -> list[str]:
    """The names of the classes; none where targets have no names."""
    vocab = getattr(learn.dls, "vocab", None)
    several = isinstance(vocab, list | tuple) and len(vocab) > 1 and not isinstance(vocab[-1], str)
    return [str(name) for name in vocab[-1]] if several and vocab is not None else []
