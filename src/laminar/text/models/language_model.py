"""Language models: an encoder that reads, and a decoder that says which word comes next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from laminar.core.errors import ConfigError, check_keywords
from laminar.text.models.archs import TextArch, config_of, encoder_arguments, text_arch
from laminar.text.models.dropout import RNNDropout
from laminar.text.models.encoder import SequentialRNN

__all__ = ["LinearDecoder", "get_language_model"]

_INIT_RANGE = 0.1


class LinearDecoder(nn.Module):
    """Scores of all words for the place after each.

    Args:
        n_out: words.
        n_hid: features that come in.
        output_p: dropout before, the same at every step.
        tie_encoder: embedding whose weights are used (Press and Wolf, "Using the output embedding to improve language
            models", 2017); None for weights of its own.
        bias: add a number for each word.
    """

    def __init__(
        self,
        n_out: int,
        n_hid: int,
        output_p: float = 0.1,
        tie_encoder: nn.Embedding | None = None,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.output_dp = RNNDropout(output_p)
        self.decoder = nn.Linear(n_hid, n_out, bias=bias)
        if tie_encoder is not None:
            self.decoder.weight = tie_encoder.weight
        else:
            nn.init.uniform_(self.decoder.weight, -_INIT_RANGE, _INIT_RANGE)
        if bias:
            nn.init.zeros_(self.decoder.bias)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Score ``[batch, length, n_hid]``: scores ``[batch, length, n_out]``, and the features before and after
        dropout, for `RNNRegularizer`.
        """
        dropped = self.output_dp(features)
        return self.decoder(dropped), features, dropped


def get_language_model(
    arch: TextArch, vocab_sz: int, config: Mapping[str, Any] | None = None, drop_mult: float = 1.0
) -> SequentialRNN:
    """Make a language model with random weights.

    Args:
        arch: class of the encoder, or the name of one of ours: ``"AWD_LSTM"``.
        vocab_sz: words.
        config: arguments in place of those in `arch.lm_config`.
        drop_mult: factor for all dropouts (the arguments whose names end in ``_p``).

    Raises:
        ConfigError: the arguments make no network.
        TypeError: an unknown argument in `config`, with the nearest known one.
    """
    encoder_class = text_arch(arch)
    own = {"output_p": 0.1, "tie_weights": True, "out_bias": True}
    arguments = config_of(encoder_class.lm_config, config, drop_mult)
    check_keywords(arguments, [*encoder_arguments(encoder_class), *own], f"config of {encoder_class.__name__}")
    output_p, tie, bias = (arguments.pop(name, default) for name, default in own.items())
    encoder = encoder_class(vocab_sz, **arguments)
    if tie and encoder.n_features != encoder.encoder.embedding_dim:
        raise ConfigError(
            f"tie_weights=True needs an encoder whose features ({encoder.n_features}) are as many as its embedding's "
            f"({encoder.encoder.embedding_dim})."
        )
    tied = encoder.encoder if tie else None
    return SequentialRNN(encoder, LinearDecoder(vocab_sz, encoder.n_features, output_p, tied, bias))
