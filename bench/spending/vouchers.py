"""What 100,000 vouchers cost: `python -m bench.spending.vouchers [--vouchers 100000] [--rounds 3]`.

Starts a PostgreSQL of its own with fsync on (data in var/bench-spending, kept for the next run). Measures, one way after
the other and several rounds, the median of each:
  a) a batch issued through the service in chunks as a worker does it: random codes with check characters, the history
     of each voucher, every guard, progress;
  b) one bare INSERT … SELECT of the very rows that a) wrote, codes included, into a copy of the voucher table with its
     indexes, checks and the foreign keys that Django makes, without triggers;
  c) the same into a copy of the table of histories, for what a) writes besides.
Target: a) takes at most 4 times b). Prints a table and writes var/bench-spending/vouchers.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "var" / "bench-spending"
TARGET = 4.0
# What Django declares for the ForeignKey fields of such models.
FOREIGN_KEYS = (
    ("voucher", "type_id", "loyalty_vouchertype"),
    ("voucher", "membership_id", "loyalty_membership"),
    ("voucher", "batch_id", "loyalty_voucherbatch"),
    ("voucher", "redeemed_by_id", "hotels_user"),
    ("voucher", "redeemed_property_id", "hotels_property"),
    ("voucher", "stay_id", "members_stay"),
    ("voucherevent", "voucher_id", "plain.loyalty_voucher"),
    ("voucherevent", "actor_id", "hotels_user"),
    ("voucherevent", "property_id", "hotels_property"),
    ("voucherevent", "from_membership_id", "loyalty_membership"),
    ("voucherevent", "membership_id", "loyalty_membership"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vouchers", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
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
    from django.db import connection, transaction  # noqa: PLC0415
    from django.utils import timezone  # noqa: PLC0415

    from loyalty.models import Voucher, VoucherEvent  # noqa: PLC0415
    from loyalty.services.vouchers import order_batch, run_batch  # noqa: PLC0415
    from tests import factories  # noqa: PLC0415

    voucher_type = factories.make_voucher_type(factories.make_programme(f"V{time.time_ns() % 10**12}"))
    actor = factories.make_staff(username=f"bench{time.time_ns()}")
    seconds: dict[str, list[float]] = {"service": [], "vouchers": [], "histories": []}
    for turn in range(options.rounds):
        batch = order_batch(
            actor=actor, now=timezone.now(), type_id=voucher_type.pk, quantity=options.vouchers,
            purpose="bench", request_key=uuid.uuid4(),
        )  # fmt: skip
        checkpoint(connection)
        started = time.perf_counter()
        issued = run_batch(batch_id=batch.pk, now=timezone.now())
        seconds["service"].append(time.perf_counter() - started)
        assert issued == options.vouchers == Voucher.objects.filter(batch=batch).count()
        assert VoucherEvent.objects.filter(voucher__batch=batch).count() == options.vouchers
        plain_copies(connection)
        for name, condition in (
            ("voucher", "batch_id = %s"),
            ("voucherevent", "voucher_id IN (SELECT id FROM public.loyalty_voucher WHERE batch_id = %s)"),
        ):
            # Read before, so that the measured statement reads from memory as the service's source does.
            with connection.cursor() as cursor:
                cursor.execute(
                    f"CREATE TEMPORARY TABLE rows_{name} AS SELECT * FROM public.loyalty_{name} WHERE {condition}",
                    [batch.pk],
                )
            checkpoint(connection)
            started = time.perf_counter()
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(f"INSERT INTO plain.loyalty_{name} OVERRIDING SYSTEM VALUE SELECT * FROM rows_{name}")
            seconds["vouchers" if name == "voucher" else "histories"].append(time.perf_counter() - started)
            with connection.cursor() as cursor:
                cursor.execute(f"DROP TABLE rows_{name}")
        print(
            f"round {turn + 1}: " + ", ".join(f"{way} {times[-1]:.2f} s" for way, times in seconds.items()), flush=True
        )
    median = {way: statistics.median(times) for way, times in seconds.items()}
    ratio = median["service"] / median["vouchers"]
    with_history = median["service"] / (median["vouchers"] + median["histories"])
    print(
        f"{options.vouchers:,} vouchers: service {median['service']:.2f} s, bare INSERT … SELECT {median['vouchers']:.2f} s"
        f" (histories {median['histories']:.2f} s)\n"
        f"{ratio:.2f} × the vouchers alone (target at most {TARGET:g}), {with_history:.2f} × vouchers and histories"
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT version(), current_setting('fsync'), current_setting('synchronous_commit')")
        server = cursor.fetchone()
    result = {
        "machine": {"cores": os.cpu_count(), "platform": platform.platform()}, "postgresql": server,
        "vouchers": options.vouchers, "seconds": seconds, "ratio": ratio, "ratio_with_histories": with_history,
    }  # fmt: skip
    (FOLDER / "vouchers.json").write_text(json.dumps(result, indent=2, default=str) + "\n", encoding="utf-8")


def checkpoint(connection) -> None:
    """Start each measurement from the same state."""
    with connection.cursor() as cursor:
        cursor.execute("CHECKPOINT")


def plain_copies(connection) -> None:
    """The tables with keys, indexes, checks and the foreign keys that Django makes, without triggers and rows."""
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA IF EXISTS plain CASCADE; CREATE SCHEMA plain")
        for name in ("voucher", "voucherevent"):
            cursor.execute(f"CREATE TABLE plain.loyalty_{name} (LIKE public.loyalty_{name} INCLUDING ALL)")
        for name, column, target in FOREIGN_KEYS:
            cursor.execute(
                f"ALTER TABLE plain.loyalty_{name} ADD FOREIGN KEY ({column}) REFERENCES {target} (id)"
                " DEFERRABLE INITIALLY DEFERRED"
            )


if __name__ == "__main__":
    main()
