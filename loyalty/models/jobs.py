"""Runs of the work that goes over all members: what is due, how far it is, what failed."""

from __future__ import annotations

import builtins
import datetime as dt
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from loyalty.models.membership import Membership
from loyalty.models.programme import Programme

if TYPE_CHECKING:
    from hotels.models import User


class JobRunQuerySet(models.QuerySet["JobRun"]):
    """Reads of runs."""

    def visible_to(self, user: User) -> JobRunQuerySet:
        """Staff see every run: programmes belong to the group."""
        if user.is_superuser or user.active_assignments():
            return self
        return self.none()


class JobRun(models.Model):
    """One job on one date of a programme; a second start for the date goes on with the same row.

    Its figures and `cursor` are written in the transaction of each batch, so a run that was killed goes
    on where it stood. The worker that holds `claim` is the only one that may write; a claim ends with
    the database session it was made in, or when it was not renewed until `claimed_until`.
    """

    class Job(models.TextChoices):
        """What is done to the members."""

        RELEASE_POINTS = "release_points", _("release of points")
        EXPIRE_POINTS = "expire_points", _("expiry of points")
        NOTIFY_EXPIRY = "notify_expiry", _("notice of expiry")
        REVIEW_TIERS = "review_tiers", _("review of tiers")
        GRANT_BIRTHDAYS = "grant_birthdays", _("birthday grants")
        EXPIRE_VOUCHERS = "expire_vouchers", _("expiry of vouchers")
        TIME_OUT_HOLDS = "time_out_holds", _("time-out of holds")
        SETTLE = "settle", _("settlement between properties")

    class State(models.TextChoices):
        """Where the run stands."""

        QUEUED = "queued", _("waiting for a worker")
        RUNNING = "running", _("running")
        PAUSED = "paused", _("paused")
        DONE = "done", _("done")
        FAILED = "failed", _("stopped by a fault")
        CANCELED = "canceled", _("canceled")

    job = models.CharField(_("job"), max_length=20, choices=Job)
    programme = models.ForeignKey(Programme, models.PROTECT, related_name="job_runs", verbose_name=_("programme"))
    # The calendar date in the programme's time zone that decides what is due.
    run_date = models.DateField(_("run date"))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.QUEUED)
    parameters = models.JSONField(_("parameters"), default=dict, blank=True)
    due_count = models.PositiveIntegerField(_("due"), default=0)
    done_count = models.PositiveIntegerField(_("done"), default=0)
    # Due when the run began, and no longer when their turn came.
    skipped_count = models.PositiveIntegerField(_("no longer due"), default=0)
    # Somebody was posting to them; the next start takes them up.
    busy_count = models.PositiveIntegerField(_("busy"), default=0)
    failed_count = models.PositiveIntegerField(_("failed"), default=0)
    points = models.BigIntegerField(_("points"), default=0)
    # More counts of the job's own, by name.
    figures = models.JSONField(_("figures"), default=dict, blank=True)
    # The last id worked on; each pass begins at 0 again.
    cursor = models.BigIntegerField(default=0, editable=False)
    passes = models.PositiveSmallIntegerField(default=0, editable=False)
    attempts = models.PositiveIntegerField(_("starts"), default=0)
    failure = models.CharField(_("fault"), max_length=300, blank=True)
    claim = models.UUIDField(null=True, editable=False)
    claimed_until = models.DateTimeField(null=True, editable=False)
    # Process and begin of the database session that the worker's claim was made in.
    claimed_pid = models.IntegerField(null=True, editable=False)
    claimed_session = models.DateTimeField(null=True, editable=False)
    # Empty for the schedule.
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("started by"),
    )
    created_at = models.DateTimeField(_("created at"))
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    progress_at = models.DateTimeField(_("last progress"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)

    objects = JobRunQuerySet.as_manager()

    class Meta:
        verbose_name = _("job run")
        verbose_name_plural = _("job runs")
        permissions = [("run_jobs", _("Can start, pause and cancel jobs"))]
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    job__in=[
                        "release_points",
                        "expire_points",
                        "notify_expiry",
                        "review_tiers",
                        "grant_birthdays",
                        "expire_vouchers",
                        "time_out_holds",
                        "settle",
                    ]
                ),
                name="loyalty_jobrun_job_known",
            ),
            models.CheckConstraint(
                condition=Q(state="queued", claim=None, finished_at=None)
                | Q(state="running", started_at__isnull=False, finished_at=None)
                | Q(state="paused", claim=None, finished_at=None)
                | Q(state__in=["done", "failed", "canceled"], claim=None, finished_at__isnull=False),
                name="loyalty_jobrun_state_legal",
            ),
            models.CheckConstraint(
                condition=Q(claim=None, claimed_until=None) | Q(claim__isnull=False, claimed_until__isnull=False),
                name="loyalty_jobrun_claim_has_end",
            ),
            models.CheckConstraint(
                condition=(Q(state="failed") & ~Q(failure="")) | (~Q(state="failed") & Q(failure="")),
                name="loyalty_jobrun_failure_told",
            ),
            models.UniqueConstraint(
                fields=["programme", "job", "run_date"],
                condition=~Q(state="canceled"),
                name="loyalty_jobrun_once_a_date",
                violation_error_message=_("This job has a run of this date already."),
            ),
            models.UniqueConstraint(
                fields=["programme", "job"],
                condition=Q(state="running"),
                name="loyalty_jobrun_one_at_a_time",
                violation_error_message=_("Another run of this job is going on."),
            ),
        ]
        indexes = [
            models.Index(fields=["state"], condition=Q(state__in=["queued", "running"]), name="loyalty_jobrun_open"),
        ]

    def __str__(self) -> str:
        return f"{self.get_job_display()} {self.run_date}"

    @builtins.property
    def is_open(self) -> bool:
        """Whether a worker is at it, or will be."""
        return self.state in {self.State.QUEUED, self.State.RUNNING}

    @builtins.property
    def percent(self) -> int:
        """How far the run is."""
        if self.state == self.State.DONE:
            return 100
        worked = self.done_count + self.skipped_count + self.failed_count
        return min(99, worked * 100 // self.due_count) if self.due_count else 0

    @builtins.property
    def duration(self) -> dt.timedelta | None:
        """From the start to the end, or to the last progress."""
        end = self.finished_at or self.progress_at
        return end - self.started_at if end and self.started_at else None


class JobError(models.Model):
    """A member that a run could not work on, or held back, and why."""

    class Outcome(models.TextChoices):
        """What became of the member."""

        FAILED = "failed", _("failed")
        HELD_BACK = "held_back", _("held back")

    run = models.ForeignKey(JobRun, models.CASCADE, related_name="errors", verbose_name=_("job run"))
    # The id that the job works by: of an account, a membership, a voucher or a hold.
    subject_id = models.BigIntegerField(_("record"))
    membership = models.ForeignKey(
        Membership, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("membership")
    )
    outcome = models.CharField(_("outcome"), max_length=10, choices=Outcome, default=Outcome.FAILED)
    # Stable; `message` is for the reader, in English where it comes from a fault.
    code = models.CharField(_("code"), max_length=40)
    message = models.CharField(_("message"), max_length=300, blank=True)
    points = models.BigIntegerField(_("points"), null=True, blank=True)
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("job error")
        verbose_name_plural = _("job errors")
        constraints = [
            models.UniqueConstraint(fields=["run", "subject_id"], name="loyalty_joberror_once"),
            models.CheckConstraint(
                condition=Q(outcome__in=["failed", "held_back"]), name="loyalty_joberror_outcome_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject_id}: {self.code}"
