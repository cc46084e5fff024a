"""Classifiers of long texts: an encoder read in pieces, pooling over all of a text's words, and a head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from laminar.core.errors import ConfigError, check_keywords
from laminar.nn.layers import LinBnDrop, SigmoidRange
from laminar.text.models.archs import TextArch, config_of, encoder_arguments, text_arch
from laminar.text.models.encoder import SequentialRNN, TextEncoder

__all__ = ["PoolingLinearClassifier", "SentenceEncoder", "get_text_classifier", "masked_concat_pool"]


class _Pieces(NamedTuple):
    """Texts cut into pieces of one length, so that all of them end in the last piece, and begin where one begins.

    Attributes:
        words: ``[batch, pieces * length]``, texts with most pieces first.
        padding: True where there is none, of the same shape.
        size: words in a piece.
        reading: how many of the texts have begun, at each piece.
        order: the texts' places in the batch.
        needed: the first piece of which any word is needed.
    """

    words: Tensor
    padding: Tensor
    size: int
    reading: list[int]
    order: Tensor
    needed: int


class SentenceEncoder(nn.Module):
    """Reads long texts piece by piece, and gives what the encoder says of each of the last `max_len` words.

    The texts of a batch may be padded before and after, by any number: what is said of a text does not depend on it.
    They are moved so that all end in the same piece, and each begins with one; a text is not read before it begins.
    Gradients do not go back from piece to piece, so memory is bounded whatever the texts' length.

    Args:
        bptt: words in a piece.
        module: the encoder, which remembers texts from call to call. One that does not (`TextTransformer`) reads each
            piece by itself: give it pieces as long as texts.
        pad_idx: number of the word that pads.
        max_len: words at the end of a text that are used and that gradients are computed for; what comes before is read
            only, for the state, if there is one. None for all.

    Raises:
        ConfigError: lengths below 1.
    """

    def __init__(self, bptt: int, module: nn.Module, pad_idx: int = 1, max_len: int | None = None) -> None:
        super().__init__()
        if bptt < 1 or (max_len is not None and max_len < 1):
            raise ConfigError(f"bptt and max_len must be at least 1, got {bptt} and {max_len}.")
        self.bptt, self.module, self.pad_idx, self.max_len = bptt, module, pad_idx, max_len

    def reset(self) -> None:
        """Let the encoder forget."""
        forget = getattr(self.module, "reset", None)
        if callable(forget):
            forget()

    def forward(self, words: Tensor) -> tuple[Tensor, Tensor]:
        """Read ``[batch, length]``, int64.

        Returns:
            What is said of each word, ``[batch, words, features]``, and True where there is none, ``[batch, words]``.
        """
        pieces = self._cut(words)
        self.reset()
        said: list[Tensor] = []
        remembers = getattr(self.module, "remembers_texts", True)
        for number, n_texts in enumerate(pieces.reading):
            if number < pieces.needed and not remembers:
                continue
            piece = pieces.words[:n_texts, number * pieces.size : (number + 1) * pieces.size]
            with nullcontext() if number >= pieces.needed else torch.no_grad():
                output = self.module(piece)
            if number >= pieces.needed:
                missing = len(words) - n_texts
                said.append(torch.cat([output, output.new_zeros(missing, *output.shape[1:])]) if missing else output)
        self.reset()
        back = pieces.order.argsort()
        return torch.cat(said, 1)[back], pieces.padding[:, pieces.needed * pieces.size :][back]

    def extra_repr(self) -> str:
        """The lengths."""
        return f"bptt={self.bptt}, pad_idx={self.pad_idx}, max_len={self.max_len}"

    def _cut(self, words: Tensor) -> _Pieces:
        place = torch.arange(words.shape[1], device=words.device)
        real = words != self.pad_idx
        first = torch.where(real, place, words.shape[1]).amin(1)
        last = torch.where(real, place, -1).amax(1)
        first = torch.where(last < 0, 0, first)
        lengths = (last - first + 1).clamp(min=1)  # a text of padding alone is read as one word of padding
        size = min(self.bptt, int(lengths.amax()))
        n_pieces = (lengths + size - 1) // size
        order = n_pieces.argsort(descending=True, stable=True)
        counts = n_pieces[order].tolist()
        total = counts[0]
        begins = (total - n_pieces) * size
        target = torch.arange(total * size, device=words.device)
        source = target - begins[:, None] + first[:, None]
        inside = (source >= first[:, None]) & (source <= last[:, None])
        moved = words.gather(1, source.clamp(0, words.shape[1] - 1)).where(inside, self.pad_idx)
        padding = ~inside
        needed = 0
        if self.max_len is not None:
            ends = begins + lengths
            padding = padding | (target < (ends - self.max_len)[:, None])
            needed = int((torch.maximum(begins, ends - self.max_len).amin() // size).item())
        reading = [sum(count >= total - number for count in counts) for number in range(total)]
        return _Pieces(moved[order], padding[order], size, reading, order, needed)


def masked_concat_pool(output: Tensor, mask: Tensor, bptt: int | None = None) -> Tensor:
    """The last output of each text, the largest and the mean of all, one after the other.

    Args:
        output: ``[batch, length, features]``.
        mask: True where there is no word, ``[batch, length]``.
        bptt: kept for the sake of programs that pass it; where a text ends is seen in `mask`.

    Returns:
        ``[batch, 3 * features]``; zeros for a text without words.
    """
    place = torch.arange(mask.shape[1], device=mask.device)
    last = torch.where(mask, -1, place).amax(1)
    empty = last < 0
    counts = (~mask).sum(1).clamp(min=1)
    mean = output.masked_fill(mask[:, :, None], 0).sum(1) / counts[:, None].to(output.dtype)
    most = output.masked_fill(mask[:, :, None], -torch.inf).amax(1)
    end = output[torch.arange(len(output), device=mask.device), last.clamp(min=0)]
    return torch.cat([end, most, mean], 1).masked_fill(empty[:, None], 0)


class PoolingLinearClassifier(nn.Module):
    """Pools what an encoder says of a text's words, and decides.

    Args:
        dims: features that come in (three times the encoder's), of each hidden layer, and outputs.
        ps: dropout before each linear layer.
        bptt: kept for the sake of programs that pass it.
        y_range: bounds of the outputs.

    Raises:
        ConfigError: there is not one dropout for each layer.
    """

    def __init__(
        self,
        dims: Sequence[int],
        ps: Sequence[float],
        bptt: int | None = None,
        y_range: tuple[float, float] | None = None,
    ) -> None:
        super().__init__()
        if len(ps) != len(dims) - 1:
            raise ConfigError(
                f"there must be one dropout for each layer: dims={list(dims)} makes {len(dims) - 1} layers, "
                f"ps={list(ps)} has {len(ps)}."
            )
        last = len(ps) - 1
        layers: list[nn.Module] = [
            LinBnDrop(n_in, n_out, p=p, act=nn.ReLU(inplace=True) if number < last else None)
            for number, (n_in, n_out, p) in enumerate(zip(dims[:-1], dims[1:], ps, strict=True))
        ]
        if y_range is not None:
            layers.append(SigmoidRange(*y_range))
        self.layers = nn.Sequential(*layers)

    def forward(self, said: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Decide, from what `SentenceEncoder` gives: ``[batch, outputs]``; then, twice, what was said of each word
        (zeros where there is none), for `RNNRegularizer`.
        """
        output, mask = said
        words = output.masked_fill(mask[:, :, None], 0)
        return self.layers(masked_concat_pool(output, mask)), words, words


def get_text_classifier(
    arch: TextArch,
    vocab_sz: int,
    n_class: int,
    seq_len: int = 72,
    config: Mapping[str, Any] | None = None,
    drop_mult: float = 1.0,
    lin_ftrs: Sequence[int] | None = None,
    ps: Sequence[float] | float | None = None,
    pad_idx: int = 1,
    max_len: int | None = 72 * 20,
    y_range: tuple[float, float] | None = None,
) -> SequentialRNN:
    """Make a classifier of texts with random weights.

    Args:
        arch: class of the encoder, or the name of one of ours: ``"AWD_LSTM"``.
        vocab_sz: words.
        n_class: outputs.
        seq_len: words that are read at once.
        config: arguments in place of those in `arch.clas_config`.
        drop_mult: factor for all dropouts in `config` (the arguments whose names end in ``_p``).
        lin_ftrs: features of the hidden layers, by default one of 50.
        ps: dropout before each layer but the first of the head, by default 0.1.
        pad_idx: number of the word that pads.
        max_len: words at the end of a text that are used, see `SentenceEncoder`.
        y_range: bounds of the outputs, for quantities.

    Raises:
        ConfigError: the arguments make no network.
        TypeError: an unknown argument in `config`, with the nearest known one.
    """
    encoder_class = text_arch(arch)
    arguments = config_of(encoder_class.clas_config, config, drop_mult)
    check_keywords(arguments, [*encoder_arguments(encoder_class), "output_p"], f"config of {encoder_class.__name__}")
    output_p = arguments.pop("output_p", 0.0)
    hidden = [50] if lin_ftrs is None else list(lin_ftrs)
    dropouts = [0.1 if ps is None else ps] * len(hidden) if ps is None or isinstance(ps, float) else list(ps)
    encoder: TextEncoder = encoder_class(vocab_sz, **arguments)
    head = PoolingLinearClassifier([encoder.n_features * 3, *hidden, n_class], [output_p, *dropouts], y_range=y_range)
    return SequentialRNN(SentenceEncoder(seq_len, encoder, pad_idx, max_len), head)
