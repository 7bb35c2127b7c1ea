"""Reads of tickets: lists by who and how late, and the guest card's panel."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from dataclasses import dataclass
from typing import Any, Literal

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from feedback.models import Ticket
from hotels.models import Department, Property, User
from members.models import Guest
from members.selectors.panels import GuestAction

FILTERS = ("mine", "open", "unassigned", "overdue", "waiting", "closed")
CARD_TICKETS = 5
SOON = dt.timedelta(hours=2)

Level = Literal["overdue", "soon", "calm", "done"]


@dataclass(frozen=True, slots=True)
class Clock:
    """How a ticket stands against its due time.

    Attributes:
        level: `overdue`, `soon` (less than two hours), `calm` or `done`; a CSS class.
        text: In the reader's language.
    """

    level: Level
    text: str


def _duration(seconds: float) -> str:
    minutes = int(seconds // 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return ngettext("%(count)d day", "%(count)d days", days) % {"count": days}
    if hours:
        return _("%(hours)d h %(minutes)d min") % {"hours": hours, "minutes": minutes}
    return _("%(minutes)d min") % {"minutes": minutes}


def ticket_clock(ticket: Ticket, now: dt.datetime) -> Clock:
    """The ticket's clock at an aware instant."""
    if ticket.closed_at is not None:
        return Clock("done", ticket.get_status_display())
    if ticket.waiting_since is not None:
        return Clock("calm", _("the clock stands"))
    left = (ticket.due_at - now).total_seconds()
    if left < 0:
        return Clock("overdue", _("%(duration)s late") % {"duration": _duration(-left)})
    text = _("%(duration)s left") % {"duration": _duration(left)}
    return Clock("soon" if left < SOON.total_seconds() else "calm", text)


@dataclass(frozen=True, slots=True)
class TicketRow:
    """A ticket with its clock and times in the property's zone."""

    ticket: Ticket
    clock: Clock
    opened_at: dt.datetime
    due_at: dt.datetime


def ticket_row(ticket: Ticket, now: dt.datetime) -> TicketRow:
    """Dress a ticket whose property is loaded."""
    zone = zoneinfo.ZoneInfo(ticket.property.time_zone)
    return TicketRow(
        ticket, ticket_clock(ticket, now), ticket.opened_at.astimezone(zone), ticket.due_at.astimezone(zone)
    )


def ticket_rows(
    *,
    user: User,
    place: Property,
    now: dt.datetime,
    which: str,
    after: str,
    limit: int,
    department: Department | None = None,
) -> tuple[list[TicketRow], str]:
    """One page of a property's tickets, the most urgent first; closed ones by the newest.

    Args:
        user: Who reads.
        place: The property.
        now: Aware instant.
        which: One of `FILTERS`.
        after: Mark of the last row seen, as returned; empty for the first page.
        limit: Rows on the page.
        department: Only its tickets; None for all.

    Returns:
        The rows, and the mark to ask for the next page; empty on the last.
    """
    tickets = Ticket.objects.visible_to(user).filter(property=place)
    if department is not None:
        tickets = tickets.filter(department=department)
    if which == "closed":
        tickets = tickets.filter(closed_at__isnull=False).order_by("-pk")
        if after.isdecimal():
            tickets = tickets.filter(pk__lt=int(after[:18]))
    else:
        tickets = tickets.open().order_by("due_at", "pk")
        if which == "mine":
            tickets = tickets.filter(assignee=user)
        elif which == "overdue":
            tickets = tickets.filter(due_at__lt=now, waiting_since=None)
        elif which == "unassigned":
            tickets = tickets.filter(Q(assignee=None) | Q(is_provisional=True))
        elif which == "waiting":
            tickets = tickets.filter(status=Ticket.Status.WAITING)
        due, _separator, pk = after.rpartition("~")
        if due and pk.isdecimal():
            try:
                seen = dt.datetime.fromisoformat(due)
            except ValueError:
                seen = None
            if seen is not None and seen.tzinfo is not None:
                tickets = tickets.filter(Q(due_at__gt=seen) | Q(due_at=seen, pk__gt=int(pk[:18])))
    page = list(tickets.select_related("guest", "assignee", "department", "property")[: limit + 1])
    rows = [ticket_row(ticket, now) for ticket in page[:limit]]
    if len(page) <= limit:
        return rows, ""
    last = page[limit - 1]
    return rows, str(last.pk) if which == "closed" else f"{last.due_at.isoformat()}~{last.pk}"


def card_context(guest: Guest, user: User, place: Property, now: dt.datetime) -> dict[str, Any]:
    """The guest's open tickets at the user's properties, and the action to log one; one query."""
    tickets: list[TicketRow] = []
    if user.has_perm("feedback.view_ticket", place):
        found = (
            Ticket.objects.visible_to(user)
            .open()
            .filter(guest=guest)
            .select_related("assignee", "property", "department")
            .order_by("due_at", "pk")[:CARD_TICKETS]
        )
        tickets = [ticket_row(ticket, now) for ticket in found]
    actions = []
    if user.has_perm("feedback.add_ticket", place):
        url = reverse("feedback:open_ticket", args=[guest.public_id])
        actions.append(GuestAction("T", "clipboard-plus", _("New ticket"), url, 30))
    return {"tickets": tickets, "actions": actions, "new_url": actions[0].url if actions else ""}
