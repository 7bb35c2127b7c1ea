"""Working time against a counter of minutes that knows nothing of windows, and the faults others had."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedback.rules.clock import (
    Calendar,
    Mark,
    NoWorkingTime,
    Span,
    add_working_time,
    always,
    capped,
    due_at,
    elapsed,
    stretches,
    working_time_between,
)

MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)
SHANGHAI = ZoneInfo("Asia/Shanghai")
# China has no change of clocks; Berlin skips and repeats an hour at night, Santiago at midnight, Lord Howe half of one.
ZONES = ("Asia/Shanghai", "Europe/Berlin", "America/Santiago", "Australia/Lord_Howe")
# Around the changes of 2026 in Berlin (29 March, 25 October), Santiago (4 April, 5 September), Lord Howe (4 April, 3 October).
STARTS = (dt.date(2026, 3, 27), dt.date(2026, 4, 3), dt.date(2026, 9, 4), dt.date(2026, 10, 2), dt.date(2026, 10, 23))

spans = st.builds(
    lambda opens, length: Span(opens, min(opens + length, 2880)), st.integers(0, 1439), st.integers(1, 1440)
)
days = st.lists(spans, max_size=3)


@st.composite
def calendars(draw, zone=None):
    zone = zone or draw(st.sampled_from(ZONES))
    week = draw(st.dictionaries(st.integers(0, 6), days, max_size=7))
    week[draw(st.integers(0, 6))] = [draw(spans)]
    first = draw(st.sampled_from(STARTS))
    dates = draw(st.dictionaries(st.integers(0, 4).map(lambda n: first + dt.timedelta(days=n)), days, max_size=3))
    return Calendar(zone, week, dates)


instants = st.builds(
    lambda date, minutes: dt.datetime.combine(date, dt.time(), tzinfo=dt.UTC) + minutes * MINUTE,
    st.sampled_from(STARTS),
    st.integers(0, 3 * 1440),
)


class Counter:
    """Minutes at work: each minute of the world is looked at on the wall of the property, one after the other."""

    def __init__(self, calendar: Calendar, start: dt.datetime, end: dt.datetime) -> None:
        zone = ZoneInfo(calendar.zone)
        self.start = start - dt.timedelta(days=4)
        total = int((end - self.start) / MINUTE) + 1
        walls = [(self.start + n * MINUTE).astimezone(zone).replace(tzinfo=None) for n in range(total)]
        # The minute at which the wall has first reached a time.
        self.open = bytearray(total)
        date = walls[0].date() + dt.timedelta(days=1)
        while date <= walls[-1].date():
            midnight = dt.datetime.combine(date, dt.time())
            for span in calendar.spans(date):
                first = self._reached(walls, midnight + span.opens * MINUTE)
                last = self._reached(walls, midnight + span.closes * MINUTE)
                for n in range(first, last):
                    self.open[n] = 1
            date += dt.timedelta(days=1)

    @staticmethod
    def _reached(walls, time):
        return next((n for n, wall in enumerate(walls) if wall >= time), len(walls))

    def minutes(self, start, end):
        first, last = (int((at - self.start) / MINUTE) for at in (start, end))
        return sum(self.open[first:last])


@given(calendars(), instants, st.integers(0, 2 * 1440))
@settings(max_examples=40, deadline=None)
def test_time_between_is_what_a_counter_of_minutes_counts(calendar, start, minutes):
    end = start + minutes * MINUTE

    assert working_time_between(start, end, calendar) == Counter(calendar, start, end).minutes(start, end) * MINUTE


@given(calendars(), instants, st.integers(0, 4000))
@settings(max_examples=120, deadline=None)
def test_adding_is_the_inverse_of_measuring(calendar, start, minutes):
    end = add_working_time(start, minutes * MINUTE, calendar)

    assert working_time_between(start, end, calendar) == minutes * MINUTE
    # It is the first such instant: a moment before, less had passed.
    assert minutes == 0 or working_time_between(start, end - MINUTE, calendar) == (minutes - 1) * MINUTE


@given(calendars(), instants, st.integers(0, 6000), st.integers(0, 6000))
@settings(max_examples=80, deadline=None)
def test_measuring_adds_up(calendar, start, first, second):
    middle = start + first * MINUTE
    end = middle + second * MINUTE

    parts = working_time_between(start, middle, calendar) + working_time_between(middle, end, calendar)

    assert working_time_between(start, end, calendar) == parts


@st.composite
def lives(draw):
    """A clock's start, and what happens to it in the hours after: pauses, and policies with other hours."""
    zone = draw(st.sampled_from(ZONES))
    start = draw(instants)
    marks = [
        Mark(
            start + draw(st.integers(0, 1440)) * MINUTE,
            is_paused=draw(st.sampled_from([None, True, False])),
            calendar=draw(st.none() | calendars(zone)),
        )
        for _ in range(draw(st.integers(0, 4)))
    ]
    return draw(calendars(zone)), start, marks


