"""What a check found, as a table and as pictures."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from laminar.core.errors import ConfigError, require, suggest
from laminar.core.show import GridOptions, get_grid, show_title
from laminar.core.types import is_showable
from laminar.data.checking.members import split_name

__all__ = ["CheckReport", "Finding"]

_COPIES = ("same file", "same bytes", "looks the same")
KINDS = (
    *("unreadable", "bad target", "left out", "not a number", "label occurs once", "wrong ending", "rare mode"),
    *(*_COPIES, *(f"{kind}, other split" for kind in _COPIES)),
    *("outside codes", "mask of other size", "mask of other shape", "positions of other shape"),
    *("outside the picture", "empty box"),
)  # of ours; types of users may have others

_SHOWN = 10  # findings of a kind that are listed when a report is printed


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with an item.

    Attributes:
        kind: in a few words.
        split: 0 for training, 1 for validation, ...
        index: number of the item in its split.
        name: its file, or a few words about it.
        message: what exactly.
        file: its file, if it has one.
        other: split and number of the item it is a copy of.
    """

    kind: str
    split: int
    index: int
    name: str
    message: str
    file: Path | None = None
    other: tuple[int, int] | None = None


class CheckReport:
    """What `DataLoaders.check` found.

    Attributes:
        datasets: the data set of each split.
        findings: what is wrong, item by item.
        labels: for each label how often each split has it.
        sizes: how many pictures there are of each (width, height).
        modes: how many inputs are stored in each way.
    """

    def __init__(
        self,
        datasets: Sequence[Any],
        findings: Sequence[Finding],
        labels: dict[str, dict[int, int]],
        sizes: Counter[tuple[int, int]],
        modes: Counter[str],
    ) -> None:
        self.datasets, self.findings = list(datasets), list(findings)
        self.labels, self.sizes, self.modes = labels, sizes, modes

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    @property
    def kinds(self) -> dict[str, int]:
        """How many findings there are of each kind, most first."""
        return dict(Counter(finding.kind for finding in self.findings).most_common())

    def of(self, kind: str | None = None) -> list[Finding]:
        """The findings of a kind; all when None.

        Raises:
            ConfigError: `kind` seems to be a misspelling of another one.
        """
        known = {*KINDS, *self.kinds}
        if kind is not None and kind not in known and (nearest := suggest(kind, known)):
            raise ConfigError(f"nothing was found of kind {kind!r}, but of: {list(self.kinds)}.{nearest}")
        return [finding for finding in self.findings if kind in (None, finding.kind)]

    def files(self, kind: str | None = None) -> list[Path]:
        """The files with findings of a kind (of any when None), each once: to look at, to mend, or to leave out."""
        return list(dict.fromkeys(finding.file for finding in self.of(kind) if finding.file is not None))

    def to_frame(self) -> Any:
        """The findings as a pandas data frame."""
        pandas = require("pandas", "tabular", "CheckReport.to_frame")
        rows = [(f.kind, split_name(f.split), f.index, f.name, f.message) for f in self.findings]
        return pandas.DataFrame(rows, columns=["kind", "split", "index", "item", "what"])

    def show(self, kind: str | None = None, max_n: int = 9, **grid: Unpack[GridOptions]) -> Any:
        """Show the inputs of items with findings, and beside what is wrong with them; copies beside their originals.

        Args:
            kind: only findings of this kind.
            max_n: at most so many.
            **grid: nrows, ncols, figsize.
        """
        shown = self.of(kind)[:max_n]
        pictures = [
            (place, title)
            for finding in shown
            for place, title in (
                ((finding.split, finding.index), f"{finding.kind}\n{Path(finding.name).name}"),
                *([(finding.other, "of this")] if finding.other is not None else []),
            )
        ]
        axes = get_grid(len(pictures), lines=2, **grid)
        for ax, ((split, index), title) in zip(axes, pictures, strict=True):
            self._draw(ax, split, index)
            show_title(title, ctx=ax)
        return axes

    def _draw(self, ax: Any, split: int, index: int) -> None:
        dataset = self.datasets[split]
        source = dataset.tls[0] if hasattr(dataset, "tls") else dataset
        try:
            part = source[index]
            part = part[0] if isinstance(part, tuple) and not is_showable(part) else part
            if is_showable(part):
                part.show(ctx=ax)
        except Exception as error:  # noqa: BLE001  # an item that cannot be made is what is to be seen here
            ax.text(0.5, 0.5, type(error).__name__, ha="center", va="center")
            ax.set_axis_off()

    def __str__(self) -> str:
        """All of it in words."""
        sizes = ", ".join(f"{split_name(i)} {len(dataset)}" for i, dataset in enumerate(self.datasets))
        lines = [f"Items: {sizes}"]
        if self.sizes:
            (width, height), count = self.sizes.most_common(1)[0]
            widths, heights = [w for w, _ in self.sizes], [h for _, h in self.sizes]
            lines.append(
                f"Pictures: {min(widths)} to {max(widths)} wide, {min(heights)} to {max(heights)} high; "
                f"{count} of {self.sizes.total()} are {width}x{height}"
            )
        if self.modes:
            lines.append("Stored as: " + ", ".join(f"{mode} {count}" for mode, count in self.modes.most_common()))
        lines += self._balance()
        if self.ok:
            return "\n".join([*lines, "Nothing wrong was found."])
        for kind, count in self.kinds.items():
            lines.append(f"\n{kind}: {count}")
            lines += [f"  {split_name(f.split)} {f.index}  {f.name}: {f.message}" for f in self.of(kind)[:_SHOWN]]
            if count > _SHOWN:
                lines.append(f"  ... all of them: report.of({kind!r})")
        return "\n".join(lines)

    def _balance(self) -> list[str]:
        if not self.labels:
            return []
        columns = [split_name(i) for i in range(len(self.datasets))]
        totals = {label: sum(counts.values()) for label, counts in self.labels.items()}
        ordered = sorted(totals, key=lambda label: -totals[label])
        shown = ordered if len(ordered) <= 2 * _SHOWN else [*ordered[:_SHOWN], *ordered[-_SHOWN:]]
        lines = [f"Labels: {len(totals)}, from {min(totals.values())} to {max(totals.values())} items each"]
        lines += [
            f"  {label}: " + ", ".join(f"{name} {self.labels[label].get(i, 0)}" for i, name in enumerate(columns))
            for label in shown
        ]
        if len(shown) < len(ordered):
            lines.insert(1 + _SHOWN, f"  ... {len(ordered) - len(shown)} more: report.labels")
        return lines

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """The findings as a table, for a notebook."""
        head = html.escape(str(self).partition("\n\n")[0])
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>"
            for kind in self.kinds
            for row in [(f.kind, split_name(f.split), f.index, f.name, f.message) for f in self.of(kind)[:_SHOWN]]
        )
        table = f"<table><tr><th>kind<th>split<th>index<th>item<th>what</tr>{rows}</table>" if rows else ""
        return f"<pre>{head}</pre>{table}"
