"""Models that turn a text into another (summaries, translations): an encoder reads, a decoder writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from laminar.core.device import to_device
from laminar.core.errors import ConfigError, DataError, describe
from laminar.core.titled import TitledStr
from laminar.core.transform import ItemTransform, Transform
from laminar.core.types import plain
from laminar.data.blocks import TransformBlock
from laminar.data.collation import first_items
from laminar.learner.inference import evaluation_loader
from laminar.nn.losses import LossFunction
from laminar.text.hf.base_learner import HFLearner
from laminar.text.hf.generating import write
from laminar.text.hf.inputs import EncodedTexts, TokenizedText
from laminar.text.hf.model import HFModel, without_adapters
from laminar.text.hf.tasks import HFTask, register_task
from laminar.text.hf.token_loss import TokenCrossEntropyLoss
from laminar.text.hf.tokenizer import HFTokenizer, as_tokenizer
from laminar.text.hf.tokenizing import IGNORED, HFPad, TokenTargets, tell_truncated, texts_before
from laminar.text.showing import TextTable, show_text_results

__all__ = [
    "HFTokenizeTarget",
    "HFWritingLearner",
    "HFWritingModel",
    "HFWrittenBlock",
    "SequenceToSequence",
    "TeacherForcing",
    "WrittenTokens",
]


class WrittenTokens(TokenTargets):
    """The tokens of a text that is to be written, int64 ``[length]``; in a batch lengthened with -100."""


class HFTokenizeTarget(ItemTransform):
    """Texts that are to be written to tokens; the way back gives the text.

    Args:
        tokenizer: of transformers; it may treat targets otherwise than what is read (another language).
        max_length: cut texts after so many tokens; None for as many as the tokenizer says that its model takes.
    """

    deterministic = True
    train_setup = False

    def __init__(self, tokenizer: HFTokenizer, max_length: int | None = None) -> None:
        super().__init__()
        if max_length is not None and max_length < 1:
            raise ConfigError(f"max_length must be at least 1, got {max_length}")
        self.tokenizer, self.max_length = tokenizer, max_length
        self._known: dict[str, int] = {}
        self._store = EncodedTexts({}, [])

    @property
    def n_truncated(self) -> int:
        """How many of the texts it was set up with were cut."""
        return self._store.n_truncated

    @property
    def _limit(self) -> int | None:
        return self.tokenizer.max_length if self.max_length is None else self.max_length

    def setups(self, items: object) -> None:
        """Tokenize all texts; every item must have one."""
        read = texts_before(self, items)
        rows = getattr(getattr(items, "items", None), "index", None)
        names = range(len(read)) if rows is None or callable(rows) else list(rows)
        empty = [name for name, text in zip(names, read, strict=True) if not isinstance(text, str) or not text.strip()]
        if empty:
            raise DataError(
                f"{len(empty)} of {len(read)} items have no text to be written; the first is {empty[0]}. Leave them"
                " out."
            )
        self._store = self.tokenizer.encode(read, self._limit, as_targets=True)
        self._known = {text: row for row, text in enumerate(read)}
        if self.max_length is None:
            tell_truncated(self._store, self._limit, "texts to be written", "HFWrittenBlock(max_length)")

    def encodes(self, text: object) -> object:
        """The tokens of a text."""
        if isinstance(text, WrittenTokens):
            return text
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"a text to be written is needed, got {describe(text)}. Leave out rows that have none.")
        row = self._known.get(text)
        store = self._store if row is not None else self.tokenizer.encode([text], self._limit, as_targets=True)
        return store[row or 0]["input_ids"].as_subclass(WrittenTokens)

    def decodes(self, numbers: WrittenTokens) -> TitledStr:
        """The text."""
        values = plain(numbers)
        return TitledStr(" ".join(self.tokenizer.decode(values[values != IGNORED].tolist()).split()))


class TeacherForcing(Transform):
    """Give a model the true text beside what it reads, so that it says each token after the true ones before it."""

    deterministic = True
    order = 10  # when texts have one length

    def encodes(self, samples: list) -> list:  # type: ignore[type-arg]  # overloads are chosen by class
        """The samples, with targets among the inputs too."""
        return [self._given(sample) for sample in samples]

    @staticmethod
    def _given(sample: Any) -> Any:
        target = next((part for part in sample[1:] if isinstance(part, WrittenTokens)), None)
        if target is None:
            return sample
        return (TokenizedText({**sample[0], "labels": plain(target)}), *sample[1:])


class HFWrittenBlock(TransformBlock):
    """Texts that a model with an encoder and a decoder is to write: the second block beside `HFTextBlock`.

    Args:
        tokenizer: of transformers, its folder, or its name.
        max_length: cut texts after so many tokens; None for as many as the tokenizer says that its model takes.
        pad_to_multiple_of: lengthen batches to a multiple of this (8 suits tensor cores).
    """

    def __init__(self, tokenizer: Any, max_length: int | None = None, pad_to_multiple_of: int | None = None) -> None:
        super().__init__(
            type_tfms=HFTokenizeTarget(as_tokenizer(tokenizer), max_length),
            dls_kwargs={"before_batch": [HFPad(pad_to_multiple_of), TeacherForcing()]},
        )


class HFWritingModel(HFModel):
    """An `HFModel` with encoder and decoder: given a text to write, it says each token after the true ones before."""

    def forward(self, labels: Tensor | None = None, **inputs: Any) -> Any:
        """The scores of all tokens, ``[batch, length, vocabulary]``; without `labels`, of the first one.

        Args:
            labels: the texts to write, -100 behind their ends.
            **inputs: ``input_ids`` and what else the tokenizer gives.
        """
        hf_model: Any = self.hf_model
        known = {name: part for name, part in inputs.items() if name not in ("decoder_input_ids", "labels")}
        if labels is not None:
            shifted = without_adapters(hf_model).prepare_decoder_input_ids_from_labels(labels=labels)
        else:
            config = hf_model.config
            start = config.decoder_start_token_id
            begin = config.bos_token_id if start is None else start
            shifted = known["input_ids"].new_full((len(known["input_ids"]), 1), begin)
        return super().forward(**known, decoder_input_ids=shifted)


class HFWritingLearner(HFLearner):
    """A learner whose model turns a text into another."""

    def generate(
        self, texts: str | Sequence[str], max_new_tokens: int = 64, *, seed: int | None = None, **options: Any
    ) -> Any:
        """What the model makes of a text, or of several.

        Args:
            texts: the text to read, or several.
            max_new_tokens: how many tokens to write at most.
            seed: for the same text with ``do_sample=True``; None draws from torch's generator.
            **options: for transformers' ``generate``: ``num_beams``, ``do_sample``, ``no_repeat_ngram_size``, ...

        Returns:
            The text; a list for several.
        """
        several = [texts] if isinstance(texts, str) else list(texts)
        loader = self.dls.test_dl(several, num_workers=0)
        written, _ = self.get_texts(dl=loader, seed=seed, max_new_tokens=max_new_tokens, **options)
        return written[0] if isinstance(texts, str) else written

    def predict(  # type: ignore[override]  # the prediction is a text
        self, item: str, max_new_tokens: int = 64, *, seed: int | None = None, **options: Any
    ) -> str:
        """What the model makes of a text (see `generate`).

        Args:
            item: the text to read.
            max_new_tokens: how many tokens to write at most.
            seed: see `generate`.
            **options: see `generate`.
        """
        return str(self.generate(item, max_new_tokens, seed=seed, **options))

    def get_texts(
        self, ds_idx: int = 1, dl: Any = None, *, seed: int | None = None, max_new_tokens: int = 64, **options: Any
    ) -> tuple[list[str], list[str] | None]:
        """What the model writes for a whole set, in the order of the data set.

        Args:
            ds_idx: 0 for the training set, 1 for the validation set.
            dl: another loader instead, such as ``dls.test_dl(texts)``.
            seed: see `generate`.
            max_new_tokens: see `generate`.
            **options: see `generate`.

        Returns:
            The texts written, and the true ones (None without targets).
        """
        loader = evaluation_loader(self.dls, ds_idx, dl)
        self.model.to(self.device)
        written: list[str] = []
        true: list[str] = []
        for number, batch in enumerate(loader):
            parts = tuple(batch) if isinstance(batch, tuple | list) else (batch,)
            inputs = to_device(plain(parts[0]), self.device)
            own_seed = None if seed is None else seed + number
            written += write(
                self.network, self._hf_tokenizer, inputs, seed=own_seed, max_new_tokens=max_new_tokens, **options
            )
            true += [text for target in parts[1:2] for text in true_texts(self._hf_tokenizer, target)]
        return written, true or None

    def show_results(
        self,
        ds_idx: int = 1,
        dl: Any = None,
        max_n: int = 9,
        shuffle: bool = True,
        *,
        max_new_tokens: int = 64,
        trunc_at: int = 150,
        **options: Any,
    ) -> TextTable:
        """Show some texts, what should be made of them, and what the model makes of them.

        Args:
            ds_idx: 0 for the training set, 1 for the validation set.
            dl: another loader instead.
            max_n: how many.
            shuffle: draw them at random.
            max_new_tokens: see `generate`.
            trunc_at: words of a text that are shown.
            **options: see `generate`.
        """
        loader = evaluation_loader(self.dls, ds_idx, dl)
        batch = loader.random_batch(max_n) if shuffle else loader.one_batch()
        parts = first_items(tuple(batch), max_n)
        written, _ = self.get_texts(dl=[parts], max_new_tokens=max_new_tokens, **options)
        outs = [(TitledStr(text),) for text in written]
        samples = loader.decode_batch(parts, max_n)
        return show_text_results(parts[0], samples, outs, max_n, trunc_at)


def true_texts(tokenizer: HFTokenizer, targets: Tensor) -> list[str]:
    """The texts of a batch of targets."""
    return [tokenizer.decode(row[row != IGNORED].tolist()) for row in plain(targets).cpu()]


class SequenceToSequence(HFTask):
    """Which text is to be made of a text?"""

    name = "summaries, translations and the like"
    auto_class = "AutoModelForSeq2SeqLM"
    model = HFWritingModel
    learner = HFWritingLearner

    def loss(self, dls: Any) -> LossFunction:
        """Cross entropy of each token after the true ones before it."""
        return TokenCrossEntropyLoss()

    def check(self, model: Any, dls: Any) -> None:
        """Refuse a model without a decoder of its own."""
        if not model.config.is_encoder_decoder or not hasattr(model, "prepare_decoder_input_ids_from_labels"):
            raise ConfigError(
                f"{type(model).__name__} is no model with encoder and decoder (T5, BART, Marian, ...) that turns a text"
                " into another."
            )


register_task(WrittenTokens, SequenceToSequence)
