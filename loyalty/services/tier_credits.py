"""What counts towards tiers without a stay: entries by hand, and what is carried over into a new year."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.db import connection, transaction
from django.utils.translation import gettext as _

from hotels.services.audit import record_audit
from loyalty.models import Membership, QualificationEntry, Tier
from loyalty.rules.tiers import EXTRA, ORDINARY, Figures, Threshold, in_force, measures, policy_in_force
from loyalty.selectors.standing import policies_of, thresholds_of
from loyalty.services.tiers import review_tiers

if TYPE_CHECKING:
    from hotels.models import User
    from loyalty.models import Programme

DAY = dt.timedelta(days=1)


class QualificationError(Exception):
    """Something cannot be counted; `code` is stable."""

    code = "qualification_error"


class NothingToCount(QualificationError):
    """No figure, or no reason."""

    code = "nothing_to_count"

    def __init__(self) -> None:
        super().__init__(_("Say what counts, and why."))


@transaction.atomic
def add_qualification(
    *,
    actor: User,
    now: dt.datetime,
    membership_id: int,
    figures: Figures,
    reason: str,
    business_date: dt.date | None = None,
    kind: str = QualificationEntry.Kind.MANUAL,
    reference: str = "",
) -> list[QualificationEntry]:
    """Count something by hand: nights of another house, meetings that were held. A tier reached begins at once.

    Args:
        actor: Who decides.
        now: Aware instant.
        membership_id: Whose figures.
        figures: What counts; negative figures take away.
        reason: Why, in the actor's words.
        business_date: The day it counts on; today if None.
        kind: By hand, of a challenge, or of a status match.
        reference: What makes a repeat the same; sent again it changes nothing.

    Raises:
        NothingToCount: There is no figure or no reason.
    """
    if not figures or not reason.strip():
        raise NothingToCount
    membership = (
        Membership.objects.select_for_update(no_key=True, of=("self",))
        .select_related("programme")
        .get(pk=membership_id)
    )
    known = QualificationEntry.objects.filter(membership=membership, kind=kind, reference=reference)
    if reference and (entries := list(known.order_by("revision"))):
        return entries
    facts = {
        "membership": membership,
        "kind": kind,
        "reference": reference,
        "business_date": business_date or membership.programme.local_date(now),
        "reason": reason.strip(),
        "actor": actor,
    }
    rows = [QualificationEntry(**facts, **{name: getattr(figures, name) for name in ORDINARY})]
    rows = rows if any(getattr(figures, name) for name in ORDINARY) else []
    rows += [
        QualificationEntry(**facts, measure=name, quantity=getattr(figures, name), revision=len(rows) + index)
        for index, name in enumerate(name for name in EXTRA if getattr(figures, name))
    ]
    QualificationEntry.objects.bulk_create(rows)
    record_audit(
        actor=actor,
        now=now,
        action="qualification.added",
        target=membership,
        label=membership.number,
        after={**figures.as_json(), "reason": reason.strip(), "kind": kind},
    )
    review_tiers(actor=actor, now=now, programme=membership.programme, membership_ids=[membership_id])
    return rows


_CARRY_OVER = """
WITH spans AS ({spans}),
figures AS (
    SELECT q.membership_id, s.year_start, s.before_end, {sums}
    FROM loyalty_qualificationentry q JOIN spans s ON s.id = q.membership_id
    WHERE q.business_date >= s.before AND q.business_date < s.year_start
    GROUP BY q.membership_id, s.year_start, s.before_end
), due AS (
    SELECT f.membership_id, f.year_start, {excess}
    FROM figures f
    JOIN loyalty_membership m ON m.id = f.membership_id
    LEFT JOIN LATERAL (
        SELECT c.to_tier_id FROM loyalty_tierchange c
        WHERE c.membership_id = m.id AND c.effective_date <= f.before_end
        ORDER BY c.effective_date DESC, c.id DESC LIMIT 1
    ) last ON true
    LEFT JOIN LATERAL (
        SELECT c.from_tier_id FROM loyalty_tierchange c
        WHERE c.membership_id = m.id AND c.effective_date > f.before_end
        ORDER BY c.effective_date, c.id LIMIT 1
    ) next ON true
    JOIN loyalty_tier t ON t.id = coalesce(last.to_tier_id, next.from_tier_id, m.tier_id)
), known AS (
    SELECT q.membership_id, q.reference, count(*) AS revisions, {sums}
    FROM loyalty_qualificationentry q JOIN due d ON d.membership_id = q.membership_id
        AND q.reference = d.year_start::text
    WHERE q.kind = 'carry_over'
    GROUP BY q.membership_id, q.reference
)
INSERT INTO loyalty_qualificationentry (
    membership_id, kind, reference, revision, business_date, nights, stays, amount, points, created_at)
