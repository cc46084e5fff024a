"""Weights that know their words: in one safetensors file with the vocabulary, for data with other words too."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from laminar.core.errors import WeightsError
from laminar.learner.saving import read_weights

__all__ = ["TextWeights", "match_embeds", "read_text_weights", "save_text_weights", "vocab_difference"]

_WORD_ROWS = ("encoder_dp.emb.weight", "encoder.weight", "decoder.weight", "decoder.bias")
_ABOUT = "text"
_SHOWN = 5


@dataclass(frozen=True)
class TextWeights:
    """Weights of an encoder or of a language model.

    Attributes:
        state: tensors by name.
        vocab: the words that rows of the embedding stand for; None if the file does not tell.
        backwards: whether they were learnt from texts read backwards; None if the file does not tell.
        source: the file.
    """

    state: dict[str, Tensor]
    vocab: list[str] | None
    backwards: bool | None
    source: Path

    def for_vocab(self, vocab: Sequence[str]) -> TextWeights:
        """The same for other words, see `match_embeds`."""
        if self.vocab is None or self.vocab == list(vocab):
            return self
        return replace(self, state=match_embeds(self.state, self.vocab, vocab), vocab=list(vocab))

    def of_encoder(self) -> TextWeights:
        """The encoder's weights, of a file with those of a whole language model or classifier too."""
        for prefix in ("0.module.", "0."):
            found = {name.removeprefix(prefix): value for name, value in self.state.items() if name.startswith(prefix)}
            if found:
                return replace(self, state=found)
        return self


def save_text_weights(file: Path, state: Mapping[str, Tensor], vocab: Sequence[str], backwards: bool) -> Path:
    """Write weights with their vocabulary to a safetensors file; complete or not at all.

    The vocabulary is JSON in the file's metadata, where any reader of safetensors finds it.

    Args:
        file: where; ``.safetensors`` is added if there is no such ending.
        state: tensors by name.
        vocab: the words that rows of the embedding stand for.
        backwards: whether texts were read backwards.

    Returns:
        The file's path.
    """
    path = file if file.suffix == ".safetensors" else file.with_name(file.name + ".safetensors")
    about = {_ABOUT: {"format": 1, "vocab": list(vocab), "backwards": backwards}}
    tensors = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in state.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        save_file(tensors, unfinished, metadata={"laminar": json.dumps(about)})
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def read_text_weights(file: Path, vocab_file: Path | None = None) -> TextWeights:
    """Read weights that `save_text_weights` wrote, or a ``.pth`` file of fastai's with AWD-LSTM's weights.

    Args:
        file: the weights.
        vocab_file: a JSON list of words, where the weights do not come with them.

    Raises:
        WeightsError: a file is damaged, or the vocabulary is no list of words, or not of as many as there are rows.
    """
    tensors, about = read_weights(file)
    told = about.get(_ABOUT, {})
    vocab = told.get("vocab") if isinstance(told, dict) else None
    if vocab_file is not None:
        vocab = _read_vocab(vocab_file)
    if vocab is not None and not (isinstance(vocab, list) and all(isinstance(word, str) for word in vocab)):
        raise WeightsError(f"{vocab_file or file}: the vocabulary is no list of words.")
    state = {_our_name(name): tensor for name, tensor in tensors.items() if not _is_copy(name, tensors)}
    for name, rows in state.items():
        if vocab is not None and name.endswith(_WORD_ROWS) and len(rows) != len(vocab):
            raise WeightsError(
                f"{file}: {name} has {len(rows)} rows, but the vocabulary"
                f"{f' in {vocab_file}' if vocab_file else ''} has {len(vocab)} words."
            )
    backwards = told.get("backwards") if isinstance(told, dict) else None
    return TextWeights(state, vocab, backwards if isinstance(backwards, bool) else None, file)


def _read_vocab(file: Path) -> Any:
    if file.suffix in (".pkl", ".pickle"):
        raise WeightsError(
            f"{file} is a pickle, which can run any code, and is not read. Where you trust it, write its words as JSON:"
            " json.dump(list(pickle.load(open(file, 'rb'))), open('vocab.json', 'w'))."
        )
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{file}: a JSON list of words cannot be read from it: {error}.") from error


def _is_copy(name: str, names: Mapping[str, Tensor]) -> bool:
    """Whether fastai's file holds this weight a second time: tied, or as last dropped."""
    if name.endswith("encoder_dp.emb.weight"):
        return name.replace("encoder_dp.emb.weight", "encoder.weight") in names
    prefix, _, last = name.rpartition("module.")
    return bool(prefix) and f"{prefix}{last}_raw" in names


def _our_name(name: str) -> str:
    """The name a weight of fastai's AWD-LSTM has here."""
    if name.endswith("_raw"):
        prefix, _, last = name.removesuffix("_raw").rpartition(".")
        return f"{prefix}.module.{last}"
    before, found, _ = name.rpartition("encoder.weight")
    return f"{before}encoder_dp.emb.weight" if found and not before.endswith("_") else name


def match_embeds(
    old_wgts: Mapping[str, Tensor], old_vocab: Sequence[str], new_vocab: Sequence[str]
) -> dict[str, Tensor]:
    """Weights for another vocabulary: a word's rows stay its own, a new word gets the mean of all.

    Args:
        old_wgts: an encoder's or a language model's weights, by name.
        old_vocab: the words they are for.
        new_vocab: the words they are to be for.

    Returns:
        New weights; those that are not about words are the given ones.
    """
    place = {word: row for row, word in enumerate(old_vocab)}
    rows = torch.tensor([place.get(word, -1) for word in new_vocab])
    return {name: _matched(weight, rows) if name.endswith(_WORD_ROWS) else weight for name, weight in old_wgts.items()}


def _matched(weight: Tensor, rows: Tensor) -> Tensor:
    known = rows.to(weight.device)
    matched = weight[known.clamp(min=0)]
    matched[known < 0] = weight.mean(0)
    return matched


def vocab_difference(file: Path, theirs: Sequence[str], ours: Sequence[str]) -> str:
    """How two vocabularies differ, in a sentence.

    Args:
        file: where the first one is from.
        theirs: its words.
        ours: the data's.
    """
    known, wanted = set(theirs), set(ours)
    new = [word for word in ours if word not in known]
    unused = sum(word not in wanted for word in theirs)
    parts = [f"its vocabulary has {len(theirs)} words, that of the data {len(ours)}"]
    if new:
        shown = ", ".join(map(repr, new[:_SHOWN])) + (", ..." if len(new) > _SHOWN else "")
        parts.append(f"{len(new)} of the data's words are not in it ({shown})")
    if unused:
        parts.append(f"{unused} of its words are not in the data's")
    if not new and not unused:
        parts.append("the words are the same, in another order")
    return f"{file.name} does not fit: {'; '.join(parts)}."
