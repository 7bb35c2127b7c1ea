"""What the pages of finance cost over many lots: `python -m bench.spending.finance [--lots 1000000]`.

Run on throwaway servers: `python -m config.embedded run -- python -m bench.spending.finance`. Makes a programme whose
members earned lots over the last 24 months at four properties, three of ten redeemed later at any of them, and measures
the reports of a month with the services' own code, beside two bare scans of the same rows: the sum of all lots and the
sum of all postings. Rows are written without the ledger's guards; what is measured only reads them, and the settlement.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

ROOT = Path(__file__).resolve().parents[2]
NOW = dt.datetime(2026, 6, 15, 12, 0, tzinfo=ZoneInfo("Asia/Shanghai"))
JUNE, MAY = dt.date(2026, 6, 1), dt.date(2026, 5, 1)
ACCOUNTS_PER_LOT = 5
# One lot is earned every few seconds; three of ten are redeemed up to a year later, all in the order of time.
EARNED = """
    CREATE TEMP TABLE made AS
    SELECT n, a.id AS account_id, %(now)s::timestamptz - (1 - n::float8 / %(lots)s) * interval '730 days' AS at,
        p.ids[1 + n %% 4] AS funder, n %% 10 < 3 AS is_redeemed, p.ids[1 + (n / 10) %% 4] AS place,
        %(now)s::timestamptz - (1 - n::float8 / %(lots)s) * interval '730 days' * random() AS spent_at
    FROM generate_series(1, %(lots)s) n
    JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS k FROM loyalty_account) a ON a.k = n %% %(accounts)s
    CROSS JOIN (SELECT array_agg(id ORDER BY id) AS ids FROM hotels_property) p
"""
EVENTS = """
    CREATE TEMP TABLE event AS
    SELECT row_number() OVER (ORDER BY e.at, e.n) AS id, e.*,
        row_number() OVER (PARTITION BY e.account_id ORDER BY e.at, e.n) AS seq,
        sum(e.points) OVER (PARTITION BY e.account_id ORDER BY e.at, e.n) AS after
    FROM (
        SELECT n, account_id, at, 680 AS points, funder AS place, 'earn' AS kind FROM made
        UNION ALL
        SELECT n, account_id, greatest(spent_at, at), -680, place, 'redeem' FROM made WHERE is_redeemed
    ) e
"""
POSTINGS = """
    INSERT INTO loyalty_posting (id, account_id, seq, kind, points, available_after, pending_after, held_after,
        debt_after, reversed_points, source_system, source_reference, source_line, request_client, request_key,
        request_hash, rule_version, occurred_at, business_date, reason, previous_hash, hash, property_id, explanation)
    SELECT id, account_id, seq, kind, points, after, 0, 0, 0, 0, 'pms', n::text, '', '', '', '', '1', at,
        (at AT TIME ZONE 'Asia/Shanghai')::date, '', '', '', place,
        CASE kind WHEN 'earn' THEN jsonb_build_object('kind', 'earn', 'stay', jsonb_build_object('id', n),
            'parts', jsonb_build_array(jsonb_build_object('rule', 'base', 'name', '基础', 'points', 680))) END
    FROM event ORDER BY id
"""
LOTS = """
    INSERT INTO loyalty_lot (id, account_id, posting_id, lot_class, original, remaining, state, earned_date, expires_on,
        funding_property_id, unit_cost)
    SELECT m.n, m.account_id, e.id, 'earned', 680, CASE WHEN m.is_redeemed THEN 0 ELSE 680 END,
        CASE WHEN m.is_redeemed THEN 'spent' ELSE 'open' END, (m.at AT TIME ZONE 'Asia/Shanghai')::date,
        (m.at AT TIME ZONE 'Asia/Shanghai')::date + 1095, m.funder, 0.02
    FROM made m JOIN event e ON e.n = m.n AND e.kind = 'earn'
"""
MOVES = """
    INSERT INTO loyalty_lotmove (posting_id, lot_id, account_id, pending_delta, open_delta)
    SELECT id, n, account_id, 0, points FROM event
"""
ACCOUNTS = """
    UPDATE loyalty_account a SET available = e.points, last_seq = e.seq
    FROM (SELECT account_id, sum(points) AS points, max(seq) AS seq FROM event GROUP BY 1) e WHERE e.account_id = a.id
