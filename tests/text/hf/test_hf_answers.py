"""Questions about texts: windows, spans of tokens and of characters, and the answers of a model."""

from __future__ import annotations

import random

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from tests.text.hf.tiny import WORDS, bert_config

from laminar.core.errors import ConfigError, DataError
from laminar.core.types import plain
from laminar.data import DataBlock, RandomSplitter
from laminar.interpret.base import Interpretation
from laminar.learner import load_learner
from laminar.metrics import exact_match
from laminar.text.hf import (
    AnswerF1,
    ExactMatch,
    HFAnswerLearner,
    HFQuestionBlock,
    Question,
    QuestionFields,
    hf_learner,
)
from laminar.text.hf.spans import SpanCandidates, best_spans, token_span


def row(draw):
    words = draw.choices([word for kind in WORDS.values() for word in kind], k=draw.randint(8, 30))
    place = draw.randrange(len(words))
    start = len(" ".join([*words[:place], ""]))
    answers = {"text": [words[place]], "answer_start": [start]}
    return {"question": f"The {words[place]}", "context": " ".join(words), "answers": answers}


def questions(n=30):
    draw = random.Random(0)
    return pd.DataFrame([row(draw) for _ in range(n)])


def loaders(tokenizer, df=None, fields=None, **options):
    block = DataBlock(
        HFQuestionBlock(tokenizer, **{"max_length": 24, "stride": 4, **options}),
        get_x=fields or QuestionFields(),
        splitter=RandomSplitter(0.2, seed=0),
    )
    return block.dataloaders(questions() if df is None else df, bs=8, seed=3)


# ---- spans


def test_characters_become_tokens_and_come_back():
    offsets = np.array([[0, 3], [4, 9], [9, 11], [12, 15]])
    assert token_span(offsets, 4, 11) == (1, 2)
    assert token_span(offsets, 5, 8) == (1, 1), "part of a token is the token"
    assert token_span(offsets[1:], 0, 9) is None, "it begins before the window"
    assert token_span(offsets, 12, 20) is None, "it ends behind the window"


def test_the_best_spans_are_those_of_all_that_are_allowed():
    torch.manual_seed(0)
    start, end = torch.randn(2, 12), torch.randn(2, 12)
    allowed = torch.zeros(2, 12)
    allowed[:, 3:10] = 1
    scores, first, last = best_spans(start, end, allowed, n_best=3, max_tokens=4)
    for row in range(2):
        every = sorted(
            ((float(start[row, i] + end[row, j]), i, j) for i in range(3, 10) for j in range(i, min(i + 4, 10))),
            reverse=True,
        )[:3]
        assert [(i, j) for _, i, j in every] == list(zip(first[row].tolist(), last[row].tolist(), strict=True))
        assert scores[row].tolist() == pytest.approx([score for score, _, _ in every])


def test_the_best_answer_of_all_windows_wins_and_none_only_if_no_window_has_one():
    found = SpanCandidates("one two three")
    offsets = np.array([[0, 3], [4, 7], [8, 13]])
    found.add(offsets, [3.0, 1.0], [1, 0], [1, 2], no_answer=2.0)
    found.add(offsets[1:], [5.0, -np.inf], [1, 0], [1, 0], no_answer=4.5)
    answers = found.answers(3, may_be_missing=True)
    assert [(a.text, a.start, a.end) for a in answers] == [("three", 8, 13), ("two", 4, 7), ("", -1, -1)]
    assert sum(a.score for a in found.answers(9)) == pytest.approx(1)
    assert found.answers(1, may_be_missing=True, threshold=-9.0)[0].text == ""


# ---- windows


def test_each_answer_is_whole_in_some_window_and_is_found_again(bert_tokenizer):
    windows = loaders(bert_tokenizer).train.windows
    found = {}
    for number, (text, span) in enumerate(windows):
        first, last = plain(span).tolist()
        asked = windows.questions[windows.rows[number]]
        assert len(text["input_ids"]) <= 24
        if first != windows.nowhere[number]:
            start, end = windows.offsets[number][first, 0], windows.offsets[number][last, 1]
            assert (asked.context[start:end], start) == (asked.answers[0], asked.starts[0])
            found[windows.rows[number]] = True
    assert len(found) == len(windows.questions) < len(windows)


def test_an_answer_that_is_not_where_it_is_said_to_be_is_told(bert_tokenizer):
    df = questions()
    df.at[3, "answers"] = {"text": ["star"], "answer_start": [10_000]}
    with pytest.raises(DataError, match="the answer 'star' is not at character 10000 of its context"):
        loaders(bert_tokenizer, df)
    df.at[3, "answers"] = {"text": ["elephant"], "answer_start": [0]}
    with pytest.raises(DataError, match=r"'elephant' is not at character 0 .*nowhere in it"):
        loaders(bert_tokenizer, df)
    df.at[3, "answers"] = {"text": ["star", "cell"], "answer_start": [0]}
    with pytest.raises(DataError, match="2 answers and 1 places"):
        loaders(bert_tokenizer, df)


def test_questions_without_words_or_room_are_told(bert_tokenizer):
    df = questions()
    df.loc[2, "question"] = " "
    with pytest.raises(DataError, match="the question is no text"):
        loaders(bert_tokenizer, df)
    df.loc[2, "question"] = "star " * 40
    with pytest.raises(DataError, match=r"the question has 40 tokens, .* no room .* windows of 24"):
        loaders(bert_tokenizer, df)
    with pytest.raises(ConfigError, match="stride must be from 0 to below max_length=8, got 9"):
        HFQuestionBlock(bert_tokenizer, max_length=8, stride=9)


