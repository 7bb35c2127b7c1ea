"""Who is on duty, and what their predecessors left."""

from __future__ import annotations

import datetime as dt

from django.db.models import Count, Q

from feedback.models import Handover, Notification, Shift
from hotels.models import Property, User


def people_on_duty(place: Property, now: dt.datetime) -> list[User]:
    """Those at work at a property, by name; one query."""
    found = User.objects.filter(pk__in=Shift.objects.on_duty(now).filter(property=place).values("user"))
    return list(found.order_by("display_name", "username", "pk"))


def people_of(place: Property, now: dt.datetime) -> list[User]:
    """Who may be given a ticket: those on duty, or where no shifts are planned all who work there."""
    if Shift.objects.filter(property=place).exists():
        return people_on_duty(place, now)
    return list(
        User.objects.filter(
            Q(assignments__property=place)
            | Q(assignments__brand=place.brand_id)
            | Q(assignments__group=place.brand.group_id),
            is_active=True,
        )
        .distinct()
        .order_by("display_name", "username", "pk")
    )


def open_handovers(place: Property) -> int:
    """How many tickets wait to be taken over at a property."""
    return Handover.objects.filter(ticket__property=place, accepted_at=None).count()


def handover_list(place: Property, limit: int = 200) -> list[Handover]:
    """The tickets that wait to be taken over, the most urgent first; one query."""
    return list(
        Handover.objects.filter(ticket__property=place, accepted_at=None)
        .select_related("ticket__guest", "ticket__property", "ticket__department", "ticket__assignee", "shift__user")
        .order_by("ticket__due_at", "pk")[:limit]
    )


def bell(user: User, limit: int = 20) -> tuple[list[Notification], int]:
    """The newest lines under somebody's bell, and how many are unread; two queries."""
    rows = list(
        Notification.objects.filter(user=user).select_related("ticket__property", "reminder").order_by("-pk")[:limit]
    )
    unread = Notification.objects.filter(user=user, read_at=None).aggregate(count=Count("pk"))["count"]
    return rows, unread
