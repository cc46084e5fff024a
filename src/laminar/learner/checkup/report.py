"""What a check-up found."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["CheckUp", "Remark"]


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that is most likely a mistake.

    Attributes:
        kind: in a few words.
        message: what exactly, and where.
        remedy: what to do.
    """

    kind: str
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}.{f' {self.remedy}.' * bool(self.remedy)}"


class CheckUp:
    """What `Learner.check` found.

    Attributes:
        remarks: what is most likely wrong.
        facts: what was looked at, in words.
    """

    def __init__(self, remarks: Sequence[Remark], facts: Sequence[str]) -> None:
        self.remarks, self.facts = list(remarks), list(facts)

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.remarks

    @property
    def kinds(self) -> list[str]:
        """The kinds of what was found."""
        return [remark.kind for remark in self.remarks]

    @property
    def verdict(self) -> str:
        """The outcome in a line."""
        n = len(self.remarks)
        return "Nothing wrong was found." if self.ok else f"{n} thing{'s' * (n > 1)} to look at:"

    def __str__(self) -> str:
        looked = [f"  {fact}" for fact in self.facts]
        found = [f"  {number}. {remark}" for number, remark in enumerate(self.remarks, 1)]
        return "\n".join(["Looked at:", *looked, self.verdict, *found])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td><b>{html.escape(r.kind)}</b></td><td>{html.escape(r.message)}</td><td>{html.escape(r.remedy)}</td>"
            for r in self.remarks
        )
        facts = "".join(f"<li>{html.escape(fact)}</li>" for fact in self.facts)
        return f"<ul>{facts}</ul><p>{html.escape(self.verdict)}</p><table>{rows}</table>"
