"""Texts for language models: all tokens in one stream, cut into blocks of one length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from laminar.core.device import to_cpu
from laminar.core.errors import ConfigError, DataError
from laminar.core.titled import TitledStr
from laminar.core.types import cast, plain
from laminar.data.blocks import TransformBlock
from laminar.data.collation import first_items, uncollate
from laminar.data.loader import DataLoader
from laminar.text.hf.inputs import TokenizedText
from laminar.text.hf.masking import mask_tokens
from laminar.text.hf.tokenizer import HFTokenizer, as_tokenizer
from laminar.text.hf.tokenizing import IGNORED, HFPad, HFTokenize, TokenTargets, tokenize_of

__all__ = ["HFBlockDL", "HFLanguageBlock", "HFStreamTokenize", "MaskedTokens", "NextTokens", "PackedTexts"]


class NextTokens(TokenTargets):
    """What comes after each token, int64 ``[length]``: the target of causal language models."""


class MaskedTokens(TokenTargets):
    """What stands behind each mask, int64 ``[length]``, -100 elsewhere: the target of masked language models."""


class HFStreamTokenize(HFTokenize):
    """Whole texts to tokens, however long they are: they are cut into blocks later.

    Args:
        tokenizer: of transformers.
        block_size: tokens in a block.
        encoding: of files.

    Raises:
        ConfigError: blocks of fewer than 2 tokens.
    """

    def __init__(self, tokenizer: HFTokenizer, block_size: int = 128, encoding: str = "utf-8") -> None:
        super().__init__(tokenizer, encoding=encoding)
        if block_size < 2:
            raise ConfigError(f"block_size must be at least 2, got {block_size}")
        self.block_size = block_size

    @property
    def limit(self) -> int | None:
        """None: texts are not cut."""
        return None

    @property
    def longest(self) -> int:
        """Tokens in a block."""
        return self.block_size

    @property
    def ends(self) -> list[int]:
        """The numbers of the tokens that end texts; the first is put behind a text that ends with none of them."""
        hf = self.tokenizer.hf
        return [number for number in (hf.eos_token_id, hf.sep_token_id) if number is not None]

    def stream(self, items: Any) -> np.ndarray[Any, np.dtype[np.int32]]:
        """The tokens of all texts in a list, one after another.

        Args:
            items: a `TfmdLists` of texts.
        """
        parts, ends = [], self.ends
        for row in range(len(items)):
            numbers = plain(items[row]["input_ids"]).numpy().astype(np.int32)
            parts.append(numbers if not ends or numbers[-1] in ends else np.append(numbers, np.int32(ends[0])))
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int32)


@dataclass(frozen=True, slots=True)
class Masking:
    """How tokens are masked.

    Attributes:
        mask_idx: number of the token that masks.
        vocab_sz: how many tokens there are.
        special: tokens that are never masked.
        share: of the tokens that are.
        fixed: the same ones each time, as in validation.
    """

    mask_idx: int
    vocab_sz: int
    special: tuple[int, ...]
    share: float
    fixed: bool


class PackedTexts(Sequence[tuple[TokenizedText, TokenTargets]]):
    """Blocks of a stream of tokens, with targets; each token is the target of one block only.

    Args:
        stream: all tokens, int32 ``[tokens]``.
        block_size: tokens in a block; the last may have fewer.
        masking: for masked language models; None for causal ones.
    """

    def __init__(
        self, stream: np.ndarray[Any, np.dtype[np.int32]], block_size: int, masking: Masking | None = None
    ) -> None:
        self.stream, self.block_size, self.masking = stream, block_size, masking

    @property
    def deterministic(self) -> bool:
        """Whether making a block draws nothing from the global generators."""
        return self.masking is None or self.masking.fixed

    @property
    def _n_inputs(self) -> int:
        """Tokens that are inputs: the last token has none after it."""
        return max(0, len(self.stream) - (self.masking is None))

    def __len__(self) -> int:
        return -(-self._n_inputs // self.block_size)

    def __getitem__(self, index: Any) -> Any:
        """A block: what the model reads, and its targets."""
        start = index * self.block_size
        stop = min(start + self.block_size, self._n_inputs)
        if not 0 <= start < stop:
            raise IndexError(f"block {index} of {len(self)}")
        tokens = self.stream[start:stop].astype(np.int64)
        if self.masking is None:
            return _sample(tokens, self.stream[start + 1 : stop + 1].astype(np.int64), NextTokens)
        how = self.masking
        rng = np.random.default_rng(index if how.fixed else np.random.randint(2**62))
        inputs, targets = mask_tokens(tokens, how.mask_idx, how.vocab_sz, rng, how.share, how.special)
        return _sample(inputs, targets, MaskedTokens)


def _sample(inputs: np.ndarray[Any, Any], targets: np.ndarray[Any, Any], kind: type[TokenTargets]) -> Any:
    return TokenizedText(input_ids=torch.from_numpy(inputs)), torch.from_numpy(targets).as_subclass(kind)


class HFBlockDL(DataLoader):
    """Batches of blocks: the texts' tokens as one stream, cut. Blocks, not texts, are shuffled.

    For a masked model other tokens are masked in each epoch in training, from (seed, epoch, block); in validation
    always the same ones, so that its loss can be compared from epoch to epoch.

    Args:
        dataset: texts, with an `HFStreamTokenize` among their transforms.
        bs: blocks in a batch.
        masked: for a masked language model, in place of a causal one.
        mask_share: share of the tokens that are masked.
        **options: see `DataLoader`.

    Raises:
        DataError: the texts have too few tokens for anything.
    """

    def __init__(
        self, dataset: Any, bs: int = 64, *, masked: bool = False, mask_share: float = 0.15, **options: Any
    ) -> None:
        self.masked, self.mask_share = masked, mask_share
        self._packed: PackedTexts | None = None
        super().__init__(dataset, bs, **options)
        self.remember_types((TokenizedText, MaskedTokens if masked else NextTokens))

    @property
    def packed(self) -> PackedTexts:
        """The blocks of all texts."""
        if self._packed is None:
            tokenize = tokenize_of(self)
            if not isinstance(tokenize, HFStreamTokenize):
                raise ConfigError("HFBlockDL cuts texts that an HFStreamTokenize made tokens of: see HFLanguageBlock")
            texts = getattr(self.dataset, "tls", [self.dataset])[0]
            masking = _masking(tokenize.tokenizer, self.mask_share, self.split_idx != 0) if self.masked else None
            self._packed = PackedTexts(tokenize.stream(texts), tokenize.block_size, masking)
            if len(texts) and not len(self._packed):
                raise DataError(
                    f"{len(texts)} texts with {len(self._packed.stream)} tokens: nothing to predict in them"
                )
        return self._packed

    @property
    def n_items(self) -> int:
        """How many blocks an epoch has."""
        return len(self.packed) if self._limit is None else min(self._limit, len(self.packed))

    def _item_source(self) -> Any:
        return self.packed

    def decode_batch(self, b: Any, max_n: int | None = 9, full: bool = True) -> list[Any]:
        """Take a batch apart into texts: what the model reads, and what it should say of it."""
        x, *targets = self.after_batch.decode(to_cpu(first_items(b, max_n)))
        tokenize = tokenize_of(self)
        assert tokenize is not None, "checked when the blocks were made"
        hf, samples = tokenize.tokenizer.hf, []
        for text, *rest in zip(uncollate(x), *targets, strict=True):
            there = (
                text["attention_mask"].bool() if "attention_mask" in text else torch.ones_like(text["input_ids"] > 0)
            )
            shown = TitledStr(" ".join(hf.decode(text["input_ids"][there].tolist()).split()))
            samples.append((shown, *(_tokens_shown(hf, part, self.masked) for part in rest)))
        return samples

    def decode_outputs(self, b: Any, out: Any, max_n: int | None = 9) -> list[tuple[Any, ...]]:
        """Decode what a model says, where there is a target."""
        x, y = b[0], b[1]
        said = torch.where(plain(to_cpu(y)) == IGNORED, IGNORED, plain(to_cpu(out)))
        return [sample[1:] for sample in self.decode_batch((x, cast(said, type(y))), max_n)]


def _tokens_shown(hf: Any, numbers: Any, masked: bool) -> TitledStr:
    found = [number for number in plain(numbers).tolist() if number != IGNORED]
    if masked:
        return TitledStr(", ".join(hf.decode([number]).strip() for number in found))
    return TitledStr(" ".join(hf.decode(found).split()))


def _masking(tokenizer: HFTokenizer, share: float, fixed: bool) -> Masking:
    hf = tokenizer.hf
    return Masking(mask_token(tokenizer), len(tokenizer), tuple(hf.all_special_ids), share, fixed)


def mask_token(tokenizer: HFTokenizer) -> int:
    """The number of the token that masks.

    Raises:
        ConfigError: there is none.
    """
    number = tokenizer.hf.mask_token_id
    if number is None:
        raise ConfigError(
            f"{tokenizer!r} has no token that masks, so its model was not made for masked language modelling. Take a"
            " causal model (masked=False), or add one: tokenizer.add_special_tokens({'mask_token': '[MASK]'})."
        )
    return int(number)


class HFLanguageBlock(TransformBlock):
    """Texts for a language model of transformers: blocks of `block_size` tokens, and what is to be predicted of them.

    Args:
        tokenizer: of transformers, its folder, or its name.
        block_size: tokens in a block.
        masked: for a masked language model (BERT and its kin), in place of a causal one (GPT).
        mask_share: share of the tokens that are masked.
        encoding: of files.

    Raises:
        MissingExtraError: transformers is not installed.
        ConfigError: `masked`, and the tokenizer has no token that masks; or numbers out of range.
    """

    def __init__(
        self,
        tokenizer: Any,
        block_size: int = 128,
        masked: bool = False,
        mask_share: float = 0.15,
        encoding: str = "utf-8",
    ) -> None:
        taken = as_tokenizer(tokenizer)
        if masked:
            mask_token(taken)
        if not 0 < mask_share < 1:
            raise ConfigError(f"mask_share is between 0 and 1, got {mask_share}")
        own: Any = {"masked": masked, "mask_share": mask_share, "before_batch": HFPad()}
        super().__init__(
            type_tfms=HFStreamTokenize(taken, block_size, encoding),
            dl_type=HFBlockDL,
            dls_kwargs=own,
        )
