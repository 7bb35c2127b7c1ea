"""How long a review of all members takes, beside one sequential aggregation over the same entries.

    make bench-programme T='tiers'      or      python -m bench.programme.tiers --members 1000000 --stays 5000000

Members and entries are made by SQL in a throwaway database, in one transaction that is rolled back. The
baseline reads every entry once and sums the same figures for each member, without a programme: no thresholds,
no floors, no rows written. The review (`loyalty.services.tier_reviews.build_batch`) sums, judges and writes
the rows of the preview.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence

import django

TODAY = dt.date(2026, 6, 15)
NOW = dt.datetime(2026, 6, 15, 4, tzinfo=dt.UTC)
TARGET = 4.0

BASELINE = """
    SELECT count(*), sum(nights) FROM (
        SELECT membership_id, sum(nights) AS nights, sum(stays) AS stays, sum(amount) AS amount, sum(points) AS points
        FROM loyalty_qualificationentry GROUP BY membership_id
    ) figures
"""


def timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def prepare(members: int, stays: int) -> object:
    from django.db import connection  # noqa: PLC0415

    from loyalty.models import Programme, Tier, TierCriteria, TierPolicy  # noqa: PLC0415

    programme = Programme.objects.create(code="BENCH", name="测量")
    start = dt.date(2020, 1, 1)
    TierPolicy.objects.create(programme=programme, effective_from=start, validity="months", validity_months=12)
    for rank, amount in enumerate((None, 5000, 10000, 20000)):
        tier = Tier.objects.create(programme=programme, code=f"t{rank}", name=f"等级 {rank}", rank=rank)
        if amount:
            TierCriteria.objects.create(
                tier=tier,
                effective_from=start,
                conditions={
                    "any": [
                        {"field": "amount", "op": "gte", "value": amount},
                        {"field": "stays", "op": "gte", "value": amount // 1000},
                    ]
                },
            )
    tiers = list(Tier.objects.filter(programme=programme).order_by("rank").values_list("pk", flat=True))
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")
        # Guests are not read, and foreign keys are looked up at commit, which never comes.
        cursor.execute(
            """
            INSERT INTO loyalty_membership (public_id, programme_id, guest_id, number, tier_id, tier_since_date,
                tier_until_date, status, enrolled_at)
            SELECT gen_random_uuid(), %s, 10000000 + n, 'B' || n, (%s::bigint[])[1 + (n %% 10 = 0)::int],
                '2025-01-01', CASE WHEN n %% 10 = 0 THEN '2026-06-01'::date END, 'active', '2024-01-01'
            FROM generate_series(1, %s) n
            """,
            [programme.pk, tiers, members],
        )
        cursor.execute("SELECT min(id) FROM loyalty_membership WHERE programme_id = %s", [programme.pk])
        first = cursor.fetchone()[0]
        cursor.execute(
            """
            INSERT INTO loyalty_qualificationentry (membership_id, kind, revision, business_date, nights, stays,
                amount, points, created_at)
            SELECT %s + (random() * %s)::bigint, 'manual', 0, '2026-06-15'::date - (random() * 700)::int,
                1 + (random() * 3)::int, 1, round((random() * 1500)::numeric, 2), (random() * 1500)::int, now()
            FROM generate_series(1, %s)
            """,
            [first, members - 1, stays],
        )
        for table in ("loyalty_membership", "loyalty_qualificationentry"):
            cursor.execute(f"ANALYZE {table}")
    return programme


def run(*, members: int, stays: int, rounds: int) -> float:
    """Measure in turn; returns the ratio of the medians."""
    from django.db import connection, transaction  # noqa: PLC0415

    from loyalty.services.tier_reviews import build_batch, create_review  # noqa: PLC0415

    with transaction.atomic():
        print(f"making {members:,} members and {stays:,} entries …", flush=True)
        programme = prepare(members, stays)
        review = create_review(actor=None, now=NOW, programme=programme, run_date=TODAY)

        def baseline() -> None:
            with connection.cursor() as cursor:
                cursor.execute(BASELINE)
                cursor.fetchall()

        def build() -> None:
            while build_batch(review_id=review.pk, batch_size=members + 1):
                pass

        plain, ours, rows = [], [], 0
        for number in range(rounds):
            plain.append(timed(baseline))
            point = transaction.savepoint()
            ours.append(timed(build))
            rows = review.rows.count()
            transaction.savepoint_rollback(point)
            print(f"round {number + 1}: aggregation {plain[-1]:.2f} s, review {ours[-1]:.2f} s", flush=True)
        transaction.set_rollback(True)
    ratio = statistics.median(ours) / statistics.median(plain)
    print(f"{rows:,} rows of preview; review / aggregation = {ratio:.2f} (target at most {TARGET})")
    return ratio


def main(options: Sequence[str] | None = None) -> int:
    """Measure; 1 if the target is missed."""
    parser = argparse.ArgumentParser(prog="bench.programme.tiers", description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=1_000_000)
    parser.add_argument("--stays", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args(options)
    return int(run(members=chosen.members, stays=chosen.stays, rounds=chosen.rounds) > TARGET)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.test")
    django.setup()
    sys.exit(main())
