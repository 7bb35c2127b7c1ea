"""Release and expiry of many lots by the jobs, beside the bare statements that write the same rows.

The bare statements are one UPDATE of lots, one INSERT … SELECT of postings, one of moves and one UPDATE of accounts,
in one transaction, on copies of the tables with the same indexes and without a guard, a hash or a plan: what the
disk and the indexes alone cost.
"""

from __future__ import annotations

import argparse
import datetime as dt
import time
from pathlib import Path

NOW = dt.datetime(2026, 6, 15, 4, 0, tzinfo=dt.UTC)
DAY = NOW.date()
RELEASE_ON = DAY + dt.timedelta(days=7)
EXPIRES_ON = DAY + dt.timedelta(days=30)
TABLES = ("account", "posting", "lot", "lotmove")
# As the ledger's tables have it; LIKE does not copy it.
FILL = {"account": 75, "lot": 85}
MEMBERS = """
WITH made AS (
    INSERT INTO members_guest ({columns}) SELECT {values} FROM members_guest g, generate_series(1, %(count)s) n
    WHERE g.id = %(guest)s RETURNING id
), joined AS (
    INSERT INTO loyalty_membership (public_id, programme_id, guest_id, number, tier_id, tier_since_date, status, enrolled_at)
    SELECT gen_random_uuid(), %(programme)s, id, 'GK' || id, %(tier)s, %(day)s, 'active', %(now)s FROM made RETURNING id
)
INSERT INTO loyalty_account (programme_id, membership_id, unit, available, pending, held, debt, last_seq, head_hash)
SELECT %(programme)s, id, 'points', 0, 0, 0, 0, 0, '' FROM joined
"""
# One pending lot for every account, as the ledger would have posted it; verify_ledger proves it at the end.
EARNED = """
WITH p AS MATERIALIZED (
    SELECT q.*, loyalty_posting_hash(q.previous_hash, q.id, q.account_id, q.seq, 'earn', 680, 0, q.pending, 0, 0, NULL, 0,
        NULL, '', '', '', '', '', '', '1', NULL, %(now)s, %(day)s, NULL, NULL, '') AS hash
    FROM (SELECT nextval('loyalty_posting_id_seq') AS id, nextval('loyalty_lot_id_seq') AS lot_id, a.id AS account_id,
            a.last_seq + 1 AS seq, a.pending + 680 AS pending, a.head_hash AS previous_hash
          FROM (SELECT * FROM loyalty_account ORDER BY id LIMIT %(count)s) a) q
), posting AS (
    INSERT INTO loyalty_posting (id, account_id, seq, kind, points, available_after, pending_after, held_after,
        debt_after, reversed_points, source_system, source_reference, source_line, request_client, request_key,
        request_hash, rule_version, occurred_at, business_date, reason, previous_hash, hash)
    SELECT id, account_id, seq, 'earn', 680, 0, pending, 0, 0, 0, '', '', '', '', '', '', '1', %(now)s, %(day)s, '',
        previous_hash, hash FROM p
), lot AS (
    INSERT INTO loyalty_lot (id, account_id, posting_id, lot_class, original, remaining, state, earned_date, release_on,
        expires_on)
    SELECT lot_id, account_id, id, 'earned', 680, 680, 'pending', %(day)s, %(release_on)s, %(expires_on)s FROM p
), moved AS (
    INSERT INTO loyalty_lotmove (posting_id, lot_id, account_id, pending_delta, open_delta)
    SELECT id, lot_id, account_id, 680, 0 FROM p
)
UPDATE loyalty_account a SET pending = p.pending, last_seq = p.seq, head_hash = p.hash FROM p WHERE p.account_id = a.id
"""
POSTINGS = """
    INSERT INTO plain.loyalty_posting (id, account_id, seq, kind, points, available_after, pending_after, held_after,
        debt_after, reversed_points, source_system, source_reference, source_line, request_client, request_key,
        request_hash, rule_version, occurred_at, business_date, reason, previous_hash, hash)
    SELECT d.id, a.id, a.last_seq + 1, %(verb)s, {sign}d.points, a.available {change} d.points,
        a.pending {pending} , a.held, a.debt, 0, '', '', '', '', '', '', '', %(now)s, %(day)s, '', a.head_hash, a.head_hash
    FROM due d JOIN plain.loyalty_account a ON a.id = d.account_id
"""
_DUE = (
    "CREATE TEMP TABLE due ON COMMIT DROP AS SELECT nextval('plain.posting_id') AS id, account_id, points"
    " FROM (SELECT account_id, sum(remaining)::bigint AS points FROM plain.loyalty_lot WHERE {due} GROUP BY 1) q"
)
_MOVES = (
    "INSERT INTO plain.loyalty_lotmove (posting_id, lot_id, account_id, pending_delta, open_delta)"
    " SELECT d.id, l.id, l.account_id, {pending}, {open} FROM plain.loyalty_lot l JOIN due d ON d.account_id = l.account_id"
    " WHERE {due}"
)
_RELEASED = "state = 'pending' AND release_on <= %(day)s"
_LAPSED = "state = 'open' AND expires_on < %(day)s"
BARE = {
    "release": (
        _DUE.format(due=_RELEASED),
        "ANALYZE due",
        POSTINGS.format(sign="", change="+", pending="- d.points"),
        _MOVES.format(due=_RELEASED, pending="-l.remaining", open="l.remaining"),
        f"UPDATE plain.loyalty_lot SET state = 'open' WHERE {_RELEASED}",
        (
            "UPDATE plain.loyalty_account a SET available = a.available + d.points, pending = a.pending - d.points,"
            " last_seq = a.last_seq + 1, head_hash = a.head_hash FROM due d WHERE a.id = d.account_id"
        ),
    ),
    "expire": (
        _DUE.format(due=_LAPSED),
        "ANALYZE due",
        POSTINGS.format(sign="-", change="-", pending=""),
        _MOVES.format(due=_LAPSED, pending="0", open="-l.remaining"),
        f"UPDATE plain.loyalty_lot SET state = 'expired', remaining = 0 WHERE {_LAPSED}",
        (
            "UPDATE plain.loyalty_account a SET available = a.available - d.points, last_seq = a.last_seq + 1,"
            " head_hash = a.head_hash FROM due d WHERE a.id = d.account_id"
        ),
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("jobs")
    group.add_argument("--lots", type=int, default=1_000_000, help="lots released, then expired")
    group.add_argument("--lots-per-account", type=int, default=1)
    group.add_argument("--batch-size", type=int, help="accounts a transaction; by default the jobs' own")


def measure(options: argparse.Namespace, folder: Path) -> dict[str, object]:  # noqa: ARG001
    from loyalty.services import jobs  # noqa: PLC0415

    accounts = options.lots // options.lots_per_account
    programme = seed(accounts, options.lots_per_account)
    result: dict[str, object] = {"lots": options.lots, "accounts": accounts}
    print(f"{options.lots:,} lots of {accounts:,} accounts", flush=True)
    for verb, run, day in (
        ("release", jobs.release_due_points, RELEASE_ON),
        ("expire", jobs.expire_lapsed_points, EXPIRES_ON + dt.timedelta(days=1)),
    ):
        copy_tables()
        bare = timed(lambda verb=verb, day=day: bare_statements(verb, day))
        settle()
        now = dt.datetime.combine(day, dt.time(4), tzinfo=dt.UTC)
        job = timed(
            lambda run=run, now=now: check(
                run(now=now, programme_id=programme, **({"batch_size": options.batch_size} if options.batch_size else {})),
                accounts, options.lots * 680,
            )
        )  # fmt: skip
        result[verb] = {"bare": bare, "job": job, "ratio": job / bare}
        print(
            f"{verb:8} bare {bare:7.1f} s  job {job:7.1f} s = {options.lots / job:9,.0f} lots/s  {job / bare:.2f} × bare",
            flush=True,
        )
    return result


def check(report, accounts: int, points: int) -> None:
    if (report.done, report.points) != (accounts, points):
        raise AssertionError(report)


def timed(call) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def settle() -> None:
    """No debt of the measurement before weighs on the next one."""
    from django.db import connection  # noqa: PLC0415

    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")


def seed(accounts: int, lots_per_account: int) -> int:
    from django.db import connection, transaction  # noqa: PLC0415

    from tests import factories  # noqa: PLC0415

    programme = factories.make_programme()
    guest = factories.make_guest()
    started = time.perf_counter()
    with transaction.atomic(), connection.cursor() as cursor:
        # The rows are those the ledger would write; its guards see them in verify_ledger, not one by one.
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public'"
            " AND table_name = 'members_guest' AND is_generated = 'NEVER' AND column_name <> 'id' ORDER BY 1"
        )
        columns = [row[0] for row in cursor.fetchall()]
        cursor.execute(
            MEMBERS.format(
                columns=", ".join(columns),
                values=", ".join("gen_random_uuid()" if name == "public_id" else f"g.{name}" for name in columns),
            ),
            {
                "count": accounts, "guest": guest.pk, "programme": programme.pk, "now": NOW, "day": DAY,
                "tier": programme.tiers.get(code="base").pk,
            },
        )  # fmt: skip
        for _ in range(lots_per_account):
            cursor.execute(
                EARNED,
                {"now": NOW, "day": DAY, "release_on": RELEASE_ON, "expires_on": EXPIRES_ON, "count": accounts},
            )
    settle()
    print(f"seeded in {time.perf_counter() - started:.0f} s", flush=True)
    return int(programme.pk)


def copy_tables() -> None:
    """The tables as they are, with keys and indexes, without triggers."""
    from django.db import connection  # noqa: PLC0415

    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA IF EXISTS plain CASCADE; CREATE SCHEMA plain")
        for name in TABLES:
            cursor.execute(f"CREATE TABLE plain.loyalty_{name} (LIKE public.loyalty_{name} INCLUDING ALL)")
            if name in FILL:
                cursor.execute(f"ALTER TABLE plain.loyalty_{name} SET (fillfactor = {FILL[name]})")
            cursor.execute(f"INSERT INTO plain.loyalty_{name} SELECT * FROM public.loyalty_{name}")
        cursor.execute("SELECT max(id) + 1 FROM plain.loyalty_posting")
        cursor.execute(f"CREATE SEQUENCE plain.posting_id START {cursor.fetchone()[0]}")
    settle()


def bare_statements(verb: str, day: dt.date) -> None:
    from django.db import connection, transaction  # noqa: PLC0415

    with transaction.atomic(), connection.cursor() as cursor:
        for statement in BARE[verb]:
            started = time.perf_counter()
            cursor.execute(statement, {"day": day, "now": NOW, "verb": verb})
            print(f"  {time.perf_counter() - started:6.1f} s  {' '.join(statement.split())[:60]}", flush=True)
