"""What happened to points, by the property that funded them: the SQL that the reports of finance share.

A posting counts on the day of `occurred_at` in the programme's time zone, whatever its business date: the past does
not change when somebody corrects it. Points that are set aside still belong to the member, so a hold moves nothing;
when it is captured or given back, what it had taken counts.

Named parameters: programme, unit, start (aware instant, or `-infinity`).
"""

from __future__ import annotations

import datetime as dt
import zoneinfo

from loyalty.models import Programme

# Parts of a roll-forward, in the order of the page.
PARTS = ("issued", "redeemed", "returned", "expired", "taken_back", "adjusted", "transferred", "offset")
# What a reversal undoes decides where it belongs.
PART = """
    CASE p.kind
        WHEN 'earn' THEN 'issued' WHEN 'bonus' THEN 'issued' WHEN 'redeem' THEN 'redeemed'
        WHEN 'expire' THEN 'expired' WHEN 'void' THEN 'expired' WHEN 'adjust' THEN 'adjusted'
        WHEN 'hold' THEN 'offset' WHEN 'release' THEN 'offset'
        WHEN 'clawback' THEN CASE o.kind WHEN 'adjust' THEN 'adjusted' ELSE 'taken_back' END
        WHEN 'refund' THEN CASE o.kind WHEN 'redeem' THEN 'returned' WHEN 'expire' THEN 'expired'
            WHEN 'adjust' THEN 'adjusted' ELSE 'transferred' END
        ELSE 'transferred' END
"""
# `booked`: what the posting says it did to all that the member has. `debt`: by how much it lessened what the
# member owes.
POSTED = f"""
    posted AS MATERIALIZED (
        SELECT p.id, p.account_id, p.kind, p.hold_id, p.occurred_at, {PART} AS part,
            CASE p.kind WHEN 'release' THEN 0 WHEN 'hold' THEN 0 WHEN 'void' THEN p.points - h.points
                ELSE p.points END AS booked,
            coalesce(b.debt_after, 0) - p.debt_after AS debt
        FROM loyalty_posting p
        JOIN loyalty_account a ON a.id = p.account_id
        LEFT JOIN loyalty_posting b ON b.account_id = p.account_id AND b.seq = p.seq - 1
        LEFT JOIN loyalty_posting o ON o.id = p.reverses_id
        LEFT JOIN loyalty_hold h ON h.id = p.hold_id AND p.kind = 'void'
        WHERE a.programme_id = %(programme)s AND a.unit = %(unit)s AND p.occurred_at >= %(start)s
    )
"""  # noqa: S608
MOVED = """
    moved AS (
        SELECT p.id, p.account_id, p.part, p.occurred_at, v.lot_id, v.open_delta + v.pending_delta AS points
        FROM posted p JOIN loyalty_lotmove v ON v.posting_id = p.id AND v.account_id = p.account_id
        WHERE p.kind <> 'hold'
        UNION ALL
        SELECT p.id, p.account_id, p.part, p.occurred_at, v.lot_id, v.open_delta
        FROM posted p
        JOIN loyalty_hold h ON h.id = p.hold_id
        JOIN loyalty_lotmove v ON v.posting_id = h.placed_posting_id AND v.account_id = p.account_id
        WHERE p.kind IN ('redeem', 'void')
    )
"""
# What members hold at this moment by lot: in the lot, or set aside from it.
HELD_NOW = """
    held_now AS (
        SELECT l.id AS lot_id, l.remaining AS points
        FROM loyalty_lot l JOIN loyalty_account a ON a.id = l.account_id
        WHERE a.programme_id = %(programme)s AND a.unit = %(unit)s AND l.remaining > 0
        UNION ALL
        SELECT v.lot_id, -v.open_delta
        FROM loyalty_hold h
        JOIN loyalty_account a ON a.id = h.account_id
        JOIN loyalty_lotmove v ON v.posting_id = h.placed_posting_id AND v.account_id = h.account_id
        WHERE a.programme_id = %(programme)s AND a.unit = %(unit)s AND h.state = 'active'
    )
"""


def midnight(programme: Programme, date: dt.date) -> dt.datetime:
    """The instant at which a day begins in the programme's time zone."""
    return dt.datetime.combine(date, dt.time(), tzinfo=zoneinfo.ZoneInfo(programme.time_zone))
