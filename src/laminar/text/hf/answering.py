"""Models that answer questions about a text by saying where in it the answer stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from laminar.core.device import to_cpu, to_device
from laminar.core.errors import ConfigError
from laminar.core.types import plain
from laminar.data.loader import DataLoader
from laminar.learner.inference import evaluation_loader
from laminar.metrics.answers import answer_f1, exact_match
from laminar.metrics.base import Metric
from laminar.metrics.weighing import ItemsMissingError
from laminar.nn.calling import call_model, evaluating
from laminar.nn.losses import BaseLoss, LossFunction
from laminar.text.hf.base_learner import HFLearner
from laminar.text.hf.question_data import HFQuestionDL, around
from laminar.text.hf.questions import CONTEXT, AnswerSpan, HFTokenizeQuestion, Question, QuestionWindows, as_question
from laminar.text.hf.spans import Answer, SpanCandidates, best_spans
from laminar.text.hf.tasks import HFTask, register_task
from laminar.text.hf.tokenizing import HFPad, tokenize_of
from laminar.text.showing import TextTable

__all__ = [
    "AnswerF1",
    "AnswerSpanLoss",
    "ExactMatch",
    "HFAnswerLearner",
    "QuestionAnswering",
    "gather_answers",
]

_N_BEST = 20  # spans that are kept of each window


class AnswerSpanLoss(BaseLoss):
    """Mean of the cross entropies of an answer's first and last token, as models of transformers compute it."""

    y_int = True

    def forward(self, inp: Any, targ: Tensor) -> Tensor:
        """Compare scores of first and last tokens with targets.

        Args:
            inp: a pair of scores, ``[batch, length]`` each.
            targ: first and last token, int64 ``[batch, 2]``.
        """
        losses = [F.cross_entropy(part, targ[:, side], reduction=self.reduction) for side, part in enumerate(inp)]
        return torch.stack(losses).mean(0)

    def activation(self, out: Any) -> Any:
        """Probabilities of first and last tokens."""
        return tuple(part.softmax(-1) for part in out)

    def decodes(self, out: Any) -> Tensor:
        """The likeliest first and last token, ``[batch, 2]``."""
        first, last = (part.clamp_min(1e-30).log() for part in out)
        _, begin, end = best_spans(first, last, torch.ones_like(first), 1)
        return torch.cat([begin, end], 1)


def gather_answers(
    windows: QuestionWindows,
    outputs: Iterable[tuple[Sequence[int], Any, Mapping[str, Tensor]]],
    max_answer_tokens: int = 30,
) -> dict[int, SpanCandidates]:
    """The candidates for each question's answer, from what a model says of its windows.

    Args:
        windows: the windows.
        outputs: for each batch the numbers of its windows, the model's pair of scores, and its inputs.
        max_answer_tokens: tokens in an answer, at most.
    """
    found: dict[int, SpanCandidates] = {}
    for numbers, (start, end), inputs in outputs:
        spans = [part.tolist() for part in best_spans(start, end, inputs[CONTEXT], _N_BEST, max_answer_tokens)]
        nowhere = torch.tensor([windows.nowhere[number] for number in numbers], device=start.device)[:, None]
        missing = (start.gather(1, nowhere) + end.gather(1, nowhere))[:, 0].float().tolist()
        for place, number in enumerate(numbers):
            row = windows.rows[number]
            candidates = found.setdefault(row, SpanCandidates(windows.questions[row].context))
            scores, first, last = (part[place] for part in spans)
            candidates.add(windows.offsets[number], scores, first, last, missing[place])
    return found


class _AnswerMetric(Metric):
    """The mean of a score of answers, each found in all windows of its question; in validation alone."""

    smaller_is_better = False
    score: Callable[[str, Sequence[str]], float]

    def __init__(self, max_answer_tokens: int = 30) -> None:
        self.max_answer_tokens = max_answer_tokens
        self.reset()

    def reset(self) -> None:
        """Forget what was said."""
        self._outputs: list[Any] = []
        self._windows: QuestionWindows | None = None

    def accumulate(self, learn: Any) -> None:
        """Keep what the model says of a batch of windows."""
        if learn.training:
            return
        if learn.dl is None:  # the learner only tries a few items
            raise ItemsMissingError("which questions these are, is not known")
        if not isinstance(learn.dl, HFQuestionDL):
            raise ConfigError(f"{self.name} is for data with an HFQuestionBlock.")
        self._windows = learn.dl.windows
        mask = {CONTEXT: learn.xb[0][CONTEXT].cpu()}
        self._outputs.append((list(learn.dl.items_in_batch(learn.iter)), to_cpu(learn.pred), mask))

    @property
    def value(self) -> Any:
        """The mean over questions; None without any."""
        if self._windows is None:
            return None
        windows = self._windows
        found = gather_answers(windows, self._outputs, self.max_answer_tokens)
        scores = [
            type(self).score(
                candidates.answers(1, windows.may_be_missing)[0].text, windows.questions[row].answers or ()
            )
            for row, candidates in found.items()
        ]
        return sum(scores) / len(scores)


