"""Proof of the points ledger over the whole database, set-based, and the guards it depends on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.core import checks
from django.db import connection, transaction

SAMPLES = 5

# Triggers of the ledger and of what is kept beside it; each must exist and be enabled.
GUARDS = (
    "loyalty_account_check_insert",
    "loyalty_account_check_update",
    "loyalty_account_fixed",
    "loyalty_account_no_delete",
    "loyalty_account_no_rewind",
    "loyalty_account_no_truncate",
    "loyalty_hold_check_insert",
    "loyalty_hold_check_update",
    "loyalty_hold_fixed",
    "loyalty_hold_no_delete",
    "loyalty_hold_no_truncate",
    "loyalty_lot_check_insert",
    "loyalty_lot_check_update",
    "loyalty_lot_fixed",
    "loyalty_lot_no_delete",
    "loyalty_lot_no_truncate",
    "loyalty_lot_reopening",
    "loyalty_lotmove_append_only",
    "loyalty_lotmove_check",
    "loyalty_lotmove_no_truncate",
    "loyalty_posting_append_only",
    "loyalty_posting_check",
    "loyalty_pointstransfer_kept",
    "loyalty_pointstransfer_no_truncate",
    "loyalty_pointstransfer_stays",
    "loyalty_posting_no_truncate",
    "loyalty_requestkey_append_only",
    "loyalty_requestkey_no_truncate",
    "loyalty_settlementitem_append_only",
    "loyalty_settlementitem_no_truncate",
    "loyalty_settlementitem_open",
    "loyalty_settlementline_append_only",
    "loyalty_settlementline_no_truncate",
    "loyalty_settlementline_open",
    "loyalty_settlementrate_append_only",
    "loyalty_settlementrate_no_truncate",
    "loyalty_settlementrun_closed",
    "loyalty_settlementrun_kept",
    "loyalty_settlementrun_no_truncate",
    "loyalty_sourcekey_append_only",
    "loyalty_sourcekey_no_truncate",
    "loyalty_redemption_change",
    "loyalty_redemption_kept",
    "loyalty_redemptionevent_append_only",
    "loyalty_redemptionevent_no_truncate",
    "loyalty_storedvaluemovement_kept",
    "loyalty_storedvaluemovement_no_truncate",
    "loyalty_storedvaluemovement_stays",
    "loyalty_voucher_change",
    "loyalty_voucher_changed",
    "loyalty_voucher_issued",
    "loyalty_voucher_kept",
    "loyalty_voucher_no_truncate",
    "loyalty_voucherbatch_change",
    "loyalty_voucherbatch_kept",
    "loyalty_voucherblackout_terms",
    "loyalty_voucherevent_append_only",
    "loyalty_voucherevent_no_truncate",
    "loyalty_vouchertype_terms",
)

_MISSING_GUARDS = """
    SELECT g.name FROM unnest(%s::text[]) AS g (name)
    WHERE NOT EXISTS (
        SELECT 1 FROM pg_trigger t
        WHERE t.tgname = g.name AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')
            AND t.tgrelid = to_regclass(substring(g.name FROM '^loyalty_[a-z]+')))
    ORDER BY 1
"""

_CHAINED = """
    SELECT p.*, lag(p.hash, 1, ''::bytea) OVER w AS hash_before, lag(p.seq, 1, 0::bigint) OVER w AS seq_before,
        p.available_after - lag(p.available_after, 1, 0::bigint) OVER w AS d_available,
        p.pending_after - lag(p.pending_after, 1, 0::bigint) OVER w AS d_pending,
        p.held_after - lag(p.held_after, 1, 0::bigint) OVER w AS d_held,
        p.debt_after - lag(p.debt_after, 1, 0::bigint) OVER w AS d_debt
    FROM loyalty_posting p WINDOW w AS (PARTITION BY p.account_id ORDER BY p.seq)
