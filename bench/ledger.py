"""How fast the ledger posts: `python -m bench.ledger [--accounts 1000000] [--seconds 10]`.

Starts a PostgreSQL of its own with fsync on (data in var/bench-ledger, kept for the next run) and measures
earning and redeeming through the service – idempotency key, source line, explanation, audit entry, every
guard – beside, in the same run and on the same accounts:
  a) pgbench driving the same database function,
  b) psycopg driving it,
  c) the ORM written the usual way (exists, select_for_update, creates, save) on plain copies of the tables
     without triggers, with the same keys, lots, moves and audit entry;
then 100 movements a call, and the award of many stays in chunks of 5,000 beside the ORM's loop.
Prints a table with ratios and writes var/bench-ledger/result.json. Random accounts, seeded.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import json
import multiprocessing
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "var" / "bench-ledger"
NOW = dt.datetime(2026, 6, 15, 4, 0, tzinfo=dt.UTC)
DAY = NOW.date()
EXPIRES = dt.date(2028, 6, 15)
EXPLANATION = {
    "rule": 7,
    "rate": "1",
    "currency": "CNY",
    "lines": [{"category": "room", "net": "680.00", "points": 680}],
}
WAYS = ("service", "pgbench", "psycopg", "orm")
# Of a server that holds these tables: they fit in its memory, and a checkpoint comes seldom.
SETTINGS = {"shared_buffers": "4GB", "max_wal_size": "16GB", "checkpoint_timeout": "30min"}
SEED_SQL = """
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
# What Django declares for ForeignKey fields of such models.
FOREIGN_KEYS = (
    ("account", "programme_id", "loyalty_programme"),
    ("account", "membership_id", "loyalty_membership"),
    ("posting", "account_id", "plain.loyalty_account"),
    ("posting", "property_id", "hotels_property"),
    ("posting", "actor_id", "hotels_user"),
    ("posting", "reverses_id", "plain.loyalty_posting"),
    ("lot", "account_id", "plain.loyalty_account"),
    ("lot", "posting_id", "plain.loyalty_posting"),
    ("lot", "funding_property_id", "hotels_property"),
    ("lotmove", "posting_id", "plain.loyalty_posting"),
    ("lotmove", "lot_id", "plain.loyalty_lot"),
    ("requestkey", "posting_id", "plain.loyalty_posting"),
    ("sourcekey", "posting_id", "plain.loyalty_posting"),
)
PLAIN = ("account", "posting", "lot", "lotmove", "requestkey", "sourcekey")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--stays", type=int, default=1_000_000, help="stays awarded in chunks of 5,000")
    parser.add_argument("--orm-stays", type=int, default=3000, help="stays awarded by the ORM's loop")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each way, one way after the other")
    parser.add_argument("--connections", default="1,2,8")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--fresh", action="store_true", help="start from an empty database")
    options = parser.parse_args()

    from config.embedded import start_postgres  # noqa: PLC0415 – settings are chosen below

    FOLDER.mkdir(parents=True, exist_ok=True)
    server = start_postgres(FOLDER, settings=SETTINGS)
    try:
        os.environ["DATABASE_URL"] = server.url
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.development"
        os.environ.setdefault("CELERY_BROKER_URL", "redis://127.0.0.1:1/0")
        subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], cwd=ROOT, check=True)
        measure(options)
    finally:
        server.stop()


