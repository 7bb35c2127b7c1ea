"""Which points lapse when."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db.models import Sum

from loyalty.models import Lot


@dataclass(frozen=True, slots=True)
class ExpiringPoints:
    """Points that can be used up to and including a day."""

    expires_on: dt.date
    points: int


def expiring_points(*, membership_id: int, today: dt.date) -> list[ExpiringPoints]:
    """A member's spendable points by the last day they can be used, soonest first; one query.

    Args:
        membership_id: Whose points.
        today: The day in the programme's time zone; lots that lapsed before it are left out.
    """
    rows = (
        Lot.objects.filter(
            account__membership=membership_id,
            account__unit="points",
            state=Lot.State.OPEN,
            expires_on__gte=today,
        )
        .values_list("expires_on")
        .annotate(Sum("remaining"))
        .order_by("expires_on")
    )
    return [ExpiringPoints(expires_on, points) for expires_on, points in rows if expires_on and points]
