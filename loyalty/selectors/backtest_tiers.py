# ruff: noqa: S608 - the SQL is put together from this package's columns; values are parameters
"""Whose figures would reach another tier, had other rules given the qualifying points of a period."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.db import connection

from loyalty.rules.tiers import LIFETIME
from loyalty.selectors.standing import Judging

if TYPE_CHECKING:
    from loyalty.models import Programme

_WITH_DIFFERENCES = """(
    SELECT membership_id, business_date, nights, stays, amount, points, measure, quantity
    FROM loyalty_qualificationentry
    UNION ALL
    SELECT d.membership_id, d.business_date, 0, 0, 0, d.points, '', 0
    FROM unnest(%(other_members)s::bigint[], %(other_days)s::date[], %(other_points)s::bigint[])
        AS d (membership_id, business_date, points)
)"""


def tiers_reached_otherwise(
    programme: Programme, differences: Mapping[tuple[int, dt.date], int], *, on_date: dt.date
) -> Counter[tuple[int, int]] | None:
    """Count the members whose figures would reach another tier, by the tier reached now and the other one.

    The figures are those that a review of the day would judge by, with grants as their floor; neither when a
    tier ends nor grace plays a part, as under the other rules it would have been reached at other times.

    Args:
        programme: Whose thresholds and policy.
        differences: Membership and day a stay counts on → qualifying points more (or fewer).
        on_date: The day of the review.

    Returns:
        Ids of both tiers → members; None where no threshold asks for points.
    """
    plain = Judging(programme, on_date)
    if not plain.used & {"points", f"{LIFETIME}points"}:
        return None
    other = Judging(programme, on_date, entries=_WITH_DIFFERENCES)
    members = sorted({membership_id for membership_id, _day in differences})
    other.parameters |= {
        "other_members": [membership_id for membership_id, _day in differences],
        "other_days": [day for _membership_id, day in differences],
        "other_points": list(differences.values()),
    }
    ranks = [_ranks(judging, members) for judging in (plain, other)] if members else [{}, {}]
    moves: Counter[tuple[int, int]] = Counter()
    for membership_id, rank in ranks[0].items():
        if ranks[1][membership_id] != rank:
            moves[plain.tiers[rank], plain.tiers[ranks[1][membership_id]]] += 1
    return moves


def _ranks(judging: Judging, members: list[int]) -> dict[int, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"{judging.sql('m.id = ANY (%(members)s::bigint[])')} SELECT b.id, b.best FROM best b",
            {**judging.parameters, "members": members},
        )
        return dict(cursor.fetchall())
