"""What the rules brought in for what their points cost: return = (extra revenue − points cost) ÷ points cost.

Definitions, for a period and a comparison period of as many days:

- The points of a rule are those that its parts gave in the period, less those taken back in it, whatever stay they
  are of. Their cost is points × what the point cost, in the programme's currency.
- Its members are those whose stays with departure in the period the rule gave points for.
- Revenue is what the folios of stays with departure in a period come to, net of tax, voided stays left out, in the
  programme's currency at the rate of the day of departure.
- Extra revenue is what its members brought in the period, less what would have been expected of them: what they
  brought in the comparison period × the growth of all other members from the one to the other (a difference in
  differences). Where the others brought nothing in the comparison period, the growth is taken as 1.

A rule that touches everybody has nobody to be compared with, and gives for nothing that would not have come anyway:
read base rules with that in mind.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django.db import connection

from hotels.models import ExchangeRate
from loyalty.models import Programme
from loyalty.rules.exchange import CENT, Quote, RateTable
from loyalty.rules.explain import name_of
from loyalty.selectors.finance.movements import midnight

# An entry of a stay tells its parts as they stand after it, so the last one of the period counts, less the last one
# before the period. An entry of an event tells what it gave; taking it back tells of which entry.
_PARTS = """
    SELECT c.id, a.membership_id, x.part ->> 'rule' AS rule, x.part -> 'name' AS name,
        c.sign * (x.part ->> 'points')::bigint AS points, coalesce(l.unit_cost, %(point_value)s) AS unit_cost,
        c.explanation ? 'stay' AS is_stay
    FROM (
        WITH given AS MATERIALIZED (
            SELECT p.id, p.account_id, p.seq, p.kind, p.reverses_id, p.source_system, p.source_reference,
                p.explanation, p.explanation -> 'share' AS share
            FROM loyalty_posting p JOIN loyalty_account b ON b.id = p.account_id
            WHERE b.programme_id = %(programme)s AND b.unit = 'points' AND p.kind IN ('earn', 'bonus', 'clawback')
                AND p.occurred_at >= %(start)s AND p.occurred_at < %(end)s
                AND (%(places)s::bigint[] IS NULL OR p.property_id = ANY(%(places)s::bigint[]))
        ), stays AS MATERIALIZED (
            SELECT DISTINCT ON (g.account_id, g.source_system, g.source_reference, g.share) g.*
            FROM given g WHERE g.explanation ? 'stay' AND g.explanation ? 'parts'
            ORDER BY g.account_id, g.source_system, g.source_reference, g.share, g.seq DESC
        )
        SELECT s.id, s.account_id, 1 AS sign, s.explanation FROM stays s
        UNION ALL
        SELECT s.id, s.account_id, -1, o.explanation
        FROM stays s CROSS JOIN LATERAL (
            SELECT e.explanation FROM loyalty_posting e
            WHERE e.account_id = s.account_id AND e.occurred_at < %(start)s AND e.source_system = s.source_system
                AND e.source_reference = s.source_reference AND e.explanation ? 'parts'
                AND e.explanation -> 'share' IS NOT DISTINCT FROM s.share
            ORDER BY e.seq DESC LIMIT 1) o
        UNION ALL
        SELECT g.id, g.account_id, 1, g.explanation
        FROM given g WHERE g.kind <> 'clawback' AND g.explanation ? 'event' AND g.explanation ? 'parts'
        UNION ALL
        SELECT g.id, g.account_id, -1, o.explanation
        FROM given g JOIN loyalty_posting o ON o.id = g.reverses_id
        WHERE g.kind = 'clawback' AND o.explanation ? 'event' AND o.explanation ? 'parts'
    ) c
    JOIN loyalty_account a ON a.id = c.account_id
    LEFT JOIN loyalty_lot l ON l.posting_id = c.id AND l.account_id = c.account_id
    CROSS JOIN LATERAL jsonb_array_elements(c.explanation -> 'parts') x (part)
"""
_BY_RULE = f"""
    SELECT q.rule, (array_agg(q.name ORDER BY q.id DESC))[1]::text, sum(q.points)::bigint,
        sum(q.points * q.unit_cost), count(DISTINCT q.membership_id)
    FROM ({_PARTS}) q GROUP BY q.rule HAVING sum(q.points) <> 0 ORDER BY q.rule
