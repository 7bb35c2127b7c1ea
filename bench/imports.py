"""What an import of 1,000,000 guests costs: `python -m bench.imports [--guests 1000000] [--sample 2000]`.

Starts a PostgreSQL of its own with fsync on and a new database in it (in var/bench-imports), and makes a CSV of guests
with telephones, documents, addresses and 2% of dirt. Measures:
  a) the file taken in, checked and applied by the services as a worker does it, into the real tables with every index,
     constraint, encryption, audit entry and what an undo needs; and the largest memory of the process;
  b) the same file a second time, when nothing is new;
  c) a bare COPY of the file into a table of texts, then unique keys on telephone, document and address and the indexes on
     the name that the guests have;
  d) django-import-export as it comes, row by row, on a sample: a guest with one telephone, found by its blind index.
Targets: a) at least 20 times d) and 0.12 times c), under 500 MB; b) at least 1.5 times a). Prints a table and writes
var/bench-imports/imports.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import random
import resource
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "var" / "bench-imports"
DATABASE = "guike_bench_imports"
SEED = 20_260_615
HEADER = ["姓名", "手机号", "身份证号", "性别", "国籍", "邮箱", "公司"]
TARGETS = {"import_export": 20.0, "copy": 0.12, "again": 1.5, "memory_mb": 500}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--guests", type=int, default=1_000_000)
    parser.add_argument("--sample", type=int, default=2_000, help="rows for django-import-export")
    options = parser.parse_args()

    from config.embedded import start_postgres  # noqa: PLC0415 – settings are chosen below

    FOLDER.mkdir(parents=True, exist_ok=True)
    server = start_postgres(FOLDER)
    try:
        os.environ["DATABASE_URL"] = new_database(server.url)
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.development"
        os.environ["GUIKE_MEDIA_ROOT"] = str(FOLDER / "media")
        os.environ.setdefault("CELERY_BROKER_URL", "redis://127.0.0.1:1/0")
        subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], cwd=ROOT, check=True)
        measure(options)
    finally:
        server.stop()


def measure(options: argparse.Namespace) -> None:
    import django  # noqa: PLC0415

    django.setup()
    from tests import factories  # noqa: PLC0415

    path = FOLDER / "guests.csv"
    generate(path, options.guests)
    place = factories.make_property(f"B{time.time_ns() % 10**12}")
    figures: dict[str, float] = {}
    parts, first = take_in(path, place)
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures["import"] = options.guests / sum(parts.values())
    figures |= {f"import: {part}": options.guests / seconds for part, seconds in parts.items()}
    again, second = take_in(path, place)
    figures["again"] = options.guests / sum(again.values())
    figures["copy"] = options.guests / timed(lambda: bare_copy(path))
    figures["import_export"] = options.sample / timed(lambda: row_by_row(path, options.guests, options.sample))
    ratios = {
        "import_export": figures["import"] / figures["import_export"],
        "copy": figures["import"] / figures["copy"],
        "again": figures["again"] / figures["import"],
        "memory_mb": memory_mb,
    }
    print(f"{options.guests:,} rows, {platform.machine()}, Python {platform.python_version()}: {first}; again {second}")
    for name, figure in figures.items():
        print(f"  {name:24} {figure:12,.0f} rows/s")
    for name, ratio in ratios.items():
        is_met = ratio <= TARGETS[name] if name == "memory_mb" else ratio >= TARGETS[name]
        print(f"  {name:24} {ratio:12,.2f}    target {TARGETS[name]}: {'met' if is_met else 'missed'}")
    (FOLDER / "imports.json").write_text(
        json.dumps({"rows": options.guests, "rows_per_second": figures, "ratios": ratios}, indent=1)
    )


def timed(work: Callable[[], object]) -> float:
    """Seconds that the work takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def new_database(url: str) -> str:
    """Address of an empty database on the server: history cannot be emptied, so each run has a database of its own."""
    import psycopg  # noqa: PLC0415

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
        connection.execute(f"CREATE DATABASE {DATABASE}")
    return urllib.parse.urlsplit(url)._replace(path=f"/{DATABASE}").geturl()


def generate(path: Path, guests: int) -> None:
    """A file of so many different guests, 2% of whose rows are wrong."""
    from bench.search import GIVEN_FIRST, GIVEN_LAST, SURNAMES  # noqa: PLC0415
    from members.rules.identity import id_card_check_character  # noqa: PLC0415

    draw = random.Random(SEED)
    surnames = [entry.rstrip("0123456789.") for entry in SURNAMES.split()]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for number in range(guests):
            name = draw.choice(surnames) + draw.choice(GIVEN_FIRST) + draw.choice(GIVEN_LAST)
            phone = f"138{number:08d}" if number < 10**8 - 1 else ""
            birth = f"{draw.randint(1950, 2005)}{draw.randint(1, 12):02}{draw.randint(1, 28):02}"
            seventeen = f"{110_101 + number // 1000 % 1000:06d}{birth}{number % 1000:03d}"
            card = seventeen + id_card_check_character(seventeen)
            if draw.random() < 0.02:
                phone = draw.choice(["1.38E+10", "", "1380013800"]) if draw.random() < 0.5 else f"{phone}.0"
            email = f"guest{number}@example.com" if number % 3 == 0 else ""
            writer.writerow([name, phone, card, "男女"[number % 2], "中国", email, ""])


