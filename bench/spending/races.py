"""Stored value under fire: `python -m bench.spending.races [--seconds 60] [--workers 8]`.

Top-ups, payments, refunds, undoing and expiry run against the same few members on connections of their own,
and at the end the whole ledger is proved. Starts a PostgreSQL of its own (data in var/bench-spending). Prints how
often each went through and how often it was refused; exits with 1 when anything does not add up.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import random
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "var" / "bench-spending"
LAPSED = dt.timedelta(days=45)


def race(*, membership_ids: list[int], place, now: dt.datetime, seconds: float, workers: int) -> Counter[str]:
    """Let workers do at random what members and the night do, for a time.

    Args:
        membership_ids: Few members, so that the workers meet.
        place: A property whose policy lets gifts live for one month.
        now: The day of the top-ups; some payments and all expiries come 45 days later.
        seconds: How long.
        workers: Connections.

    Returns:
        How often each action went through, and how often it was refused (`action: code`).
    """
    from django.db import connections  # noqa: PLC0415 – settings are chosen by the caller

    from loyalty.models import Account, StoredValueMovement  # noqa: PLC0415
    from loyalty.services import wallet  # noqa: PLC0415
    from loyalty.services.ledger import LedgerError, expire_lots  # noqa: PLC0415

    counts: Counter[str] = Counter()
    counting = threading.Lock()
    until = time.monotonic() + seconds

    def act(dice: random.Random) -> str:
        member = dice.choice(membership_ids)
        common = {"actor": None, "now": now + dice.choice([dt.timedelta(0), LAPSED])}
        money = {
            "amount": dice.randint(1, 1_500),
            "place": place,
            "idempotency_key": str(uuid.UUID(int=dice.getrandbits(128))),
        }
        what = dice.choice(["top_up", "pay", "pay", "refund", "undo", "expire"])
        try:
            if what == "top_up":
                wallet.top_up(**common, **money, membership_id=member, currency="CNY", method="card")
            elif what == "pay":
                wallet.pay_from_stored_value(**common, **money, membership_id=member, currency="CNY")
            elif what == "expire":
                account = Account.objects.get(membership=member, unit="CNY:gift")
                expire_lots(now=now + LAPSED, account_id=account.pk)
            else:
                recent = StoredValueMovement.objects.filter(membership=member).order_by("-pk")
                kinds = ["top_up"] if what == "refund" else ["top_up", "payment"]
                movement = dice.choice(recent.filter(kind__in=kinds)[:5])
                if what == "refund":
                    wallet.refund_top_up(**common, **money, top_up_id=movement.pk, method="card", reason="race")
                else:
                    wallet.undo_stored_value(**common, movement_id=movement.pk, reason="race")
        except (wallet.StoredValueError, LedgerError) as refused:
            return f"{what}: {refused.code}"
        return what

    def work(seed: int) -> None:
        dice = random.Random(seed)
        done: Counter[str] = Counter()
        try:
            while time.monotonic() < until:
                done[act(dice)] += 1
        finally:
            connections.close_all()
        with counting:
            counts.update(done)

    for number, membership_id in enumerate(membership_ids):
        wallet.top_up(
            actor=None, now=now, membership_id=membership_id, amount=5_000, currency="CNY", method="card",
            place=place, idempotency_key=f"first {number}",
        )  # fmt: skip
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, range(workers)))
    return counts


def main() -> int:
    """Set the stage, race, prove."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--workers", type=int, default=8)
    options = parser.parse_args()

    from config.embedded import start_postgres  # noqa: PLC0415 – settings are chosen below

    FOLDER.mkdir(parents=True, exist_ok=True)
    server = start_postgres(FOLDER)
    try:
        os.environ["DATABASE_URL"] = server.url
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.development"
        os.environ.setdefault("CELERY_BROKER_URL", "redis://127.0.0.1:1/0")
        subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], cwd=ROOT, check=True)
        return run(options)
    finally:
        server.stop()


def run(options: argparse.Namespace) -> int:
    """One race on new members; 1 when the ledger does not add up."""
    import django  # noqa: PLC0415

    django.setup()
    from loyalty.models import StoredValuePolicy, TopUpStep  # noqa: PLC0415
    from loyalty.selectors.verification import verify_ledger  # noqa: PLC0415
    from tests.factories import NOW, make_member, make_programme, make_property  # noqa: PLC0415

    place = make_property(uuid.uuid4().hex[:8])
    programme = make_programme(uuid.uuid4().hex[:8], number_prefix=uuid.uuid4().hex[:6])
    policy = StoredValuePolicy.objects.create(programme=programme, effective_from=dt.date(2020, 1, 1), gift_months=1)
    TopUpStep.objects.create(policy=policy, amount=500, gift=50)
    members = [make_member(programme).pk for _number in range(3)]
    counts = race(membership_ids=members, place=place, now=NOW, seconds=options.seconds, workers=options.workers)
    for name, count in sorted(counts.items()):
        print(f"{count:>7,}  {name}")
    wrong = [finding for finding in verify_ledger() if finding.differences]
    print("the ledger adds up" if not wrong else f"differences: {wrong}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
