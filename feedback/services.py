"""Tickets: logged, withdrawn, closed, reopened; each change is an event and an audit entry."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable

from django.db import transaction
from django.utils.translation import gettext as _

from feedback.models import Ticket, TicketEvent
from hotels.models import Department, Property, User
from hotels.services.audit import record_audit
from hotels.services.idempotency import IdempotencyKeyReused, Made, perform_once

# Until each property has its own agreement: time to answer by severity.
DUE_WITHIN = {
    Ticket.Severity.CRITICAL: dt.timedelta(minutes=30),
    Ticket.Severity.HIGH: dt.timedelta(hours=2),
    Ticket.Severity.MEDIUM: dt.timedelta(hours=8),
    Ticket.Severity.LOW: dt.timedelta(hours=24),
}


class TicketError(Exception):
    """A ticket cannot be changed as asked; `code` is stable."""

    code = "ticket_error"


class TicketConflict(TicketError):
    """The key was used before for another ticket."""

    code = "ticket_conflict"

    def __init__(self) -> None:
        super().__init__(_("This form was sent before with other content; open a new one."))


class TicketIsClosed(TicketError):
    """The ticket is closed or withdrawn already."""

    code = "ticket_closed"

    def __init__(self) -> None:
        super().__init__(_("This ticket is closed already."))


class StaleTicket(TicketError):
    """Colleagues did something with the ticket after its page was opened.

    Attributes:
        events: What they did, oldest first, with who and when.
    """

    code = "stale_ticket"

    def __init__(self, events: list[TicketEvent]) -> None:
        super().__init__(_("Somebody changed this ticket in the meantime."))
        self.events = events


class TicketIsOpen(TicketError):
    """The ticket is open, so there is nothing to reopen."""

    code = "ticket_open"

    def __init__(self) -> None:
        super().__init__(_("This ticket is open already."))


@transaction.atomic
def open_ticket(
    *,
    actor: User | None,
    now: dt.datetime,
    guest_id: int,
    place: Property,
    category: str,
    severity: str,
    subject: str,
    description: str = "",
    stay_id: int | None = None,
    department: Department | None = None,
    key: uuid.UUID | None = None,
) -> Ticket:
    """Log what a guest complains of or asks for.

    Args:
        actor: Who logs it and owns it until somebody else takes it over; None for the system.
        now: Aware instant; the ticket is due `DUE_WITHIN` its severity from here.
        guest_id: The guest.
        place: Where it happened.
        category: Value of `Ticket.Category`.
        severity: Value of `Ticket.Severity`.
        subject: One line.
        description: Anything more.
        stay_id: The stay it is about.
        department: Who should see to it.
        key: Becomes the ticket's public id; sending the same key again returns the ticket it made.

    Raises:
        TicketConflict: The key made another ticket.
    """
    facts = {
        "property": place,
        "guest_id": guest_id,
        "category": category,
        "severity": severity,
        "subject": subject,
        "description": description,
        "stay_id": stay_id,
        "department": department,
    }
    ticket, created = Ticket.objects.get_or_create(
        public_id=key or uuid.uuid4(),
        defaults={
            **facts,
            "assignee": actor,
            "opened_by": actor,
            "opened_at": now,
            "due_at": now + DUE_WITHIN[Ticket.Severity(severity)],
        },
    )
    if not created:
        if any(getattr(ticket, name) != value for name, value in facts.items()):
            raise TicketConflict
        return ticket
    TicketEvent.objects.create(ticket=ticket, kind=TicketEvent.Kind.OPENED, actor=actor, at=now)
    _audit(ticket, actor=actor, now=now, action="ticket.opened", after={"severity": severity, "category": category})
    return ticket


@transaction.atomic
def withdraw_ticket(*, actor: User | None, now: dt.datetime, ticket_id: int) -> Ticket:
    """Take back a ticket that was logged by mistake; it stays on record as withdrawn.

    Raises:
        TicketIsClosed: It was closed or withdrawn before.
    """
    return _finish(ticket_id, Ticket.Status.WITHDRAWN, TicketEvent.Kind.WITHDRAWN, actor=actor, now=now, text="")


@transaction.atomic
def close_ticket(
    *,
    actor: User | None,
    now: dt.datetime,
    ticket_id: int,
    resolution: str = "",
    seen_event_id: int | None = None,
    key: uuid.UUID | None = None,
) -> Ticket:
    """Close a ticket.

    Args:
        actor: Who closes it.
        now: Aware instant.
        ticket_id: The ticket.
        resolution: What was done for the guest.
        seen_event_id: The newest event that the actor has read; None does not ask.
        key: Of the form; sending it again changes nothing more.

    Raises:
        StaleTicket: Others did something with it since.
        TicketIsClosed: It was closed or withdrawn before.
        TicketConflict: The key closed it with another resolution.
    """

    def close() -> None:
        if seen_event_id is not None:
            _check_seen(ticket_id, seen_event_id, actor)
        _finish(ticket_id, Ticket.Status.CLOSED, TicketEvent.Kind.CLOSED, actor=actor, now=now, text=resolution)

    _once("close", ticket_id, resolution, close, actor=actor, now=now, key=key)
    return Ticket.objects.select_related("property").get(pk=ticket_id)


@transaction.atomic
def reopen_ticket(
    *, actor: User | None, now: dt.datetime, ticket_id: int, reason: str = "", key: uuid.UUID | None = None
) -> Ticket:
    """Open a closed or withdrawn ticket again, with a new clock of its severity.

    Args:
        actor: Who opens it.
        now: Aware instant.
        ticket_id: The ticket.
        reason: Why, in the actor's words.
        key: Of the form; sending it again changes nothing more.

    Raises:
        TicketIsOpen: It is not closed.
        TicketConflict: The key was used for something else.
    """
    _once(
        "reopen",
        ticket_id,
        reason,
        lambda: _reopen(ticket_id, actor=actor, now=now, reason=reason),
        actor=actor,
        now=now,
        key=key,
    )
    return Ticket.objects.select_related("property").get(pk=ticket_id)


def _reopen(ticket_id: int, *, actor: User | None, now: dt.datetime, reason: str) -> None:
    ticket = _locked(ticket_id)
    if ticket.closed_at is None:
        raise TicketIsOpen
    before = {"status": ticket.status}
    ticket.status = Ticket.Status.OPEN
    ticket.closed_at = None
    ticket.due_at = now + DUE_WITHIN[Ticket.Severity(ticket.severity)]
    ticket.save(update_fields=["status", "closed_at", "due_at"])
    TicketEvent.objects.create(ticket=ticket, kind=TicketEvent.Kind.REOPENED, text=reason, actor=actor, at=now)
    _audit(
        ticket,
        actor=actor,
        now=now,
        action="ticket.reopened",
        before=before,
        after={"status": ticket.status},
        reason=reason,
    )


@transaction.atomic
def add_note(
    *, actor: User | None, now: dt.datetime, ticket_id: int, text: str, key: uuid.UUID | None = None
) -> TicketEvent:
    """Add an internal note, on open and closed tickets alike.

    Args:
        actor: Who writes it.
        now: Aware instant.
        ticket_id: The ticket.
        text: The note.
        key: Of the form; sending it again returns the note it made.

    Raises:
        TicketConflict: The key made another note.
    """

    def add() -> int:
        ticket = _locked(ticket_id)
        event = TicketEvent.objects.create(ticket=ticket, kind=TicketEvent.Kind.NOTE, text=text, actor=actor, at=now)
        _audit(ticket, actor=actor, now=now, action="ticket.noted")
        return event.pk

    event_id = _once("note", ticket_id, text, add, actor=actor, now=now, key=key)
    return TicketEvent.objects.get(pk=event_id)


def _check_seen(ticket_id: int, seen_event_id: int, actor: User | None) -> None:
    _locked(ticket_id)
    newer = TicketEvent.objects.filter(ticket=ticket_id, pk__gt=seen_event_id).select_related("actor").order_by("pk")
    # What the actor did in another window is no news to them.
    events = [event for event in newer if actor is None or event.actor_id != actor.pk]
    if events:
        raise StaleTicket(events)


def _once(
    verb: str,
    ticket_id: int,
    text: str,
    perform: Callable[[], Made],
    *,
    actor: User | None,
    now: dt.datetime,
    key: uuid.UUID | None,
) -> Made:
    try:
        return perform_once(
            actor=actor, now=now, key=key, operation=f"ticket.{verb} {ticket_id}", data=text, perform=perform
        )
    except IdempotencyKeyReused as error:
        raise TicketConflict from error


def _locked(ticket_id: int) -> Ticket:
    return Ticket.objects.select_for_update(no_key=True, of=("self",)).select_related("property").get(pk=ticket_id)


def _finish(
    ticket_id: int, status: Ticket.Status, kind: TicketEvent.Kind, *, actor: User | None, now: dt.datetime, text: str
) -> Ticket:
    ticket = _locked(ticket_id)
    if ticket.closed_at is not None:
        raise TicketIsClosed
    before = {"status": ticket.status}
    ticket.status = status
    ticket.closed_at = now
    ticket.save(update_fields=["status", "closed_at"])
    TicketEvent.objects.create(ticket=ticket, kind=kind, text=text, actor=actor, at=now)
    _audit(ticket, actor=actor, now=now, action=f"ticket.{kind}", before=before, after={"status": status}, reason=text)
    return ticket


def _audit(
    ticket: Ticket,
    *,
    actor: User | None,
    now: dt.datetime,
    action: str,
    before: dict[str, str] | None = None,
    after: dict[str, str] | None = None,
    reason: str = "",
) -> None:
    record_audit(
        actor=actor,
        now=now,
        action=action,
        target=ticket,
        label=str(ticket),
        place=ticket.property,
        before=before,
        after=after,
        reason=reason,
    )
