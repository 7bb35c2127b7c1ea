"""A back-test of a draft over the stays of a year, beside a plain aggregation of the same folios.

The aggregation sums the eligible charges of every stay and rounds them down, once: what reading the rows alone costs.
The back-test judges each stay by two versions with tier rates, a seasonal multiplier and a condition on the stay.
"""

from __future__ import annotations

import argparse
import datetime as dt
import time
from decimal import Decimal
from pathlib import Path

NOW = dt.datetime(2026, 6, 15, 4, 0, tzinfo=dt.UTC)
DAY = NOW.date()
TARGET_SECONDS = 60
LINES = 3
STAYS_PER_MEMBER = 4
BARE = """
    SELECT count(*), sum(points) FROM (
        SELECT s.id, floor(sum(l.net_amount)) AS points
        FROM members_stay s JOIN members_folioline l ON l.stay_id = s.id
        WHERE l.is_eligible AND s.departure_date >= %(since)s AND s.departure_date < %(until)s
        GROUP BY s.id) q
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("backtest")
    group.add_argument("--tested-stays", type=int, default=1_000_000, help="stays of the year that is tested")


def measure(options: argparse.Namespace, folder: Path) -> dict[str, object]:  # noqa: ARG001
    from django.db import connection  # noqa: PLC0415

    from loyalty.models import BackTest  # noqa: PLC0415
    from loyalty.services.backtests import request_back_test, run_back_test  # noqa: PLC0415

    count = options.tested_stays
    draft = seed(count)
    back_test = request_back_test(actor=None, now=NOW, rule_set_id=draft)
    with connection.cursor() as cursor:
        started = time.perf_counter()
        cursor.execute(BARE, {"since": back_test.since, "until": back_test.until})
        stays = cursor.fetchone()[0]
        bare = time.perf_counter() - started
    started, worked = time.perf_counter(), time.process_time()
    run_back_test(now=NOW, back_test_id=back_test.pk)
    took, worked = time.perf_counter() - started, time.process_time() - worked
    back_test.refresh_from_db()
    if (back_test.state, back_test.done) != (BackTest.State.DONE, stays) or stays < count:
        raise AssertionError((back_test.state, back_test.failure, back_test.done, stays))
    print(
        f"backtest {stays:,} stays: bare {bare:.1f} s, back-test {took:.1f} s = {stays / took:,.0f} stays/s,"
        f" {took / bare:.1f} × bare, {worked:.1f} s of it on the worker's own core (target {TARGET_SECONDS} s for 1,000,000)",
        flush=True,
    )
    return {
        "stays": stays,
        "bare": bare,
        "back_test": took,
        "ratio": took / bare,
        "figures": back_test.figures["totals"],
    }


def seed(count: int) -> int:
    """Members with stays of three charges over the last year; the id of a draft."""
    from django.db import connection, transaction  # noqa: PLC0415

    from bench.programme.jobs import settle  # noqa: PLC0415
    from loyalty.models import EarningRule  # noqa: PLC0415
    from loyalty.services.memberships import enrol_member  # noqa: PLC0415
    from loyalty.services.rules import create_draft, save_rule  # noqa: PLC0415
    from members.services.stays import FolioLineInput, StayInput, post_stays  # noqa: PLC0415
    from tests import factories  # noqa: PLC0415

    programme = factories.make_programme("BACKTEST")
    place = factories.make_property()
    first = enrol_member(
        actor=None, now=NOW - dt.timedelta(days=900), programme=programme, guest_id=factories.make_guest().pk
    )
    arrival = DAY - dt.timedelta(days=400)
    row = StayInput(
        place_id=place.pk,
        source_system="bench",
        source_reference="first",
        guest_id=first.guest_id,
        arrival_date=arrival,
        departure_date=arrival + dt.timedelta(days=1),
        lines=[FolioLineInput(str(n), arrival, "room", Decimal(100)) for n in range(LINES)],
        currency="CNY",
        channel="direct",
    )
    post_stays(actor=None, now=NOW, rows=[row])
    draft = create_draft(actor=None, now=NOW, programme=programme, based_on=programme.earning_rule_sets.get())
    for code, condition in (
        ("direct", {"all": [{"field": "stay.channel", "op": "is", "value": "direct"}]}),
        ("long", {"all": [{"field": "stay.nights", "op": "gte", "value": 3}]}),
    ):
        rule = EarningRule(
            rule_set=draft, code=code, name=code, result="multiplier", value=Decimal("1.5"), condition=condition
        )
        save_rule(actor=None, now=NOW, rule=rule)
    members = max(1, count // STAYS_PER_MEMBER)
    started = time.perf_counter()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        parameters = {"count": count, "members": members, "day": DAY, "lines": LINES}
        cursor.execute("SELECT max(id) FROM members_guest")
        parameters["guests"] = cursor.fetchone()[0]
        cursor.execute("SELECT max(id) FROM members_stay")
        parameters["stays"] = cursor.fetchone()[0]
        clone(
            cursor, "members_guest", f"id = {first.guest_id}", "generate_series(1, %(members)s) n",
            {"id": "%(guests)s + n"}, parameters,
        )  # fmt: skip
        clone(
            cursor, "loyalty_membership", f"id = {first.pk}", "generate_series(1, %(members)s) n",
            {"guest_id": "%(guests)s + n", "number": "'BT' || n", "tier_since_date": "%(day)s::date - 900"}, parameters,
        )  # fmt: skip
        clone(
            cursor, "members_stay", "source_reference = 'first'", "generate_series(1, %(count)s) n",
            {
                "id": "%(stays)s + n", "guest_id": "%(guests)s + 1 + n %% %(members)s", "source_reference": "'B' || n",
                "arrival_date": "%(day)s::date - 1 - n %% 360 - n %% 4 - 1", "departure_date": "%(day)s::date - 1 - n %% 360",
                "channel": "CASE WHEN n %% 3 = 0 THEN 'direct' ELSE 'ota' END",
            }, parameters,
        )  # fmt: skip
        clone(
            cursor, "members_folioline", "line_reference = '0'",
            "generate_series(1, %(count)s) n, generate_series(1, %(lines)s) line",
            {
                "stay_id": "%(stays)s + n", "line_reference": "line::text", "business_date": "%(day)s::date - 2 - n %% 360",
                "category": "(ARRAY['room', 'food', 'spa'])[line]", "net_amount": "(n * 37 + line * 11) %% 90000 / 100.0",
            }, parameters,
        )  # fmt: skip
    settle()
    print(f"{count:,} stays of {members:,} members seeded in {time.perf_counter() - started:.0f} s", flush=True)
    return int(draft.pk)


def clone(
    cursor, table: str, original: str, series: str, values: dict[str, str], parameters: dict[str, object]
) -> None:
    """Copies of one row, with some columns of their own."""
    cursor.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = %s"
        " AND is_generated = 'NEVER' AND (column_name <> 'id' OR %s) ORDER BY 1",
        [table, "id" in values],
    )
    columns = [row[0] for row in cursor.fetchall()]
    own = {"public_id": "gen_random_uuid()", **values}
    cursor.execute(
        f"INSERT INTO {table} ({', '.join(columns)}) OVERRIDING SYSTEM VALUE"
        f" SELECT {', '.join(own.get(name, f'o.{name}') for name in columns)}"
        f" FROM (SELECT * FROM {table} WHERE {original} LIMIT 1) o, {series}",
        parameters,
    )
