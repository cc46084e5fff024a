"""The dropouts of AWD-LSTM (Merity et al., "Regularizing and optimizing LSTM language models", 2017)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from laminar.core.errors import ConfigError, describe, suggest

__all__ = ["EmbeddingDropout", "RNNDropout", "WeightDropout", "dropout_mask"]


def dropout_mask(x: Tensor, sz: Sequence[int], p: float) -> Tensor:
    """Draw a mask of zeros (with probability `p`) and of ``1 / (1 - p)``.

    Args:
        x: gives dtype and device.
        sz: shape of the mask.
        p: 0 to 1; 1 gives zeros only.
    """
    mask = x.new_empty(*sz).bernoulli_(1 - p)
    return mask.div_(1 - p) if p < 1 else mask


def _check_share(p: float, name: str) -> float:
    if not 0 <= p <= 1:
        raise ConfigError(f"{name} is a share from 0 to 1, got {describe(p)}.")
    return p


class RNNDropout(nn.Module):
    """Drops the same features at every step of a text (variational dropout, Gal and Ghahramani, 2016).

    Args:
        p: share of features to drop, 0 to 1.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = _check_share(p, "p")

    def forward(self, x: Tensor) -> Tensor:
        """Drop features of ``[batch, length, features]``."""
        if not self.training or self.p == 0:
            return x
        return x * dropout_mask(x, (x.shape[0], 1, x.shape[2]), self.p)

    def extra_repr(self) -> str:
        """The share."""
        return f"p={self.p}"


class EmbeddingDropout(nn.Module):
    """Drops whole words: every occurrence of a dropped word in the batch becomes zeros.

    The mask is drawn for words, and looked up along with them: the matrix of embeddings is not copied.

    Args:
        emb: the embedding.
        embed_p: share of the vocabulary to drop, 0 to 1.
    """

    def __init__(self, emb: nn.Embedding, embed_p: float) -> None:
        super().__init__()
        self.emb, self.embed_p = emb, _check_share(embed_p, "embed_p")

    def forward(self, words: Tensor) -> Tensor:
        """Look up ``[batch, length]``, int64: ``[batch, length, features]``."""
        embedded: Tensor = self.emb(words)
        if not self.training or self.embed_p == 0:
            return embedded
        mask = dropout_mask(embedded.detach(), (self.emb.num_embeddings, 1), self.embed_p)
        return embedded * F.embedding(words, mask)

    def extra_repr(self) -> str:
        """The share."""
        return f"embed_p={self.embed_p}"


class WeightDropout(nn.Module):
    """Drops weights of a layer for one call, in training: the same ones at every step of the text (DropConnect).

    The dropped weights are handed to the call and kept nowhere: the layer's parameters are always its parameters, when
    it is copied, saved, frozen, or asked for predictions.

    Args:
        module: the layer.
        weight_p: share of weights to drop, 0 to 1.
        layer_names: names of the parameters.

    Raises:
        ConfigError: the layer has no parameter of such a name.
    """

    def __init__(self, module: nn.Module, weight_p: float, layer_names: str | Sequence[str] = "weight_hh_l0") -> None:
        super().__init__()
        self.module, self.weight_p = module, _check_share(weight_p, "weight_p")
        self.layer_names = [layer_names] if isinstance(layer_names, str) else list(layer_names)
        own = dict(module.named_parameters())
        for name in self.layer_names:
            if name not in own:
                raise ConfigError(f"{type(module).__name__} has no parameter {name!r}.{suggest(name, own)}")

    def forward(self, *inputs: Any) -> Any:
        """Call the layer."""
        with _single_precision() if isinstance(self.module, nn.LSTM) and not inputs[0].is_cuda else nullcontext():
            return self._call(*inputs)

    def _call(self, *inputs: Any) -> Any:
        if not self.training or self.weight_p == 0:
            return self.module(*inputs)
        dropped = {name: F.dropout(self.module.get_parameter(name), self.weight_p) for name in self.layer_names}
        if isinstance(self.module, nn.LSTM) and len(inputs) == 2 and isinstance(inputs[0], Tensor):
            return _lstm_with(self.module, dropped, *inputs)
        return functional_call(self.module, dropped, inputs)

    def extra_repr(self) -> str:
        """Share and names."""
        return f"weight_p={self.weight_p}, layer_names={self.layer_names}"


def _single_precision() -> AbstractContextManager[Any]:
    """On CPUs, LSTMs in half precision fail where the processor has no instructions for it."""
    return torch.autocast("cpu", enabled=False) if torch.is_autocast_enabled("cpu") else nullcontext()


def _lstm_with(
    layer: nn.LSTM, weights: dict[str, Tensor], x: Tensor, state: tuple[Tensor, Tensor]
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Call an LSTM with some weights exchanged.

    `functional_call` would have the layer gather its weights anew twice for each call, and write into them on CUDA.
    """
    flat = [weights.get(name, parameter) for name, parameter in layer.named_parameters()]
    settings = (layer.bias, layer.num_layers, layer.dropout, layer.training, layer.bidirectional, layer.batch_first)
    with warnings.catch_warnings() if x.is_cuda else nullcontext():
        if x.is_cuda:  # cuDNN says that weights lie apart, as those drawn for one call must
            warnings.filterwarnings("ignore", message="RNN module weights are not part")  # noqa: TID251  # see above
        output, hidden, cell = torch.lstm(x, state, flat, *settings)
    return output, (hidden, cell)
