"""How soon a ticket must be seen to, and how its clocks stand."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from feedback.models.calendars import BusinessCalendar, PlaceOrGroupQuerySet
from feedback.models.tickets import Ticket
from hotels.models import Property


class SLAPolicy(models.Model):
    """Times promised for the tickets that its conditions describe; the first that fits counts."""

    name = models.CharField(_("name"), max_length=80)
    property = models.ForeignKey(
        Property,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("property"),
        help_text=_("Empty: for all properties. A policy of the property goes before one of the group."),
    )
    position = models.PositiveSmallIntegerField(
        _("position"), default=100, help_text=_("Of several that fit, the lowest counts.")
    )
    condition = models.JSONField(_("condition"), default=dict, blank=True)
    calendar = models.ForeignKey(
        BusinessCalendar,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("business calendar"),
        help_text=_("Empty: around the clock."),
    )
    first_response_minutes = models.PositiveIntegerField(_("first response (minutes)"), null=True, blank=True)
    next_response_minutes = models.PositiveIntegerField(_("next response (minutes)"), null=True, blank=True)
    resolution_minutes = models.PositiveIntegerField(_("resolution (minutes)"))
    departure_margin_minutes = models.PositiveIntegerField(
        _("before departure (minutes)"),
        default=120,
        help_text=_("For guests in the house, resolution is due this long before they leave at the latest."),
    )
    effective_from = models.DateField(_("effective from"))
    effective_until = models.DateField(
        _("effective until"), null=True, blank=True, help_text=_("The first day on which it no longer holds.")
    )

    objects = PlaceOrGroupQuerySet.as_manager()

    class Meta:
        verbose_name = _("service level")
        verbose_name_plural = _("service levels")
        constraints = [
            models.CheckConstraint(
                condition=Q(resolution_minutes__gt=0)
                & (Q(first_response_minutes=None) | Q(first_response_minutes__gt=0))
                & (Q(next_response_minutes=None) | Q(next_response_minutes__gt=0)),
                name="feedback_slapolicy_times_positive",
                violation_error_message=_("A promised time is above zero."),
            ),
            models.CheckConstraint(
                condition=Q(effective_until=None) | Q(effective_until__gt=F("effective_from")),
                name="feedback_slapolicy_dates_ordered",
                violation_error_message=_("The policy ends before it begins."),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class TicketClock(models.Model):
    """One promised time of a ticket: what it has counted, since when it runs, when it is due.

    The target and the end are kept as they were, so that a policy changed later rewrites no history. What was
    missed follows from the two instants, whenever a job may have looked.
    """

    class Metric(models.TextChoices):
        """What is promised."""

        FIRST_RESPONSE = "first_response", _("first response")
        NEXT_RESPONSE = "next_response", _("next response")
        RESOLUTION = "resolution", _("resolution")

    class Outcome(models.TextChoices):
        """How it stands or ended."""

        RUNNING = "running", _("running")
        MET = "met", _("kept")
        MISSED = "missed", _("missed")
        DROPPED = "dropped", _("no longer counted")

    ticket = models.ForeignKey(Ticket, models.CASCADE, related_name="clocks", verbose_name=_("ticket"))
    metric = models.CharField(_("what is promised"), max_length=16, choices=Metric)
    # A reopened ticket, and each further question of the guest, begins a new one.
    number = models.PositiveSmallIntegerField(_("number"), default=1)
    policy = models.ForeignKey(
        SLAPolicy, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("service level")
    )
    calendar = models.ForeignKey(
        BusinessCalendar, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("business calendar")
    )
    target_minutes = models.PositiveIntegerField(_("promised (minutes)"))
    started_at = models.DateTimeField(_("started at"))
    # The latest instant for a guest in the house; empty where departure sets no limit.
    latest_at = models.DateTimeField(_("at the latest"), null=True, blank=True)
    # What was counted before `running_since`, by the hours of its own time.
    counted_seconds = models.PositiveIntegerField(_("counted (seconds)"), default=0)
    running_since = models.DateTimeField(_("running since"), null=True, blank=True)
    due_at = models.DateTimeField(_("due at"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    outcome = models.CharField(_("outcome"), max_length=8, choices=Outcome, default=Outcome.RUNNING)
    breached_at = models.DateTimeField(_("missed at"), null=True, blank=True)

    class Meta:
        verbose_name = _("clock of a ticket")
        verbose_name_plural = _("clocks of tickets")
        constraints = [
            models.CheckConstraint(
                condition=Q(metric__in=["first_response", "next_response", "resolution"]),
                name="feedback_ticketclock_metric_known",
            ),
            models.CheckConstraint(
                condition=Q(outcome__in=["running", "met", "missed", "dropped"]),
                name="feedback_ticketclock_outcome_known",
            ),
            models.CheckConstraint(
                condition=Q(outcome="running") ^ Q(ended_at__isnull=False), name="feedback_ticketclock_end_has_outcome"
            ),
            models.CheckConstraint(
                condition=Q(running_since=None) | Q(due_at__isnull=False, ended_at=None),
                name="feedback_ticketclock_running_is_due",
            ),
            models.CheckConstraint(
                condition=(~Q(outcome="missed") | Q(breached_at__isnull=False))
                & (~Q(outcome="met") | Q(breached_at=None)),
                name="feedback_ticketclock_missed_has_time",
            ),
            models.UniqueConstraint(fields=["ticket", "metric", "number"], name="feedback_ticketclock_unique"),
            models.UniqueConstraint(
                fields=["ticket", "metric"], condition=Q(ended_at=None), name="feedback_ticketclock_one_open"
            ),
        ]
        indexes = [
            models.Index(fields=["calendar"], condition=Q(ended_at=None), name="feedback_ticketclock_calendar"),
        ]

    def __str__(self) -> str:
        return f"{self.ticket_id}: {self.metric} {self.number}"


class TicketReminder(models.Model):
    """One rung of the ladder for one clock: who hears when; a task claims it once."""

    class Audience(models.TextChoices):
        """Who hears."""

        ASSIGNEE = "assignee", _("assignee")
        SUPERVISOR = "supervisor", _("supervisor")
        DEPARTMENT_HEAD = "department_head", _("department head")
        DUTY_MANAGER = "duty_manager", _("duty manager")
        GROUP = "group", _("group")

    class State(models.TextChoices):
        """Whether it was given."""

        PENDING = "pending", _("waiting")
        SENT = "sent", _("given")
        CANCELED = "canceled", _("canceled")

    clock = models.ForeignKey(TicketClock, models.CASCADE, related_name="reminders", verbose_name=_("clock"))
    percent = models.PositiveSmallIntegerField(_("share of the time"))
    audience = models.CharField(_("for"), max_length=16, choices=Audience)
    # Empty while the clock is paused.
    due_at = models.DateTimeField(_("due at"), null=True, blank=True)
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.PENDING)
    # When it was first looked at and nobody of the rung was on duty.
    waiting_since = models.DateTimeField(_("waits for somebody since"), null=True, blank=True)
    sent_at = models.DateTimeField(_("given at"), null=True, blank=True)

    class Meta:
        verbose_name = _("reminder")
        verbose_name_plural = _("reminders")
        constraints = [
            models.UniqueConstraint(fields=["clock", "percent"], name="feedback_ticketreminder_unique"),
            models.CheckConstraint(
                condition=Q(state__in=["pending", "sent", "canceled"]), name="feedback_ticketreminder_state_known"
            ),
            models.CheckConstraint(
                condition=Q(audience__in=["assignee", "supervisor", "department_head", "duty_manager", "group"]),
                name="feedback_ticketreminder_audience_known",
            ),
            models.CheckConstraint(
                condition=Q(state="sent") ^ Q(sent_at=None), name="feedback_ticketreminder_sent_has_time"
            ),
        ]
        indexes = [
            models.Index(fields=["due_at", "id"], condition=Q(state="pending"), name="feedback_ticketreminder_due"),
        ]

    def __str__(self) -> str:
        return f"{self.clock_id}: {self.percent} %"
