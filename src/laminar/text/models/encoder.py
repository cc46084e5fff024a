"""What language models and classifiers of texts need of the network that reads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

__all__ = ["SequentialRNN", "State", "TextEncoder", "awd_lstm_clas_split", "awd_lstm_lm_split", "encoder_of"]

State = list[tuple[Tensor, ...]]
"""What an encoder remembers of the texts so far: tensors for each layer, whose second dimension is the batch."""


class TextEncoder(nn.Module, ABC):
    """Reads numbers of words, ``[batch, length]``, and says something of each: ``[batch, length, features]``.

    What it says of a word may depend on the words before it, also on those of the calls before (until `reset`), and on
    nothing that comes after.

    A network of your own becomes an architecture for `language_model_learner` and `text_classifier_learner` as a
    subclass with a constructor ``(vocab_sz, **config)`` and the following.

    Attributes:
        lm_config: arguments for a language model: those of the constructor, and ``output_p``, ``tie_weights``,
            ``out_bias`` for `LinearDecoder`.
        clas_config: arguments for a classifier: those of the constructor, and ``output_p`` for the first dropout of
            the head.
        recurrent: whether its learners add the penalties of `RNNRegularizer` by default.
        encoder: the embedding.
        n_features: how many numbers it says of each word; the embedding's width, for its weights to serve as decoder.
    """

    lm_config: ClassVar[Mapping[str, Any]]
    clas_config: ClassVar[Mapping[str, Any]]
    recurrent: ClassVar[bool] = False
    n_features: int

    @property
    @abstractmethod
    def encoder(self) -> nn.Embedding:
        """The embedding of words."""

    @abstractmethod
    def layer_groups(self) -> list[list[nn.Parameter]]:
        """Parameters of the embedding, then of each layer."""

    def reset(self) -> None:
        """Forget the texts so far."""

    def get_state(self) -> State | None:
        """What is remembered of the texts so far; None for nothing."""
        return None

    def set_state(self, state: State | None) -> None:
        """Go on from what `get_state` returned."""

    @property
    def remembers_texts(self) -> bool:
        """Whether what is read changes what is said in the next call: if it is recurrent, or tells its state."""
        return self.recurrent or type(self).get_state is not TextEncoder.get_state


class SequentialRNN(nn.Sequential):
    """Encoder and decoder, or encoder and head, one after the other; forgets when told to."""

    def main_output(self, output: Any) -> Any:
        """The predictions, without the features that penalties look at (see `RNNCallback`)."""
        return output[0] if isinstance(output, tuple) else output

    def get_state(self) -> State | None:
        """What the encoder remembers of the texts so far."""
        tell = getattr(self[0], "get_state", None)
        return tell() if callable(tell) else None

    def set_state(self, state: State | None) -> None:
        """Let the encoder go on from what `get_state` returned."""
        take = getattr(self[0], "set_state", None)
        if callable(take):
            take(state)

    def reset(self) -> None:
        """Tell all parts that remember something to forget it."""
        for child in self.children():
            forget = getattr(child, "reset", None)
            if callable(forget):
                forget()


def awd_lstm_lm_split(model: nn.Module) -> list[list[nn.Parameter]]:
    """Groups of a language model of any architecture: each layer; then embedding and decoder, which may be tied."""
    embedding, *layers = encoder_of(model).layer_groups()
    seen = {id(parameter) for parameter in embedding}
    return [*layers, embedding + [p for p in model.get_submodule("1").parameters() if id(p) not in seen]]


def awd_lstm_clas_split(model: nn.Module) -> list[list[nn.Parameter]]:
    """Groups of a classifier of any architecture: embedding, each layer, head."""
    return [*encoder_of(model).layer_groups(), list(model.get_submodule("1").parameters())]


def encoder_of(model: nn.Module) -> TextEncoder:
    """The encoder in a language model or classifier."""
    first = model.get_submodule("0")
    inner = getattr(first, "module", first)
    assert isinstance(inner, TextEncoder), f"{type(inner).__name__} is no TextEncoder"
    return inner
