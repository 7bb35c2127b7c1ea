"""Moving members up as soon as their figures reach a threshold in force.

Members are never moved down here: a downgrade is decided in a reviewed batch.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import connection, transaction

from loyalty.models import Membership, TierChange
from loyalty.rules.tiers import Figures, window_start
from loyalty.signals import tier_changed

if TYPE_CHECKING:
    from hotels.models import User
    from loyalty.models import Programme


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A move to a higher tier, and the figures and threshold it rests on.

    `effective_date` is in the programme's time zone, `decided_at` aware.
    """

    membership_id: int
    from_tier_id: int
    to_tier_id: int
    effective_date: dt.date
    decided_at: dt.datetime
    figures: Figures
    criteria_id: int


@transaction.atomic
def apply_upgrades(*, actor: User | None, now: dt.datetime, upgrades: Sequence[Upgrade]) -> list[TierChange]:
    """Change tiers and record why; a member whose tier has changed meanwhile is passed over.

    Args:
        actor: Who caused it; None for the system.
        now: Aware instant, for the signal.
        upgrades: In the order they happened; a member may climb more than once.

    Returns:
        The recorded changes, in the same order.
    """
    if not upgrades:
        return []
    first: dict[int, Upgrade] = {}
    last: dict[int, Upgrade] = {}
    for upgrade in upgrades:
        first.setdefault(upgrade.membership_id, upgrade)
        last[upgrade.membership_id] = upgrade
    ids = sorted(last)
    # Locked in the order of ids, so that two batches cannot block each other.
    standing = dict(
        Membership.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk").values_list("pk", "tier_id")
    )
    moved = [pk for pk in ids if standing.get(pk) == first[pk].from_tier_id]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE loyalty_membership m SET tier_id = r.tier_id, tier_since_date = r.since_date
            FROM unnest(%s::bigint[], %s::bigint[], %s::date[]) AS r (id, tier_id, since_date)
            WHERE m.id = r.id
            """,
            [moved, [last[pk].to_tier_id for pk in moved], [last[pk].effective_date for pk in moved]],
        )
    changes = TierChange.objects.bulk_create(
        TierChange(
            membership_id=upgrade.membership_id,
            from_tier_id=upgrade.from_tier_id,
            to_tier_id=upgrade.to_tier_id,
            effective_date=upgrade.effective_date,
            decided_at=upgrade.decided_at,
            figures={**upgrade.figures.as_json(), "criteria": upgrade.criteria_id},
            actor=actor,
        )
        for upgrade in upgrades
        if upgrade.membership_id in set(moved)
    )
    for change in changes:
        tier_changed.send(
            TierChange,
            membership_id=change.membership_id,
            from_tier_id=change.from_tier_id,
            to_tier_id=change.to_tier_id,
            tier_change_id=change.pk,
            actor=actor,
            now=now,
        )
    return changes


_REACHED = """
WITH figures AS (
    SELECT m.id, m.tier_id, t.rank, sum(q.nights) AS nights, sum(q.stays) AS stays, sum(q.amount) AS amount
    FROM loyalty_membership m
    JOIN loyalty_tier t ON t.id = m.tier_id
    JOIN loyalty_qualificationentry q ON q.membership_id = m.id AND q.business_date BETWEEN %(start)s AND %(end)s
    WHERE m.programme_id = %(programme)s AND m.status = 'active'
      AND (%(ids)s::bigint[] IS NULL OR m.id = ANY (%(ids)s::bigint[]))
    GROUP BY m.id, m.tier_id, t.rank
), criteria AS (
    SELECT DISTINCT ON (c.tier_id) c.id, c.tier_id, t.rank, c.min_amount, c.min_stays, c.min_nights
    FROM loyalty_tiercriteria c
    JOIN loyalty_tier t ON t.id = c.tier_id
    WHERE t.programme_id = %(programme)s AND c.effective_from <= %(end)s
    ORDER BY c.tier_id, c.effective_from DESC
)
SELECT DISTINCT ON (f.id) f.id, f.tier_id, c.tier_id, c.id, f.nights, f.stays, f.amount
FROM figures f
JOIN criteria c ON c.rank > f.rank
    AND (f.amount >= c.min_amount OR f.stays >= c.min_stays OR f.nights >= c.min_nights)
ORDER BY f.id, c.rank DESC
"""


@transaction.atomic
def review_tiers(
    *, actor: User | None, now: dt.datetime, programme: Programme, membership_ids: Sequence[int] | None = None
) -> list[TierChange]:
    """Move up every member whose figures reach a higher tier today, as after a change of thresholds.

    Args:
        actor: Who reviews; None for the system.
        now: Aware instant; thresholds and window are those of its date in the programme's time zone.
        programme: The programme.
        membership_ids: Only these members; all of them if None.
    """
    today = programme.local_date(now)
    with connection.cursor() as cursor:
        cursor.execute(
            _REACHED,
            {
                "programme": programme.pk,
                "start": window_start(today, programme.qualification_months),
                "end": today,
                "ids": None if membership_ids is None else list(membership_ids),
            },
        )
        upgrades = [
            Upgrade(
                membership_id=membership_id,
                from_tier_id=from_tier_id,
                to_tier_id=to_tier_id,
                effective_date=today,
                decided_at=now,
                figures=Figures(nights, stays, amount),
                criteria_id=criteria_id,
            )
            for membership_id, from_tier_id, to_tier_id, criteria_id, nights, stays, amount in cursor.fetchall()
        ]
    return apply_upgrades(actor=actor, now=now, upgrades=upgrades)
