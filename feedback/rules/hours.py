"""How the hours that managers enter become a calendar of `clock`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from feedback.rules.clock import Calendar, Span

# ISO weekday whose hours a make-up working day has.
MAKE_UP_WEEKDAY = 1


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of one day of the week, ISO number, by the wall clock."""

    weekday: int
    opens: dt.time
    closes: dt.time


@dataclass(frozen=True, slots=True)
class Exceptional:
    """A date that differs: `closed`, `open` with its own hours, or `working` like a Monday."""

    date: dt.date
    kind: str
    opens: dt.time | None = None
    closes: dt.time | None = None


def calendar_of(
    zone: str, hours: Iterable[Hours], exceptions: Iterable[Exceptional], holidays: Iterable[tuple[dt.date, bool]]
) -> Calendar:
    """Build a calendar.

    Args:
        zone: IANA time zone.
        hours: Of the week.
        exceptions: Of the calendar itself; they go before the holidays. A closed date is closed, whatever else
            stands there.
        holidays: Date, and whether it is a make-up working day.
    """
    week: dict[int, list[Span]] = {}
    for row in hours:
        week.setdefault(row.weekday - 1, []).append(Span.between(row.opens, row.closes))
    make_up = week.get(MAKE_UP_WEEKDAY - 1, [])
    dates: dict[dt.date, list[Span]] = {date: list(make_up) if is_working else [] for date, is_working in holidays}
    own: dict[dt.date, list[Span] | None] = {}
    for other in exceptions:
        spans = own.setdefault(other.date, [])
        if other.kind == "closed":
            own[other.date] = None
        elif spans is None:
            continue
        elif other.kind == "working":
            spans.extend(make_up)
        elif other.opens is not None and other.closes is not None:
            spans.append(Span.between(other.opens, other.closes))
    dates.update({date: found or [] for date, found in own.items()})
    return Calendar(zone, week, dates)
