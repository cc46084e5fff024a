"""Questions about texts in batches: blocks, and loaders of the windows that contexts are cut into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from laminar.core.errors import ConfigError, DataError
from laminar.core.types import plain
from laminar.data.blocks import TransformBlock
from laminar.data.loader import DataLoader
from laminar.text.hf.questions import HFTokenizeQuestion, Question, QuestionWindows, as_question
from laminar.text.hf.tokenizer import as_tokenizer
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
            self._windows = tokenize.windows([_question(rows, number, names) for number in range(len(rows))], names)
        return self._windows

    @property
    def n_items(self) -> int:
        """How many windows an epoch has."""
        return len(self.windows) if self._limit is None else min(self._limit, len(self.windows))

    def _item_source(self) -> Any:
        return self.windows

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
            b: not used: windows are shown from the first question on.
            max_n: how many.
            ctxs: not used.
            show: False returns the table in place of showing it.
            unique: not used.
            **options: none.
        """
        windows, rows = self.windows, []
        for number in range(min(max_n, len(windows))):
            asked = windows.questions[windows.rows[number]]
            if asked.answers is None:
                rows.append([asked.question, around(asked.context, -1, -1), ""])
                continue
            first, last = plain(windows.span(number)).tolist()
            inside = first != windows.nowhere[number] or bool(windows.contexts[number][0] <= first)
            start, end = windows.offsets[number][[first, last]][[0, 1], [0, 1]].tolist() if inside else (-1, -1)
            begin, behind = windows.contexts[number]
            part = asked.context[: int(windows.offsets[number][max(behind - 1, begin), 1])]
            rows.append([asked.question, around(part, start, end), asked.context[start:end] if inside else ""])
        table = TextTable(["question", "context", "answer"], rows)
        if show:
            table.show()
        return table


def _question(rows: Any, number: int, names: Sequence[Any]) -> Question:
    try:
        return as_question(rows[number])
    except DataError as error:
        error.add_note(f"in row {names[number]}")
        raise


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