"""  # noqa: S608
# Revenue by rule (empty: of all members), period and currency.
_REVENUE = f"""
    WITH touched AS MATERIALIZED (
        SELECT DISTINCT q.rule, m.guest_id FROM ({_PARTS}) q JOIN loyalty_membership m ON m.id = q.membership_id
        WHERE q.is_stay
    ), spent AS MATERIALIZED (
        SELECT s.guest_id, s.currency, s.departure_date >= %(start_date)s AS is_now, s.departure_date AS day,
            sum(s.net_total) AS amount
        FROM members_stay s
        JOIN loyalty_membership m ON m.guest_id = s.guest_id AND m.programme_id = %(programme)s
        WHERE s.status <> 'voided' AND s.departure_date >= %(before)s AND s.departure_date < %(end_date)s
            AND (%(places)s::bigint[] IS NULL OR s.property_id = ANY(%(places)s::bigint[]))
        GROUP BY 1, 2, 3, 4
    )
    SELECT '', s.is_now, s.currency, s.day, sum(s.amount) FROM spent s GROUP BY 2, 3, 4
    UNION ALL
    SELECT t.rule, s.is_now, s.currency, s.day, sum(s.amount)
    FROM touched t JOIN spent s ON s.guest_id = t.guest_id GROUP BY 1, 2, 3, 4
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class RuleReturn:
    """One rule's figures, in the programme's currency.

    Attributes:
        rule: Its code.
        name: In the reader's language.
        points: Given in the period.
        cost: Of these points.
        members: Who got them.
        revenue: Of its members in the period.
        baseline: Of the same members in the comparison period.
        expected: The baseline grown as all other members did.
    """

    rule: str
    name: str
    points: int
    cost: Decimal
    members: int
    revenue: Decimal
    baseline: Decimal
    expected: Decimal

    @property
    def extra(self) -> Decimal:
        """Extra revenue."""
        return self.revenue - self.expected

    @property
    def roi_pct(self) -> Decimal | None:
        """(Extra revenue − cost) ÷ cost in percent; None where the points cost nothing."""
        return ((self.extra - self.cost) * 100 / self.cost).quantize(Decimal("0.1")) if self.cost else None


def rule_returns(
    *, programme: Programme, start: dt.date, end: dt.date, property_ids: Collection[int] | None = None
) -> list[RuleReturn]:
    """The return of each rule that gave points in a period, compared with as many days before it; three queries.

    Args:
        programme: Whose rules.
        start: First day.
        end: The day after the last one.
        property_ids: Only points and stays of these properties.
    """
    params: dict[str, Any] = {
        "programme": programme.pk,
        "point_value": programme.point_value,
        "start": midnight(programme, start),
        "end": midnight(programme, end),
        "start_date": start,
        "end_date": end,
        "before": start - (end - start),
        "places": None if property_ids is None else sorted(property_ids),
    }
    with connection.cursor() as cursor:
        cursor.execute(_BY_RULE, params)
        rules = cursor.fetchall()
        cursor.execute(_REVENUE, params)
        spent = cursor.fetchall()
    table = RateTable(Quote(*row) for row in ExchangeRate.objects.values_list(*Quote.__slots__))
    revenue: dict[tuple[str, bool], Decimal] = defaultdict(Decimal)
    for rule, is_now, currency, day, amount in spent:
        revenue[rule, is_now] += table.convert(amount, currency, programme.currency, day) or 0
    found = []
    for rule, name, points, cost, members in rules:
        now, before = revenue[rule, True], revenue[rule, False]
        others_now, others_before = revenue["", True] - now, revenue["", False] - before
        growth = others_now / others_before if others_before > 0 else Decimal(1)
        names = json.loads(name) if name else ""
        found.append(
            RuleReturn(
                rule,
                names if isinstance(names, str) else name_of(names),
                points,
                Decimal(cost).quantize(CENT, ROUND_HALF_UP),
                members,
                now,
                before,
                (before * growth).quantize(CENT, ROUND_HALF_UP),
            )
        )
    return found