@given(lives(), st.integers(0, 2000))
@settings(max_examples=40, deadline=None)
def test_a_clock_counts_what_the_counter_counts_through_pauses_and_changes_of_policy(life, minutes):
    calendar, start, marks = life
    now = start + minutes * MINUTE

    counted = elapsed(stretches(start, calendar, marks), now)

    expected, at, is_paused = 0, start, False
    for mark in [*sorted(marks, key=lambda mark: mark.at), Mark(now)]:
        until = min(mark.at, now)
        if not is_paused and until > at:
            expected += Counter(calendar, at, until).minutes(at, until)
        at = max(at, until)
        is_paused = is_paused if mark.is_paused is None else mark.is_paused
        calendar = mark.calendar or calendar
    assert counted == expected * MINUTE


@given(lives(), st.integers(1, 2000))
@settings(max_examples=60, deadline=None)
def test_a_clock_is_due_when_it_has_counted_its_target(life, minutes):
    calendar, start, marks = life
    run = stretches(start, calendar, marks)

    due = due_at(run, minutes * MINUTE)

    if due is None:
        assert elapsed(run, start + dt.timedelta(days=300)) < minutes * MINUTE
    else:
        assert elapsed(run, due) == minutes * MINUTE
        assert elapsed(run, due - MINUTE) < minutes * MINUTE


# Faults that users of other help desks reported, by name

OFFICE = Calendar("Asia/Shanghai", dict.fromkeys(range(5), (Span(9 * 60, 12 * 60), Span(14 * 60, 18 * 60))))


def shanghai(day, hour, minute=0, month=6):
    return dt.datetime(2026, month, day, hour, minute, tzinfo=SHANGHAI)


def test_time_outside_working_hours_does_not_count():
    """Chatwoot 13392, FreeScout 3756, osTicket 2131: the clock ran on the wall."""
    assert add_working_time(shanghai(12, 17), 2 * HOUR, OFFICE) == shanghai(15, 10)


def test_a_day_may_have_two_shifts():
    """Chatwoot 14009: one interval a day only."""
    assert working_time_between(shanghai(15, 9), shanghai(15, 18), OFFICE) == 7 * HOUR
    assert add_working_time(shanghai(15, 11), 2 * HOUR, OFFICE) == shanghai(15, 15)


def test_around_the_clock_loses_no_minute_at_midnight():
    """Zammad 3180."""
    assert working_time_between(shanghai(15, 23), shanghai(16, 1), always("Asia/Shanghai")) == 2 * HOUR
    assert add_working_time(shanghai(15, 23, 59), 2 * MINUTE, always("Asia/Shanghai")) == shanghai(16, 0, 1)


def test_a_night_shift_belongs_to_the_day_it_begins_on():
    nights = Calendar("Asia/Shanghai", {4: (Span.between(dt.time(22), dt.time(6)),)})  # Friday

    assert working_time_between(shanghai(19, 0), shanghai(21, 0), nights) == 8 * HOUR
    assert nights.is_open(shanghai(20, 5, 59))
    assert not nights.is_open(shanghai(20, 6))


