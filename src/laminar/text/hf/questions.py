"""Questions about texts: rows with answers, cut into windows that a model can read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from laminar.core.errors import ConfigError, DataError, describe
from laminar.core.transform import ItemTransform
from laminar.core.types import TensorBase
from laminar.data.labels import ColReader
from laminar.text.hf.inputs import TokenizedText
from laminar.text.hf.spans import Offsets, token_span
from laminar.text.hf.tokenizer import HFTokenizer
from laminar.text.hf.tokenizing import HFTokenize

__all__ = ["AnswerSpan", "HFTokenizeQuestion", "Question", "QuestionFields", "QuestionWindows", "as_question"]

_PORTION = 1000  # questions that are tokenized at once
CONTEXT = "context_mask"
"""Name of what says which tokens are the context's, among a model's inputs (the model does not see it)."""


class AnswerSpan(TensorBase):
    """First and last token of an answer, int64 ``[2]``; both those of the first token where there is none."""


class Question(NamedTuple):
    """A question, the text that answers it, and the true answers.

    Attributes:
        question: the question.
        context: the text.
        answers: the answers, as they stand in the text; none if it has none; None if they are not known.
        starts: where each begins, in characters.
    """

    question: str
    context: str
    answers: tuple[str, ...] | None = None
    starts: tuple[int, ...] = ()


def as_question(item: Any) -> Question:
    """A `Question` of what people have: itself, a pair (question, context), or a mapping with these names.

    Args:
        item: one of these; in a mapping may also be ``answers``, as in SQuAD.

    Raises:
        DataError: it is none of these.
    """
    if isinstance(item, Question):
        return item
    if isinstance(item, Mapping) and {"question", "context"} <= set(item):
        return _with_answers(item["question"], item["context"], item.get("answers"), None)
    if isinstance(item, tuple | list) and len(item) == 2 and all(isinstance(part, str) for part in item):
        return Question(*item)
    raise DataError(f"a question and its context are needed, as a pair of texts, got {describe(item)}")


def _with_answers(question: Any, context: Any, answers: Any, start: Any) -> Question:
    for name, text in (("question", question), ("context", context)):
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"the {name} is no text but {describe(text)}. Leave out rows that have none.")
    if isinstance(answers, Mapping):  # as in SQuAD
        texts, starts = tuple(answers["text"]), tuple(int(place) for place in answers["answer_start"])
    elif answers is None:
        return Question(question, context)
    elif not isinstance(answers, str):
        if not np.isscalar(answers) or answers == answers:  # NaN is what pandas has for nothing
            raise DataError(f"the answer is no text but {describe(answers)}")
        texts, starts = (), ()
    elif not answers:
        texts, starts = (), ()
    else:
        place = context.find(answers) if start is None else int(start)
        texts, starts = (answers,), (place,)
    if len(texts) != len(starts):
        raise DataError(f"{len(texts)} answers and {len(starts)} places where they begin: {describe(answers)}")
    return _checked(Question(question, context, texts, starts))


def _checked(asked: Question) -> Question:
    """The question, if its answers stand where they are said to."""
    for text, start in zip(asked.answers or (), asked.starts, strict=True):
        if start < 0 or asked.context[start : start + len(text)] != text:
            where = asked.context.find(text)
            found = f"it begins at {where}" if where >= 0 else "it is nowhere in it"
            there = asked.context[max(start, 0) : max(start, 0) + len(text)]
            raise DataError(
                f"the answer {text!r} is not at character {start} of its context, where {there!r} stands; {found}. "
                f"Question: {asked.question!r}"
            )
    return asked


class QuestionFields(ItemTransform):
    """Get a question out of a row.

    Args:
        question_col: column of the questions.
        context_col: column of the texts that answer them.
        answer_col: column of the answers: texts (empty where there is none), or mappings with ``text`` and
            ``answer_start`` as in SQuAD.
        start_col: column of the character at which the answer begins; None to take the first place where it stands.
    """

    deterministic = True

    def __init__(
        self,
        question_col: str = "question",
        context_col: str = "context",
        answer_col: str | None = "answers",
        start_col: str | None = None,
    ) -> None:
        super().__init__()
        self.question_col, self.context_col = question_col, context_col
        self.answer_col, self.start_col = answer_col, start_col

    def encodes(self, row: object) -> object:
        """The question."""
        read = [
            None if column is None else ColReader(column)(row)
            for column in (self.question_col, self.context_col, self.answer_col, self.start_col)
        ]
        return _with_answers(*read)


class HFTokenizeQuestion(HFTokenize):
    """Questions and their contexts to tokens, in windows of `max_length` that overlap by `stride`.

    Args:
        tokenizer: of transformers, a fast one: it must tell where tokens stand.
        max_length: tokens in a window, the question among them.
        stride: tokens of the context that a window shares with the one before.

    Raises:
        ConfigError: a tokenizer that does not tell where tokens stand, or numbers out of range.
    """

    def __init__(self, tokenizer: HFTokenizer, max_length: int = 384, stride: int = 128) -> None:
        if not tokenizer.hf.is_fast:
            raise ConfigError(
                f"{type(tokenizer.hf).__name__} is written in Python and does not tell where tokens stand in a text."
                " Take its fast version: AutoTokenizer.from_pretrained(..., use_fast=True)."
            )
        if not 0 <= stride < max_length:
            raise ConfigError(f"stride must be from 0 to below max_length={max_length}, got {stride}")
        known = tokenizer.max_length
        super().__init__(tokenizer, max_length if known is None else min(max_length, known))
        self.stride = stride

    @property
    def longest(self) -> int:
        """Tokens in a window."""
        return self.max_length or 0

    def setups(self, items: object) -> None:
        """Nothing: questions are tokenized when their windows are made."""

    def encodes(self, x: object) -> object:
        """The tokens of the first window of a question."""
        return x if isinstance(x, TokenizedText) else self.windows([as_question(x)])[0][0]

    def decodes(self, x: TokenizedText) -> object:
        """The question and the part of its context."""
        return super().decodes(x)

    def windows(self, questions: Sequence[Question], names: Sequence[Any] | None = None) -> QuestionWindows:
        """The windows of some questions.

        Args:
            questions: the questions.
            names: what to call them in messages; their numbers by default.
        """
        portions = [questions[start : start + _PORTION] for start in range(0, len(questions), _PORTION)]
        made = QuestionWindows(questions)
        for number, portion in enumerate(portions):
            self._add(made, portion, number * _PORTION, names)
        return made

    def _add(self, made: QuestionWindows, portion: Sequence[Question], first: int, names: Any) -> None:
        hf, limit = self.tokenizer.hf, self.max_length or 0
        room = limit - hf.num_special_tokens_to_add(pair=True)
        for row, numbers in enumerate(hf([one.question for one in portion], add_special_tokens=False)["input_ids"]):
            if len(numbers) + self.stride >= room:
                raise DataError(
                    f"row {first + row if names is None else names[first + row]}: the question has {len(numbers)}"
                    f" tokens, which leaves no room for its context in windows of {limit} that overlap by"
                    f" {self.stride}. Pass a larger max_length or a smaller stride, or cut the question."
                )
        found = hf(
            [one.question for one in portion],
            [one.context for one in portion],
            truncation="only_second",
            max_length=limit,
            stride=self.stride,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        for number, row in enumerate(found["overflow_to_sample_mapping"]):
            made.add(
                first + row,
                {name: found[name][number] for name in ("input_ids", "token_type_ids") if name in found},
                found["offset_mapping"][number],
                found.sequence_ids(number),
                hf.cls_token_id,
            )


class QuestionWindows(Sequence[Any]):
    """The windows of some questions, as samples: what a model reads and, where answers are known, an `AnswerSpan`.

    Args:
        questions: the questions.
    """

    deterministic = True

    def __init__(self, questions: Sequence[Question]) -> None:
        self.questions = questions
        self.labelled = all(one.answers is not None for one in questions)
        self.rows: list[int] = []  # which question a window belongs to
        self._parts: list[dict[str, np.ndarray[Any, Any]]] = []
        self.offsets: list[Offsets] = []
        self.contexts: list[tuple[int, int]] = []  # its first token of the context, and behind the last
        self.nowhere: list[int] = []  # the token that stands for no answer

    @property
    def may_be_missing(self) -> bool:
        """Whether some question has no answer."""
        return self.labelled and any(not one.answers for one in self.questions)

    def add(
        self,
        row: int,
        parts: Mapping[str, Sequence[int]],
        offsets: Sequence[tuple[int, int]],
        sequences: Sequence[int | None],
        cls_idx: int | None,
    ) -> None:
        """Take a window in, as the tokenizer gives it.

        Args:
            row: number of the question.
            parts: what the model reads, by name.
            offsets: where each token stands in its text.
            sequences: for each token 0 for the question, 1 for the context, None for special ones.
            cls_idx: number of the token that stands for no answer.
        """
        of_context = [place for place, number in enumerate(sequences) if number == 1]
        self.rows.append(row)
        self._parts.append({name: np.asarray(numbers, dtype=np.int32) for name, numbers in parts.items()})
        self.offsets.append(np.asarray(offsets, dtype=np.int32))
        self.contexts.append((of_context[0], of_context[-1] + 1) if of_context else (0, 0))
        numbers = list(parts["input_ids"])
        self.nowhere.append(numbers.index(cls_idx) if cls_idx in numbers else 0)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        """A window."""
        parts = {name: torch.from_numpy(part.astype(np.int64)) for name, part in self._parts[index].items()}
        first, behind = self.contexts[index]
        mask = torch.zeros_like(parts["input_ids"])
        mask[first:behind] = 1
        text = TokenizedText({**parts, CONTEXT: mask})
        return (text, self.span(index)) if self.labelled else (text,)

    def span(self, index: int) -> AnswerSpan:
        """Where the first true answer of a window's question is, if it is wholly in the window."""
        asked, (first, behind) = self.questions[self.rows[index]], self.contexts[index]
        found = None
        if asked.answers:
            answer = asked.answers[0]
            start = asked.starts[0] + len(answer) - len(answer.lstrip())
            found = token_span(self.offsets[index][first:behind], start, start + len(answer.strip()))
        places = (self.nowhere[index],) * 2 if found is None else (first + found[0], first + found[1])
        return torch.tensor(places, dtype=torch.int64).as_subclass(AnswerSpan)
