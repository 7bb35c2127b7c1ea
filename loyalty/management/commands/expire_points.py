"""`manage.py expire_points`: book out the points whose last day is over."""

from __future__ import annotations

import argparse
import datetime as dt
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from loyalty.services.jobs import BATCH_SIZE, expire_lapsed_points


class Command(BaseCommand):
    """Runs the expiry; safe to stop and to run again."""

    help = "Expire the points whose last day is over in their programme's time zone."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the run date and the batch."""
        parser.add_argument("--date", type=dt.date.fromisoformat, help="run date, today or earlier (YYYY-MM-DD)")
        parser.add_argument("--batch-size", type=int, default=BATCH_SIZE, help="accounts a transaction")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run and report."""
        try:
            report = expire_lapsed_points(now=timezone.now(), as_of=options["date"], batch_size=options["batch_size"])
        except ValueError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"expired {report.points} points of {report.done} accounts, {report.busy} busy")