def take_in(path: Path, place: object) -> tuple[dict[str, float], str]:
    """Upload, check and apply; seconds of each, and what became of the rows."""
    from django.utils import timezone  # noqa: PLC0415

    from members.services.imports import (  # noqa: PLC0415
        ImportRefused,
        approve_import,
        choose_columns,
        run_import,
        start_import,
    )

    parts: dict[str, float] = {}
    begin = time.perf_counter()
    with path.open("rb") as file:
        batch = start_import(actor=None, now=timezone.now(), place=place, file_name=path.name, file=file)  # type: ignore[arg-type]
    parts["upload"] = time.perf_counter() - begin
    mapping = {int(index): name for index, name in batch.mapping.items()}
    choose_columns(actor=None, now=timezone.now(), batch_id=batch.pk, mapping=mapping)
    parts["check"] = timed(lambda: run_import(batch_id=batch.pk, now=timezone.now()))
    try:
        approve_import(actor=None, now=timezone.now(), batch_id=batch.pk)
    except ImportRefused as refused:
        print(f"  {refused.code}")
    else:
        parts["apply"] = timed(lambda: run_import(batch_id=batch.pk, now=timezone.now()))
    batch.refresh_from_db()
    counts = (batch.create_count, batch.update_count, batch.unchanged_count, batch.error_count)
    if sum(counts) != batch.row_count:
        sys.exit(f"rows lost: {counts} of {batch.row_count}")
    return parts, "{:,} new, {:,} changed, {:,} unchanged, {:,} wrong".format(*counts)


def bare_copy(path: Path) -> None:
    """The file as it is into a table of texts, and the indexes built afterwards."""
    from django.db import connection, transaction  # noqa: PLC0415

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS bench_flat")
        cursor.execute(
            "CREATE TABLE bench_flat (id bigserial PRIMARY KEY, name text, phone text, card text, gender text, "
            "country text, email text, company text)"
        )
        columns = "name, phone, card, gender, country, email, company"
        with (
            path.open("rb") as file,
            cursor.copy(f"COPY bench_flat ({columns}) FROM STDIN (FORMAT csv, HEADER true)") as copy,
        ):
            while block := file.read(1024 * 1024):
                copy.write(block)
        for index in (
            "INDEX ON bench_flat (phone)",
            "INDEX ON bench_flat (card)",
            "INDEX ON bench_flat (email)",
            "INDEX ON bench_flat (right(phone, 4), id DESC)",
            "INDEX ON bench_flat (left(name, 1), id DESC)",
            "INDEX ON bench_flat (left(name, 2), id DESC)",
            "INDEX ON bench_flat (name text_pattern_ops)",
            "INDEX ON bench_flat USING gin (members_name_grams(name))",
        ):
            cursor.execute(f"CREATE {index}")


def row_by_row(path: Path, guests: int, sample: int) -> None:
    """The end of the file through django-import-export, as guests with other telephones."""
    import tablib  # noqa: PLC0415
    from import_export import fields, resources  # noqa: PLC0415
    from import_export.instance_loaders import BaseInstanceLoader  # noqa: PLC0415

    from members.models import Guest, GuestIdentity  # noqa: PLC0415
    from members.services import vault  # noqa: PLC0415
    from members.services.guests.inputs import identity_value  # noqa: PLC0415

    class ByPhone(BaseInstanceLoader):  # type: ignore[misc]
        def get_instance(self, row: dict[str, str]) -> Guest | None:
            index = vault.blind_index("phone", f"+86{row['phone']}")
            return Guest.objects.filter(identities__kind="phone", identities__value_index=index).first()

    class Guests(resources.ModelResource):  # type: ignore[misc]
        phone = fields.Field(column_name="phone")

        class Meta:
            model = Guest
            fields = ("phone", "name", "gender", "nationality")
            import_id_fields = ("phone",)
            instance_loader_class = ByPhone

        def import_field(self, field: object, *args: object, **kwargs: object) -> None:
            if getattr(field, "column_name", "") != "phone":
                super().import_field(field, *args, **kwargs)

        def after_save_instance(self, instance: Guest, row: dict[str, str], **_kwargs: object) -> None:
            value = identity_value("phone", "", row["phone"])
            GuestIdentity.objects.create(
                guest=instance,
                kind=value.kind,
                value=value.stored,
                value_index=value.index,
                last4_index=value.last4,
                masked=value.masked,
            )

    rows = tablib.Dataset(headers=["name", "phone", "gender", "nationality"])
    with path.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.reader(file)):
            if number > guests - sample:
                rows.append([row[0], f"139{number:08d}", "female", "CN"])
    outcome = Guests().import_data(rows, raise_errors=True)
    if outcome.totals["new"] < sample - 1:
        sys.exit(f"django-import-export: {outcome.totals}")


if __name__ == "__main__":
    main()
