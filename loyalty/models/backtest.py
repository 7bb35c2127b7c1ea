"""Back-tests: what a version of the earning rules would have given for the stays of a period, kept to be read again."""

from __future__ import annotations

import builtins
import datetime as dt

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from loyalty.models.earning import EarningRuleSet


class BackTest(models.Model):
    """One comparison of a rule set with another one over real stays.

    The worker that holds `claim` is the only one that may write; one that was silent for too long loses it
    when somebody starts the back-test again.
    """

    class State(models.TextChoices):
        """Where it stands."""

        QUEUED = "queued", _("waiting for a worker")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        FAILED = "failed", _("stopped by a fault")

    # How long a message to a worker, and a worker between two signs of progress, may take.
    WAIT = dt.timedelta(minutes=1)
    SILENCE = dt.timedelta(minutes=10)

    rule_set = models.ForeignKey(
        EarningRuleSet, models.CASCADE, related_name="back_tests", verbose_name=_("earning rule set")
    )
    # Empty where no other version was in force: everything is more than nothing.
    compared_with = models.ForeignKey(
        EarningRuleSet, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("compared with")
    )
    # Days of departure: the first one, and the first one no longer counted.
    since = models.DateField(_("departures from"))
    until = models.DateField(_("departures before"))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.QUEUED)
    done = models.PositiveIntegerField(_("stays judged"), default=0)
    total = models.PositiveIntegerField(_("stays in all"), default=0)
    # See `loyalty.selectors.backtest_figures`.
    figures = models.JSONField(_("figures"), default=dict, blank=True)
    failure = models.CharField(_("fault"), max_length=300, blank=True)
    claim = models.UUIDField(null=True, editable=False)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("asked for by"),
    )
    created_at = models.DateTimeField(_("created at"))
    # When it was queued or a worker last got on with it.
    progress_at = models.DateTimeField(_("last progress"))
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)

    class Meta:
        verbose_name = _("back-test")
        verbose_name_plural = _("back-tests")
        constraints = [
            models.CheckConstraint(
                condition=Q(state="queued", claim=None, started_at=None, finished_at=None, failure="")
                | Q(state="running", claim__isnull=False, started_at__isnull=False, finished_at=None, failure="")
                | Q(state="done", claim=None, started_at__isnull=False, finished_at__isnull=False, failure="")
                | (Q(state="failed", claim=None, finished_at__isnull=False) & ~Q(failure="")),
                name="loyalty_backtest_state_legal",
            ),
            models.CheckConstraint(condition=Q(until__gt=F("since")), name="loyalty_backtest_period_ordered"),
            models.UniqueConstraint(
                fields=["rule_set"],
                condition=Q(state__in=["queued", "running"]),
                name="loyalty_backtest_one_at_a_time",
                violation_error_message=_("A back-test of this version is going on."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.since} – {self.until - dt.timedelta(days=1)}"

    @builtins.property
    def is_open(self) -> bool:
        """Whether a worker is at it, or will be."""
        return self.state in {self.State.QUEUED, self.State.RUNNING}

    @builtins.property
    def percent(self) -> int:
        """How far it is."""
        if self.state == self.State.DONE:
            return 100
        return min(99, self.done * 100 // self.total) if self.total else 0

    def is_stuck(self, now: dt.datetime | None = None) -> bool:
        """Whether the message to a worker seems lost, or the worker dead."""
        patience = {self.State.QUEUED: self.WAIT, self.State.RUNNING: self.SILENCE}.get(self.State(self.state))
        return patience is not None and (now or timezone.now()) - self.progress_at > patience
