"""The rows behind a figure of finance: moves of lots, lots held on a day, settled items, points of a rule."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection

from loyalty.models import Membership, Posting, Programme
from loyalty.selectors.finance.movements import HELD_NOW, MOVED, POSTED, midnight
from loyalty.selectors.postings import sentence_of

# A property's id, 0 for points that none funded, null for all of them; `places` are those the reader may see.
_FUNDED = """
    (%(property)s::bigint IS NULL OR coalesce(l.funding_property_id, 0) = %(property)s::bigint)
    AND (%(places)s::bigint[] IS NULL OR l.funding_property_id = ANY(%(places)s::bigint[]))
"""
_MOVES = f"""
    WITH {POSTED}, {MOVED}
    SELECT m.id, m.id, m.account_id, sum(m.points)::bigint, NULL::numeric
    FROM moved m JOIN loyalty_lot l ON l.id = m.lot_id
    WHERE m.part = %(part)s AND m.occurred_at < %(end)s AND m.id > %(after)s AND {_FUNDED}
    GROUP BY m.id, m.account_id HAVING sum(m.points) <> 0 ORDER BY m.id LIMIT %(limit)s
"""  # noqa: S608
_LOTS = f"""
    WITH {POSTED}, {MOVED}, {HELD_NOW}
    SELECT l.id, l.posting_id, l.account_id, sum(x.points)::bigint,
        round(sum(x.points) * coalesce(l.unit_cost, %(point_value)s), 2)
    FROM (SELECT lot_id, points FROM held_now UNION ALL SELECT lot_id, -points FROM moved) x
    JOIN loyalty_lot l ON l.id = x.lot_id
    WHERE l.id > %(after)s AND {_FUNDED}
        AND (%(month)s::date IS NULL OR date_trunc('month', l.earned_date)::date = %(month)s::date)
    GROUP BY l.id, l.posting_id, l.account_id, l.unit_cost
    HAVING sum(x.points) <> 0 ORDER BY l.id LIMIT %(limit)s
"""  # noqa: S608
_SETTLED = """
    SELECT i.id, i.posting_id, i.account_id, i.points, i.amount
    FROM loyalty_settlementitem i
    JOIN loyalty_settlementrun r ON r.id = i.run_id
    JOIN hotels_property a ON a.id = i.payer_id
    JOIN hotels_property b ON b.id = i.payee_id
    WHERE r.programme_id = %(programme)s AND r.start_date = %(start_date)s AND a.code = %(payer)s AND b.code = %(payee)s
        AND (%(places)s::bigint[] IS NULL OR i.payer_id = ANY(%(places)s::bigint[])
            OR i.payee_id = ANY(%(places)s::bigint[]))
        AND i.id > %(after)s
    ORDER BY i.id LIMIT %(limit)s
"""
_RULE = """
    SELECT p.id, p.id, p.account_id, p.points, NULL::numeric
    FROM loyalty_posting p JOIN loyalty_account a ON a.id = p.account_id
    WHERE a.programme_id = %(programme)s AND a.unit = 'points' AND p.kind IN ('earn', 'bonus', 'clawback')
        AND p.occurred_at >= %(start)s AND p.occurred_at < %(end)s AND p.id > %(after)s
        AND (%(places)s::bigint[] IS NULL OR p.property_id = ANY(%(places)s::bigint[]))
        AND (%(property)s::bigint IS NULL OR p.property_id = %(property)s::bigint)
        AND (p.explanation -> 'parts' @> jsonb_build_array(jsonb_build_object('rule', %(rule)s::text))
            OR (p.kind = 'clawback' AND EXISTS (
                SELECT FROM loyalty_posting o WHERE o.id = p.reverses_id
                AND o.explanation -> 'parts' @> jsonb_build_array(jsonb_build_object('rule', %(rule)s::text)))))
    ORDER BY p.id LIMIT %(limit)s
"""
QUERIES = {"moves": _MOVES, "lots": _LOTS, "settled": _SETTLED, "rule": _RULE}


@dataclass(frozen=True, slots=True)
class Row:
    """One row: `key` continues the list after it; points signed as the figure counts them.

    Attributes:
        posting: The posting it comes from, with its property.
        membership: Whose points, with the guest.
        day: When, in the programme's time zone.
        sentence: What it was.
        amount: In the programme's currency, where the figure has one.
    """

    key: int
    posting: Posting
    membership: Membership
    day: dt.date
    sentence: str
    points: int
    amount: Decimal | None


def rows_behind(
    *,
    programme: Programme,
    kind: str,
    start: dt.date,
    end: dt.date,
    asked: Mapping[str, Any],
    property_ids: Collection[int] | None,
    after: int = 0,
    limit: int = 50,
) -> list[Row]:
    """The rows behind a figure, oldest first; four queries.

    Args:
        programme: Whose points.
        kind: "moves", "lots", "settled" or "rule".
        start: First day; for lots the day after the one they were held on.
        end: The day after the last one.
        asked: What else the figure is about: part, property (id, 0 for none), month, payer, payee, rule, unit.
        property_ids: The properties the reader may see; None for the whole group.
        after: Continue after this key.
        limit: Rows to return.
    """
    params = {
        "part": "",
        "property": None,
        "month": None,
        "payer": "",
        "payee": "",
        "rule": "",
        "unit": "points",
        **asked,
        "programme": programme.pk,
        "point_value": programme.point_value,
        "start": midnight(programme, start),
        "start_date": start,
        "end": midnight(programme, end),
        "places": None if property_ids is None else sorted(property_ids),
        "after": after,
        "limit": limit,
    }
    with connection.cursor() as cursor:
        cursor.execute(QUERIES[kind], params)
        found = cursor.fetchall()
    postings = Posting.objects.select_related("property").in_bulk([row[1] for row in found])
    members = {
        membership_account: membership
        for membership in Membership.objects.filter(accounts__in=[row[2] for row in found])
        .select_related("guest")
        .prefetch_related("accounts")
        for membership_account in (account.pk for account in membership.accounts.all())
    }
    rows = []
    for key, posting_id, account_id, points, amount in found:
        posting = postings[posting_id]
        day = programme.local_date(posting.occurred_at)
        rows.append(Row(key, posting, members[account_id], day, sentence_of(posting), points, amount))
    return rows
