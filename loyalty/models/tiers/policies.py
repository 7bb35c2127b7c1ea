"""How a programme judges tiers, and what reaches them."""

from __future__ import annotations

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from loyalty.models.programme import Programme, Tier
from loyalty.models.tiers.columns import everything, known


class TierPolicy(models.Model):
    """How a programme counts towards tiers and how long a tier lasts, from a date until the next policy."""

    class Window(models.TextChoices):
        """Over which time the figures are summed."""

        ROLLING = "rolling", _("the last months")
        CALENDAR_YEAR = "calendar_year", _("calendar year")
        MEMBERSHIP_YEAR = "membership_year", _("membership year")
        LIFETIME = "lifetime", _("since enrollment")

    class NightCounting(models.TextChoices):
        """What two rooms of one guest on one night count."""

        PER_ROOM = "per_room", _("each room counts")
        PER_BOOKING = "per_booking", _("one night a booking, however many rooms")

    class FreeNights(models.TextChoices):
        """Which nights of a stay count."""

        STAY = "stay", _("all nights of a stay that was paid for")
        PAID = "paid", _("only nights that were paid for")
        ALL = "all", _("free nights count, too")

    class DayUse(models.TextChoices):
        """What a room taken for some hours counts."""

        NONE = "none", _("nothing")
        STAY = "stay", _("a stay without a night")
        NIGHT = "night", _("a stay of one night")

    class UpgradeTiming(models.TextChoices):
        """When a tier that was reached begins."""

        AT_ONCE = "at_once", _("at once")
        NEXT_DAY = "next_day", _("the next day")

    class Validity(models.TextChoices):
        """How long a tier lasts once it was reached."""

        UNLIMITED = "unlimited", _("without end")
        WHILE_HELD = "while_held", _("as long as the figures hold")
        MONTHS = "months", _("some months")
        THIS_YEAR = "this_year", _("the rest of the year")
        NEXT_YEAR = "next_year", _("the rest of the year and the next")
        NEXT_FEBRUARY = "next_february", _("the rest of the year and the next, to the end of February after")

    class Downgrade(models.TextChoices):
        """Where a member falls whose tier has ended."""

        REACHED = "reached", _("to the tier that the figures reach")
        ONE_STEP = "one_step", _("one step at most")

    programme = models.ForeignKey(Programme, models.CASCADE, related_name="tier_policies", verbose_name=_("programme"))
    effective_from = models.DateField(_("effective from"))
    window = models.CharField(_("what counts"), max_length=16, choices=Window, default=Window.ROLLING)
    window_months = models.PositiveSmallIntegerField(
        _("months that count"), default=12, validators=[MinValueValidator(1)], help_text=_("For “the last months”.")
    )
    night_counting = models.CharField(
        _("several rooms"), max_length=12, choices=NightCounting, default=NightCounting.PER_ROOM
    )
    free_nights = models.CharField(_("nights that count"), max_length=8, choices=FreeNights, default=FreeNights.STAY)
    no_show_nights = models.PositiveSmallIntegerField(
        _("nights of a no-show"),
        null=True,
        blank=True,
        help_text=_("At most so many count; 0: a no-show counts nothing. Empty: like any other stay."),
    )
    day_use = models.CharField(_("day use"), max_length=8, choices=DayUse, default=DayUse.STAY)
    stay_conditions = models.JSONField(
        _("stays that count"), default=everything, blank=True, help_text=_("Others count nothing towards a tier.")
    )
    carry_over = models.JSONField(
        _("carried over"),
        default=list,
        blank=True,
        help_text=_("What exceeds the threshold of the tier counts in the next year."),
    )
    carry_over_tier = models.ForeignKey(
        Tier, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("carried over from tier")
    )
    zero_on_change = models.BooleanField(
        _("counting begins anew at each change of tier"),
        default=False,
        help_text=_("The day of the change still belongs to the tier that was reached."),
    )
    upgrade_timing = models.CharField(_("upgrade"), max_length=8, choices=UpgradeTiming, default=UpgradeTiming.AT_ONCE)
    validity = models.CharField(_("a tier is valid"), max_length=16, choices=Validity, default=Validity.UNLIMITED)
    validity_months = models.PositiveSmallIntegerField(
        _("months valid"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    grace_days = models.PositiveSmallIntegerField(_("days of grace"), default=0)
    downgrade = models.CharField(_("downgrade"), max_length=8, choices=Downgrade, default=Downgrade.REACHED)
    warning_days = models.PositiveSmallIntegerField(_("days of warning before a downgrade"), default=30)
    four_eyes = models.BooleanField(
        _("a second person approves reviews"),
        default=False,
        help_text=_("Whoever built a review cannot approve it."),
    )

    class Meta:
        verbose_name = _("tier policy")
        verbose_name_plural = _("tier policies")
        constraints = [
            models.UniqueConstraint(
                fields=["programme", "effective_from"],
                name="loyalty_tierpolicy_day_unique",
                violation_error_message=_("The programme has a tier policy from this date already."),
            ),
            known(
                "window", ["rolling", "calendar_year", "membership_year", "lifetime"], "loyalty_tierpolicy_window_known"
            ),
            known("night_counting", ["per_room", "per_booking"], "loyalty_tierpolicy_nights_known"),
            known("free_nights", ["stay", "paid", "all"], "loyalty_tierpolicy_free_known"),
            known("day_use", ["none", "stay", "night"], "loyalty_tierpolicy_day_use_known"),
            known("upgrade_timing", ["at_once", "next_day"], "loyalty_tierpolicy_timing_known"),
            known(
                "validity",
                ["unlimited", "while_held", "months", "this_year", "next_year", "next_february"],
                "loyalty_tierpolicy_validity_known",
            ),
            known("downgrade", ["reached", "one_step"], "loyalty_tierpolicy_downgrade_known"),
            models.CheckConstraint(
                condition=~Q(validity="months") | Q(validity_months__gte=1),
                name="loyalty_tierpolicy_months_given",
                violation_error_message=_("Say how many months a tier is valid."),
            ),
            models.CheckConstraint(condition=Q(window_months__gte=1), name="loyalty_tierpolicy_window_months"),
        ]

    def __str__(self) -> str:
        return str(self.effective_from)


class TierCriteria(models.Model):
    """What reaches a tier from a date on: conditions over the figures of the time that counts."""

    tier = models.ForeignKey(Tier, models.CASCADE, related_name="criteria", verbose_name=_("tier"))
    effective_from = models.DateField(_("effective from"))
    # The common tree of conditions, over nights, stays, amount (in the programme's currency), points, …
    conditions = models.JSONField(_("reached by"))

    class Meta:
        verbose_name = _("tier threshold")
        verbose_name_plural = _("tier thresholds")
        ordering = ["tier", "-effective_from"]
        constraints = [
            models.UniqueConstraint(
                fields=["tier", "effective_from"],
                name="loyalty_tiercriteria_day_unique",
                violation_error_message=_("This tier has thresholds from this date already."),
            ),
        ]

    def __str__(self) -> str:
        return str(self.effective_from)