def test_a_holiday_is_closed_and_its_make_up_day_is_worked():
    """The National Day of 2026: closed on 1 to 7 October, worked on Saturday the 10th."""
    hours = OFFICE.week[0]
    closed = {dt.date(2026, 10, day): () for day in range(1, 8)}
    calendar = Calendar("Asia/Shanghai", OFFICE.week, {**closed, dt.date(2026, 10, 10): hours})

    assert add_working_time(shanghai(30, 17, month=9), 2 * HOUR, calendar) == shanghai(8, 10, month=10)
    assert working_time_between(shanghai(10, 0, month=10), shanghai(11, 0, month=10), calendar) == 7 * HOUR


def test_an_amount_that_fills_the_day_is_due_at_its_end():
    assert add_working_time(shanghai(15, 9), 7 * HOUR, OFFICE) == shanghai(15, 18)


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 28), 7), ((2026, 10, 24), 9)])
def test_a_night_of_changing_clocks_has_its_real_hours(day, hours):
    nights = Calendar("Europe/Berlin", dict.fromkeys(range(7), (Span.between(dt.time(22), dt.time(6)),)))
    start = dt.datetime(*day, 22, tzinfo=ZoneInfo("Europe/Berlin"))

    assert working_time_between(start, start.astimezone(dt.UTC) + 12 * HOUR, nights) == hours * HOUR


def test_a_change_of_policy_keeps_the_pause():
    """GLPI 15605, 6902, 1912; frappe 1554, 1675: the time waited for the guest came back with the new policy."""
    marks = [
        Mark(shanghai(15, 10), is_paused=True),
        Mark(shanghai(15, 11), calendar=always("Asia/Shanghai")),
        Mark(shanghai(15, 15), is_paused=False),
    ]
    run = stretches(shanghai(15, 9), OFFICE, marks)

    assert elapsed(run, shanghai(15, 16)) == 2 * HOUR
    assert due_at(run, 4 * HOUR) == shanghai(15, 18)


def test_longer_hours_make_nothing_late_at_once():
    """A weekend that did not count does not count afterwards, because the ticket is moved on Monday."""
    run = stretches(shanghai(12, 17), OFFICE, [Mark(shanghai(15, 9), calendar=always("Asia/Shanghai"))])

    assert elapsed(run, shanghai(15, 10)) == 2 * HOUR
    assert due_at(run, 4 * HOUR) == shanghai(15, 12)


def test_nothing_is_due_while_the_guest_is_silent():
    """osTicket 1684: overdue although the guest was asked."""
    run = stretches(shanghai(15, 9), OFFICE, [Mark(shanghai(15, 10), is_paused=True)])

    assert due_at(run, 2 * HOUR) is None
    assert elapsed(run, shanghai(19, 10)) == HOUR


@pytest.mark.parametrize(
    "calendar",
    [Calendar("UTC", {}), Calendar("UTC", {0: ()}), Calendar("UTC", {}, {dt.date(2026, 6, 15): (Span(0, 60),)})],
)
def test_a_calendar_without_working_time_says_so(calendar):
    with pytest.raises(NoWorkingTime):
        add_working_time(shanghai(15, 9), 2 * HOUR, calendar)


def test_a_guest_in_the_house_is_helped_before_leaving():
    start, due = shanghai(15, 9), shanghai(16, 9)
    margin = 2 * HOUR

    assert capped(due, None, margin=margin, start=start) == due
    assert capped(due, shanghai(15, 14), margin=margin, start=start) == shanghai(15, 12)
    assert capped(due, shanghai(20, 14), margin=margin, start=start) == due
    # Too late for the margin: before the guest leaves. The guest has left: as the policy says.
    assert capped(due, shanghai(15, 10), margin=margin, start=start) == shanghai(15, 10)
    assert capped(due, shanghai(15, 8), margin=margin, start=start) == due