class ExactMatch(_AnswerMetric):
    """Share of questions that are answered with the very words of a true answer (see `exact_match`).

    Args:
        max_answer_tokens: tokens in an answer, at most.
    """

    title = "exact_match"
    score = staticmethod(exact_match)


class AnswerF1(_AnswerMetric):
    """Mean share of words that answers have in common with the true ones (see `answer_f1`).

    Args:
        max_answer_tokens: tokens in an answer, at most.
    """

    title = "answer_f1"
    score = staticmethod(answer_f1)


class HFAnswerLearner(HFLearner):
    """A learner whose model answers questions about a text with words of the text."""

    def predict(  # type: ignore[override]  # a question has a context, and an answer a place
        self, question: Any, context: str | None = None, n_best: int = 1, *, may_be_missing: bool | None = None
    ) -> Any:
        """Answer a question.

        Args:
            question: the question; or a pair (question, context).
            context: the text with the answer, of any length.
            n_best: how many answers.
            may_be_missing: whether to say that there is no answer, where that is likelier; None if the data have such
                questions.

        Returns:
            An `Answer`; a list of them, likeliest first, for `n_best` above 1.
        """
        asked = as_question(question if context is None else (question, context))
        answers = self._answers(self._tokenize.windows([asked]), n_best, may_be_missing)[0]
        return answers[0] if n_best == 1 else answers

    def get_answers(
        self, ds_idx: int = 1, dl: Any = None, n_best: int = 1, *, may_be_missing: bool | None = None
    ) -> tuple[list[list[Answer]], list[Question]]:
        """The answers to all questions of a set, in their order.

        Args:
            ds_idx: 0 for the training set, 1 for the validation set.
            dl: another loader instead, such as ``dls.test_dl(pairs)``.
            n_best: how many answers to each question.
            may_be_missing: see `predict`.

        Returns:
            For each question its answers, likeliest first; and the questions.
        """
        loader = evaluation_loader(self.dls, ds_idx, dl)
        if not isinstance(loader, HFQuestionDL):
            raise ConfigError("a loader of questions is needed: dls.test_dl([(question, context), ...])")
        windows = loader.windows
        return self._answers(windows, n_best, may_be_missing, loader.bs or 1), list(windows.questions)

    def show_results(  # type: ignore[override]  # answers are gathered from windows
        self, ds_idx: int = 1, dl: Any = None, max_n: int = 9, shuffle: bool = True
    ) -> TextTable:
        """Show some questions with the place of the true answer, between « and », and the answer found.

        Args:
            ds_idx: 0 for the training set, 1 for the validation set.
            dl: another loader instead.
            max_n: how many.
            shuffle: draw them at random.
        """
        questions = evaluation_loader(self.dls, ds_idx, dl).windows.questions
        order = torch.randperm(len(questions)).tolist() if shuffle else range(len(questions))
        chosen = [questions[number] for number in list(order)[:max_n]]
        found = self._answers(self._tokenize.windows(chosen), 1, None)
        rows = []
        for asked, (answer, *_) in zip(chosen, found, strict=True):
            true = asked.answers[0] if asked.answers else ""
            start = asked.starts[0] if asked.answers else answer.start
            shown = around(asked.context, start, start + len(true) if asked.answers else answer.end)
            rows.append([asked.question, shown, true, answer.text, f"{answer.score:.2f}"])
        table = TextTable(["question", "context", "answer", "prediction", "score"], rows)
        table.show()
        return table

    @property
    def _tokenize(self) -> HFTokenizeQuestion:
        found = tokenize_of(self.dls.train)
        assert isinstance(found, HFTokenizeQuestion), "the learner was made for such data"
        return found

    def _answers(
        self, windows: QuestionWindows, n_best: int, may_be_missing: bool | None, bs: int = 64
    ) -> list[list[Answer]]:
        """The answers to the questions of some windows."""
        hf = self.tokenizer
        pad = HFPad(None, hf.pad_token_id, hf.pad_token_type_id, "right")
        loader = DataLoader(windows, bs=bs, before_batch=pad)
        if may_be_missing is None:
            may_be_missing = any(getattr(dl, "windows", windows).may_be_missing for dl in self.dls)
        self.model.to(self.device)
        with torch.no_grad(), evaluating(self.model):
            found = gather_answers(windows, (self._said(batch, bs, place) for place, batch in enumerate(loader)))
        return [found[row].answers(n_best, may_be_missing) for row in range(len(windows.questions))]

    def _said(self, batch: Any, bs: int, place: int) -> tuple[Sequence[int], Any, Mapping[str, Tensor]]:
        inputs = to_device(plain(batch[0]), self.device)
        scores = call_model(self.model, (inputs,))
        return range(place * bs, place * bs + len(scores[0])), scores, inputs


class QuestionAnswering(HFTask):
    """Where in a text is the answer to a question?"""

    name = "question answering"
    auto_class = "AutoModelForQuestionAnswering"
    outputs = ("start_logits", "end_logits")
    learner = HFAnswerLearner

    def loss(self, dls: Any) -> LossFunction:
        """Cross entropy of first and last tokens."""
        return AnswerSpanLoss()


register_task(AnswerSpan, QuestionAnswering)
