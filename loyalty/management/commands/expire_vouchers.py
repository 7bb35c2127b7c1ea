"""`manage.py expire_vouchers`: end the vouchers whose last day is over, and say whom to remind."""

from __future__ import annotations

import argparse
import datetime as dt
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from loyalty.services.vouchers import expire_vouchers, remind_vouchers
from loyalty.services.vouchers.expiry import BATCH_SIZE


class Command(BaseCommand):
    """Runs expiry and reminders; safe to stop and to run again."""

    help = "Expire the vouchers whose last day is over in their programme's time zone, and note reminders that are due."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the run date and the batch."""
        parser.add_argument("--date", type=dt.date.fromisoformat, help="run date, today or earlier (YYYY-MM-DD)")
        parser.add_argument("--batch-size", type=int, default=BATCH_SIZE, help="vouchers a transaction")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run and report."""
        facts = {"now": timezone.now(), "as_of": options["date"], "batch_size": options["batch_size"]}
        try:
            expired, reminded = expire_vouchers(**facts), remind_vouchers(**facts)
        except ValueError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"expired {expired.done} vouchers, {reminded.done} reminders due, {expired.busy + reminded.busy} busy"
        )
