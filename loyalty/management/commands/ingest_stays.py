"""`manage.py ingest_stays FILE`: real bookings into reservations, stays, folio lines and points."""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import gzip
import io
import json
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from hotels.models import Property
from hotels.models.organisation import code_validator
from loyalty.models import Programme
from loyalty.services.history import (
    SOURCE_SYSTEM,
    IngestRunning,
    ingest_bookings,
    prepare_programme,
    prepare_property,
)
from members.rules.bookings import Booking, BookingRowError, missing_columns, parse_booking
from members.selectors.bookings import file_totals, stored_totals
from members.services.stays import amount_problem

# What the hotel of the data charges in.
CURRENCY = "EUR"
GZIP_MAGIC = b"\x1f\x8b"
ERRORS_SHOWN = 20


class Command(BaseCommand):
    """Ingest a file of the *Hotel booking demand* layout (csv or csv.gz).

    Every row becomes a reservation, known by its `src_row`, also where it equals an earlier row. A row
    that was checked out becomes a stay with one folio line a night at the row's rate (tax excluded);
    canceled rows and no-shows stay reservations and earn nothing; a negative or zero rate earns nothing.

    The data names no guest, so guests are made up by the rule in `members.rules.bookings`: every row is a
    new guest, but for a row flagged `is_repeated_guest`, which belongs to the guest of the same country,
    company and agent (else country and company) who left last before it begins. Names are put together
    from common ones of the country. Everybody with a stay is enrolled on the first arrival day.

    Made if missing: the property (a resort in Portugal, EUR, Europe/Lisbon), the programme with one tier,
    an earning rule for euros (8 points a euro), an exchange rate into the programme's currency.

    A second run finds everything by `src_row` and changes nothing.
    """

    help = "Ingest real bookings (csv or csv.gz) into reservations, stays and points; safe to repeat."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Define the command line."""
        parser.add_argument("file", type=Path, help="the bookings, csv or csv.gz")
        parser.add_argument("--property", default="H1", help="code of the property; made if missing (default: H1)")
        parser.add_argument("--programme", help="code of the programme (default: the first one)")
        parser.add_argument(
            "--verify", type=Path, metavar="TOTALS.json", help="compare with these totals; a difference exits with 1"
        )

    def handle(self, **options: Any) -> None:
        """Read, ingest, report, compare."""
        started = time.monotonic()
        now = timezone.now()
        expected = self._expected(options["verify"])
        bookings, errors = self._read(options["file"])
        if not bookings:
            message = "The file holds no booking that can be read."
            raise CommandError(message)
        programme = self._programme(options["programme"])
        place = self._property(options["property"], now)
        programme = prepare_programme(
            actor=None,
            now=now,
            programme=programme,
            place=place,
            first_date=min(booking.arrival_date for booking in bookings),
        )
        try:
            counts = ingest_bookings(actor=None, now=now, bookings=bookings, place=place, programme=programme)
        except IngestRunning as error:
            message = f"Another run takes in bookings of {place.code}; wait for it to end."
            raise CommandError(message) from error
        self.stdout.write(f"{len(bookings):,} rows read in {options['file'].name} for {place.code}")
        self.stdout.write(f"guests:       {counts.guests:,} new")
        self.stdout.write(f"members:      {counts.members:,} new")
        self.stdout.write(f"reservations: {self._outcomes(counts.reservations)}")
        self.stdout.write(f"stays:        {self._outcomes(counts.stays)}")
        self.stdout.write(f"points:       {counts.points:,} given")
        self.stdout.write(f"{time.monotonic() - started:.1f} s")
        differences = 0
        if expected is not None:
            stored = stored_totals(place=place, source_system=SOURCE_SYSTEM)
            differences = self._compare(expected, stored, file_totals(bookings))
        for line in errors[:ERRORS_SHOWN]:
            self.stderr.write(line)
        if errors:
            message = f"{len(errors):,} rows could not be read and were left out."
            raise CommandError(message)
        if differences:
            message = f"{differences} totals differ."
            raise CommandError(message)

    def _expected(self, path: Path | None) -> dict[str, Any] | None:
        if path is None:
            return None
        try:
            totals: dict[str, Any] = json.loads(path.read_text("utf-8"), parse_float=Decimal)
        except (OSError, ValueError) as error:
            message = f"{path} cannot be read: {error}"
            raise CommandError(message) from error
        figures = [value for _name, value in _flat(totals)] if isinstance(totals, dict) else []
        if not figures or not all(isinstance(value, int | Decimal) for value in figures):
            message = f"{path} holds no totals: a JSON object of numbers is needed."
            raise CommandError(message)
        return totals

    def _programme(self, code: str | None) -> Programme | None:
        if code is None:
            return Programme.objects.order_by("pk").first()
        try:
            return Programme.objects.get(code=code)
        except Programme.DoesNotExist as error:
            message = f"There is no programme {code}."
            raise CommandError(message) from error

    def _property(self, code: str, now: dt.datetime) -> Property:
        try:
            code_validator(code)
        except ValidationError as error:
            raise CommandError(error.messages[0]) from error
        place = prepare_property(actor=None, now=now, code=code)
        if place.currency != CURRENCY:
            message = f"{place.code} charges in {place.currency}; these bookings are in {CURRENCY}."
            raise CommandError(message)
        return place

    def _read(self, path: Path) -> tuple[list[Booking], list[str]]:
        bookings: dict[int, Booking] = {}
        errors: list[str] = []
        try:
            with path.open("rb") as raw:
                reader = csv.DictReader(io.TextIOWrapper(self._opened(raw), "utf-8-sig", newline=""))
                missing = missing_columns(reader.fieldnames or [])
                if missing:
                    message = f"{path} lacks the columns {', '.join(missing)}."
                    raise CommandError(message)
                for line, row in enumerate(reader, start=2):
                    try:
                        booking = parse_booking(row)
                    except BookingRowError as error:
                        errors.append(f"line {line}: {error}")
                        continue
                    if problem := amount_problem(booking.amount, CURRENCY):
                        errors.append(f"line {line}: {problem}")
                        continue
                    if booking.number in bookings:
                        errors.append(f"line {line}: src_row {booking.number} stands in the file twice")
                        continue
                    bookings[booking.number] = booking
        except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
            message = f"{path} cannot be read: {error}"
            raise CommandError(message) from error
        return list(bookings.values()), errors

    @staticmethod
    def _opened(raw: io.BufferedReader) -> Any:
        return gzip.GzipFile(fileobj=raw) if raw.peek(2)[:2] == GZIP_MAGIC else raw

    @staticmethod
    def _outcomes(counts: Counter[str]) -> str:
        return ", ".join(f"{count:,} {outcome}" for outcome, count in counts.most_common()) or "none"

    def _compare(self, expected: dict[str, Any], stored: dict[str, Any], in_file: dict[str, Any]) -> int:
        """Print every total of the file beside ours; returns how many differ."""
        differences = 0
        self.stdout.write(f"{'total':40} {'expected':>16} {'found':>16}  from")
        for name, wanted in _flat(expected):
            found_in = "file" if name in in_file else "database"
            found = dict(_flat({**stored, **in_file})).get(name, "–")
            agrees = found != "–" and Decimal(str(wanted)) == Decimal(str(found))
            differences += not agrees
            mark = "" if agrees else "  DIFFERS"
            self.stdout.write(f"{name:40} {wanted!s:>16} {found!s:>16}  {found_in}{mark}")
        return differences


def _flat(totals: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in totals.items():
        if isinstance(value, dict):
            for key, part in value.items():
                yield f"{name}: {key}", part
        else:
            yield name, value
