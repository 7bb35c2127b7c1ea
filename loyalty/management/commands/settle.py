"""`manage.py settle`: what properties owe each other for a month, and close it."""

from __future__ import annotations

import argparse
import datetime as dt
from typing import Any

from loyalty.management.run_command import JobCommand
from loyalty.models import JobRun
from loyalty.services.jobs import JobReport


def _month(text: str) -> dt.date:
    return dt.date.fromisoformat(f"{text}-01")


class Command(JobCommand):
    """Settles a month and closes it; safe to stop and to run again, a closed month stays as it is."""

    help = "Settle the month before that of the run date between the properties, and close it."
    job = JobRun.Job.SETTLE

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the month besides what every job asks."""
        super().add_arguments(parser)
        parser.add_argument("--month", type=_month, help="the month to settle, over by now (YYYY-MM); the last one")

    def handle(self, *args: Any, **options: Any) -> None:
        """The run of the day on which the month was over."""
        if options["month"] is not None:
            options["run_date"] = (options["month"] + dt.timedelta(days=32)).replace(day=1)
        super().handle(*args, **options)

    def summary(self, total: JobReport) -> str:
        """How many points changed the payer."""
        return f"settled {total.points} points of {total.done} accounts"