"""

# Each query returns the id of what differs, and a word on it.
_CHECKS: tuple[tuple[str, str], ...] = (
    (
        "every account is the cache of its last posting",
        """
        SELECT a.id, 'account' FROM loyalty_account a
        LEFT JOIN loyalty_posting p ON p.account_id = a.id AND p.seq = a.last_seq
        WHERE (a.available, a.pending, a.held, a.debt, a.head_hash) IS DISTINCT FROM
            (coalesce(p.available_after, 0), coalesce(p.pending_after, 0), coalesce(p.held_after, 0),
             coalesce(p.debt_after, 0), coalesce(p.hash, ''::bytea))
            OR (a.last_seq > 0 AND p.id IS NULL)
        """,
    ),
    (
        "balances are never negative, and a debt leaves nothing to spend",
        """
        SELECT a.id, 'account' FROM loyalty_account a
        WHERE least(a.available, a.pending, a.held, a.debt) < 0 OR (a.available > 0 AND a.debt > 0)
        UNION ALL SELECT p.id, 'posting' FROM loyalty_posting p
        WHERE least(p.available_after, p.pending_after, p.held_after, p.debt_after) < 0
        """,
    ),
    (
        "postings are numbered without a gap up to the account's last",
        """
        SELECT a.id, 'account' FROM loyalty_account a
        LEFT JOIN (SELECT account_id, count(*) AS entries, min(seq) AS first, max(seq) AS last
                   FROM loyalty_posting GROUP BY account_id) p ON p.account_id = a.id
        WHERE a.last_seq <> coalesce(p.last, 0) OR coalesce(p.entries, 0) <> coalesce(p.last, 0) OR p.first > 1
        UNION ALL SELECT p.id, 'posting without account' FROM loyalty_posting p
        WHERE NOT EXISTS (SELECT 1 FROM loyalty_account a WHERE a.id = p.account_id)
        """,
    ),
    (
        "each posting continues the balances before it",
        f"""
        SELECT c.id, c.kind FROM ({_CHAINED}) c
        WHERE c.points <> CASE WHEN c.kind IN ('release', 'hold', 'void') THEN c.d_available - c.d_debt
            ELSE c.d_available + c.d_pending + c.d_held - c.d_debt END
        """,  # noqa: S608
    ),
    (
        "the hash chain holds",
        f"""
        SELECT n.id, n.kind FROM ({_CHAINED}) n
        WHERE n.previous_hash <> n.hash_before OR n.hash <> loyalty_posting_hash(
            n.previous_hash, n.id, n.account_id, n.seq, n.kind, n.points, n.available_after, n.pending_after,
            n.held_after, n.debt_after, n.reverses_id, n.reversed_points, n.hold_id, n.source_system,
            n.source_reference, n.source_line, n.request_client, n.request_key, n.request_hash, n.rule_version,
            n.explanation, n.occurred_at, n.business_date, n.property_id, n.actor_id, n.reason)
        """,  # noqa: S608
    ),
    (
        "the moves of each posting add up to it",
        f"""
        SELECT c.id, c.kind FROM ({_CHAINED}) c
        LEFT JOIN (SELECT posting_id, sum(open_delta) AS open, sum(pending_delta) AS pending
                   FROM loyalty_lotmove GROUP BY posting_id) m ON m.posting_id = c.id
        WHERE c.d_available <> coalesce(m.open, 0) OR c.d_pending <> coalesce(m.pending, 0)
        """,  # noqa: S608
    ),
    (
        "each lot is the sum of its moves",
        """
        SELECT l.id, l.state FROM loyalty_lot l
        LEFT JOIN (SELECT lot_id, sum(open_delta) AS open, sum(pending_delta) AS pending
                   FROM loyalty_lotmove GROUP BY lot_id) m ON m.lot_id = l.id
        WHERE coalesce(m.open, 0) <> CASE l.state WHEN 'open' THEN l.remaining ELSE 0 END
            OR coalesce(m.pending, 0) <> CASE l.state WHEN 'pending' THEN l.remaining ELSE 0 END
        """,
    ),
    (
        "each lot is what its posting brought in, each lot and move stands on its posting's account",
        """
        SELECT l.id, 'lot' FROM loyalty_lot l LEFT JOIN loyalty_posting p ON p.id = l.posting_id
        WHERE p.id IS NULL OR p.account_id <> l.account_id OR p.points <> l.original
        UNION ALL
        SELECT m.posting_id, 'move' FROM loyalty_lotmove m
        LEFT JOIN loyalty_posting p ON p.id = m.posting_id LEFT JOIN loyalty_lot l ON l.id = m.lot_id
        WHERE p.account_id IS DISTINCT FROM m.account_id OR l.account_id IS DISTINCT FROM m.account_id
        """,
    ),
    (
        "available, pending and held are the sums of open lots, pending lots and active holds",
        """
        SELECT a.id, 'account' FROM loyalty_account a
        LEFT JOIN (SELECT account_id, sum(remaining) FILTER (WHERE state = 'open') AS open,
                       sum(remaining) FILTER (WHERE state = 'pending') AS pending
                   FROM loyalty_lot GROUP BY account_id) l ON l.account_id = a.id
        LEFT JOIN (SELECT account_id, sum(points) AS held FROM loyalty_hold WHERE state = 'active'
                   GROUP BY account_id) h ON h.account_id = a.id
        WHERE (a.available, a.pending, a.held) <> (coalesce(l.open, 0), coalesce(l.pending, 0), coalesce(h.held, 0))
        """,
    ),
    (
        "each lot keeps between nothing and its original, a closed one nothing",
        """
        SELECT l.id, l.state FROM loyalty_lot l
        WHERE l.remaining NOT BETWEEN 0 AND l.original OR (l.state IN ('open', 'pending')) <> (l.remaining > 0)
        """,
    ),
    (
        "no more is reversed than was posted",
        """
        SELECT o.id, o.kind FROM loyalty_posting r JOIN loyalty_posting o ON o.id = r.reverses_id
        GROUP BY o.id, o.kind, o.points, o.account_id
        HAVING sum(r.reversed_points) > abs(o.points) OR bool_or(r.account_id <> o.account_id)
            OR bool_or(sign(r.points) = sign(o.points)) OR bool_or(abs(r.points) > r.reversed_points)
        """,
    ),
    (
        "each hold stands as its postings say",
        """
        SELECT h.id, h.state FROM loyalty_hold h
        LEFT JOIN loyalty_posting p ON p.id = h.placed_posting_id LEFT JOIN loyalty_posting c ON c.id = h.closed_posting_id
        WHERE p.hold_id IS DISTINCT FROM h.id OR p.points <> -h.points OR p.account_id <> h.account_id
            OR (h.state = 'active') <> (c.id IS NULL) OR (c.id IS NOT NULL AND c.hold_id IS DISTINCT FROM h.id)
            OR c.kind <> CASE h.state WHEN 'captured' THEN 'redeem' ELSE 'void' END
        """,
    ),
    (
        "each source line and request key leads to its one posting",
        """
        SELECT p.id, 'source' FROM loyalty_posting p JOIN loyalty_account a ON a.id = p.account_id
        LEFT JOIN loyalty_sourcekey k ON (k.programme_id, k.system, k.reference, k.line, k.kind)
            = (a.programme_id, p.source_system, p.source_reference, p.source_line, p.kind)
        WHERE p.source_reference <> '' AND k.posting_id IS DISTINCT FROM p.id
        UNION ALL
        SELECT p.id, 'request' FROM loyalty_posting p JOIN loyalty_account a ON a.id = p.account_id
        LEFT JOIN loyalty_requestkey k ON (k.programme_id, k.client, k.key)
            = (a.programme_id, p.request_client, p.request_key)
        WHERE p.request_key <> '' AND k.posting_id IS DISTINCT FROM p.id
        UNION ALL
        SELECT k.posting_id, 'key without posting' FROM (
            SELECT posting_id FROM loyalty_sourcekey UNION ALL SELECT posting_id FROM loyalty_requestkey) k
        WHERE NOT EXISTS (SELECT 1 FROM loyalty_posting p WHERE p.id = k.posting_id)
        """,
    ),
    (
        "each account belongs to its membership's programme",
        """
        SELECT a.id, 'account' FROM loyalty_account a JOIN loyalty_membership m ON m.id = a.membership_id
        WHERE a.programme_id <> m.programme_id
        """,
    ),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One check, how many rows differ, and some of them as "word id"."""

    check: str
    differences: int
    samples: list[str]


