"""How far a fit goes, or how often something is done, other than in epochs: a number of batches, a time."""

from __future__ import annotations

from dataclasses import dataclass

from laminar.core.errors import ConfigError

__all__ = ["Batches", "FitLength", "Minutes"]


@dataclass(frozen=True)
class Batches:
    """A fit of so many batches, in place of epochs: ``learn.fit_one_cycle(Batches(1000), 1e-3)``.

    The training loader is read again and again until they are done; schedules run over exactly these batches. For
    callbacks and the table, an epoch is what lies between two validations.

    Args:
        n: batches in all.
        every: batches from one validation to the next; by default there is one, at the end.

    Raises:
        ConfigError: fewer than one.
    """

    n: int
    every: int | None = None

    def __post_init__(self) -> None:
        for name, count in (("n", self.n), ("every", self.every)):
            if not (count is None and name == "every") and (not isinstance(count, int) or count < 1):
                raise ConfigError(f"Batches({name}={count!r}): a whole number of batches, 1 or more, is needed.")

    def __repr__(self) -> str:
        return f"Batches({self.n})" if self.every is None else f"Batches({self.n}, every={self.every})"


@dataclass(frozen=True)
class Minutes:
    """A fit for so long, in place of epochs: ``learn.fit_one_cycle(Minutes(10), 1e-3)``.

    The training loader is read again and again until time is over; schedules run over the time. The clock starts at the
    first batch and runs on in validations, but the last validation comes after the end. For callbacks and the table, an
    epoch is what lies between two validations.

    Args:
        minutes: the time.
        every: minutes from one validation to the next; by default there is one, at the end.

    Raises:
        ConfigError: no time.
    """

    minutes: float
    every: float | None = None

    def __post_init__(self) -> None:
        for name, given in (("minutes", self.minutes), ("every", self.every)):
            if not (given is None and name == "every") and not (isinstance(given, int | float) and 0 < given < 1e9):
                raise ConfigError(f"Minutes({name}={given!r}): a number above 0 is needed.")

    def __repr__(self) -> str:
        return (
            f"Minutes({self.minutes:g})" if self.every is None else f"Minutes({self.minutes:g}, every={self.every:g})"
        )


FitLength = int | Batches | Minutes
