"""`manage.py expire_points`: book out the points whose last day is over."""

from __future__ import annotations

from loyalty.management.run_command import JobCommand
from loyalty.models import JobRun


class Command(JobCommand):
    """Runs the expiry."""

    help = "Expire the points whose last day is over in their programme's time zone, and those that inactivity takes."
    job = JobRun.Job.EXPIRE_POINTS
    verb = "expired"