def missing_guards() -> list[str]:
    """Names of the ledger's triggers that are missing or disabled."""
    with connection.cursor() as cursor:
        cursor.execute(_MISSING_GUARDS, [list(GUARDS)])
        return [row[0] for row in cursor.fetchall()]


def verify_ledger() -> Iterator[Finding]:
    """Run every check on one snapshot of the database; yields its findings one by one."""
    guards = missing_guards()
    yield Finding("every guard is in place", len(guards), guards)
    with transaction.atomic(), connection.cursor() as cursor:
        if not connection.needs_rollback and not connection.savepoint_ids:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        for check, query in _CHECKS:
            cursor.execute(f"SELECT count(*) OVER (), d.* FROM ({query}) d (id, word) LIMIT {SAMPLES}")  # noqa: S608
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            yield Finding(check, rows[0][0] if rows else 0, [f"{row[2]} {row[1]}" for row in rows])


def check_guards(*, databases: Sequence[str] | None = None, **_options: Any) -> list[checks.CheckMessage]:
    """System check (tag database): the ledger's guards exist once its tables do."""
    if not databases or connection.alias not in databases:
        return []
    if "loyalty_posting" not in connection.introspection.table_names():
        return []
    return [
        checks.Error(f"The ledger's guard {name} is missing or disabled.", id="loyalty.E001", hint="Run migrate.")
        for name in missing_guards()
    ]
