"""Tickets and each other: merged, split, linked; always of one guest."""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.utils.translation import gettext as _

from feedback.models import Ticket, TicketEvent, TicketLink
from feedback.services.clocks import drop_clocks
from feedback.services.errors import CannotJoin, TicketIsClosed
from feedback.services.journal import locked_open, locked_pair, write
from feedback.services.tickets import open_ticket
from hotels.models import Department, User

Kind = TicketEvent.Kind


@transaction.atomic
def merge_tickets(*, actor: User | None, now: dt.datetime, ticket_id: int, into_id: int) -> Ticket:
    """End a ticket that says the same as another; what happened to it stays with it and is shown with the other.

    Only tickets of one guest and one property: a merge never shows anybody's words to somebody else.

    Raises:
        CannotJoin: They are of different guests or properties, or one ticket.
        TicketIsClosed: One of them is not open.
    """
    if ticket_id == into_id:
        raise CannotJoin(_("A ticket is not merged with itself."))
    ticket, into = locked_pair(ticket_id, into_id)
    if ticket.guest_id != into.guest_id or ticket.property_id != into.property_id:
        raise CannotJoin(_("Only tickets of the same guest at the same property are merged."))
    if ticket.closed_at is not None or into.closed_at is not None:
        raise TicketIsClosed
    drop_clocks(ticket, now=now)
    before = {"status": ticket.status}
    ticket.status, ticket.closed_at, ticket.waiting_since = Ticket.Status.MERGED, now, None
    ticket.merged_into = into
    ticket.save(update_fields=["status", "closed_at", "waiting_since", "merged_into"])
    write(ticket, Kind.MERGED, actor=actor, now=now, text=f"T-{into.pk}", before=before, after={"merged_into": into.pk})
    write(into, Kind.MERGED, actor=actor, now=now, text=f"T-{ticket.pk}", action="merged_from")
    return into


@transaction.atomic
def split_ticket(
    *,
    actor: User | None,
    now: dt.datetime,
    ticket_id: int,
    department: Department,
    subject: str,
    category: str,
    severity: str,
) -> Ticket:
    """Open a further ticket of the same case for another department, with its own clocks.

    Raises:
        TicketIsClosed: The ticket is not open.
        DepartmentHasTicket: The department has an open ticket of the case.
    """
    ticket = locked_open(ticket_id)
    made = open_ticket(
        actor=actor,
        now=now,
        guest_id=ticket.guest_id,
        place=ticket.property,
        category=category,
        severity=severity,
        subject=subject,
        stay_id=ticket.stay_id,
        department=department,
        case=ticket.case,
        source=ticket.source,
    )
    write(ticket, Kind.SPLIT, actor=actor, now=now, text=f"T-{made.pk} {department.local_name}")
    return made


@transaction.atomic
def link_tickets(*, actor: User | None, now: dt.datetime, ticket_id: int, other_id: int) -> None:
    """Say that two tickets of a property have to do with each other; a second time changes nothing.

    Raises:
        CannotJoin: They are of different properties, or one ticket.
    """
    if ticket_id == other_id:
        raise CannotJoin(_("A ticket is not linked with itself."))
    ticket, other = locked_pair(ticket_id, other_id)
    if ticket.property_id != other.property_id:
        raise CannotJoin(_("Only tickets of the same property are linked."))
    first, second = sorted((ticket, other), key=lambda found: found.pk)
    _link, created = TicketLink.objects.get_or_create(ticket=first, other=second)
    if created:
        write(ticket, Kind.LINKED, actor=actor, now=now, text=f"T-{other.pk}")
        write(other, Kind.LINKED, actor=actor, now=now, text=f"T-{ticket.pk}")
