"""What the commands that run a job share."""

from __future__ import annotations

import argparse
import datetime as dt
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from loyalty.models import JobRun, Programme
from loyalty.services.jobs import BATCH_SIZE, JobRefused, JobReport, preview_run, run_job


class JobCommand(BaseCommand):
    """Runs a job for a date, of one programme or all; safe to stop and to run again.

    Attributes:
        job: Which job.
        verb: What it does to points, for the last line.
    """

    job: ClassVar[JobRun.Job]
    verb: ClassVar[str] = ""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare run date, programme, batch and dry run."""
        parser.add_argument(
            "--run-date",
            "--date",
            dest="run_date",
            type=dt.date.fromisoformat,
            help="run date in the programme's time zone, today or earlier (YYYY-MM-DD)",
        )
        parser.add_argument("--programme", help="code of one programme; all by default")
        parser.add_argument("--batch-size", type=int, default=BATCH_SIZE, help="records a transaction")
        parser.add_argument("--dry-run", action="store_true", help="say what a run would do, and write nothing")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run each programme in turn and report."""
        now = timezone.now()
        programmes = Programme.objects.order_by("pk")
        if options["programme"]:
            programmes = programmes.filter(code=options["programme"])
            if not programmes:
                message = f"there is no programme {options['programme']!r}"
                raise CommandError(message)
        total = JobReport()
        try:
            for programme in programmes:
                if options["dry_run"]:
                    self._preview(programme, now, options["run_date"])
                else:
                    total += self._run(programme, now, options["run_date"], options["batch_size"])
        except JobRefused as error:
            raise CommandError(str(error)) from error
        if not options["dry_run"]:
            self.stdout.write(f"{self.summary(total)}, {total.busy} busy, {total.failed} failed")

    def summary(self, total: JobReport) -> str:
        """What was done, for the last line."""
        return f"{self.verb} {total.points} points of {total.done} accounts"

    def _preview(self, programme: Programme, now: dt.datetime, run_date: dt.date | None) -> None:
        preview = preview_run(now=now, job=self.job, programme=programme, run_date=run_date)
        self.stdout.write(
            f"{programme.code} {preview.run_date}: {preview.due} due, {preview.points} points{_named(preview.figures)}"
        )

    def _run(self, programme: Programme, now: dt.datetime, run_date: dt.date | None, batch_size: int) -> JobReport:
        report = run_job(now=now, job=self.job, programme_id=programme.pk, run_date=run_date, batch_size=batch_size)
        run = JobRun.objects.filter(
            job=self.job, programme=programme, run_date=run_date or programme.local_date(now)
        ).latest("pk")
        self.stdout.write(
            f"{programme.code} {run.run_date}: {run.state}, {run.due_count} due, {run.done_count} done,"
            f" {run.skipped_count} no longer due, {run.busy_count} busy, {run.failed_count} failed,"
            f" {run.points} points{_named(run.figures)}"
        )
        return report


def _named(figures: Any) -> str:
    return "".join(f", {name} {count}" for name, count in sorted(figures.items()))
