"""Questions about texts in batches: blocks, and loaders of the windows that contexts are cut into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from laminar.core.device import to_cpu
from laminar.core.errors import ConfigError, DataError
from laminar.core.titled import TitledStr
from laminar.core.types import plain
from laminar.data.blocks import TransformBlock
from laminar.data.collation import first_items, uncollate
from laminar.data.loader import DataLoader
from laminar.text.hf.inputs import TokenizedText
from laminar.text.hf.questions import CONTEXT, HFTokenizeQuestion, Question, QuestionWindows, as_question
from laminar.text.hf.tokenizer import HFTokenizer, as_tokenizer
from laminar.text.hf.tokenizing import HFPad, tokenize_of
from laminar.text.showing import TextTable

__all__ = ["HFQuestionBlock", "HFQuestionDL", "around"]

_AROUND = 12  # words of a context that are shown on each side of an answer


class HFQuestionDL(DataLoader):
    """Batches of windows: questions with the parts of their contexts. Windows, not questions, are shuffled.

    Args:
        dataset: questions, with an `HFTokenizeQuestion` among their transforms.
        bs: windows in a batch.
        **options: see `DataLoader`.
    """

    def __init__(self, dataset: Any, bs: int = 64, **options: Any) -> None:
        self._windows: QuestionWindows | None = None
        super().__init__(dataset, bs, **options)

    @property
    def windows(self) -> QuestionWindows:
        """The windows of all questions."""
        if self._windows is None:
            tokenize = tokenize_of(self)
            if not isinstance(tokenize, HFTokenizeQuestion):
                raise ConfigError("HFQuestionDL is for data with an HFQuestionBlock")
            rows = getattr(self.dataset, "tls", [self.dataset])[0].up_to(tokenize)
            index = getattr(rows.items, "index", None)
            names = range(len(rows)) if index is None or callable(index) else list(index)
            questions = [_question(rows, number, names) for number in range(len(rows))]
            _check_answers(questions, names)
            self._windows = tokenize.windows(questions, names)
        return self._windows

    @property
    def n_items(self) -> int:
        """How many windows an epoch has."""
        return len(self.windows) if self._limit is None else min(self._limit, len(self.windows))

    def _item_source(self) -> Any:
        return self.windows

    def decode_batch(self, b: Any, max_n: int | None = 9, full: bool = True) -> list[Any]:
        """Take a batch of windows apart: question and part of the context, with the answer between « and », and the
        answer.
        """
        tokenize = tokenize_of(self)
        assert tokenize is not None, "checked when the windows were made"
        x, *spans = self.after_batch.decode(to_cpu(first_items(b, max_n)))
        return [_decoded(tokenize.tokenizer, text, *rest) for text, *rest in zip(uncollate(x), *spans, strict=True)]

    def show_batch(
        self,
        b: Any = None,
        max_n: int = 9,
        ctxs: Any = None,
        show: bool = True,
        unique: bool = False,
        **options: Any,
    ) -> Any:
        """Show questions with the part of their context where the answer stands, between « and ».

        Args:
            b: a batch, whose texts are shown as the tokenizer has them; None for the first windows of this loader.
            max_n: how many.
            ctxs: not used.
            show: see `DataLoader.show_batch`.
            unique: see `DataLoader.show_batch`.
            **options: see `DataLoader.show_batch`.
        """
        if b is not None or not show:
            return super().show_batch(b, max_n, ctxs, show, unique, **options)
        windows, rows = self.windows, []
        for number in range(min(max_n, len(windows))):
            asked = windows.questions[windows.rows[number]]
            rows.append([asked.question, *_part_with_answer(windows, number)])
        table = TextTable(["question", "context", "answer"], rows)
        table.show()
        return table


def _part_with_answer(windows: QuestionWindows, number: int) -> tuple[str, str]:
    """The part of the context in a window, with the answer between « and », and the answer."""
    asked, (begin, behind) = windows.questions[windows.rows[number]], windows.contexts[number]
    offsets = windows.offsets[number]
    left, right = int(offsets[begin, 0]), int(offsets[max(behind - 1, begin), 1])
    first, last = plain(windows.span(number)).tolist()
    if not (asked.answers and begin <= first):
        return around(asked.context[left:right], -1, -1), ""
    start, end = int(offsets[first, 0]), int(offsets[last, 1])
    return around(asked.context[left:right], start - left, end - left), asked.context[start:end]


def _decoded(tokenizer: HFTokenizer, text: TokenizedText, span: Any = None) -> tuple[Any, ...]:
    """A window as (question, context), and its answer where there is one to be shown."""
    numbers, of_context = text["input_ids"], text[CONTEXT].bool()
    behind = int(of_context.nonzero().max()) + 1 if of_context.any() else 0
    question = tokenizer.decode(numbers[~of_context & (torch.arange(len(numbers)) < behind)].tolist())
    places = of_context.nonzero()[:, 0].tolist()
    if span is None:
        return ((question, tokenizer.decode(numbers[of_context].tolist())),)
    first, last = plain(span).tolist()
    inside = [place for place in places if first <= place <= last]
    if not inside:
        return (question, tokenizer.decode(numbers[of_context].tolist())), TitledStr("")
    before, answer, after = (
        tokenizer.decode(numbers[part].tolist())
        for part in ([p for p in places if p < inside[0]], inside, [p for p in places if p > inside[-1]])
    )
    whole = f"{before} {answer} {after}"
    marked = around(whole, len(before) + 1, len(before) + 1 + len(answer))
    return (question, marked), TitledStr(answer)


def _question(rows: Any, number: int, names: Sequence[Any]) -> Question:
    try:
        return as_question(rows[number])
    except DataError as error:
        error.add_note(f"in row {names[number]}")
        raise


def _check_answers(questions: Sequence[Question], names: Sequence[Any]) -> None:
    """Refuse data of which some questions have answers, or are said to have none, and of others nothing is known."""
    unknown = [number for number, asked in enumerate(questions) if asked.answers is None]
    if 0 < len(unknown) < len(questions):
        raise DataError(
            f"of {len(unknown)} of {len(questions)} questions no answer is given, the first in row {names[unknown[0]]}."
            " Leave them out; or say that there is none, with an empty text or {'text': [], 'answer_start': []}."
        )


class HFQuestionBlock(TransformBlock):
    """Questions about texts for a model that says where in a text the answer stands.

    An item is a `Question`, which `QuestionFields` gets out of a row. A context longer than a window is cut into
    several, which overlap, so that each answer is whole in one.

    Args:
        tokenizer: of transformers (a fast one), its folder, or its name.
        max_length: tokens in a window, the question among them; the tokenizer's limit, where that is smaller.
        stride: tokens of the context that a window shares with the one before.
        pad_to_multiple_of: lengthen batches to a multiple of this (8 suits tensor cores).

    Raises:
        MissingExtraError: transformers is not installed.
        ConfigError: a tokenizer that does not tell where tokens stand, or numbers out of range.
    """

    def __init__(
        self, tokenizer: Any, max_length: int = 384, stride: int = 128, pad_to_multiple_of: int | None = None
    ) -> None:
        super().__init__(
            type_tfms=HFTokenizeQuestion(as_tokenizer(tokenizer), max_length, stride),
            dl_type=HFQuestionDL,
            dls_kwargs={"before_batch": HFPad(pad_to_multiple_of, padding_side="right")},
        )


def around(context: str, start: int, end: int) -> str:
    """The words around a span, which stands between « and »."""
    if start < 0:
        words = context.split()
        return " ".join(words[: 2 * _AROUND]) + (" …" if len(words) > 2 * _AROUND else "")
    before, after = context[:start].split(" "), context[end:].split(" ")
    left = ("… " if len(before) > _AROUND else "") + " ".join(before[-_AROUND:])
    right = " ".join(after[:_AROUND]) + (" …" if len(after) > _AROUND else "")
    return " ".join(f"{left}«{context[start:end]}»{right}".split())
