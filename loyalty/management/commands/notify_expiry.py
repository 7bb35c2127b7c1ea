"""`manage.py notify_expiry`: write the notices of expiry that are due."""

from __future__ import annotations

from loyalty.management.run_command import JobCommand
from loyalty.models import JobRun


class Command(JobCommand):
    """Writes due notices; sending them is another's work."""

    help = "Write the notices that are due to members whose points are about to lapse."
    job = JobRun.Job.NOTIFY_EXPIRY
    verb = "noticed"
