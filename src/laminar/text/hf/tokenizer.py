"""`HFTokenizer`: a tokenizer of transformers as part of the data, and as data in an export."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from laminar.core.errors import ConfigError, DataError, require
from laminar.core.recipe import builder
from laminar.text.hf.folders import no_such
from laminar.text.hf.inputs import WORD_IDS, EncodedTexts

__all__ = ["HFTokenizer", "as_tokenizer"]

_NO_LIMIT = 10**9  # transformers gives a huge number to tokenizers whose model takes texts of any length
_PORTION = 2000  # texts that are tokenized at once
_SETTINGS = ("model_max_length", "padding_side", "truncation_side", "model_input_names", "clean_up_tokenization_spaces")


@builder
class HFTokenizer:
    """A tokenizer of transformers that can be written to a file as data and read again without running anything.

    Args:
        trained: a tokenizer of transformers; or the JSON text of a ``tokenizer.json``.
        settings: special tokens and limits, where `trained` is text.

    Raises:
        MissingExtraError: transformers is not installed.
        ConfigError: it has no token to pad with.
        DataError: the text is no tokenizer.
    """

    def __init__(self, trained: Any, settings: Mapping[str, Any] | None = None) -> None:
        self.hf = _with_padding(_from_json(trained, settings or {}) if isinstance(trained, str) else trained)

    @property
    def trained(self) -> str:
        """The tokenizer as JSON text, as in a ``tokenizer.json``."""
        backend = getattr(self.hf, "backend_tokenizer", None)
        if backend is None:
            raise ConfigError(
                f"{type(self.hf).__name__} is written in Python and cannot be exported as data. Take its fast version "
                "(AutoTokenizer.from_pretrained(...)), or keep it in its own format: learn.save_pretrained(folder)."
            )
        plain = type(backend).from_str(backend.to_str())
        plain.no_truncation()
        plain.no_padding()
        return str(plain.to_str())

    @property
    def settings(self) -> dict[str, Any]:
        """Special tokens and limits."""
        said = {name: getattr(self.hf, name) for name in _SETTINGS if getattr(self.hf, name, None) is not None}
        said["model_input_names"] = list(said["model_input_names"])
        special = {name: _texts(token) for name, token in self.hf.special_tokens_map.items()}
        return {**said, **{name: token for name, token in special.items() if token is not None}}

    @property
    def max_length(self) -> int | None:
        """How many tokens its model takes, as far as it says so."""
        limit = int(self.hf.model_max_length)
        return None if limit >= _NO_LIMIT else limit

    def encode(
        self,
        texts: Sequence[Any],
        max_length: int | None = None,
        is_split_into_words: bool = False,
        as_targets: bool = False,
    ) -> EncodedTexts:
        """The tokens of texts, of pairs of texts, or of lists of words.

        Args:
            texts: texts; or all of them pairs (tuples); or all of them lists of words.
            max_length: cut what is longer.
            is_split_into_words: whether they are lists of words.
            as_targets: whether they are texts that are to be written, perhaps in another language.
        """
        portions = [list(texts[start : start + _PORTION]) for start in range(0, len(texts), _PORTION)]
        found = [self._encode(part, max_length, is_split_into_words, as_targets) for part in portions]
        return EncodedTexts.joined(found)

    def _encode(self, texts: list[Any], max_length: int | None, words: bool, as_targets: bool) -> EncodedTexts:
        limit: dict[str, Any] = {} if max_length is None else {"truncation": True, "max_length": max_length}
        if as_targets:
            found = self.hf(text_target=texts, return_attention_mask=False, **limit)
        elif not words and isinstance(texts[0], tuple):
            first, second = zip(*texts, strict=True)
            found = self.hf(list(first), list(second), return_attention_mask=False, **limit)
        else:
            found = self.hf(texts, is_split_into_words=words, return_attention_mask=False, **limit)
        columns = dict(found)
        encodings = found.encodings
        if words:
            columns[WORD_IDS] = [_word_ids(found, row) for row in range(len(texts))]
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        return EncodedTexts.of(rows, sum(bool(one.overflowing) for one in encodings) if encodings else 0)

    def decode(self, numbers: Sequence[int]) -> str:
        """The text of tokens, without special ones."""
        return str(self.hf.decode(list(numbers), skip_special_tokens=True))

    def __getstate__(self) -> dict[str, Any]:
        return {"hf": self.hf}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.hf = state["hf"]

    def __len__(self) -> int:
        return len(self.hf)

    def __repr__(self) -> str:
        return f"{type(self.hf).__name__}({len(self)} tokens)"


def as_tokenizer(tokenizer: Any) -> HFTokenizer:
    """A tokenizer of transformers, its folder, or the name under which it is found.

    Code of other people is never run: names and folders that need it are refused by transformers.

    Args:
        tokenizer: one of these, or an `HFTokenizer`.

    Raises:
        MissingExtraError: transformers is not installed.
        ConfigError: it is none of these.
        DataError: there is no tokenizer of that name, or in that folder.
    """
    if isinstance(tokenizer, HFTokenizer):
        return tokenizer
    transformers = require("transformers", "hf", "a tokenizer of transformers")
    if isinstance(tokenizer, str | Path):
        try:
            return HFTokenizer(transformers.AutoTokenizer.from_pretrained(str(tokenizer)))
        except (OSError, ValueError) as error:
            files = ["tokenizer.json", "tokenizer_config.json"]
            raise DataError(no_such("tokenizer", tokenizer, files, error)) from error
    if not isinstance(tokenizer, transformers.PreTrainedTokenizerBase):
        raise ConfigError(
            f"{type(tokenizer).__name__} is no tokenizer of transformers. Pass one, its folder or its name; wrap one "
            "of the package tokenizers: transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, "
            "pad_token=...)."
        )
    return HFTokenizer(tokenizer)


def _with_padding(tokenizer: Any) -> Any:
    """The tokenizer; if it has no token to pad with, a copy that pads with the one that ends texts."""
    if tokenizer.pad_token_id is not None:
        return tokenizer
    if tokenizer.eos_token_id is None:
        raise ConfigError(
            f"{type(tokenizer).__name__} has no token to pad texts with, nor one that ends texts. Give it one: "
            "tokenizer.add_special_tokens({'pad_token': '[PAD]'}), and the model a row for it: "
            "model.resize_token_embeddings(len(tokenizer))."
        )
    own = copy.deepcopy(tokenizer)
    own.pad_token = own.eos_token
    return own


def _from_json(text: str, settings: Mapping[str, Any]) -> Any:
    tokenizers = require("tokenizers", "hf", "a tokenizer of transformers")
    transformers = require("transformers", "hf", "a tokenizer of transformers")
    try:
        json.loads(text)
        backend = tokenizers.Tokenizer.from_str(text)
    except Exception as error:  # tokenizers raises nothing more exact
        raise DataError(f"{text[:80]!r} is no JSON text of a tokenizer: {error}") from error
    return transformers.PreTrainedTokenizerFast(tokenizer_object=backend, **settings)


def _texts(token: Any) -> Any:
    """A special token as text, several as a list."""
    return [str(one) for one in token] if isinstance(token, list | tuple) else None if token is None else str(token)


def _word_ids(found: Any, row: int) -> list[int]:
    return [-1 if number is None else number for number in found.word_ids(row)]
