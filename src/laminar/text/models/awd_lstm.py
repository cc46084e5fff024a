"""AWD-LSTM: LSTMs with dropout everywhere, also on their weights, which carry their state from batch to batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from laminar.core.errors import ConfigError
from laminar.text.models.dropout import EmbeddingDropout, RNNDropout, WeightDropout
from laminar.text.models.encoder import State, TextEncoder
from laminar.text.models.qrnn import QRNNLayer

__all__ = [
    "AWD_LSTM",
    "AWD_QRNN",
    "awd_lstm_clas_config",
    "awd_lstm_lm_config",
    "awd_qrnn_clas_config",
    "awd_qrnn_lm_config",
]

awd_lstm_lm_config: dict[str, Any] = {
    "emb_sz": 400, "n_hid": 1152, "n_layers": 3, "pad_token": 1, "bidir": False, "output_p": 0.1, "hidden_p": 0.15,
    "input_p": 0.25, "embed_p": 0.02, "weight_p": 0.2, "tie_weights": True, "out_bias": True,
}  # fmt: skip
"""AWD-LSTM as a language model, with the dropouts of ULMFiT."""

awd_lstm_clas_config: dict[str, Any] = {
    "emb_sz": 400, "n_hid": 1152, "n_layers": 3, "pad_token": 1, "bidir": False, "output_p": 0.4, "hidden_p": 0.3,
    "input_p": 0.4, "embed_p": 0.05, "weight_p": 0.5,
}  # fmt: skip
"""AWD-LSTM as a classifier, with the dropouts of ULMFiT."""

awd_qrnn_lm_config: dict[str, Any] = {**awd_lstm_lm_config, "n_hid": 1552, "n_layers": 4}
"""AWD-QRNN as a language model."""

awd_qrnn_clas_config: dict[str, Any] = {**awd_lstm_clas_config, "n_hid": 1552, "n_layers": 4}
"""AWD-QRNN as a classifier."""

_INIT_RANGE = 0.1


class AWD_LSTM(TextEncoder):
    """Layers of LSTMs over an embedding (Merity et al., "Regularizing and optimizing LSTM language models", 2017).

    The state goes on from call to call (detached from the graph), so that consecutive pieces of long texts can be read;
    `reset` forgets it. With a larger batch than in the call before, the texts added begin anew; of a smaller one, the
    last are left out.

    Args:
        vocab_sz: words.
        emb_sz: width of the embedding, and of the last layer.
        n_hid: width of the other layers.
        n_layers: how many.
        pad_token: number of the word that pads; its embedding is zero.
        hidden_p: dropout between layers.
        input_p: dropout of embedded words' features.
        embed_p: dropout of whole words.
        weight_p: dropout of the weights from state to state.
        bidir: not supported: read backwards with a second model, and average the predictions.

    Raises:
        ConfigError: numbers that make no network.
    """

    lm_config: ClassVar[Mapping[str, Any]] = awd_lstm_lm_config
    clas_config: ClassVar[Mapping[str, Any]] = awd_lstm_clas_config
    recurrent: ClassVar[bool] = True

    def __init__(
        self,
        vocab_sz: int,
        emb_sz: int,
        n_hid: int,
        n_layers: int,
        pad_token: int = 1,
        hidden_p: float = 0.2,
        input_p: float = 0.6,
        embed_p: float = 0.1,
        weight_p: float = 0.5,
        bidir: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(type(self).__name__, n_layers, vocab_sz=vocab_sz, emb_sz=emb_sz, n_hid=n_hid)
        if bidir:
            raise ConfigError(
                "bidir=True: a layer that reads both ways would see the words it is to predict, and padding. Train a "
                "second model on backwards=True data, and average what both predict: ensemble_preds([learn, learn_bwd])"
            )
        self.n_features, self.n_layers = emb_sz, n_layers
        self.encoder_dp = EmbeddingDropout(nn.Embedding(vocab_sz, emb_sz, padding_idx=pad_token), embed_p)
        nn.init.uniform_(self.encoder.weight, -_INIT_RANGE, _INIT_RANGE)
        self.input_dp = RNNDropout(input_p)
        widths = [emb_sz, *[n_hid] * (n_layers - 1), emb_sz]
        self.rnns = nn.ModuleList(self._layer(i, widths[i], widths[i + 1], weight_p) for i in range(n_layers))
        self.hidden_dps = nn.ModuleList(RNNDropout(hidden_p) for _ in range(n_layers))
        self.hidden: State | None = None

    def _layer(self, number: int, n_in: int, n_out: int, weight_p: float) -> nn.Module:
        return WeightDropout(nn.LSTM(n_in, n_out, batch_first=True), weight_p)

    @property
    def encoder(self) -> nn.Embedding:
        """The embedding of words."""
        return self.encoder_dp.emb

    def forward(self, words: Tensor) -> Tensor:
        """Read ``[batch, length]``, int64: ``[batch, length, emb_sz]``, before output dropout."""
        output: Tensor = self.input_dp(self.encoder_dp(words))
        states = self._states_for(output)
        for number, (layer, dropout) in enumerate(zip(self.rnns, self.hidden_dps, strict=True)):
            output, state = layer(output, states[number])
            states[number] = tuple(part.detach() for part in state)
            if number < self.n_layers - 1:
                output = dropout(output)
        self.hidden = states
        return output

    def reset(self) -> None:
        """Forget the texts so far."""
        self.hidden = None

    def get_state(self) -> State | None:
        """The state of each layer, which `set_state` takes back."""
        return self.hidden

    def set_state(self, state: State | None) -> None:
        """Go on from what `get_state` returned."""
        self.hidden = state

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """Parameters of the embedding, then of each layer."""
        return [list(part.parameters()) for part in (self.encoder_dp, *self.rnns)]

    def _states_for(self, x: Tensor) -> State:
        """The state of each layer, for as many texts as there are in `x`."""
        n_texts = len(x)
        known = self.hidden or [self._no_state(layer) for layer in self.rnns]
        return [tuple(_for_texts(part, n_texts, x) for part in state) for state in known]

    def _no_state(self, layer: Any) -> tuple[Tensor, ...]:
        """The state of a layer for no texts at all."""
        width = layer.module.hidden_size
        return (torch.empty(1, 0, width), torch.empty(1, 0, width))


class AWD_QRNN(AWD_LSTM):
    """AWD-LSTM with quasi-recurrent layers in place of LSTMs, which wait less for the word before (see `QRNNLayer`).

    The first layer sees each word with the one before it. The arguments are those of `AWD_LSTM`; `weight_p` drops
    weights of the only matrix that a layer has.
    """

    lm_config: ClassVar[Mapping[str, Any]] = awd_qrnn_lm_config
    clas_config: ClassVar[Mapping[str, Any]] = awd_qrnn_clas_config

    def _layer(self, number: int, n_in: int, n_out: int, weight_p: float) -> nn.Module:
        return WeightDropout(QRNNLayer(n_in, n_out, window=1 if number else 2), weight_p, "linear.weight")

    def _no_state(self, layer: Any) -> tuple[Tensor, ...]:
        inner = layer.module
        return (torch.empty(1, 0, inner.hidden_size), torch.empty(inner.window - 1, 0, inner.input_size))


def _for_texts(part: Tensor, n_texts: int, like: Tensor) -> Tensor:
    """State for `n_texts` texts: of those that are new, zeros."""
    part = part.to(like)[:, :n_texts]
    missing = n_texts - part.shape[1]
    return torch.cat([part, part.new_zeros(part.shape[0], missing, part.shape[2])], 1) if missing else part


_MOST_LAYERS = 200


def check_sizes(name: str, n_layers: int, **sizes: int) -> None:
    """Refuse numbers that make no network.

    Raises:
        ConfigError: with the number.
    """
    for argument, value in {"n_layers": n_layers, **sizes}.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ConfigError(f"{name}: {argument} must be a whole number from 1 on, got {value!r}.")
    if n_layers > _MOST_LAYERS:
        raise ConfigError(f"{name}: n_layers={n_layers}; more than {_MOST_LAYERS} layers are not made.")
