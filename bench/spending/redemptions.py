"""How fast rewards are redeemed: `python -m bench.spending.redemptions [--members 20000] [--seconds 5] [--rounds 3]`.

Starts a PostgreSQL of its own with fsync on (data in var/bench-spending, kept for the next run). Eight connections, each
a process of its own, redeem a reward with stock, a limit of the property and day, a limit of the member and year, a
price row for weekdays and a blackout, for random members; one way after the other and several rounds, the median of each:
  a) the service: one query for what decides, the rules, one call that writes;
  b) psycopg alone driving the function that a) calls, with the payload that a) sends.
Target: a) reaches at least half of b). Prints a table and writes var/bench-spending/redemptions.json.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import multiprocessing
import os
import platform
import random
import statistics
import subprocess
import sys
import time
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "var" / "bench-spending"
TARGET = 0.5
NOW = dt.datetime(2026, 6, 15, 4, 0, tzinfo=dt.UTC)
PLENTY = 2_000_000_000
WAYS = ("service", "psycopg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=8)
    options = parser.parse_args()

    from config.embedded import start_postgres  # noqa: PLC0415 – settings are chosen below

    FOLDER.mkdir(parents=True, exist_ok=True)
    server = start_postgres(FOLDER)
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

    facts = seed(options.members)
    with connection.cursor() as cursor:
        cursor.execute("SELECT version(), current_setting('fsync'), current_setting('synchronous_commit')")
        server = cursor.fetchone()
    connection.close()
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    for turn in range(options.rounds):
        for way in WAYS:
            now = {**facts, "salt": f"{facts['salt']}-{turn}"}
            rates[way].append(together(way, options.connections, options.seconds, now))
        print(
            f"round {turn + 1}: " + ", ".join(f"{way} {found[-1]:,.0f}/s" for way, found in rates.items()), flush=True
        )
    median = {way: statistics.median(found) for way, found in rates.items()}
    ratio = median["service"] / median["psycopg"]
    print(f"{options.connections} connections: service {ratio:.2f} of psycopg alone (target at least {TARGET:g})")
    result = {
        "machine": {"cores": os.cpu_count(), "platform": platform.platform()}, "postgresql": server,
        "connections": options.connections, "rates": rates, "ratio": ratio,
    }  # fmt: skip
    (FOLDER / "redemptions.json").write_text(json.dumps(result, indent=2, default=str) + "\n", encoding="utf-8")


def seed(count: int) -> dict[str, object]:
    """A reward with everything that is counted, and members with points."""
    from loyalty.models import Membership, Reward, RewardBlackout, RewardLimit, RewardPrice, RewardStock  # noqa: PLC0415
    from loyalty.services.ledger import Movement, Verb, post_movements  # noqa: PLC0415
    from loyalty.services.memberships import enrol_members  # noqa: PLC0415
    from members.models import Guest  # noqa: PLC0415
    from tests import factories  # noqa: PLC0415

    salt = f"R{time.time_ns() % 10**12}"
    programme = factories.make_programme(salt)
    place = factories.make_property(salt)
    reward: Reward = factories.make_reward(programme, points=10)
    RewardStock.objects.create(reward=reward, total=PLENTY)
    RewardLimit.objects.create(reward=reward, scope="property", period="day", maximum=PLENTY)
    RewardLimit.objects.create(reward=reward, scope="member", period="year", maximum=PLENTY)
    RewardPrice.objects.create(reward=reward, points=10, weekdays=[1, 2, 3, 4, 5], effective_from=dt.date(2020, 1, 1))
    RewardBlackout.objects.create(reward=reward, first_date=dt.date(2026, 10, 1), last_date=dt.date(2026, 10, 7))
    template = factories.make_guest("基准")
    fields = [field.attname for field in Guest._meta.concrete_fields if not field.primary_key]
    values = {name: getattr(template, name) for name in fields if name != "public_id"}
    guests = Guest.objects.bulk_create([Guest(**values) for _ in range(count)], batch_size=2000)
    enrol_members(
        actor=None, now=NOW, programme=programme, guest_ids=[guest.pk for guest in guests],
        enrolled_at={guest.pk: NOW for guest in guests},
    )  # fmt: skip
    members = list(Membership.objects.filter(programme=programme).order_by("pk").values_list("pk", flat=True))
    for start in range(0, len(members), 5000):
        post_movements(
            [
                Movement(verb=Verb.EARN, now=NOW, membership_id=pk, points=10_000_000)
                for pk in members[start : start + 5000]
            ]
        )
    actor = factories.make_staff(username=salt)
    return {"salt": salt, "place": place.pk, "reward": reward.pk, "actor": actor.pk, "members": members}


def together(way: str, connections: int, seconds: float, facts: dict[str, object]) -> float:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(connections)
    with context.Pool(connections, initializer=_initialize, initargs=(barrier,)) as pool:
        return sum(pool.starmap(_work, [(way, index, seconds, facts) for index in range(connections)], chunksize=1))


def _initialize(barrier) -> None:
    global _barrier  # noqa: PLW0603
    _barrier = barrier


def _work(way: str, index: int, seconds: float, facts: dict[str, object]) -> float:
    import django  # noqa: PLC0415

    django.setup()
    dice = random.Random(f"{facts['salt']}{way}{index}")
    one = {"service": _service, "psycopg": _psycopg}[way](facts)
    try:
        for number in range(20):
            one(dice.choice(facts["members"]), f"{facts['salt']}-{way}-{index}-warm{number}")
    except BaseException:
        # The others wait for this worker: let them fail too instead of waiting for ever.
        _barrier.abort()
        raise
    _barrier.wait(timeout=120)
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        one(dice.choice(facts["members"]), f"{facts['salt']}-{way}-{index}-{done}")
        done += 1
    return done / (time.perf_counter() - started)


def _service(facts):
    from hotels.models import Property, User  # noqa: PLC0415
    from loyalty.services.redemptions import redeem_reward  # noqa: PLC0415

    actor = User.objects.get(pk=facts["actor"])
    place = Property.objects.select_related("brand").get(pk=facts["place"])
    return lambda member, key: redeem_reward(
        actor=actor, now=NOW, membership_id=member, reward_id=facts["reward"], place=place, idempotency_key=key
    )


def _psycopg(facts):
    """The function with the payload that the service sends, taken from one call of it."""
    import psycopg  # noqa: PLC0415

    from loyalty.services.redemptions import redeeming  # noqa: PLC0415

    sent = []
    original = redeeming.run_prepared
    redeeming.run_prepared = lambda connection, statement, parameters: (
        sent.append(parameters[0]),
        original(connection, statement, parameters),
    )[1]
    _service(facts)(facts["members"][0], f"template-{uuid.uuid4()}")
    redeeming.run_prepared = original
    template = json.loads(sent[0])
    connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)

    def one(member, key):
        public_id = str(uuid.uuid4())
        movement = {
            **template["movement"], "membership_id": member, "source_reference": public_id, "request_key": key,
        }  # fmt: skip
        limits = [{**limit, "membership_id": limit["membership_id"] and member} for limit in template["limits"]]
        payload = {
            **template, "movement": movement, "limits": limits, "membership_id": member, "public_id": public_id,
        }  # fmt: skip
        return connection.execute(redeeming._TAKE, [json.dumps(payload)], prepare=True).fetchall()

    return one


if __name__ == "__main__":
    main()
