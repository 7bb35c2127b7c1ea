"""Working time: how much of it lies between two instants, and when a given amount of it has passed.

A calendar says at which wall-clock times of a property work is done. An interval belongs to the date it
begins on and may run past midnight; a date may have hours of its own or none, as on a public holiday.
All arithmetic is on UTC instants, so that a night with a change of the clocks has the hours it really has.

A wall-clock time that the clocks skip stands for the moment of the change; one that comes twice stands for
its first occurrence. So the instants of a day are in the order of its wall-clock times, and two intervals
that touch on the wall touch in time.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

DAY_MINUTES = 24 * 60
# An interval ends at the latest with the day after the one it began on.
LATEST_MINUTE = 2 * DAY_MINUTES
# How far ahead working time is looked for after the last date with hours of its own.
HORIZON = dt.timedelta(days=15)
NO_TIME = dt.timedelta()


class NoWorkingTime(Exception):
    """The calendar has no working time from here on, so nothing would ever be due."""

    code = "no_working_time"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Working hours of a day: minutes after its midnight on the wall clock, the end excluded.

    Attributes:
        opens: 0 to 1439.
        closes: After `opens`, up to 2880; 1440 is midnight at the end of the day, more is the next day.
    """

    opens: int
    closes: int

    def __post_init__(self) -> None:
        if not 0 <= self.opens < DAY_MINUTES or not self.opens < self.closes <= LATEST_MINUTE:
            message = f"no interval: {self.opens} to {self.closes}"
            raise ValueError(message)

    @classmethod
    def between(cls, opens: dt.time, closes: dt.time) -> Span:
        """From one wall-clock time to another; up to or before the first means the next day, 00:00 midnight."""
        first, last = (time.hour * 60 + time.minute for time in (opens, closes))
        return cls(first, last if last > first else last + DAY_MINUTES)


@dataclass(frozen=True, slots=True)
class Calendar:
    """When work is done.

    Attributes:
        zone: IANA time zone of the wall clock.
        week: Hours of each day of the week, 0 for Monday; days left out are closed.
        dates: Hours of single dates instead of those of their day of the week; empty for closed.
    """

    zone: str
    week: Mapping[int, Sequence[Span]]
    dates: Mapping[dt.date, Sequence[Span]] = field(default_factory=dict)

    def spans(self, date: dt.date) -> Sequence[Span]:
        """The intervals that begin on a date."""
        own = self.dates.get(date)
        return self.week.get(date.weekday(), ()) if own is None else own

    def is_open(self, at: dt.datetime) -> bool:
        """Whether work is done at an aware instant."""
        return any(start <= at < end for start, end in _windows(self, at, at))


def always(zone: str = "UTC") -> Calendar:
    """Around the clock."""
    return Calendar(zone, dict.fromkeys(range(7), (Span(0, DAY_MINUTES),)))


def instant(date: dt.date, minutes: int, zone: zoneinfo.ZoneInfo) -> dt.datetime:
    """The UTC instant at which the wall clock first shows so many minutes after a date's midnight, or skips it."""
    wall = dt.datetime.combine(date, dt.time()) + dt.timedelta(minutes=minutes)
    found = wall.replace(tzinfo=zone).astimezone(dt.UTC)
    if found.astimezone(zone).replace(tzinfo=None) == wall:
        return found
    # Skipped: the change lies between the readings by the offset after it and by the one before it.
    before = wall.replace(tzinfo=zone, fold=1).astimezone(dt.UTC)
    after = found
    offset = after.astimezone(zone).utcoffset()
    while after - before > dt.timedelta(seconds=1):
        middle = before + (after - before) // 2
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after.replace(microsecond=0)


def _days(calendar: Calendar, start: dt.datetime, end: dt.datetime | None) -> Iterator[dt.date]:
    zone = zoneinfo.ZoneInfo(calendar.zone)
    # An interval of two days before may still run.
    date = start.astimezone(zone).date() - dt.timedelta(days=2)
    if end is None:
        last = max([date, *calendar.dates]) + HORIZON
        # As long as any day of the week is open, the week never ends.
        if any(calendar.week.values()):
            last = dt.date.max
    else:
        last = end.astimezone(zone).date()
    while date <= last:
        yield date
        date += dt.timedelta(days=1)


