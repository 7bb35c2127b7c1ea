"""How long points live."""

from __future__ import annotations

import calendar
import datetime as dt

MONTHS = 12


def last_usable_day(earned_date: dt.date, months: int | None, rounding: str) -> dt.date | None:
    """The last day points can be used; None if they never lapse.

    Args:
        earned_date: Business date.
        months: How long they live; the 31st of a shorter month is its last day.
        rounding: `none`, `month_end` or `year_end`, as in `Programme.ExpiryRounding`.
    """
    if months is None:
        return None
    count = earned_date.month - 1 + months
    year, month = earned_date.year + count // MONTHS, count % MONTHS + 1
    if rounding == "year_end":
        return dt.date(year, 12, 31)
    last = calendar.monthrange(year, month)[1]
    return dt.date(year, month, last if rounding == "month_end" else min(earned_date.day, last))