def test_a_tokenizer_that_does_not_know_places_is_refused():
    slow = transformers.ByT5Tokenizer()
    with pytest.raises(ConfigError, match="does not tell where tokens stand"):
        HFQuestionBlock(slow)


def test_answers_may_be_columns_of_texts_and_empty(bert_tokenizer):
    df = questions()
    df["answer"] = [one["text"][0] if number else "" for number, one in enumerate(df.answers)]
    dls = loaders(bert_tokenizer, df, QuestionFields(answer_col="answer"))
    assert dls.train.windows.may_be_missing or dls.valid.windows.may_be_missing
    asked = dls.train.windows.questions[1]
    assert asked.context[asked.starts[0] :].startswith(asked.answers[0])


# ---- learners


def test_the_loss_is_that_of_the_model_given_positions(bert_tokenizer):
    learn = hf_learner(loaders(bert_tokenizer), bert_config())
    x, y = (plain(part) for part in learn.dls.valid.one_batch())
    learn.model.eval()
    inputs = {name: part for name, part in x.items() if name != "context_mask"}
    theirs = learn.hf_model(**inputs, start_positions=y[:, 0], end_positions=y[:, 1]).loss
    assert learn.loss_func(learn.model(**x), y).item() == pytest.approx(theirs.item(), rel=1e-5)


def test_a_model_learns_answers_and_survives_an_export(bert_tokenizer, tmp_path):
    learn = hf_learner(loaders(bert_tokenizer), bert_config(), metrics=[ExactMatch(), AnswerF1()], path=tmp_path)
    assert isinstance(learn, HFAnswerLearner)
    with learn.no_bar(), learn.no_logging():
        learn.fit(1, 1e-2)
    _, exact, f1 = learn.validate()
    answers, asked = learn.get_answers()
    assert exact == pytest.approx(
        np.mean([exact_match(a[0].text, q.answers) for a, q in zip(answers, asked, strict=True)])
    )
    assert 0 <= exact <= f1 <= 1
    context = "match goal coach star cell " * 12
    best = learn.predict("The star", context, n_best=3)
    assert all(context[a.start : a.end] == a.text for a in best)
    assert best[0].score >= best[1].score
    assert learn.predict(("The star", context)) == best[0]
    two, _ = learn.get_answers(dl=learn.dls.test_dl([("The star", context), ("The goal", "goal star")]))
    assert two[0][0].text == best[0].text
    assert len(learn.get_preds(with_decoded=True, with_loss=True)[2]) == learn.dls.valid.n_items
    learn.export("qa.laminar")
    loaded = load_learner(tmp_path / "qa.laminar")
    assert isinstance(loaded, HFAnswerLearner)
    assert loaded.predict("The star", context).text == best[0].text
    with pytest.raises(DataError, match="a question and its context are needed"):
        learn.predict("The star")


def test_answers_are_shown_in_their_context(bert_tokenizer, capsys):
    learn = hf_learner(loaders(bert_tokenizer), bert_config())
    shown = learn.dls.train.show_batch(max_n=3)
    assert all(f"«{answer}»" in context for _, context, answer in shown.rows if answer)
    results = learn.show_results(max_n=2, shuffle=False)
    assert results.columns == ["question", "context", "answer", "prediction", "score"]
    assert all(f"«{true}»" in context for _, context, true, _, _ in results.rows)
    assert "prediction" in capsys.readouterr().out


def test_the_windows_with_the_largest_losses_are_told(bert_tokenizer, capsys):
    learn = hf_learner(loaders(bert_tokenizer), bert_config())
    told = Interpretation.from_learner(learn)
    table = told.plot_top_losses(3)
    assert table.columns == ["question", "context", "answer", "prediction", "loss"]
    assert [row[4] for row in table.rows] == [f"{loss:.2f}" for loss in told.top_losses(3).losses.tolist()]
    for question, context, answer, _, _ in table.rows:
        assert question.startswith("the ")
        assert f"«{answer}»" in context if answer else "«" not in context
    assert learn.dls.valid.show_batch(learn.dls.valid.one_batch(), max_n=2).columns == table.columns[:3]


def test_questions_of_which_nothing_is_known_among_others_are_told(bert_tokenizer):
    df = questions()
    df.at[4, "answers"] = None
    with pytest.raises(DataError, match=r"of 1 of 2[0-9] questions no answer is given, the first in row 4"):
        loaders(bert_tokenizer, df)


def test_a_question_without_answer_may_be_answered_by_nothing(bert_tokenizer):
    df = questions()
    df["answers"] = [{"text": [], "answer_start": []} if n % 2 else one for n, one in enumerate(df.answers)]
    learn = hf_learner(loaders(bert_tokenizer, df), bert_config(), metrics=ExactMatch())
    answers = learn.predict("The star", "goal coach", n_best=9)
    assert "" in [answer.text for answer in answers]
    assert "" not in [a.text for a in learn.predict("The star", "goal coach", n_best=9, may_be_missing=False)]


def test_a_question_is_a_tuple_with_names():
    asked = Question("Who?", "She.")
    assert asked.answers is None
    assert asked.starts == ()
