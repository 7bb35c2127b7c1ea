"""For which time a benefit is given."""

from __future__ import annotations

import datetime as dt


def period_key(period: str, today: dt.date, visit: str) -> str | None:
    """What tells one period of a benefit from the next; None where the period is a stay and there is none.

    Args:
        period: A value of `TierBenefit.Period`.
        today: The day at the property.
        visit: What tells the guest's stay from others; empty without one.

    >>> period_key("year", dt.date(2026, 12, 31), "")
    '2026'
    """
    if period == "stay":
        return f"stay:{visit}" if visit else None
    return str(today.year) if period == "year" else ""
