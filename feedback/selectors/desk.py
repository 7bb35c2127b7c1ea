"""What the page of one ticket shows besides the ticket."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _

from feedback.models import Macro, Recovery, Ticket, TicketEvent, TicketLink, TicketReminder
from feedback.selectors.roster import people_of
from hotels.models import User

EVENTS = 200


def event_text(event: TicketEvent) -> str:
    """What an event says, in the reader's language."""
    if event.kind == TicketEvent.Kind.ESCALATED:
        percent, _colon, audience = event.text.partition(":")
        return _("%(percent)s %% of the time, to: %(audience)s") % {
            "percent": percent,
            "audience": TicketReminder.Audience(audience).label if audience in TicketReminder.Audience else audience,
        }
    return event.text


def ticket_context(ticket: Ticket, *, user: User, now: dt.datetime) -> dict[str, Any]:
    """The timeline, newest first, with those of merged tickets; the case's other tickets; clocks, files, recoveries."""
    zone = zoneinfo.ZoneInfo(ticket.property.time_zone)
    events = (
        TicketEvent.objects.filter(Q(ticket=ticket) | Q(ticket__merged_into=ticket))
        .select_related("actor")
        .order_by("-pk")[:EVENTS]
    )
    links = TicketLink.objects.filter(Q(ticket=ticket) | Q(other=ticket)).select_related(
        "ticket__property", "other__property"
    )
    return {
        "events": [(event, event.at.astimezone(zone), event_text(event)) for event in events],
        "parts": list(
            Ticket.objects.visible_to(user)
            .filter(case=ticket.case_id)
            .exclude(pk=ticket.pk)
            .select_related("department", "assignee", "property")
            .order_by("pk")
        ),
        "links": [link.other if link.ticket_id == ticket.pk else link.ticket for link in links],
        "clocks": [
            (clock, clock.due_at.astimezone(zone) if clock.due_at else None)
            for clock in ticket.clocks.select_related("policy").order_by("pk")
        ],
        "attachments": list(ticket.attachments.select_related("added_by").order_by("pk")),
        "recoveries": list(Recovery.objects.filter(ticket=ticket).select_related("made_by", "voucher").order_by("pk")),
        "macros": list(
            Macro.objects.filter(Q(property=None) | Q(property=ticket.property_id), is_active=True)
            .filter(Q(category="") | Q(category=ticket.category))
            .order_by("pk")
        ),
        "people": people_of(ticket.property, now),
    }


def guest_thread(ticket: Ticket) -> list[TicketEvent]:
    """What the guest said and was told, oldest first: all of a ticket that may ever leave the house."""
    return list(TicketEvent.objects.filter(ticket=ticket, kind__in=TicketEvent.FOR_GUEST).order_by("pk"))
