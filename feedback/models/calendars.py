"""When work is done: business calendars, and the public holidays that they may keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from hotels.models import BilingualName, Property
from hotels.models.organisation import code_validator, validate_time_zone

if TYPE_CHECKING:
    from hotels.models import User


class PlaceOrGroupQuerySet(models.QuerySet[Any]):
    """Reads of what a property or the whole group has."""

    def visible_to(self, user: User) -> PlaceOrGroupQuerySet:
        """Keep what is the group's, and what is of the user's properties."""
        return self.filter(Q(property=None) | Q(property__in=Property.objects.visible_to(user)))


class BusinessCalendar(BilingualName):
    """Hours of work by the wall clock of a property; the clocks of tickets count by them."""

    property = models.ForeignKey(
        Property,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("property"),
        help_text=_("Empty: for all properties, by the wall clock of each."),
    )
    code = models.CharField(_("code"), max_length=20, unique=True, validators=[code_validator])
    time_zone = models.CharField(
        _("time zone"),
        max_length=60,
        blank=True,
        validators=[validate_time_zone],
        help_text=_("Empty: that of the ticket's property."),
    )
    keeps_holidays = models.BooleanField(
        _("keeps public holidays"),
        default=True,
        help_text=_("Closed on the public holidays of the property's country; its make-up days have Monday's hours."),
    )

    objects = PlaceOrGroupQuerySet.as_manager()

    class Meta:
        verbose_name = _("business calendar")
        verbose_name_plural = _("business calendars")


class CalendarInterval(models.Model):
    """Hours of one day of the week; several a day, and past midnight where the end is not later than the begin."""

    class Weekday(models.IntegerChoices):
        """ISO numbers."""

        MONDAY = 1, _("Monday")
        TUESDAY = 2, _("Tuesday")
        WEDNESDAY = 3, _("Wednesday")
        THURSDAY = 4, _("Thursday")
        FRIDAY = 5, _("Friday")
        SATURDAY = 6, _("Saturday")
        SUNDAY = 7, _("Sunday")

    calendar = models.ForeignKey(
        BusinessCalendar, models.CASCADE, related_name="intervals", verbose_name=_("business calendar")
    )
    weekday = models.PositiveSmallIntegerField(_("day of the week"), choices=Weekday)
    opens = models.TimeField(_("from"))
    closes = models.TimeField(_("to"), help_text=_("Up to or before the begin: on the next day; 00:00 is midnight."))

    class Meta:
        verbose_name = _("hours of a weekday")
        verbose_name_plural = _("hours of the week")
        constraints = [
            models.CheckConstraint(condition=Q(weekday__range=(1, 7)), name="feedback_calendarinterval_weekday"),
            models.UniqueConstraint(
                fields=["calendar", "weekday", "opens"],
                name="feedback_calendarinterval_unique",
                violation_error_message=_("This day has hours from this time already."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_weekday_display()} {self.opens:%H:%M}–{self.closes:%H:%M}"


class CalendarException(models.Model):
    """A date that differs from its day of the week; it goes before a public holiday."""

    class Kind(models.TextChoices):
        """What the date is."""

        CLOSED = "closed", _("closed")
        OPEN = "open", _("open at these hours")
        WORKING = "working", _("like a Monday")

    calendar = models.ForeignKey(
        BusinessCalendar, models.CASCADE, related_name="exceptions", verbose_name=_("business calendar")
    )
    date = models.DateField(_("date"))
    kind = models.CharField(_("kind"), max_length=8, choices=Kind, default=Kind.CLOSED)
    opens = models.TimeField(_("from"), null=True, blank=True)
    closes = models.TimeField(_("to"), null=True, blank=True)
    name = models.CharField(_("name"), max_length=80, blank=True)

    class Meta:
        verbose_name = _("exceptional date")
        verbose_name_plural = _("exceptional dates")
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["closed", "open", "working"]), name="feedback_calendarexception_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(kind="open", opens__isnull=False, closes__isnull=False)
                | (~Q(kind="open") & Q(opens=None, closes=None)),
                name="feedback_calendarexception_hours",
                violation_error_message=_("A date with hours of its own has both times; others have none."),
            ),
            models.UniqueConstraint(
                fields=["calendar", "date", "opens"],
                nulls_distinct=False,
                name="feedback_calendarexception_unique",
                violation_error_message=_("This date stands there already."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.date} {self.get_kind_display()}"


class PublicHoliday(BilingualName):
    """A day off by law, or a make-up working day, as the country's government has announced it."""

    country = models.CharField(_("country"), max_length=2, default="CN", help_text=_("ISO 3166 two-letter code"))
    date = models.DateField(_("date"))
    is_working = models.BooleanField(_("make-up working day"), default=False)
    source = models.CharField(_("source"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("public holiday")
        verbose_name_plural = _("public holidays")
        constraints = [
            models.UniqueConstraint(
                fields=["country", "date"],
                name="feedback_publicholiday_unique",
                violation_error_message=_("This date stands there already."),
            ),
        ]
