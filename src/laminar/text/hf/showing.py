"""Texts of models of transformers in tables: batches, results, and the items they are most wrong about."""

from __future__ import annotations

import html
import itertools
import zlib
from collections.abc import Sequence
from typing import Any

from laminar.core.show import Samples, plot_top_losses, show_batch, show_results
from laminar.text.hf.inputs import TokenizedText
from laminar.text.hf.questions import AnswerSpan
from laminar.text.hf.token_classification import TokenTags
from laminar.text.showing import HtmlText, TextTable, show_in_tables

__all__: list[str] = []


def _tagged(words: Sequence[str], tags: Sequence[str], trunc_at: int) -> HtmlText:
    """Words with their tags, in colours in HTML; the tag ``O`` says that there is none."""
    pairs = list(itertools.zip_longest(words, tags, fillvalue="?"))
    dots = " …" if len(pairs) > trunc_at else ""
    marked, coloured = [], []
    for word, tag in pairs[:trunc_at]:
        marked.append(word if tag == "O" else f"{word}[{tag}]")
        colour = f"hsl({zlib.crc32(tag.rpartition('-')[2].encode()) % 360}, 70%, 60%, 0.45)"
        label = f'<small style="opacity: 0.7"> {html.escape(tag)}</small>'
        span = (
            f'<span style="background: {colour}; border-radius: 4px; padding: 0 3px">{html.escape(word)}{label}</span>'
        )
        coloured.append(html.escape(word) if tag == "O" else span)
    return HtmlText(" ".join(marked) + dots, " ".join(coloured) + dots)


@show_batch.register
def _show_tagged(
    x: TokenizedText, y: TokenTags, samples: Samples, ctxs: Any = None, max_n: int = 9, trunc_at: int = 150
) -> TextTable:
    return _told(["text and tags"], [[_tagged(words, tags, trunc_at)] for words, tags in samples[:max_n]])


@show_results.register
def _show_tagged_results(
    x: TokenizedText,
    y: TokenTags,
    samples: Samples,
    outs: Samples,
    ctxs: Any = None,
    max_n: int = 9,
    trunc_at: int = 150,
) -> TextTable:
    rows = [
        [_tagged(words, tags, trunc_at), _tagged(words, out[0], trunc_at)]
        for (words, tags), out in zip(samples[:max_n], outs, strict=False)
    ]
    return _told(["text and tags", "prediction"], rows)


@plot_top_losses.register
def _tell_tagged_top_losses(
    x: TokenizedText,
    y: TokenTags,
    samples: Samples,
    outs: Samples,
    raws: Sequence[Any],
    losses: Sequence[float],
    ctxs: Any = None,
    trunc_at: int = 150,
    **_grid: Any,
) -> TextTable:
    rows = [
        [_tagged(words, tags, trunc_at), _tagged(words, out[0], trunc_at), f"{float(loss):.2f}"]
        for (words, tags), out, loss in zip(samples, outs, losses, strict=False)
    ]
    return _told(["text and tags", "prediction", "loss"], rows)


_OF_QUESTIONS = ["question", "context", "answer"]


@show_batch.register
def _show_questions(
    x: TokenizedText, y: AnswerSpan, samples: Samples, ctxs: Any = None, max_n: int = 9, trunc_at: int = 150
) -> TextTable:
    return _told(_OF_QUESTIONS, [(*asked, *answer) for asked, *answer in samples[:max_n]])


@show_results.register
def _show_answers(
    x: TokenizedText,
    y: AnswerSpan,
    samples: Samples,
    outs: Samples,
    ctxs: Any = None,
    max_n: int = 9,
    trunc_at: int = 150,
) -> TextTable:
    rows = [(*asked, *answer, *out) for (asked, *answer), out in zip(samples[:max_n], outs, strict=False)]
    return _told([*_OF_QUESTIONS, "prediction"], rows)


@plot_top_losses.register
def _tell_wrong_answers(
    x: TokenizedText,
    y: AnswerSpan,
    samples: Samples,
    outs: Samples,
    raws: Sequence[Any],
    losses: Sequence[float],
    ctxs: Any = None,
    **_grid: Any,
) -> TextTable:
    rows = [
        (*asked, *answer, *out, f"{float(loss):.2f}")
        for (asked, *answer), out, loss in zip(samples, outs, losses, strict=False)
    ]
    return _told([*_OF_QUESTIONS, "prediction", "loss"], rows)


def _told(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> TextTable:
    table = TextTable(columns, rows)
    table.show()
    return table


show_in_tables(TokenizedText)
