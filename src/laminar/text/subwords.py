"""Tokenizers of the package ``tokenizers`` (extra ``text``): trained on the user's texts, or trained before."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from laminar.core.errors import ConfigError, DataError, require
from laminar.core.recipe import builder
from laminar.text.encoding import encoded, patterns_of, told_of
from laminar.text.portions import parts_of, portions
from laminar.text.rules import Rule, fix_html, lowercase, replace_all_caps, replace_maj, replace_rep, replace_wrep
from laminar.text.special_tokens import PAD, SPECIAL_TOKENS, UNK

__all__ = ["PretrainedTokenizer", "SubwordTokenizer"]

_SPACE = "▁"
_CHARACTERS_AT_ONCE = 1 << 20  # of which tokenizers needs some 150 bytes each
_UNUSED_NUMBERS = 100_000  # that a vocabulary may have between its words


@builder
class PretrainedTokenizer:
    """A tokenizer that was trained before, with its own vocabulary and special tokens.

    Args:
        trained: a ``tokenizers.Tokenizer``, a tokenizer of transformers, the ``Path`` of the file (or the folder) of
            one (``tokenizer.json``), or the JSON text that is in such a file.
        unk: its word for those that it lacks; None to find it.
        pad: its word that fills up; None to find it.
        special: let it add the special tokens that its model begins and ends texts with.

    Raises:
        MissingExtraError: tokenizers is not installed.
        DataError: the file holds no tokenizer.
        ConfigError: a tokenizer of transformers that is not backed by tokenizers.
    """

    rules: Sequence[Rule] | None = ()
    own_threads = True
    longest = 1 << 25  # characters of one text, of each of which it needs some 150 bytes

    def __init__(self, trained: Any, unk: str | None = None, pad: str | None = None, special: bool = True) -> None:
        self._tokenizer, says = _loaded(trained)
        self.trained: str = self._tokenizer.to_str()
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._patterns = patterns_of(self._tokenizer)
        words = self._tokenizer.get_vocab(with_added_tokens=True)
        self.unk = unk or says.get("unk") or _first(words, ("[UNK]", "<unk>", UNK, "<|endoftext|>"))
        self.pad = pad or says.get("pad") or _first(words, ("[PAD]", "<pad>", PAD, "<|endoftext|>"))
        self.special = special

    @property
    def vocab(self) -> list[str]:
        """The words, number i is word i."""
        numbers = self._tokenizer.get_vocab(with_added_tokens=True)
        words = [f"xxnone{number}" for number in range(max(numbers.values(), default=-1) + 1)]
        for word, number in numbers.items():
            words[number] = word
        return words

    def __call__(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """The tokens of each text."""
        yield from encoded(self._tokenizer, list(texts), self._patterns, add_special_tokens=self.special)

    def decode(self, tokens: Sequence[str]) -> str:
        """The tokens as a text."""
        numbers = [self._tokenizer.token_to_id(token) for token in tokens]
        text: str = self._tokenizer.decode([number for number in numbers if number is not None])
        return text

    def __getstate__(self) -> dict[str, Any]:
        return {"trained": self.trained, "unk": self.unk, "pad": self.pad, "special": self.special}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]  # tokenizers' own objects are made anew

    def __repr__(self) -> str:
        return f"PretrainedTokenizer({len(self.vocab)} words)"


def _loaded(trained: Any) -> tuple[Any, dict[str, str]]:
    """A ``tokenizers.Tokenizer``, and what its owner says of its special tokens."""
    tokenizers = require("tokenizers", "text", "PretrainedTokenizer")
    if isinstance(trained, tokenizers.Tokenizer):
        return tokenizers.Tokenizer.from_str(trained.to_str()), {}
    if hasattr(trained, "backend_tokenizer"):
        says = {"unk": trained.unk_token, "pad": trained.pad_token}
        return tokenizers.Tokenizer.from_str(trained.backend_tokenizer.to_str()), says
    if not isinstance(trained, str | Path):
        raise ConfigError(
            f"{type(trained).__name__} is no tokenizer of the package tokenizers, nor backed by one. Pass the fast "
            "one: AutoTokenizer.from_pretrained(..., use_fast=True)."
        )
    if isinstance(trained, str):
        if not trained.lstrip().startswith("{"):
            raise ConfigError(f"{trained[:80]!r} is no JSON text of a tokenizer. If it is a file, pass Path(...).")
        return _read(tokenizers, trained, "the given text"), {}
    file = trained / "tokenizer.json" if trained.is_dir() else trained
    if not file.is_file():
        raise DataError(f"there is no file {file} with a tokenizer")
    with told_of(f"{file} holds no tokenizer that works"):
        text = file.read_text(encoding="utf-8")
    return _read(tokenizers, text, str(file)), {}


def _read(tokenizers: Any, text: str, where: str) -> Any:
    with told_of(f"{where} holds no tokenizer that works"):
        tokenizer = tokenizers.Tokenizer.from_str(text)
        numbers: dict[str, int] = tokenizer.get_vocab(with_added_tokens=True)
    last = max(numbers, key=numbers.__getitem__, default="")
    if numbers and numbers[last] > 2 * len(numbers) + _UNUSED_NUMBERS:
        raise DataError(
            f"{where} is damaged: its {len(numbers)} words are numbered up to {numbers[last]} ({last!r}), and a "
            "network would have as many rows."
        )
    return tokenizer


def _first(words: dict[str, int], names: Sequence[str]) -> str:
    return next((name for name in names if name in words), names[-1])


@builder
class SubwordTokenizer:
    """Cuts texts into parts of words, which it learns from the training texts.

    Frequent words stay whole and rare ones are put together of parts, so no word is unknown. A part that begins a word
    has ``▁`` before it.

    Args:
        vocab_sz: how many parts to learn, special tokens included.
        model: ``"unigram"`` (Kudo, "Subword Regularization", 2018) or ``"bpe"`` (Sennrich et al., "Neural Machine
            Translation of Rare Words with Subword Units", 2016).
        special_toks: words that are never cut, numbered from 0; None for `SPECIAL_TOKENS`.
        learned: what has been learned, as JSON text; None to learn it before training.

    Raises:
        MissingExtraError: tokenizers is not installed.
        ConfigError: another model.
    """

    rules: Sequence[Rule] | None = (
        fix_html, replace_rep, replace_wrep, replace_all_caps, replace_maj, lowercase,
    )  # fmt: skip
    own_threads = True
    unk, pad = UNK, PAD

    def __init__(
        self,
        vocab_sz: int = 8000,
        model: Literal["unigram", "bpe"] = "unigram",
        special_toks: Sequence[str] | None = None,
        learned: str | None = None,
    ) -> None:
        if model not in ("unigram", "bpe"):
            raise ConfigError(f"model is 'unigram' or 'bpe', not {model!r}")
        self._tokenizers = require("tokenizers", "text", "SubwordTokenizer")
        self.vocab_sz, self.model, self.special_toks, self.learned = vocab_sz, model, special_toks, learned
        self._fitted = None if learned is None else _read(self._tokenizers, learned, "learned")
        self._patterns = [] if self._fitted is None else patterns_of(self._fitted)

    def trained_on(self, texts: Iterable[str]) -> Self:
        """One that has learned from texts; itself, if it has already."""
        if self._fitted is not None:
            return self
        special = list(SPECIAL_TOKENS if self.special_toks is None else self.special_toks)
        fresh, trainer = _untrained(self._tokenizers, self.model, self.vocab_sz, special)
        marks = re.compile(rf"(?<!\S)(?:{'|'.join(map(re.escape, special))})(?!\S)")  # nothing is learned of these
        fresh.train_from_iterator((marks.sub("", text) for text in texts), trainer=trainer)
        return type(self)(self.vocab_sz, self.model, self.special_toks, fresh.to_str())

    def setup(self, texts: Iterable[str]) -> None:
        """Learn from texts, if nothing has been learned yet; a data set does so by itself.

        Args:
            texts: the texts, as they are: no rules are applied.
        """
        self.__setstate__(self.trained_on(texts).__getstate__())

    @property
    def vocab(self) -> list[str]:
        """The parts, number i is part i."""
        numbers = self._ready().get_vocab(with_added_tokens=True)
        return sorted(numbers, key=numbers.__getitem__)

    def __call__(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """The parts of each text."""
        tokenizer = self._ready()
        for portion in portions(texts, _CHARACTERS_AT_ONCE):
            if len(portion) > 1:
                yield from encoded(tokenizer, portion, self._patterns)
            else:  # of a long text, parts that end with words: what is said of a word depends on no other
                parts = (
                    encoded(tokenizer, [part], self._patterns) for part in parts_of(portion[0], _CHARACTERS_AT_ONCE)
                )
                yield [token for tokens in parts for token in next(tokens)]

    def decode(self, tokens: Sequence[str]) -> str:
        """The parts as a text."""
        special = set(SPECIAL_TOKENS if self.special_toks is None else self.special_toks)
        text = "".join(f"{_SPACE}{token}" if token in special else token for token in tokens)
        return text.replace(_SPACE, " ").strip()

    def _ready(self) -> Any:
        if self._fitted is None:
            raise ConfigError("SubwordTokenizer has learned no parts yet: put it into a data set, or call setup(texts)")
        return self._fitted

    def __getstate__(self) -> dict[str, Any]:
        return {
            "vocab_sz": self.vocab_sz, "model": self.model, "special_toks": self.special_toks,
            "learned": self.learned,
        }  # fmt: skip

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]  # tokenizers' own objects are made anew

    def __repr__(self) -> str:
        return f"SubwordTokenizer({self.vocab_sz}, {self.model!r})"


def _untrained(tokenizers: Any, model: str, vocab_sz: int, special: list[str]) -> tuple[Any, Any]:
    """A tokenizer that has learned nothing, and who teaches it."""
    common: dict[str, Any] = {"vocab_size": vocab_sz, "special_tokens": special, "show_progress": False}
    if model == "bpe":
        fresh = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token=UNK))
        trainer = tokenizers.trainers.BpeTrainer(**common)
    else:
        fresh = tokenizers.Tokenizer(tokenizers.models.Unigram())
        trainer = tokenizers.trainers.UnigramTrainer(unk_token=UNK, **common)
    words = [tokenizers.pre_tokenizers.Metaspace(replacement=_SPACE, prepend_scheme="always")]
    fresh.normalizer = tokenizers.normalizers.Sequence(
        [tokenizers.normalizers.Replace(tokenizers.Regex(r"\s+"), " "), tokenizers.normalizers.Strip()]
    )
    fresh.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(words)
    fresh.decoder = tokenizers.decoders.Metaspace(replacement=_SPACE, prepend_scheme="always")
    return fresh, trainer
