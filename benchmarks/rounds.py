"""Fair timing: every contender in one process, in interleaved rounds whose order rotates, summed up by medians."""

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median

Seconds = dict[str, list[float]]


def interleaved(contenders: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 1) -> Seconds:
    """Seconds that each contender took in each round.

    A slow minute of the machine thus falls on all of them alike, and none always runs after the same other.

    Args:
        contenders: what to call, by name.
        rounds: how many times each is measured.
        warm_up: rounds before that, which do not count.
    """
    names = list(contenders)
    seconds: Seconds = {name: [] for name in names}
    for number in range(-warm_up, rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            gc.collect()
            start = time.perf_counter()
            contenders[name]()
            if number >= 0:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def median_difference(seconds: Seconds, name: str, reference: str) -> float:
    """Median over the rounds of how much longer `name` took than `reference` took in the same round."""
    return median(own - other for own, other in zip(seconds[name], seconds[reference], strict=True))


def median_ratio(seconds: Seconds, name: str, reference: str) -> float:
    """Median over the rounds of `name`'s time as a multiple of `reference`'s in the same round."""
    return median(own / other for own, other in zip(seconds[name], seconds[reference], strict=True))


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table in Markdown, first column to the left and figures to the right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    print(f"\n{title}\n")
    print_row(header, widths)
    print(
        "|" + "|".join(("-" * (width + 1)) + ("-" if column == 0 else ":") for column, width in enumerate(widths)) + "|"
    )
    for row in rows:
        print_row(row, widths)


def print_row(row: Sequence[str], widths: Sequence[int]) -> None:
    """Print one row of a table in Markdown."""
    first, *rest = zip(row, widths, strict=True)
    cells = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]
    print("| " + " | ".join(cells) + " |")
