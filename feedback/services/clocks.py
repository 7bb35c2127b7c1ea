"""The clocks of a ticket: started, paused, met, given other terms; each with the rows of its reminders.

A clock keeps what it had counted when it last stopped or changed its terms, and since when it runs. That is
the sum over the ticket's events, kept up to date; a test holds the two equal. Nothing here depends on a job.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from feedback.models import SLAPolicy, Ticket, TicketClock, TicketReminder
from feedback.rules.clock import Calendar, NoWorkingTime, add_working_time, always, capped, working_time_between
from feedback.rules.ladder import LADDER, rung_times
from feedback.selectors.calendars import Calendars
from feedback.selectors.facts import policy_for
from hotels.models import Property
from members.models import Stay

Metric = TicketClock.Metric
# Where no service level is agreed: minutes to see to it, by severity, around the clock.
DUE_WITHIN = {
    Ticket.Severity.CRITICAL: 30,
    Ticket.Severity.HIGH: 2 * 60,
    Ticket.Severity.MEDIUM: 8 * 60,
    Ticket.Severity.LOW: 24 * 60,
}
DEFAULT_MARGIN = 120
# By when guests have left on the day of departure, where the house's own time is not known.
CHECK_OUT = dt.time(12)


@dataclass(frozen=True, slots=True)
class Terms:
    """What is promised for a ticket.

    Attributes:
        policy: Where it stands; None for the house rule by severity.
        calendar_id: Whose hours count; None for around the clock.
        minutes: Of each metric that is promised.
        margin: Before a guest in the house leaves.
    """

    policy: SLAPolicy | None
    calendar_id: int | None
    minutes: dict[str, int]
    margin: dt.timedelta


def terms_for(place: Property, facts: dict[str, Any], now: dt.datetime) -> Terms:
    """What is promised for a ticket with these facts; one query."""
    policy = policy_for(place, facts, now)
    if policy is None:
        minutes = {Metric.RESOLUTION.value: DUE_WITHIN[Ticket.Severity(facts["ticket.severity"])]}
        return Terms(None, None, minutes, dt.timedelta(minutes=DEFAULT_MARGIN))
    promised = {
        Metric.FIRST_RESPONSE.value: policy.first_response_minutes,
        Metric.NEXT_RESPONSE.value: policy.next_response_minutes,
        Metric.RESOLUTION.value: policy.resolution_minutes,
    }
    return Terms(
        policy,
        policy.calendar_id,
        {metric: minutes for metric, minutes in promised.items() if minutes},
        dt.timedelta(minutes=policy.departure_margin_minutes),
    )


def leaves_at(stay: Stay | None, place: Property) -> dt.datetime | None:
    """When a guest in the house leaves; None for any other."""
    if stay is None or stay.status != Stay.Status.IN_HOUSE:
        return None
    return dt.datetime.combine(stay.departure_date, CHECK_OUT, tzinfo=zoneinfo.ZoneInfo(place.time_zone))


def due_of(
    terms: Terms, metric: str, *, start: dt.datetime, calendar: Calendar, leaves: dt.datetime | None
) -> dt.datetime:
    """When a clock that begins now is due; the preview of a policy asks the same."""
    due = _add(start, dt.timedelta(minutes=terms.minutes[metric]), calendar)
    return capped(due, leaves if metric == Metric.RESOLUTION else None, margin=terms.margin, start=start)


def _add(start: dt.datetime, duration: dt.timedelta, calendar: Calendar) -> dt.datetime:
    try:
        return add_working_time(start, duration, calendar)
    except NoWorkingTime:
        # Hours that never come are no reason to keep a guest waiting for ever.
        return add_working_time(start, duration, always(calendar.zone))


def start_clocks(
    ticket: Ticket, terms: Terms, metrics: Iterable[str], *, now: dt.datetime, calendars: Calendars | None = None
) -> None:
    """Begin a clock for each of the metrics that is promised, and set the ticket's due time."""
    calendar = (calendars or Calendars()).get(terms.calendar_id, ticket.property)
    leaves = leaves_at(ticket.stay, ticket.property)
    clocks = []
    for metric in metrics:
        if metric not in terms.minutes:
            continue
        due = due_of(terms, metric, start=now, calendar=calendar, leaves=leaves)
        by_policy = _add(now, dt.timedelta(minutes=terms.minutes[metric]), calendar)
        clocks.append(
            TicketClock(
                ticket=ticket,
                metric=metric,
                number=TicketClock.objects.filter(ticket=ticket, metric=metric).count() + 1,
                policy=terms.policy,
                calendar_id=terms.calendar_id,
                target_minutes=terms.minutes[metric],
                started_at=now,
                latest_at=due if due < by_policy else None,
                running_since=now,
                due_at=due,
            )
        )
    TicketClock.objects.bulk_create(clocks)
    rows = []
    for clock in clocks:
        times = _rungs(clock, calendar)
        rows += [
            TicketReminder(clock=clock, percent=percent, audience=audience, due_at=times[percent])
            for percent, audience in LADDER
        ]
    TicketReminder.objects.bulk_create(rows)
    refresh_due(ticket)


