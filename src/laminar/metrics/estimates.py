"""`Estimate`: a number that knows how sure it is."""

from __future__ import annotations

__all__ = ["Estimate"]

_LOPSIDED = 0.2  # how far off the middle, in half widths, an estimate may be to be shown as plus or minus


class Estimate(float):
    """A metric's value with the interval that holds the true one, had there been endless items from the same source.

    It is a number, and can be compared, averaged and plotted as such; shown, it is ``0.923 ±0.008 (n=1024)``.

    Args:
        value: the metric.
        low: lower end of the interval.
        high: upper end.
        n: number of items.
        level: how often intervals made this way hold the true value, 0 to 1.
    """

    low: float
    high: float
    n: int
    level: float

    def __new__(cls, value: float, low: float, high: float, n: int, level: float = 0.95) -> Estimate:
        """Make the number."""
        self = super().__new__(cls, value)
        self.low, self.high, self.n, self.level = low, high, n, level
        return self

    def __getnewargs__(self) -> tuple[float, float, float, int, float]:  # type: ignore[override]  # more than a float's
        return float(self), self.low, self.high, self.n, self.level

    def __str__(self) -> str:
        half = (self.high - self.low) / 2
        if abs(self.high + self.low - 2 * float(self)) <= _LOPSIDED * 2 * half:
            return f"{float(self):.3f} ±{half:.3f} (n={self.n})"
        return f"{float(self):.3f} [{self.low:.3f}, {self.high:.3f}] (n={self.n})"
