"""A small Transformer that reads texts from left to right, as large language models are built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from laminar.core.errors import ConfigError
from laminar.text.models.awd_lstm import check_sizes
from laminar.text.models.dropout import EmbeddingDropout
from laminar.text.models.encoder import State, TextEncoder

__all__ = [
    "TextTransformer",
    "rotate",
    "rotary_angles",
    "transformer_clas_config",
    "transformer_lm_config",
]

transformer_lm_config: dict[str, Any] = {
    "emb_sz": 256, "n_heads": 4, "n_layers": 4, "ff_mult": 8 / 3, "pad_token": 1, "output_p": 0.1, "hidden_p": 0.1,
    "attn_p": 0.0, "embed_p": 0.02, "tie_weights": True, "out_bias": True,
}  # fmt: skip
"""A small Transformer as a language model."""

transformer_clas_config: dict[str, Any] = {
    "emb_sz": 256, "n_heads": 4, "n_layers": 4, "ff_mult": 8 / 3, "pad_token": 1, "output_p": 0.2, "hidden_p": 0.2,
    "attn_p": 0.1, "embed_p": 0.05,
}  # fmt: skip
"""A small Transformer as a classifier."""

_BASE = 10_000.0


def rotary_angles(positions: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines by which `rotate` turns (Su et al., "RoFormer: Enhanced Transformer with rotary position
    embedding", 2021).

    Args:
        positions: of words in their text, ``[length]``.
        width: features of a head, even.

    Returns:
        Two tensors ``[length, width]``, float32.
    """
    speeds = _BASE ** (-torch.arange(0, width, 2, device=positions.device, dtype=torch.float32) / width)
    angles = torch.outer(positions.float(), speeds).repeat(1, 2)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Turn pairs of features (one of the first half, one of the second) by the angles of their positions.

    The product of two vectors turned so depends on the distance of their positions alone.

    Args:
        x: ``[..., length, width]``.
        cosines: of `rotary_angles`.
        sines: the same.
    """
    first, second = x.chunk(2, -1)
    turned = torch.cat([-second, first], -1)
    return x * cosines.to(x.dtype) + turned * sines.to(x.dtype)


class _Attention(nn.Module):
    """Each word looks at those before it, and at itself."""

    def __init__(self, width: int, n_heads: int, attn_p: float) -> None:
        super().__init__()
        self.n_heads, self.attn_p = n_heads, attn_p
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)

    def forward(
        self, x: Tensor, angles: tuple[Tensor, Tensor], past: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Look, from ``[batch, length, width]``; also at the `past` keys and values, if there are any."""
        heads = self.query_key_value(x).unflatten(-1, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = rotate(heads[0], *angles), rotate(heads[1], *angles), heads[2]
        length = x.shape[1]
        mask = None
        if past:
            key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
            if length > 1:
                mask = torch.ones(length, key.shape[2], dtype=torch.bool, device=x.device).tril(key.shape[2] - length)
        seen = F.scaled_dot_product_attention(
            query, key, value, mask, self.attn_p if self.training else 0.0, is_causal=not past and length > 1
        )
        return self.output(seen.transpose(1, 2).flatten(2)), (key, value)


class _Block(nn.Module):
    """Attention and a gated network for each word (Shazeer, "GLU variants improve Transformer", 2020), each added to
    what came in, which is normalised before (Xiong et al., "On layer normalization in the Transformer architecture",
    2020).
    """

    def __init__(self, width: int, n_heads: int, inner: int, hidden_p: float, attn_p: float) -> None:
        super().__init__()
        self.attention_norm, self.attention = nn.RMSNorm(width), _Attention(width, n_heads, attn_p)
        self.network_norm, self.gate_and_value = nn.RMSNorm(width), nn.Linear(width, 2 * inner, bias=False)
        self.output, self.dropout = nn.Linear(inner, width, bias=False), nn.Dropout(hidden_p)

    def forward(
        self, x: Tensor, angles: tuple[Tensor, Tensor], past: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        seen, kept = self.attention(self.attention_norm(x), angles, past)
        x = x + self.dropout(seen)
        gate, value = self.gate_and_value(self.network_norm(x)).chunk(2, -1)
        return x + self.dropout(self.output(F.silu(gate) * value)), kept


class TextTransformer(TextEncoder):
    """A Transformer whose words look at those before them: rotary positions, norms before the layers, gated networks.

    Each call reads its texts from the beginning; inside `remembering`, calls go on where the last one ended, without
    reading again what was read: for generation.

    Args:
        vocab_sz: words.
        emb_sz: width.
        n_heads: heads of attention; they divide the width.
        n_layers: blocks.
        ff_mult: how many times wider than `emb_sz` the gated network is inside.
        pad_token: number of the word that pads.
        hidden_p: dropout of what each layer adds.
        attn_p: dropout of attention.
        embed_p: dropout of whole words.

    Raises:
        ConfigError: numbers that make no network.
    """

    lm_config: ClassVar[Mapping[str, Any]] = transformer_lm_config
    clas_config: ClassVar[Mapping[str, Any]] = transformer_clas_config

    def __init__(
        self,
        vocab_sz: int,
        emb_sz: int,
        n_heads: int,
        n_layers: int,
        ff_mult: float = 8 / 3,
        pad_token: int = 1,
        hidden_p: float = 0.1,
        attn_p: float = 0.0,
        embed_p: float = 0.0,
    ) -> None:
        super().__init__()
        check_sizes(type(self).__name__, n_layers, vocab_sz=vocab_sz, emb_sz=emb_sz, n_heads=n_heads)
        if emb_sz % (2 * n_heads):
            raise ConfigError(f"emb_sz={emb_sz} cannot be divided among {n_heads} heads of an even width each.")
        self.n_features, self.head_width = emb_sz, emb_sz // n_heads
        self.encoder_dp = EmbeddingDropout(nn.Embedding(vocab_sz, emb_sz, padding_idx=pad_token), embed_p)
        inner = max(8, round(emb_sz * ff_mult / 8) * 8)
        self.blocks = nn.ModuleList(_Block(emb_sz, n_heads, inner, hidden_p, attn_p) for _ in range(n_layers))
        self.input_dp, self.norm = nn.Dropout(hidden_p), nn.RMSNorm(emb_sz)
        self.remembers, self.past = False, None
        self._start()

    past: State | None

    @torch.no_grad()
    def _start(self) -> None:
        """Small weights, and smaller ones where layers are added up."""
        depth = (2 * len(self.blocks)) ** -0.5
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                nn.init.normal_(weight, std=0.02 * (depth if "output" in name else 1))
        if self.encoder.padding_idx is not None:
            self.encoder.weight[self.encoder.padding_idx].zero_()

    @property
    def encoder(self) -> nn.Embedding:
        """The embedding of words."""
        return self.encoder_dp.emb

    def forward(self, words: Tensor) -> Tensor:
        """Read ``[batch, length]``, int64: ``[batch, length, emb_sz]``."""
        # embeddings start as small as a decoder needs them; the norm in each block makes up for it
        x = self.input_dp(self.encoder_dp(words))
        known = self.past or [()] * len(self.blocks)
        before = known[0][0].shape[2] if known[0] else 0
        angles = rotary_angles(torch.arange(before, before + words.shape[1], device=x.device), self.head_width)
        kept: State = []
        for block, past in zip(self.blocks, known, strict=True):
            x, state = block(x, angles, past)
            kept.append(state)
        if self.remembers:
            self.past = kept
        read: Tensor = self.norm(x)
        return read

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """Inside, each call goes on where the one before ended."""
        self.reset()
        self.remembers = True
        try:
            yield
        finally:
            self.remembers = False
            self.reset()

    def reset(self) -> None:
        """Forget the texts so far."""
        self.past = None

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """Parameters of the embedding, then of each block; the norm after them belongs to the last."""
        groups = [list(part.parameters()) for part in (self.encoder_dp, *self.blocks)]
        return [*groups[:-1], groups[-1] + list(self.norm.parameters())]
