"""Which words of a text a prediction comes from."""

from __future__ import annotations

from typing import Any

import torch

from laminar.core.types import plain
from laminar.text.gradient_times_input import TextAttribution, shares_of_tokens
from laminar.text.hf.attribution import hf_token_attributions
from laminar.text.hf.base_learner import HFLearner
from laminar.text.models.encoder import encoder_of
from laminar.text.text_learner import TextLearner, text_vocab

__all__ = ["TextAttribution", "token_attributions"]


def token_attributions(learn: TextLearner | HFLearner, text: Any, target: str | int | None = None) -> TextAttribution:
    """How much each token of a text adds to a classifier's output: gradient times input, at the embedding.

    It is the change of the output that the model's linear approximation ascribes to each token (Denil et al.,
    "Extraction of salient sentences from labelled documents", 2014). Gradients do not go from one piece of a long text
    to those before it, in training nor here; tokens that the model only reads for its state get 0.

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
    found = shares_of_tokens(model, (words,), [encoder.encoder], _classes(learn), target)
    tokens = [vocab[word] for word in words[0].tolist()]
    added = torch.cat([shares for _, shares in found.parts])[: len(tokens)].tolist()
    if learn.backwards:
        tokens, added = tokens[::-1], added[::-1]
    return TextAttribution(tokens, added, found.label, found.output)


def _classes(learn: TextLearner) -> list[str]:
    """The names of the classes; none where targets have no names."""
    vocab = getattr(learn.dls, "vocab", None)
    several = isinstance(vocab, list | tuple) and len(vocab) > 1 and not isinstance(vocab[-1], str)
    return [str(name) for name in vocab[-1]] if several and vocab is not None else []
