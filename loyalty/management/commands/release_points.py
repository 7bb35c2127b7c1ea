"""`manage.py release_points`: open pending points that are due, give back holds that timed out."""

from __future__ import annotations

import argparse
import datetime as dt
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from loyalty.services.jobs import BATCH_SIZE, release_due_points, time_out_holds


class Command(BaseCommand):
    """Runs the two jobs that make points usable; safe to stop and to run again."""

    help = "Open the pending points whose day has come and give back holds that timed out."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the run date and the batch."""
        parser.add_argument("--date", type=dt.date.fromisoformat, help="run date, today or earlier (YYYY-MM-DD)")
        parser.add_argument("--batch-size", type=int, default=BATCH_SIZE, help="accounts a transaction")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run and report."""
        now = timezone.now()
        try:
            released = release_due_points(now=now, as_of=options["date"], batch_size=options["batch_size"])
        except ValueError as error:
            raise CommandError(str(error)) from error
        held = time_out_holds(now=now, batch_size=options["batch_size"])
        self.stdout.write(
            f"released {released.points} points of {released.done} accounts, {released.busy} busy; "
            f"timed out {held.done} holds of {held.points} points, {held.busy} busy"
        )