"""
SCANS = {
    "bare: sum of all lots": "SELECT funding_property_id, sum(remaining) FROM loyalty_lot GROUP BY 1",
    "bare: sum of all postings": "SELECT kind, sum(points) FROM loyalty_posting GROUP BY 1",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lots", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.development")
    subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], cwd=ROOT, check=True)

    import django  # noqa: PLC0415 – settings are chosen above

    django.setup()
    measure(options)


def measure(options: argparse.Namespace) -> None:
    from django.db import connection  # noqa: PLC0415

    from loyalty.models import JobRun  # noqa: PLC0415
    from loyalty.selectors.finance.liability import liability  # noqa: PLC0415
    from loyalty.selectors.finance.returns import rule_returns  # noqa: PLC0415
    from loyalty.selectors.finance.roll_forward import roll_forward  # noqa: PLC0415
    from loyalty.services.jobs import run_job  # noqa: PLC0415

    programme = seed(options.lots)

    def scan(sql: str) -> Callable[[], object]:
        def run() -> object:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall()

        return run

    reports: dict[str, Callable[[], object]] = {
        **{name: scan(sql) for name, sql in SCANS.items()},
        "roll-forward of last month": lambda: roll_forward(programme=programme, start=MAY, end=JUNE),
        "roll-forward of a month two years ago": lambda: roll_forward(
            programme=programme, start=dt.date(2024, 7, 1), end=dt.date(2024, 8, 1)
        ),
        "liability today": lambda: liability(programme=programme, on_date=NOW.date()),
        "liability a year ago": lambda: liability(programme=programme, on_date=NOW.date() - dt.timedelta(days=365)),
        "return of rules, last month": lambda: rule_returns(programme=programme, start=MAY, end=JUNE),
    }
    for name, run in reports.items():
        times = []
        for _ in range(options.rounds):
            began = time.perf_counter()
            run()
            times.append(time.perf_counter() - began)
        print(f"{name:42} {statistics.median(times) * 1000:9,.0f} ms", flush=True)
    began = time.perf_counter()
    report = run_job(now=NOW, job=JobRun.Job.SETTLE, run_date=JUNE, programme_id=programme.pk)
    seconds = time.perf_counter() - began
    print(f"settlement of all {report.done:,} accounts          {seconds * 1000:9,.0f} ms")
    began = time.perf_counter()
    run_job(
        now=NOW + dt.timedelta(days=20), job=JobRun.Job.SETTLE, run_date=dt.date(2026, 7, 1), programme_id=programme.pk
    )
    print(f"{'settlement of the month after':42} {(time.perf_counter() - began) * 1000:9,.0f} ms")


def seed(lots: int) -> object:
    from django.db import connection, transaction  # noqa: PLC0415

    from bench.programme.jobs import MEMBERS  # noqa: PLC0415
    from members.models import Guest  # noqa: PLC0415
    from tests.factories import make_guest, make_programme, make_property  # noqa: PLC0415

    programme = make_programme(point_value=Decimal("0.02"))
    for _ in range(4):
        make_property()
    guest = make_guest()
    names = [field.column for field in Guest._meta.concrete_fields if not field.primary_key]
    values = ", ".join("gen_random_uuid()" if name == "public_id" else f"g.{name}" for name in names)
    accounts = max(lots // ACCOUNTS_PER_LOT, 1)
    facts = {"guest": guest.pk, "programme": programme.pk, "tier": programme.tiers.get(rank=0).pk, "count": accounts}
    began = time.perf_counter()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            MEMBERS.format(columns=", ".join(names), values=values), {**facts, "day": NOW.date(), "now": NOW}
        )
        cursor.execute(EARNED, {"lots": lots, "accounts": accounts, "now": NOW - dt.timedelta(hours=1)})
        for sql in (EVENTS, POSTINGS, LOTS, MOVES, ACCOUNTS):
            cursor.execute(sql)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE loyalty_account, loyalty_posting, loyalty_lot, loyalty_lotmove")
    print(f"{lots:,} lots of {accounts:,} accounts made in {time.perf_counter() - began:,.0f} s", flush=True)
    return programme


if __name__ == "__main__":
    main()