def measure(options: argparse.Namespace) -> None:
    import django  # noqa: PLC0415

    django.setup()
    from django.db import connection  # noqa: PLC0415

    facts = seed(options)
    result = {
        "machine": {"cores": os.cpu_count(), "platform": platform.platform()},
        "accounts": facts["count"], "seconds": options.seconds, "rates": {},
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("SELECT version(), current_setting('fsync'), current_setting('synchronous_commit')")
        result["postgresql"] = cursor.fetchone()
    rates = result["rates"]
    rates["award, chunks of 5,000"] = {"service": award(facts, options.stays)}
    spenders = fund(facts)
    plain_copies(connection)
    connection.close()
    rates["award, chunks of 5,000"]["orm"] = together("award_orm", 1, options.orm_stays, facts)
    show("award, chunks of 5,000", rates["award, chunks of 5,000"])
    rates["100 a call, 1 connection"] = {"service": together("hundred", 1, options.seconds, facts)}
    ways = options.ways.split(",")
    for verb in ("earn", "redeem"):
        for connections in map(int, options.connections.split(",")):
            row = rates.setdefault(f"{verb}, {connections} connections", {})
            # In turn, and the median of the rounds: the machine's speed drifts, and after a checkpoint whoever
            # comes first writes whole pages.
            rounds: dict[str, list[float]] = {way: [] for way in ways}
            for turn in range(options.rounds):
                for way in ways:
                    now = {**(spenders if verb == "redeem" else facts), "salt": f"{facts['salt']}-{turn}"}
                    rounds[way].append(
                        pgbench(verb, connections, options.seconds, now)
                        if way == "pgbench"
                        else together(f"{verb}_{way}", connections, options.seconds, now)
                    )
            row.update({way: statistics.median(rates_of) for way, rates_of in rounds.items()})
            show(f"{verb}, {connections} connections", row)
    base = rates.get("earn, 1 connections", {}).get("orm")
    rates["100 a call, 1 connection"]["orm"] = base
    show("100 a call, 1 connection", rates["100 a call, 1 connection"])
    (FOLDER / "result.json").write_text(json.dumps(result, indent=2, default=str) + "\n", encoding="utf-8")
    verified = subprocess.run(
        [sys.executable, "manage.py", "verify_ledger"], cwd=ROOT, check=False, capture_output=True
    )
    print("verify_ledger:", "adds up" if verified.returncode == 0 else verified.stdout.decode())


def show(name: str, row: dict[str, float]) -> None:
    text = f"{name:26}" + "".join(f" {way} {rate:9,.0f}/s" for way, rate in row.items() if rate)
    for other, sign in (("psycopg", "of psycopg"), ("orm", "× ORM")):
        if row.get(other) and row.get("service"):
            text += f"  {row['service'] / row[other]:.2f} {sign}"
    print(text, flush=True)


def seed(options: argparse.Namespace) -> dict[str, object]:
    """Make members with accounts up to the number asked for; tells a worker all it needs."""
    from django.db import connection  # noqa: PLC0415

    from loyalty.models import Account, Posting, Programme  # noqa: PLC0415
    from tests import factories  # noqa: PLC0415

    if options.fresh and Account.objects.exists():
        message = f"delete {FOLDER} for a fresh start"
        raise SystemExit(message)
    programme = Programme.objects.filter(code="BENCH").first() or factories.make_programme("BENCH")
    place = factories.make_property(f"B{int(time.time())}")
    actor = factories.make_staff(username=f"bench{time.time_ns()}")
    missing = options.accounts - Account.objects.count()
    if missing > 0:
        started = time.perf_counter()
        guest = factories.make_guest()
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public'"
                " AND table_name = 'members_guest' AND is_generated = 'NEVER' AND column_name <> 'id' ORDER BY 1"
            )
            columns = [row[0] for row in cursor.fetchall()]
            cursor.execute(
                SEED_SQL.format(
                    columns=", ".join(columns),
                    values=", ".join("gen_random_uuid()" if name == "public_id" else f"g.{name}" for name in columns),
                ),
                {
                    "count": missing, "guest": guest.pk, "programme": programme.pk, "now": NOW, "day": DAY,
                    "tier": programme.tiers.get(code="base").pk,
                },
            )  # fmt: skip
            cursor.execute("VACUUM ANALYZE")
        print(f"made {missing:,} members in {time.perf_counter() - started:.0f} s", flush=True)
    ids = Account.objects.order_by("id").values_list("id", flat=True)
    return {
        "first": ids[0], "last": ids.reverse()[0], "count": Account.objects.count(), "programme": programme.pk,
        "place": place.pk, "actor": actor.pk, "salt": str(time.time_ns()), "postings": Posting.objects.count(),
    }  # fmt: skip


