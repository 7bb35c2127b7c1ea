"""Which tier a member's figures reach, and how far the next one is.

Any one of a tier's thresholds is enough. The figures are those of the last months of the programme,
counted back from a date: the day itself counts, the same day that many months before does not.
"""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

MONTHS_IN_YEAR = 12


@dataclass(frozen=True, slots=True)
class Figures:
    """What counts towards a tier; the amount is in the programme's currency."""

    nights: int = 0
    stays: int = 0
    amount: Decimal = Decimal(0)

    def __add__(self, other: Figures) -> Figures:
        return Figures(self.nights + other.nights, self.stays + other.stays, self.amount + other.amount)

    def __sub__(self, other: Figures) -> Figures:
        return Figures(self.nights - other.nights, self.stays - other.stays, self.amount - other.amount)

    def __bool__(self) -> bool:
        return bool(self.nights or self.stays or self.amount)

    def as_json(self) -> dict[str, Any]:
        """The figures as `TierChange.figures` keeps them."""
        return {"nights": self.nights, "stays": self.stays, "amount": f"{self.amount:.2f}"}


@dataclass(frozen=True, slots=True)
class Threshold:
    """What reaches a tier from a date on; None means that this measure does not."""

    id: int
    tier_id: int
    rank: int
    effective_from: dt.date
    min_amount: Decimal | None = None
    min_stays: int | None = None
    min_nights: int | None = None

    def is_reached(self, figures: Figures) -> bool:
        """Whether one of the thresholds is met."""
        return (
            (self.min_amount is not None and figures.amount >= self.min_amount)
            or (self.min_stays is not None and figures.stays >= self.min_stays)
            or (self.min_nights is not None and figures.nights >= self.min_nights)
        )


@dataclass(frozen=True, slots=True)
class Measure:
    """How far one measure of a threshold is: `kind` is amount, stays or nights."""

    kind: str
    done: Decimal
    needed: Decimal

    @property
    def missing(self) -> Decimal:
        """What is still to come; nothing once the threshold is met."""
        return max(self.needed - self.done, Decimal(0))

    @property
    def percent(self) -> int:
        """Share done, from 0 to 100, rounded down so that 100 means reached."""
        if self.needed <= 0:
            return 100
        return max(0, min(100, int(self.done * 100 / self.needed)))


def add_months(day: dt.date, months: int) -> dt.date:
    """The same day some months later or earlier, or the last of the month where there is none.

    >>> add_months(dt.date(2024, 2, 29), 12)
    datetime.date(2025, 2, 28)
    """
    month = day.month - 1 + months
    year = day.year + month // MONTHS_IN_YEAR
    month = month % MONTHS_IN_YEAR + 1
    return dt.date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def window_start(as_of: dt.date, months: int) -> dt.date:
    """The first day that counts in the window that ends with `as_of`."""
    return add_months(as_of, -months) + dt.timedelta(days=1)


def in_force(thresholds: Iterable[Threshold], on_date: dt.date) -> list[Threshold]:
    """For each tier the thresholds that count on a date, lowest tier first."""
    newest: dict[int, Threshold] = {}
    for threshold in sorted(thresholds, key=lambda t: t.effective_from):
        if threshold.effective_from <= on_date:
            newest[threshold.tier_id] = threshold
    return sorted(newest.values(), key=lambda t: t.rank)


def highest_reached(thresholds: Sequence[Threshold], figures: Figures) -> Threshold | None:
    """The thresholds in force of the highest tier that the figures reach."""
    return next((t for t in reversed(thresholds) if t.is_reached(figures)), None)


def measures(threshold: Threshold, figures: Figures) -> list[Measure]:
    """How far each measure of a threshold is, in the order amount, stays, nights."""
    pairs = (
        ("amount", figures.amount, threshold.min_amount),
        ("stays", Decimal(figures.stays), threshold.min_stays),
        ("nights", Decimal(figures.nights), threshold.min_nights),
    )
    return [Measure(kind, done, Decimal(needed)) for kind, done, needed in pairs if needed is not None]
