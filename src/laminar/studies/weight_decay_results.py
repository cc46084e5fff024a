"""What came of the study of weight decay: means with intervals, differences within seeds, angles between weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from torch.nn.functional import cosine_similarity

from laminar.metrics.intervals import t_quantile
from laminar.studies.weight_decay_runs import Run

__all__ = ["chosen", "cosines", "table", "with_interval"]


def with_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """The mean of values from several seeds, and half the width of its interval (Student's t); infinite for one."""
    if len(values) < 2:
        return float(np.mean(values)), math.inf
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return float(np.mean(values)), t_quantile(level, len(values) - 1) * error


def cosines(run: Run, other: Run) -> list[float]:
    """Cosines of the angles between the weights of two runs after each epoch, the mean of all convolutions."""
    return [
        float(
            np.mean([cosine_similarity(a.flatten(), b.flatten(), dim=0).item() for a, b in zip(one, two, strict=True)])
        )
        for one, two in zip(run.ends, other.ends, strict=False)
    ]


def chosen(runs: Sequence[Run], treatment: str, batch_norm: bool) -> list[Run]:
    """The runs of a treatment, by seed."""
    found = [run for run in runs if run.treatment == treatment and run.batch_norm == batch_norm]
    return sorted(found, key=lambda run: run.seed)


_PAIRS = (
    ("little decay", "no decay"), ("much decay", "no decay"),
    ("rate follows little", "little decay"), ("rate follows much", "much decay"),
    ("rate follows much", "no decay"), ("much decay, nudged", "much decay"),
)  # fmt: skip


def table(runs: Sequence[Run]) -> str:
    """Accuracies and training losses with 95 % intervals, their differences within seeds, and angles to much decay."""
    treatments = list(dict.fromkeys(run.treatment for run in runs))

    def accuracy(run: Run) -> float:
        return 100 * run.last("accuracies")

    def loss(run: Run) -> float:
        return run.last("train_loss")

    def cosine(run: Run) -> float:
        return run.cosines["much decay"][-1]

    return "\n".join(
        [
            "| | with batch norm | without |",
            "|---|---|---|",
            *(_row(runs, f"{one}: accuracy, %", one, accuracy, 1) for one in treatments),
            *(_row(runs, f"{one}: training loss", one, loss, 3) for one in treatments),
            *(_row(runs, f"{one} − {other}, points", one, accuracy, 1, other) for one, other in _PAIRS),
            *(_row(runs, f"{one} − {other}, training loss", one, loss, 3, other) for one, other in _PAIRS),
            *(_row(runs, f"{one}: cosine to weights of much decay", one, cosine, 3) for one in treatments),
        ]
    )


def _row(
    runs: Sequence[Run], name: str, one: str, value: Callable[[Run], float], digits: int, other: str | None = None
) -> str:
    """A line of the table: values of a treatment, or their differences from another's of the same seed."""
    cells = []
    for norm in (True, False):
        values = [value(run) for run in chosen(runs, one, norm)]
        if other is not None:
            values = [a - value(b) for a, b in zip(values, chosen(runs, other, norm), strict=True)]
        cells.append(_cell(values, digits, signed=other is not None))
    return f"| {name} | {cells[0]} | {cells[1]} |"


def _cell(values: Sequence[float], digits: int, signed: bool) -> str:
    if lost := sum(map(math.isnan, values)):
        return f"{lost} of {len(values)} diverged"
    mean, half = with_interval(values)
    return f"{mean:{'+' if signed else ''}.{digits}f} ± {half:.{digits}f}"
