"""Texts in tables: in a notebook in HTML, elsewhere in lines."""

from __future__ import annotations

import html
import itertools
import re
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from laminar.core.show import Samples, plot_top_losses, show_batch, show_results
from laminar.core.types import LMTensorText, TensorFloat, TensorText, plain
from laminar.text.special_tokens import SPECIAL_TOKENS

__all__ = ["HtmlText", "TextTable", "show_in_tables", "show_text_results"]

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # some tell a terminal what to do; not tabs and line ends
_NARROW = 12  # characters of a column that holds no texts
_CELL = "padding: 2px 12px; text-align: left; vertical-align: top"


class HtmlText(str):
    """A text that has a form in HTML, for a cell of a table.

    Args:
        text: the text.
        in_html: its form, of which nothing is escaped any more.
    """

    in_html: str

    def __new__(cls, text: str, in_html: str) -> HtmlText:
        """Keep the form beside the text."""
        made = super().__new__(cls, text)
        made.in_html = in_html
        return made


class TextTable:
    """A table of texts and what belongs to them.

    Args:
        columns: the names of the columns.
        rows: a text for each column.

    >>> print(TextTable(["text", "category"], [["xxbos one", "a"]]))
    text       category
    ---------  --------
    xxbos one  a
    """

    def __init__(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self.columns, self.rows = list(columns), [list(row) for row in rows]

    def show(self) -> None:
        """Show in a notebook's cell; print elsewhere."""
        shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
        if shell is not None and hasattr(shell, "kernel"):
            both = {"text/html": self._repr_html_(), "text/plain": str(self)}
            sys.modules["IPython"].display.display(both, raw=True)
        else:
            print(self)

    def _ipython_display_(self) -> None:
        """Called by IPython in place of printing the last line's value: what was shown is not shown again."""

    def _repr_html_(self) -> str:
        head = "".join(f'<th style="{_CELL}">{html.escape(name)}</th>' for name in self.columns)
        rows = "".join(f"<tr>{''.join(map(_html_cell, row))}</tr>" for row in self.rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"

    def __str__(self) -> str:
        widths = self._widths(shutil.get_terminal_size((100, 24)).columns)
        rule = ["-" * width for width in widths]
        lines = [_line(self.columns, widths), _line(rule, widths)]
        for row in [[_CONTROL.sub("\ufffd", cell) for cell in row] for row in self.rows]:
            cells = [textwrap.wrap(cell, width) or [""] for cell, width in zip(row, widths, strict=True)]
            lines += [_line(parts, widths) for parts in itertools.zip_longest(*cells, fillvalue="")]
        return "\n".join(lines)

    __repr__ = __str__

    def _widths(self, total: int) -> list[int]:
        """Columns as wide as they need; long ones share what is left."""
        needed = [max([len(name), *(len(row[place]) for row in self.rows)]) for place, name in enumerate(self.columns)]
        room = total - 2 * (len(needed) - 1)
        if sum(needed) <= room:
            return needed
        long = [width > max(_NARROW, room // len(needed)) for width in needed]
        left = room - sum(width for width, is_long in zip(needed, long, strict=True) if not is_long)
        share = max(_NARROW, left // max(1, sum(long)))
        return [share if is_long else width for width, is_long in zip(needed, long, strict=True)]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _html_cell(text: str) -> str:
    if isinstance(text, HtmlText):
        return f'<td style="{_CELL}">{text.in_html}</td>'
    marks = set(SPECIAL_TOKENS)
    words = (
        f'<span style="opacity: 0.45">{word}</span>' if word in marks else html.escape(word) for word in text.split(" ")
    )
    return f'<td style="{_CELL}">{" ".join(words)}</td>'


def _cell(part: Any, trunc_at: int) -> str:
    if isinstance(part, Tensor):
        return ", ".join(f"{value:.5g}" for value in plain(part).flatten().tolist())
    words = str(part).split(" ")
    return " ".join(words[:trunc_at]) + (" …" if len(words) > trunc_at else "")


def _shown(columns: Sequence[str], rows: Sequence[Sequence[Any]], trunc_at: int) -> TextTable:
    table = TextTable(columns, [[_cell(part, trunc_at) for part in row] for row in rows])
    table.show()
    return table


def _names(sample: Sequence[Any], n_inp: int) -> list[str]:
    """Names of columns: ``text`` for one input, what the targets call themselves."""
    inputs = ["text"] if n_inp == 1 else [f"text {number + 1}" for number in range(n_inp)]
    targets = [getattr(part, "_show_args", {}).get("label", "target") for part in sample[n_inp:]]
    return [*inputs, *("text_" if name == "text" else name for name in targets)]


def _n_inp(x: Any) -> int:
    return len(x) if isinstance(x, tuple) else 1


def show_text_results(x: object, samples: Samples, outs: Samples, max_n: int, trunc_at: int) -> TextTable:
    """A table of texts, their targets and what was predicted."""
    columns = [*_names(samples[0], _n_inp(x)), *(["prediction"] * len(outs[0]))]
    rows = [(*sample, *out) for sample, out in zip(samples[:max_n], outs, strict=False)]
    return _shown(columns, rows, trunc_at)


def show_in_tables(kind: type) -> None:
    """Let `show_batch`, `show_results` and `plot_top_losses` show inputs of a class, whatever the targets, in tables.

    Args:
        kind: of inputs whose decoded form is a text.
    """

    @show_batch.register
    def show_texts(
        x: kind,  # type: ignore[valid-type]  # read when the function is registered
        y: object,
        samples: Samples,
        ctxs: Any = None,
        max_n: int = 9,
        trunc_at: int = 150,
    ) -> TextTable:
        return _shown(_names(samples[0], _n_inp(x)), samples[:max_n], trunc_at)

    @show_results.register
    def show_results_of_texts(
        x: kind,  # type: ignore[valid-type]  # as above
        y: object,
        samples: Samples,
        outs: Samples,
        ctxs: Any = None,
        max_n: int = 9,
        trunc_at: int = 150,
    ) -> TextTable:
        return show_text_results(x, samples, outs, max_n, trunc_at)

    @plot_top_losses.register
    def tell_top_losses(
        x: kind,  # type: ignore[valid-type]  # as above
        y: object,
        samples: Samples,
        outs: Samples,
        raws: Sequence[Any],
        losses: Sequence[float],
        ctxs: Any = None,
        trunc_at: int = 150,
        **_grid: Any,
    ) -> TextTable:
        surely = [] if isinstance(y, TensorFloat) else ["probability"]
        columns = [*_names(samples[0], _n_inp(x)), "predicted", *surely, "loss"]
        rows = [
            (
                *sample,
                ", ".join(_cell(part, trunc_at) for part in out),
                *(f"{float(raw.max()):.2f}" for _ in surely),
                f"{float(loss):.2f}",
            )
            for sample, out, raw, loss in zip(samples, outs, raws, losses, strict=False)
        ]
        return _shown(columns, rows, trunc_at)


show_in_tables(TensorText)


@show_results.register
def _show_next_words(
    x: LMTensorText, y: object, samples: Samples, outs: Samples, ctxs: Any = None, max_n: int = 9, trunc_at: int = 150
) -> TextTable:
    rows = [(*sample, *out) for sample, out in zip(samples[:max_n], outs, strict=False)]
    return _shown(["text", "text_", "prediction"][: len(rows[0])], rows, trunc_at)
