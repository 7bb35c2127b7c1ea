"""Which points lapse when."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import connection
from django.db.models import Sum

from loyalty.models import Account, Lot, Programme


@dataclass(frozen=True, slots=True)
class ExpiringPoints:
    """Points that can be used up to and including a day."""

    expires_on: dt.date
    points: int


@dataclass(frozen=True, slots=True)
class Inactivity:
    """When inactivity takes an account's earned and bonus points.

    Attributes:
        last_activity: The day that the months are counted from.
        lapses_on: The last day on which the points can be used.
        usable_until: The same, put off until the days of notice are over; None while the programme asks for a
            notice that was not given, so that nothing lapses.
    """

    last_activity: dt.date
    lapses_on: dt.date
    usable_until: dt.date | None


# Purchased points never lapse by inactivity, compensation by its own date only.
LAPSE_BY_INACTIVITY = frozenset({Lot.Class.EARNED, Lot.Class.BONUS})

_INACTIVITY = """
    SELECT u.id, f.last_activity, f.lapses_on, f.usable_until
    FROM unnest(%s::bigint[]) u (id) CROSS JOIN LATERAL loyalty_inactivity(u.id) f
"""


def inactivity_of(account_ids: Iterable[int]) -> dict[int, Inactivity]:
    """When inactivity takes the points of some accounts; those it cannot take any from are left out.

    One query, of the function by which the ledger itself judges.
    """
    with connection.cursor() as cursor:
        cursor.execute(_INACTIVITY, [list(account_ids)])
        return {row[0]: Inactivity(*row[1:]) for row in cursor.fetchall()}


def last_day(lot_class: str, expires_on: dt.date | None, inactivity: Inactivity | None) -> dt.date | None:
    """The last day on which points of a lot can be used, by their own date or by inactivity; None for no end."""
    if inactivity is None or inactivity.usable_until is None or lot_class not in LAPSE_BY_INACTIVITY:
        return expires_on
    return min(expires_on, inactivity.usable_until) if expires_on else inactivity.usable_until


def expiring_points(*, membership_id: int, today: dt.date) -> list[ExpiringPoints]:
    """A member's spendable points by the last day they can be used, soonest first; at most three queries.

    Args:
        membership_id: Whose points.
        today: The day in the programme's time zone; points that lapsed before it are left out.
    """
    inactivity: Inactivity | None = None
    if Programme.objects.filter(memberships=membership_id, inactivity_months__isnull=False).exists():
        accounts = Account.objects.filter(membership=membership_id, unit="points").values_list("pk", flat=True)
        inactivity = next(iter(inactivity_of(accounts).values()), None)
    lots = (
        Lot.objects.filter(account__membership=membership_id, account__unit="points", state=Lot.State.OPEN)
        .values_list("lot_class", "expires_on")
        .annotate(Sum("remaining"))
        .order_by("expires_on")
    )
    by_day: dict[dt.date, int] = defaultdict(int)
    for lot_class, expires_on, points in lots:
        day = last_day(lot_class, expires_on, inactivity)
        if day is not None and day >= today:
            by_day[day] += points
    return [ExpiringPoints(day, by_day[day]) for day in sorted(by_day)]
