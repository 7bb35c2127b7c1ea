"""`manage.py grant_birthdays`: points for members whose birthday is in the month."""

from __future__ import annotations

from loyalty.management.run_command import JobCommand
from loyalty.models import JobRun


class Command(JobCommand):
    """Grants once per member and year; safe to run on any day of the month and again."""

    help = "Give members the points of their birthday month, once a year."
    job = JobRun.Job.GRANT_BIRTHDAYS
    verb = "granted"