def plain_copies(connection) -> None:
    """The tables as they are, with keys, indexes and the foreign keys Django makes, without triggers, for the ORM."""
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA IF EXISTS plain CASCADE; CREATE SCHEMA plain")
        for name in PLAIN:
            cursor.execute(f"CREATE TABLE plain.loyalty_{name} (LIKE public.loyalty_{name} INCLUDING ALL)")
            cursor.execute(f"INSERT INTO plain.loyalty_{name} SELECT * FROM public.loyalty_{name}")
            if name in {"account", "posting", "lot"}:
                cursor.execute(f"SELECT max(id) FROM plain.loyalty_{name}")
                top = (cursor.fetchone()[0] or 0) + 1
                cursor.execute(f"ALTER TABLE plain.loyalty_{name} ALTER COLUMN id RESTART WITH {top}")
        for name, column, target in FOREIGN_KEYS:
            if "." in target:
                cursor.execute(f"CREATE UNIQUE INDEX IF NOT EXISTS {target.split('.')[1]}_id ON {target} (id)")
            cursor.execute(
                f"ALTER TABLE plain.loyalty_{name} ADD FOREIGN KEY ({column}) REFERENCES {target} (id)"
                " DEFERRABLE INITIALLY DEFERRED"
            )
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")


def award(facts: dict[str, object], stays: int, chunk: int = 5000) -> float:
    """Stays of random members, business key and explanation each, posted in chunks; stays a second."""
    from loyalty.services.ledger import Movement, SourceLine, Verb, post_movements  # noqa: PLC0415

    dice = random.Random(facts["salt"])
    started = time.perf_counter()
    for start in range(0, stays, chunk):
        post_movements(
            [
                Movement(
                    verb=Verb.EARN, now=NOW, account_id=dice.randint(facts["first"], facts["last"]), points=680,
                    source=SourceLine("pms", f"{facts['salt']}-{number}"), explanation=EXPLANATION, rule_version="1",
                    property_id=facts["place"], business_date=DAY,
                )
                for number in range(start, min(start + chunk, stays))
            ],
            strict=False,
        )  # fmt: skip
        if start % 100_000 == 0 and start:
            print(f"  {start:,} stays, {start / (time.perf_counter() - started):,.0f}/s", flush=True)
    return stays / (time.perf_counter() - started)


def fund(facts: dict[str, object], members: int = 100_000, chunk: int = 5000) -> dict[str, object]:
    """Give the first members points enough for every redemption to come; a refusal would be no redemption."""
    from loyalty.services.ledger import Movement, Verb, post_movements  # noqa: PLC0415

    last = min(facts["last"], facts["first"] + members - 1)
    for start in range(facts["first"], last + 1, chunk):
        post_movements(
            [
                Movement(verb=Verb.EARN, now=NOW, account_id=number, points=5000, business_date=DAY)
                for number in range(start, min(start + chunk, last + 1))
            ]
        )
    return {**facts, "last": last}


# Workers: one process a connection, in a loop until the time is over.


def together(way: str, connections: int, amount: float, facts: dict[str, object]) -> float:
    # Keys of its own for each measurement: a repeated key would measure the answer to a retry.
    facts = {**facts, "salt": f"{facts['salt']}-{connections}-"}
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(connections)
    with context.Pool(connections, initializer=_initialize, initargs=(barrier,)) as pool:
        return sum(pool.starmap(_work, [(way, index, amount, facts) for index in range(connections)], chunksize=1))


def _initialize(barrier) -> None:
    global _barrier  # noqa: PLW0603
    _barrier = barrier


def _work(way: str, index: int, amount: float, facts: dict[str, object]) -> float:
    import django  # noqa: PLC0415

    django.setup()
    from django.db import connection  # noqa: PLC0415

    with connection.cursor() as cursor:
        if way.endswith("orm"):
            cursor.execute("SET search_path = plain, public")
    one = WORK[way](facts)
    size = 100 if way == "hundred" else 1
    dice = random.Random(f"{facts['salt']}{index}{way}")
    pick = lambda: dice.randint(facts["first"], facts["last"])  # noqa: E731
    try:
        for number in range(20):
            one(pick, f"{way}-{index}-warm{number}")
    except BaseException:
        # The others wait for this worker: let them fail too instead of waiting for ever.
        _barrier.abort()
        raise
    _barrier.wait(timeout=120)
    done, started = 0, time.perf_counter()
    while (done < amount) if way == "award_orm" else (time.perf_counter() - started < amount):
        one(pick, f"{way}-{index}-{done}")
        done += 1
    return done * size / (time.perf_counter() - started)


def _context(facts):
    from hotels.models import User  # noqa: PLC0415

    return User.objects.get(pk=facts["actor"]), facts["salt"]


