"""`manage.py expire_vouchers`: end the vouchers whose last day is over, and say whom to remind."""

from __future__ import annotations

from loyalty.management.run_command import JobCommand
from loyalty.models import JobRun
from loyalty.services.jobs import JobReport


class Command(JobCommand):
    """Runs expiry and reminders; safe to stop and to run again."""

    help = "Expire the vouchers whose last day is over in their programme's time zone, and note reminders that are due."
    job = JobRun.Job.EXPIRE_VOUCHERS

    def summary(self, total: JobReport) -> str:
        """How many vouchers."""
        return f"{total.done} vouchers expired or with reminders due"