SELECT d.membership_id, 'carry_over', d.year_start::text, coalesce(k.revisions, 0), d.year_start, {differences}, %(now)s
FROM due d LEFT JOIN known k ON k.membership_id = d.membership_id AND k.reference = d.year_start::text
WHERE ({due}) IS DISTINCT FROM ({carried})
ON CONFLICT DO NOTHING
"""


@transaction.atomic
def carry_over_excess(*, now: dt.datetime, programme: Programme, membership_ids: Sequence[int] | None = None) -> int:
    """Carry over into the year that has begun what exceeded the thresholds of the tiers in the year before.

    What counts is the tier at the end of the year and the policy in force then. A stay of the old year
    that is corrected later corrects what was carried, the next time this runs; run twice it changes
    nothing. For `membership_ids`, or for all members if None. Returns how many entries were written.
    """
    today = programme.local_date(now)
    terms = policy_in_force(policies_of([programme.pk])[programme.pk], dt.date(today.year, 1, 1) - DAY)
    if not terms.has_years or not terms.carry_over:
        return 0
    thresholds = in_force(thresholds_of([programme.pk])[programme.pk], dt.date(today.year, 1, 1) - DAY)
    tiers = {tier.pk: tier.rank for tier in Tier.objects.filter(programme=programme)}
    lowest = tiers.get(terms.carry_over_tier_id or 0, 1)
    excess, due, carried, differences = [], [], [], []
    for name in ORDINARY:
        excess.append(f"{_excess(name, thresholds, lowest) if name in terms.carry_over else 0} AS {name}")
        due.append(f"d.{name}")
        carried.append(f"coalesce(k.{name}, 0)")
        differences.append(f"d.{name} - coalesce(k.{name}, 0)")
    selected = "" if membership_ids is None else "AND m.id = ANY (%(ids)s::bigint[])"
    if terms.window == "membership_year":
        spans = f"""
            SELECT id, (enrolled + make_interval(years => years))::date AS year_start,
                (enrolled + make_interval(years => years))::date - 1 AS before_end,
                greatest((enrolled + make_interval(years => years - 1))::date, counts_from_date) AS before
            FROM (
                SELECT e.*, apart - ((enrolled + make_interval(years => apart))::date > %(today)s)::int AS years
                FROM (
                    SELECT m.id, m.counts_from_date, (m.enrolled_at AT TIME ZONE %(zone)s)::date AS enrolled,
                        extract(year FROM %(today)s::date)::int
                            - extract(year FROM m.enrolled_at AT TIME ZONE %(zone)s)::int AS apart
                    FROM loyalty_membership m WHERE m.programme_id = %(programme)s {selected}
                ) e
            ) y WHERE years > 0"""  # noqa: S608 - a condition of this function
    else:
        spans = f"""
            SELECT m.id, %(year)s::date AS year_start, %(year)s::date - 1 AS before_end,
                greatest((%(year)s::date - interval '1 year')::date, m.counts_from_date) AS before
            FROM loyalty_membership m WHERE m.programme_id = %(programme)s {selected}"""  # noqa: S608 - as above
    statement = _CARRY_OVER.format(
        spans=spans,
        sums=", ".join(f"sum(q.{name}) AS {name}" for name in ORDINARY),
        excess=", ".join(excess),
        due=", ".join(due),
        carried=", ".join(carried),
        differences=", ".join(differences),
    )
    with connection.cursor() as cursor:
        cursor.execute(
            statement,
            {
                "programme": programme.pk,
                "zone": programme.time_zone,
                "today": today,
                "year": dt.date(today.year, 1, 1),
                "now": now,
                "ids": list(membership_ids or ()),
            },
        )
        return int(cursor.rowcount)


def _excess(name: str, thresholds: Sequence[Threshold], lowest: int) -> str:
    """SQL of what exceeds the threshold of the member's tier, below that of the next one."""
    needed = {
        threshold.rank: measure.needed
        for threshold in thresholds
        for measure in measures(threshold, Figures())
        if measure.kind == name
    }
    cases = []
    for rank, least in needed.items():
        ahead = min((other for other_rank, other in needed.items() if other_rank > rank), default=None)
        counted = f"f.{name}" if ahead is None else f"least(f.{name}, {ahead - 1})"
        if rank >= lowest:
            cases.append(f"WHEN {rank} THEN greatest({counted} - {least}, 0)")
    return f"CASE t.rank {' '.join(cases)} ELSE 0 END" if cases else "0"
