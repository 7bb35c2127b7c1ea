"""Who is at work when, which department sees to what, and what is handed over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, DateTimeRangeField, RangeBoundary, RangeOperators
from django.db import models
from django.db.models import F, Func, Q
from django.utils.translation import gettext_lazy as _

from feedback.models.calendars import PlaceOrGroupQuerySet
from feedback.models.tickets import Ticket
from hotels.models import Department, Property
from hotels.models.organisation import code_validator

if TYPE_CHECKING:
    import datetime as dt


class ShiftQuerySet(PlaceOrGroupQuerySet):
    """Reads of shifts."""

    def on_duty(self, now: dt.datetime) -> ShiftQuerySet:
        """Keep the shifts of people at work at an aware instant."""
        return self.filter(starts_at__lte=now, ends_at__gt=now, user__is_active=True)


class Shift(models.Model):
    """One person at work from one instant to another; the roster is all of them."""

    class Level(models.TextChoices):
        """What the person does in it; the rungs of the ladder above the assignee."""

        AGENT = "agent", _("agent")
        SUPERVISOR = "supervisor", _("supervisor")
        DEPARTMENT_HEAD = "department_head", _("department head")
        DUTY_MANAGER = "duty_manager", _("duty manager")
        GROUP = "group", _("group")

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="shifts", verbose_name=_("who"))
    property = models.ForeignKey(
        Property, models.PROTECT, null=True, blank=True, related_name="shifts", verbose_name=_("property")
    )
    department = models.ForeignKey(
        Department, models.PROTECT, null=True, blank=True, related_name="shifts", verbose_name=_("department")
    )
    level = models.CharField(_("level"), max_length=16, choices=Level, default=Level.AGENT)
    starts_at = models.DateTimeField(_("from"))
    ends_at = models.DateTimeField(_("to"))
    skills = ArrayField(
        models.CharField(max_length=20, choices=Ticket.Category),
        default=list,
        blank=True,
        verbose_name=_("skills"),
        help_text=_("Categories of tickets, separated by commas; empty: all."),
    )
    # Set when the list of what is to be handed over was made.
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True, editable=False)

    objects = ShiftQuerySet.as_manager()

    class Meta:
        verbose_name = _("shift")
        verbose_name_plural = _("shifts")
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at")),
                name="feedback_shift_times_ordered",
                violation_error_message=_("The shift ends before it begins."),
            ),
            models.CheckConstraint(
                condition=Q(level__in=["agent", "supervisor", "department_head", "duty_manager", "group"]),
                name="feedback_shift_level_known",
            ),
            models.CheckConstraint(
                condition=Q(level="group", property=None, department=None)
                | (~Q(level="group") & Q(property__isnull=False)),
                name="feedback_shift_place",
                violation_error_message=_("A shift is at a property; only one of the group is at none."),
            ),
            models.CheckConstraint(
                condition=~Q(level__in=["agent", "supervisor", "department_head"]) | Q(department__isnull=False),
                name="feedback_shift_department",
                violation_error_message=_("Agents, supervisors and department heads work in a department."),
            ),
            ExclusionConstraint(
                name="feedback_shift_no_overlap",
                expressions=[
                    ("user", RangeOperators.EQUAL),
                    (
                        Func(
                            F("starts_at"),
                            F("ends_at"),
                            RangeBoundary(),
                            function="TSTZRANGE",
                            output_field=DateTimeRangeField(),
                        ),
                        RangeOperators.OVERLAPS,
                    ),
                ],
                violation_error_message=_("This person has another shift at this time."),
            ),
        ]
        indexes = [
            models.Index(fields=["property", "ends_at"], name="feedback_shift_place_end"),
            models.Index(fields=["ends_at"], condition=Q(closed_at=None), name="feedback_shift_to_close"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.starts_at:%Y-%m-%d %H:%M}"


class RoutingRule(models.Model):
    """Which department sees to the tickets that its conditions describe; the first that fits counts."""

    name = models.CharField(_("name"), max_length=80)
    property = models.ForeignKey(
        Property,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("property"),
        help_text=_("Empty: for all properties. A rule of the property goes before one of the group."),
    )
    position = models.PositiveSmallIntegerField(
        _("position"), default=100, help_text=_("Of several that fit, the lowest counts.")
    )
    condition = models.JSONField(_("condition"), default=dict, blank=True)
    department_code = models.CharField(
        _("department (code)"),
        max_length=20,
        validators=[code_validator],
        help_text=_("A property without this department goes on to the next rule."),
    )
    is_active = models.BooleanField(_("active"), default=True)

    objects = PlaceOrGroupQuerySet.as_manager()

    class Meta:
        verbose_name = _("routing rule")
        verbose_name_plural = _("routing rules")

    def __str__(self) -> str:
        return self.name


class Handover(models.Model):
    """A ticket that was open when its owner's shift ended, until a colleague on duty takes it."""

    shift = models.ForeignKey(Shift, models.CASCADE, related_name="handovers", verbose_name=_("shift"))
    ticket = models.ForeignKey(Ticket, models.CASCADE, related_name="handovers", verbose_name=_("ticket"))
    made_at = models.DateTimeField(_("made at"))
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("taken over by"),
    )
    accepted_at = models.DateTimeField(_("taken over at"), null=True, blank=True)

    class Meta:
        verbose_name = _("handover")
        verbose_name_plural = _("handovers")
        constraints = [
            models.UniqueConstraint(fields=["shift", "ticket"], name="feedback_handover_unique"),
            models.UniqueConstraint(
                fields=["ticket"], condition=Q(accepted_at=None), name="feedback_handover_one_open"
            ),
            models.CheckConstraint(
                condition=Q(accepted_at=None) | Q(accepted_by__isnull=False), name="feedback_handover_has_taker"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.shift_id}: {self.ticket_id}"
