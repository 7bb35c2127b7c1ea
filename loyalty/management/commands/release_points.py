"""`manage.py release_points`: open pending points that are due, give back holds that timed out."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from loyalty.management.run_command import JobCommand
from loyalty.models import JobRun
from loyalty.services.jobs import time_out_holds


class Command(JobCommand):
    """Runs the two jobs that make points usable."""

    help = "Open the pending points whose day has come and give back holds that timed out."
    job = JobRun.Job.RELEASE_POINTS
    verb = "released"

    def handle(self, *args: Any, **options: Any) -> None:
        """Release, then time out holds, which are not of a date or a programme."""
        super().handle(*args, **options)
        if not options["dry_run"]:
            held = time_out_holds(now=timezone.now(), batch_size=options["batch_size"])
            self.stdout.write(f"timed out {held.done} holds of {held.points} points, {held.busy} busy")
