"""Changing members' tiers: what stays reach at once, and the one place that writes a change.

Downgrades are decided in a reviewed batch (`loyalty.services.tier_reviews`); tiers that are given are in
`loyalty.services.tier_grants`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction

from loyalty.models import Membership, TierChange, TierGrant, TierSource
from loyalty.selectors.standing import Judgement, Judging
from loyalty.signals import tier_changed

if TYPE_CHECKING:
    from hotels.models import User
    from loyalty.models import Programme


@dataclass(frozen=True, slots=True)
class Move:
    """A change of a member's tier, or of its end, and what it rests on.

    `effective_date` and `until_date` are in the programme's time zone, `decided_at` is aware. `zero_from`
    is the first day that counts afterwards, where counting begins anew.
    """

    membership_id: int
    kind: str
    from_tier_id: int
    to_tier_id: int
    effective_date: dt.date
    decided_at: dt.datetime
    until_date: dt.date | None = None
    source: str = TierSource.EARNED
    figures: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    grant_id: int | None = None
    review_id: int | None = None
    zero_from: dt.date | None = None


_UPDATE = """
UPDATE loyalty_membership m
SET tier_id = r.tier_id, tier_until_date = r.until_date, tier_source = r.source, tier_grant_id = r.grant_id,
    tier_since_date = CASE WHEN m.tier_id = r.tier_id THEN m.tier_since_date ELSE r.since_date END,
    counts_from_date = coalesce(r.zero_from, m.counts_from_date)
FROM unnest(%s::bigint[], %s::bigint[], %s::date[], %s::text[], %s::bigint[], %s::date[], %s::date[])
    AS r (id, tier_id, until_date, source, grant_id, since_date, zero_from)
WHERE m.id = r.id
"""

# A row without figures that says from when counting began anew, so that the ledger explains it.
_RESET = """
INSERT INTO loyalty_qualificationentry (
    membership_id, kind, reference, revision, business_date, nights, stays, amount, created_at)
SELECT r.membership_id, 'reset', r.zero_from::text, 0, r.zero_from, 0, 0, 0, now()
FROM unnest(%s::bigint[], %s::date[]) AS r (membership_id, zero_from)
ON CONFLICT DO NOTHING
"""


@transaction.atomic
def change_tiers(*, actor: User | None, now: dt.datetime, moves: Sequence[Move]) -> list[TierChange]:
    """Change tiers and record why; a member whose tier has changed meanwhile is passed over.

    Args:
        actor: Who caused it; None for the system.
        now: Aware instant, for the signal.
        moves: In the order they happened; a member may move more than once.

    Returns:
        The recorded changes, in the same order.
    """
    if not moves:
        return []
    first: dict[int, Move] = {}
    last: dict[int, Move] = {}
    zero: dict[int, dt.date] = {}
    for move in moves:
        first.setdefault(move.membership_id, move)
        last[move.membership_id] = move
        if move.zero_from is not None:
            zero[move.membership_id] = move.zero_from
    ids = sorted(last)
    # Locked in the order of ids, so that two batches cannot block each other.
    standing = dict(
        Membership.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk").values_list("pk", "tier_id")
    )
    moved = [pk for pk in ids if standing.get(pk) == first[pk].from_tier_id]
    lifelong = _grants_for_life([move for move in moves if move.membership_id in set(moved)], now)
    rows = [last[pk] for pk in moved]
    with connection.cursor() as cursor:
        cursor.execute(
            _UPDATE,
            [
                moved,
                [move.to_tier_id for move in rows],
                [move.until_date for move in rows],
                [str(move.source) for move in rows],
                [_grant_of(move, lifelong) for move in rows],
                [move.effective_date for move in rows],
                [zero.get(pk) for pk in moved],
            ],
        )
        resets = [pk for pk in moved if pk in zero]
        if resets:
            cursor.execute(_RESET, [resets, [zero[pk] for pk in resets]])
    known = set(moved)
    changes = TierChange.objects.bulk_create(
        TierChange(
            membership_id=move.membership_id,
            kind=move.kind,
            from_tier_id=move.from_tier_id,
            to_tier_id=move.to_tier_id,
            effective_date=move.effective_date,
            until_date=move.until_date,
            source=move.source,
            decided_at=move.decided_at,
            figures=dict(move.figures),
            reason=move.reason,
            actor=actor,
            grant_id=_grant_of(move, lifelong),
            review_id=move.review_id,
        )
        for move in moves
        if move.membership_id in known
    )
    for change in changes:
        if change.from_tier_id != change.to_tier_id:
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


def _grant_of(move: Move, lifelong: Mapping[int, int]) -> int | None:
    return lifelong.get(move.membership_id) if move.source == TierSource.LIFETIME else move.grant_id


def moves_of(
    judgements: Sequence[Judgement], judging: Judging, *, now: dt.datetime, review_id: int | None = None
) -> list[Move]:
    """The changes that verdicts ask for."""
    # The last day that was judged belongs to the tier that it reached.
    zero_from = judging.as_of + dt.timedelta(days=1) if judging.terms.zero_on_change else None
    return [
        Move(
            membership_id=judgement.membership_id,
            kind=judgement.kind,
            from_tier_id=judgement.from_tier_id,
            to_tier_id=judgement.to_tier_id,
            effective_date=judging.run_date,
            decided_at=now,
            until_date=judgement.until_date,
            source=judgement.source,
            figures=judgement.figures,
            grant_id=judgement.grant_id,
            review_id=review_id,
            zero_from=zero_from if judgement.from_tier_id != judgement.to_tier_id else None,
        )
        for judgement in judgements
    ]


_GRANT_FOR_LIFE = """
INSERT INTO loyalty_tiergrant (
    public_id, membership_id, tier_id, source, from_date, until_date, reason, proof, proof_reference, reference,
    granted_at, before_tier_id, before_until_date, before_source, before_grant_id, revoke_reason)