def earn_service(facts):
    from loyalty.services.ledger import RequestKey, SourceLine, earn_points  # noqa: PLC0415

    actor, salt = _context(facts)
    return lambda pick, key: earn_points(
        actor=actor, now=NOW, account_id=pick(), points=680, source=SourceLine("pms", f"{salt}{key}"),
        request=RequestKey("bench", f"{salt}{key}"), explanation=EXPLANATION, rule_version="1", property_id=facts["place"],
    )  # fmt: skip


def redeem_service(facts):
    from loyalty.services.ledger import InsufficientPoints, RequestKey, redeem_points  # noqa: PLC0415

    actor, salt = _context(facts)

    def one(pick, key):
        while True:
            try:
                return redeem_points(
                    actor=actor, now=NOW, account_id=pick(), points=10, request=RequestKey("bench", f"{salt}{key}"),
                    explanation=EXPLANATION, property_id=facts["place"],
                )  # fmt: skip
            except InsufficientPoints:
                continue

    return one


def hundred(facts):
    from loyalty.services.ledger import Movement, RequestKey, SourceLine, Verb, post_movements  # noqa: PLC0415

    actor, salt = _context(facts)
    return lambda pick, key: post_movements(
        [
            Movement(
                verb=Verb.EARN, now=NOW, actor_id=actor.pk, account_id=pick(), points=680, explanation=EXPLANATION,
                source=SourceLine("pms", f"{salt}{key}-{n}"), request=RequestKey("bench", f"{salt}{key}-{n}"),
                rule_version="1", property_id=facts["place"],
            )
            for n in range(100)
        ]
    )  # fmt: skip


def _json(verb: str, account: str, key: str, facts: dict[str, object]) -> str:
    """The service's own payload, with placeholders."""
    movement = {
        "i": 0, "occurred_at": str(NOW), "verb": verb, "account_id": "@account", "unit": "points",
        "points": 680 if verb == "earn" else 10, "property_id": facts["place"], "explanation": EXPLANATION,
        "actor_id": facts["actor"], "request_client": "bench", "request_key": "@key",
        "request_hash": hashlib.sha256(b"bench").hexdigest(),
    }  # fmt: skip
    if verb == "earn":
        movement |= {
            "source_system": "pms", "source_reference": "@key", "source_line": "", "lot_class": "earned", "kind": "earn",
            "expires_by_programme": True, "pending_by_programme": True, "rule_version": "1",
        }  # fmt: skip
    return json.dumps([movement]).replace('"@account"', account).replace("@key", key)


def _psycopg(verb, facts):
    import psycopg  # noqa: PLC0415

    connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
    template = _json(verb, "%A", "%K", facts)

    def one(pick, key):
        payload = template.replace("%A", str(pick())).replace("%K", f"{facts['salt']}{key}")
        return connection.execute("SELECT * FROM loyalty_post_movements(%s, %s)", [payload, False]).fetchall()

    return one


def pgbench(verb: str, connections: int, seconds: float, facts: dict[str, object]) -> float:
    from config.embedded import postgres_install  # noqa: PLC0415

    script = FOLDER / f"{verb}.sql"
    payload = _json(verb, ":account", f"{facts['salt']}:client_id-:key", facts)
    script.write_text(
        f"\\set account random({facts['first']}, {facts['last']})\n\\set key random(1, 9000000000000000000)\n"
        f"SELECT * FROM loyalty_post_movements('{payload}', false);\n"
    )
    command = [
        postgres_install() / "bin" / "pgbench", "-n", "-f", script, "-c", connections, "-j", min(connections, 2),
        "-T", max(int(seconds), 1), os.environ["DATABASE_URL"],
    ]  # fmt: skip
    output = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout
    return float(next(line for line in output.splitlines() if line.startswith("tps")).split()[2])


# The usual way.


