"""What every change of a ticket does: lock it, write what happened, and leave the audit entry."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from django.db import transaction

from feedback.models import Ticket, TicketEvent
from feedback.services.errors import StaleTicket, TicketConflict, TicketIsClosed
from hotels.models import User
from hotels.services.audit import record_audit
from hotels.services.idempotency import IdempotencyKeyReused, Made, perform_once


def locked(ticket_id: int) -> Ticket:
    """The ticket, held until the end of the transaction."""
    return (
        Ticket.objects.select_for_update(no_key=True, of=("self",))
        .select_related("property", "stay", "department")
        .get(pk=ticket_id)
    )


def locked_pair(first_id: int, second_id: int) -> tuple[Ticket, Ticket]:
    """Two tickets, held in the order of their numbers and given in the order asked for."""
    found = {
        ticket.pk: ticket
        for ticket in Ticket.objects.select_for_update(no_key=True, of=("self",))
        .select_related("property", "stay", "department")
        .filter(pk__in=[first_id, second_id])
        .order_by("pk")
    }
    return found[first_id], found[second_id]


def locked_open(ticket_id: int) -> Ticket:
    """The ticket, held, if it is open.

    Raises:
        TicketIsClosed: It is not.
    """
    ticket = locked(ticket_id)
    if ticket.closed_at is not None:
        raise TicketIsClosed
    return ticket


def write(
    ticket: Ticket,
    kind: TicketEvent.Kind,
    *,
    actor: User | None,
    now: dt.datetime,
    text: str = "",
    channel: str = "",
    action: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    reason: str = "",
) -> TicketEvent:
    """Write an event and its audit entry."""
    event = TicketEvent.objects.create(ticket=ticket, kind=kind, text=text, channel=channel, actor=actor, at=now)
    record_audit(
        actor=actor,
        now=now,
        action=f"ticket.{action or kind}",
        target=ticket,
        label=str(ticket),
        place=ticket.property,
        before=before,
        after=after,
        reason=reason,
    )
    return event


def once(
    verb: str,
    ticket_id: int,
    data: Any,
    perform: Callable[[], Made],
    *,
    actor: User | None,
    now: dt.datetime,
    key: uuid.UUID | None,
) -> Made:
    """Carry out what a form asks for once for each opening of the form.

    Raises:
        TicketConflict: The key was used for something else.
    """
    try:
        return perform_once(
            actor=actor, now=now, key=key, operation=f"ticket.{verb} {ticket_id}", data=data, perform=perform
        )
    except IdempotencyKeyReused as error:
        raise TicketConflict from error


def check_seen(ticket_id: int, seen_event_id: int | None, actor: User | None) -> None:
    """Refuse what is based on an old look at the ticket; None has not looked.

    Raises:
        StaleTicket: Others did something since.
    """
    if seen_event_id is None:
        return
    locked(ticket_id)
    newer = TicketEvent.objects.filter(ticket=ticket_id, pk__gt=seen_event_id).select_related("actor").order_by("pk")
    # What the actor did in another window is no news to them.
    events = [event for event in newer if actor is None or event.actor_id != actor.pk]
    if events:
        raise StaleTicket(events)


def each(ticket_ids: Iterable[int], perform: Callable[[int], object], *failures: type[Exception]) -> tuple[int, int]:
    """Do something to some tickets, each in a savepoint of its own; how many worked and how many did not."""
    done = failed = 0
    for ticket_id in ticket_ids:
        try:
            with transaction.atomic():
                perform(ticket_id)
        except failures:
            failed += 1
        else:
            done += 1
    return done, failed