def _rungs(clock: TicketClock, calendar: Calendar) -> dict[int, dt.datetime]:
    assert clock.running_since is not None  # noqa: S101 - only running clocks are asked
    assert clock.due_at is not None  # noqa: S101
    counted, target = dt.timedelta(seconds=clock.counted_seconds), dt.timedelta(minutes=clock.target_minutes)
    try:
        return rung_times(clock.running_since, counted, target, clock.due_at, calendar)
    except NoWorkingTime:
        return rung_times(clock.running_since, counted, target, clock.due_at, always(calendar.zone))


def refresh_due(ticket: Ticket) -> None:
    """Set the ticket's due time to that of its clock that is due first; kept while all of them are paused."""
    due = min((clock.due_at for clock in _open(ticket) if clock.due_at), default=None)
    if due is not None and due != ticket.due_at:
        ticket.due_at = due
        Ticket.objects.filter(pk=ticket.pk).update(due_at=due)


def _open(ticket: Ticket) -> list[TicketClock]:
    return list(TicketClock.objects.filter(ticket=ticket, ended_at=None).order_by("pk"))


def _stop(clock: TicketClock, now: dt.datetime, calendar: Calendar) -> None:
    """Count up to now and let the clock stand; what was late stays late since its due time."""
    if clock.running_since is not None:
        counted = working_time_between(clock.running_since, now, calendar)
        clock.counted_seconds += int(counted.total_seconds())
        clock.running_since = None
    if clock.due_at is not None and now > clock.due_at:
        clock.breached_at = clock.breached_at or clock.due_at
    elif clock.breached_at is None:
        clock.due_at = None


_STATE = ["counted_seconds", "running_since", "due_at", "breached_at"]


def pause_clocks(ticket: Ticket, *, now: dt.datetime) -> None:
    """Let all clocks stand, because the guest is asked."""
    calendars = Calendars()
    for clock in _open(ticket):
        _stop(clock, now, calendars.get(clock.calendar_id, ticket.property))
        clock.save(update_fields=_STATE)
        _pending(clock).update(due_at=None)


def resume_clocks(ticket: Ticket, *, now: dt.datetime) -> None:
    """Let all clocks run again with what they had left."""
    calendars = Calendars()
    for clock in _open(ticket):
        if clock.running_since is None:
            _run(clock, now, calendars.get(clock.calendar_id, ticket.property))
    refresh_due(ticket)


def _run(clock: TicketClock, now: dt.datetime, calendar: Calendar) -> None:
    clock.running_since = now
    if clock.breached_at is None:
        left = dt.timedelta(minutes=clock.target_minutes, seconds=-clock.counted_seconds)
        due = _add(now, left, calendar)
        # Departure has not moved; what it leaves is due by then, or at once.
        clock.due_at = due if clock.latest_at is None else max(min(due, clock.latest_at), now)
    clock.save(update_fields=[*_STATE, "calendar", "policy", "target_minutes", "latest_at"])
    times = _rungs(clock, calendar)
    for reminder in _pending(clock):
        reminder.due_at = times[reminder.percent]
        reminder.save(update_fields=["due_at"])


