"""Texts of models of transformers in tables: batches, results, and the items they are most wrong about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from laminar.core.show import Samples, plot_top_losses, show_batch, show_results
from laminar.text.hf.inputs import TokenizedText
from laminar.text.showing import TextTable, show_text_batch, show_text_results, tell_top_losses

__all__: list[str] = []


@show_batch.register
def _show_tokenized(
    x: TokenizedText, y: object, samples: Samples, ctxs: Any = None, max_n: int = 9, trunc_at: int = 150
) -> TextTable:
    return show_text_batch(x, samples, max_n, trunc_at)


@show_results.register
def _show_tokenized_results(
    x: TokenizedText, y: object, samples: Samples, outs: Samples, ctxs: Any = None, max_n: int = 9, trunc_at: int = 150
) -> TextTable:
    return show_text_results(x, samples, outs, max_n, trunc_at)


@plot_top_losses.register
def _tell_tokenized_top_losses(
    x: TokenizedText,
    y: object,
    samples: Samples,
    outs: Samples,
    raws: Sequence[Any],
    losses: Sequence[float],
    ctxs: Any = None,
    trunc_at: int = 150,
    **_grid: Any,
) -> TextTable:
    return tell_top_losses(x, samples, outs, raws, losses, trunc_at)