def _windows(
    calendar: Calendar, start: dt.datetime, end: dt.datetime | None
) -> Iterator[tuple[dt.datetime, dt.datetime]]:
    """Working time from `start` on as disjoint stretches in order, each cut to begin at `start` at the earliest.

    Without `end` they go on for ever, unless the calendar has no more of them.
    """
    zone = zoneinfo.ZoneInfo(calendar.zone)
    reached = start
    for date in _days(calendar, start, end):
        for span in sorted(calendar.spans(date)):
            opens = max(instant(date, span.opens, zone), reached)
            closes = instant(date, span.closes, zone)
            if opens < closes:
                reached = closes
                yield opens, closes


def working_time_between(start: dt.datetime, end: dt.datetime, calendar: Calendar) -> dt.timedelta:
    """How much working time lies between two aware instants; none if the second is not later."""
    start, end = start.astimezone(dt.UTC), end.astimezone(dt.UTC)
    total = NO_TIME
    if end <= start:
        return total
    for opens, closes in _windows(calendar, start, end):
        if opens >= end:
            break
        total += min(closes, end) - opens
    return total


def add_working_time(start: dt.datetime, duration: dt.timedelta, calendar: Calendar) -> dt.datetime:
    """The first instant by which so much working time has passed.

    It is the inverse of `working_time_between`: that much lies between `start` and the answer. An amount that
    fills an interval exactly ends with it, and not when the next one begins.

    Args:
        start: Aware instant.
        duration: Not negative; nothing gives `start` itself.
        calendar: Whose hours count.

    Returns:
        A UTC instant.

    Raises:
        NoWorkingTime: The calendar ends before.
    """
    start = start.astimezone(dt.UTC)
    if duration <= NO_TIME:
        return start
    left = duration
    try:
        for opens, closes in _windows(calendar, start, None):
            if left <= closes - opens:
                return opens + left
            left -= closes - opens
    except OverflowError as error:
        raise NoWorkingTime from error
    raise NoWorkingTime


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which a clock runs by one calendar.

    Attributes:
        start: Aware instant.
        end: Aware instant; None while it still runs.
        calendar: Whose hours count.
    """

    start: dt.datetime
    end: dt.datetime | None
    calendar: Calendar


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened to a clock.

    Attributes:
        at: Aware instant.
        is_paused: Whether the clock waits for the guest from then on; None leaves it as it was.
        calendar: Whose hours count from then on; None leaves it as it was.
    """

    at: dt.datetime
    is_paused: bool | None = None
    calendar: Calendar | None = None


def stretches(start: dt.datetime, calendar: Calendar, marks: Sequence[Mark]) -> list[Stretch]:
    """When a clock that began at `start` ran, and by which hours.

    Pauses are the ticket's: a change of policy neither ends nor forgets them. What ran before a change
    stays counted by the hours of its own time, so that moving a ticket to longer hours makes nothing late
    at once.
    """
    found: list[Stretch] = []
    began, is_paused = start, False
    for mark in sorted(marks, key=lambda mark: mark.at):
        at = max(mark.at, start)
        if not is_paused and at > began:
            found.append(Stretch(began, at, calendar))
        began = max(began, at)
        is_paused = is_paused if mark.is_paused is None else mark.is_paused
        calendar = mark.calendar or calendar
    if not is_paused:
        found.append(Stretch(began, None, calendar))
    return found


def elapsed(run: Sequence[Stretch], now: dt.datetime) -> dt.timedelta:
    """How much working time a clock has counted by an aware instant."""
    return sum(
        (
            working_time_between(part.start, now if part.end is None else min(part.end, now), part.calendar)
            for part in run
        ),
        NO_TIME,
    )


def due_at(run: Sequence[Stretch], target: dt.timedelta) -> dt.datetime | None:
    """When a clock has counted its target; None while it is paused short of it.

    Raises:
        NoWorkingTime: It runs by a calendar that ends before.
    """
    left = target
    for part in run:
        if part.end is None:
            return add_working_time(part.start, left, part.calendar)
        counted = working_time_between(part.start, part.end, part.calendar)
        if counted >= left:
            return add_working_time(part.start, left, part.calendar)
        left -= counted
    return None


def capped(due: dt.datetime, leaves_at: dt.datetime | None, *, margin: dt.timedelta, start: dt.datetime) -> dt.datetime:
    """A due time for a guest in the house: no later than the margin before the guest leaves.

    Args:
        due: By the policy.
        leaves_at: When the guest leaves; None for a guest who is not in the house.
        margin: Before that.
        start: When the clock began; what came up within the margin is due when the guest leaves, and what
            came up after that goes by the policy.
    """
    if leaves_at is None or leaves_at <= start:
        return due
    latest = leaves_at - margin
    return min(due, latest if latest > start else leaves_at)