SELECT gen_random_uuid(), m.id, r.tier_id, 'lifetime', r.from_date, NULL, '', '', '', r.tier_id::text, %s, m.tier_id,
    m.tier_until_date, m.tier_source, m.tier_grant_id, ''
FROM unnest(%s::bigint[], %s::bigint[], %s::date[]) AS r (membership_id, tier_id, from_date)
JOIN loyalty_membership m ON m.id = r.membership_id
ON CONFLICT DO NOTHING
"""


def _grants_for_life(moves: Sequence[Move], now: dt.datetime) -> dict[int, int]:
    """A tier for life stays, whatever is corrected later: it gets a grant to rest on; membership id → grant."""
    wanted = {move.membership_id: move for move in moves if move.source == TierSource.LIFETIME and not move.grant_id}
    if not wanted:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            _GRANT_FOR_LIFE,
            [
                now,
                list(wanted),
                [move.to_tier_id for move in wanted.values()],
                [move.effective_date for move in wanted.values()],
            ],
        )
    grants = TierGrant.objects.filter(membership__in=wanted, source=TierSource.LIFETIME, revoked_at=None)
    return {
        grant.membership_id: grant.pk
        for grant in grants.order_by("pk")
        if wanted[grant.membership_id].to_tier_id == grant.tier_id
    }


@transaction.atomic
def review_tiers(
    *, actor: User | None, now: dt.datetime, programme: Programme, membership_ids: Sequence[int] | None = None
) -> list[TierChange]:
    """Move up every member whose figures reach a higher tier today, as after a change of thresholds.

    Nobody is moved down; a tier that is still reached when it ends, in a new year or for life gets its
    later end.

    Args:
        actor: Who reviews; None for the system.
        now: Aware instant; thresholds and window are those of its date in the programme's time zone.
        programme: The programme.
        membership_ids: Only these members; all of them if None.
    """
    judging = Judging(programme, programme.local_date(now))
    judgements = [
        judgement
        for judgement in judging.judge(membership_ids)
        if judgement.kind in {TierChange.Kind.UPGRADE, TierChange.Kind.RENEWAL}
    ]
    return change_tiers(actor=actor, now=now, moves=moves_of(judgements, judging, now=now))