def _post_by_orm(account, *, kind, points, key, facts, lots, source=""):
    from hotels.models import AuditEntry  # noqa: PLC0415
    from loyalty.models import Lot, LotMove, Posting, RequestKey, SourceKey  # noqa: PLC0415

    before = account.available
    account.available += points
    account.last_seq += 1
    previous = bytes(account.head_hash)
    account.head_hash = hashlib.sha256(
        previous + json.dumps([account.pk, account.last_seq, kind, points]).encode()
    ).digest()
    posting = Posting.objects.create(
        account_id=account.pk, seq=account.last_seq, kind=kind, points=points, available_after=account.available,
        pending_after=account.pending, held_after=account.held, debt_after=account.debt, source_system="pms" if source else "",
        source_reference=source, request_client="bench" if key else "", request_key=key, request_hash="",
        rule_version="1", explanation=EXPLANATION, occurred_at=NOW, business_date=DAY, property_id=facts["place"],
        actor_id=facts["actor"] if key else None, previous_hash=previous, hash=account.head_hash,
    )  # fmt: skip
    if points > 0:
        lot = Lot.objects.create(
            account_id=account.pk, posting=posting, original=points, remaining=points, state="open", earned_date=DAY,
            expires_on=EXPIRES, funding_property_id=facts["place"],
        )  # fmt: skip
        lots = [(lot, points)]
    for lot, delta in lots:
        if delta < 0:
            lot.remaining += delta
            lot.state = "open" if lot.remaining else "spent"
            lot.save(update_fields=["remaining", "state"])
        LotMove.objects.create(posting=posting, lot=lot, account_id=account.pk, open_delta=delta)
    if key:
        RequestKey.objects.create(programme_id=facts["programme"], client="bench", key=key, posting=posting)
        AuditEntry.objects.create(
            at=NOW, actor_id=facts["actor"], action=f"points.{kind}", object_type="loyalty.account",
            object_id=str(account.pk), property_id=facts["place"], before={"available": before},
            after={"available": account.available, "points": points, "posting": posting.pk},
        )  # fmt: skip
    if source:
        SourceKey.objects.create(
            programme_id=facts["programme"], system="pms", reference=source, line="", kind=kind, account_id=account.pk,
            posting=posting,
        )  # fmt: skip
    account.save(update_fields=["available", "last_seq", "head_hash"])
    return posting


def earn_orm(facts, *, keyed=True):
    from django.db import transaction  # noqa: PLC0415

    from loyalty.models import Account, RequestKey, SourceKey  # noqa: PLC0415

    def one(pick, key):
        key = f"{facts['salt']}{key}"
        with transaction.atomic():
            if keyed and RequestKey.objects.filter(programme_id=facts["programme"], client="bench", key=key).exists():
                raise AssertionError
            if SourceKey.objects.filter(
                programme_id=facts["programme"], system="pms", reference=key, line="", kind="earn"
            ).exists():
                raise AssertionError
            account = Account.objects.select_for_update(no_key=True).get(pk=pick())
            return _post_by_orm(
                account, kind="earn", points=680, key=key if keyed else "", facts=facts, lots=[], source=key
            )

    return one


def award_orm(facts):
    return earn_orm(facts, keyed=False)


def redeem_orm(facts):
    from django.db import transaction  # noqa: PLC0415
    from django.db.models import F, Q  # noqa: PLC0415

    from loyalty.models import Account, Lot, RequestKey  # noqa: PLC0415

    def one(pick, key):
        key = f"{facts['salt']}{key}"
        while True:
            with transaction.atomic():
                if RequestKey.objects.filter(programme_id=facts["programme"], client="bench", key=key).exists():
                    raise AssertionError
                account = Account.objects.select_for_update(no_key=True).get(pk=pick())
                lots, left = [], 10
                for lot in Lot.objects.filter(
                    Q(expires_on=None) | Q(expires_on__gte=DAY), account_id=account.pk, state="open"
                ).order_by(F("expires_on").asc(nulls_last=True), "id"):
                    part = min(left, lot.remaining)
                    lots.append((lot, -part))
                    left -= part
                    if not left:
                        break
                if not left:
                    return _post_by_orm(account, kind="redeem", points=-10, key=key, facts=facts, lots=lots)

    return one


WORK = {
    "earn_service": earn_service,
    "redeem_service": redeem_service,
    "earn_psycopg": lambda facts: _psycopg("earn", facts),
    "redeem_psycopg": lambda facts: _psycopg("redeem", facts),
    "earn_orm": earn_orm,
    "redeem_orm": redeem_orm,
    "award_orm": award_orm,
    "hundred": hundred,
}

if __name__ == "__main__":
    main()