def _pending(clock: TicketClock) -> Any:
    return TicketReminder.objects.filter(clock=clock, state=TicketReminder.State.PENDING)


def meet_clocks(ticket: Ticket, metrics: Iterable[str], *, now: dt.datetime) -> None:
    """End clocks because what they promise was done: kept or missed by the instants alone."""
    calendars = Calendars()
    for clock in _open(ticket):
        if clock.metric in set(metrics):
            _stop(clock, now, calendars.get(clock.calendar_id, ticket.property))
            clock.outcome = TicketClock.Outcome.MET if clock.breached_at is None else TicketClock.Outcome.MISSED
            clock.ended_at = now
            clock.save(update_fields=[*_STATE, "outcome", "ended_at"])
            _pending(clock).update(state=TicketReminder.State.CANCELED)
    refresh_due(ticket)


def drop_clocks(ticket: Ticket, *, now: dt.datetime) -> None:
    """End all clocks without a verdict: the ticket was a mistake, or another one takes its place."""
    calendars = Calendars()
    for clock in _open(ticket):
        _drop(clock, now, calendars.get(clock.calendar_id, ticket.property))


def _drop(clock: TicketClock, now: dt.datetime, calendar: Calendar) -> None:
    _stop(clock, now, calendar)
    clock.outcome, clock.ended_at = TicketClock.Outcome.DROPPED, now
    clock.save(update_fields=[*_STATE, "outcome", "ended_at"])
    _pending(clock).update(state=TicketReminder.State.CANCELED)


def change_terms(ticket: Ticket, terms: Terms, *, now: dt.datetime) -> None:
    """Go on by other terms. What was counted stays counted, pauses stay pauses, rungs that were given stay given.

    A clock whose new time is over already is due now and not in the past; one that is no longer promised ends.
    """
    calendars = Calendars()
    calendar = calendars.get(terms.calendar_id, ticket.property)
    leaves = leaves_at(ticket.stay, ticket.property)
    for clock in _open(ticket):
        old = calendars.get(clock.calendar_id, ticket.property)
        if clock.metric not in terms.minutes:
            _drop(clock, now, old)
            continue
        was_running = clock.running_since is not None
        _stop(clock, now, old)
        clock.breached_at = None
        clock.due_at = None
        clock.policy, clock.calendar_id = terms.policy, terms.calendar_id
        clock.target_minutes = terms.minutes[clock.metric]
        clock.latest_at = None
        if clock.metric == Metric.RESOLUTION and leaves is not None and leaves > clock.started_at:
            clock.latest_at = leaves - terms.margin if leaves - terms.margin > clock.started_at else leaves
        if was_running:
            _run(clock, now, calendar)
        else:
            clock.save(update_fields=[*_STATE, "calendar", "policy", "target_minutes", "latest_at"])
    refresh_due(ticket)


@transaction.atomic
def recount_calendar(*, now: dt.datetime, calendar_id: int) -> int:
    """Set the due times of open clocks anew after the hours of their calendar were changed; how many.

    Hours before now were counted by the old calendar only where the clock stopped since; from the clock's last
    start on, the new hours hold.
    """
    calendars = Calendars()
    clocks = (
        TicketClock.objects.select_for_update(no_key=True, of=("self",))
        .filter(calendar=calendar_id, ended_at=None, running_since__isnull=False)
        .select_related("ticket__property", "ticket__stay")
        .order_by("pk")
    )
    count = 0
    for clock in clocks:
        assert clock.running_since is not None  # noqa: S101 - as filtered
        calendar = calendars.get(clock.calendar_id, clock.ticket.property)
        clock.breached_at = None
        _run(clock, clock.running_since, calendar)
        if clock.due_at is not None and clock.due_at < now and clock.latest_at is None:
            # What the new hours make late is late from their change on.
            clock.due_at = now
            clock.save(update_fields=["due_at"])
        refresh_due(clock.ticket)
        count += 1
    return count
