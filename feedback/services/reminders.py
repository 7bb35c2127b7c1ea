"""The ladder at work: due rows are claimed once, and told to those who are on duty."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q

from feedback.models import Notification, Shift, TicketEvent, TicketReminder
from feedback.rules.ladder import Matter, OnShift, hearers

BATCH = 2000
# When the roster has nobody of a rung, it is looked at again after this.
LOOK_AGAIN = dt.timedelta(minutes=15)
# How far ahead the roster is read for the next shift of a rung.
AHEAD = dt.timedelta(days=3)
OVERDUE = 100


@dataclass(frozen=True, slots=True)
class Tick:
    """What one run did: rungs given, and rungs that wait for somebody to come on duty."""

    sent: int
    postponed: int


def send_reminders(*, now: dt.datetime, limit: int = 50_000) -> Tick:
    """Claim what is due, batch by batch, each in one transaction: a worker that is killed has told nobody."""
    sent = postponed = 0
    while sent + postponed < limit:
        batch = _send_batch(now)
        sent, postponed = sent + batch.sent, postponed + batch.postponed
        if batch.sent + batch.postponed < BATCH:
            break
    return Tick(sent, postponed)


@transaction.atomic
def _send_batch(now: dt.datetime) -> Tick:
    rows = list(
        TicketReminder.objects.select_for_update(no_key=True, of=("self",), skip_locked=True)
        .filter(state=TicketReminder.State.PENDING, due_at__lte=now)
        .order_by("due_at", "pk")
        .values_list(
            "pk",
            "percent",
            "audience",
            "clock__ticket_id",
            "clock__ticket__property_id",
            "clock__ticket__department_id",
            "clock__ticket__assignee_id",
            "clock__ticket__is_urgent_at_night",
        )[:BATCH]
    )
    if not rows:
        return Tick(0, 0)
    roster = _roster({row[4] for row in rows}, now)
    notices: list[Notification] = []
    events: list[TicketEvent] = []
    given: list[int] = []
    later: defaultdict[dt.datetime, list[int]] = defaultdict(list)
    for pk, percent, audience, ticket_id, property_id, department_id, assignee_id, may_wake in rows:
        matter = Matter(property_id, department_id, assignee_id, may_wake)
        users, next_at = hearers(audience, matter, roster[property_id], now)
        if not users:
            later[next_at or now + LOOK_AGAIN].append(pk)
            continue
        given.append(pk)
        kind = Notification.Kind.OVERDUE if percent >= OVERDUE else Notification.Kind.REMINDER
        notices += [
            Notification(user_id=user, ticket_id=ticket_id, reminder_id=pk, kind=kind, at=now) for user in sorted(users)
        ]
        if audience != TicketReminder.Audience.ASSIGNEE:
            label = TicketReminder.Audience(audience).value
            events.append(
                TicketEvent(ticket_id=ticket_id, kind=TicketEvent.Kind.ESCALATED, text=f"{percent}:{label}", at=now)
            )
    Notification.objects.bulk_create(notices)
    TicketEvent.objects.bulk_create(events)
    TicketReminder.objects.filter(pk__in=given).update(state=TicketReminder.State.SENT, sent_at=now)
    for due_at, ids in later.items():
        TicketReminder.objects.filter(pk__in=ids, waiting_since=None).update(waiting_since=now)
        TicketReminder.objects.filter(pk__in=ids).update(due_at=due_at)
    return Tick(len(given), len(rows) - len(given))


def _roster(property_ids: set[int], now: dt.datetime) -> dict[int, list[OnShift]]:
    shifts = [
        OnShift(*values)
        for values in Shift.objects.filter(Q(property__in=property_ids) | Q(property=None))
        .filter(ends_at__gt=now, starts_at__lte=now + AHEAD, user__is_active=True)
        .values_list("user_id", "level", "property_id", "department_id", "starts_at", "ends_at")
    ]
    of_group = [shift for shift in shifts if shift.property_id is None]
    roster = {property_id: list(of_group) for property_id in property_ids}
    for shift in shifts:
        if shift.property_id is not None:
            roster[shift.property_id].append(shift)
    return roster


@transaction.atomic
def mark_read(*, user_id: int, now: dt.datetime, up_to_id: int) -> int:
    """Note that somebody has read what stands under their bell up to a line; how many lines."""
    unread = Notification.objects.filter(user=user_id, read_at=None, pk__lte=up_to_id)
    return unread.update(read_at=now)
