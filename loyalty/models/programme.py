"""The programme and its tiers: thresholds and benefits, each in force from a date."""

from __future__ import annotations

import datetime as dt
import zoneinfo

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from hotels.models import BilingualName, Property
from hotels.models.organisation import code_validator, currency_validator, validate_time_zone


class Programme(BilingualName):
    """A loyalty programme of the group and its ledger policies."""

    class ExpiryRounding(models.TextChoices):
        """To which day the end of a lot's life is moved."""

        NONE = "none", _("to the day")
        MONTH_END = "month_end", _("end of the month")
        YEAR_END = "year_end", _("end of the year")

    class ShortfallPolicy(models.TextChoices):
        """What happens when points to be taken back were spent already."""

        DEBT = "debt", _("becomes a debt that later points repay")
        CLAMP = "clamp", _("take only what is there")

    class LapsedReturnPolicy(models.TextChoices):
        """What happens to points of a canceled redemption whose lots lapsed meanwhile."""

        REOPEN = "reopen", _("open again for the days of grace")
        FORFEIT = "forfeit", _("forfeit")

    class ActivityDate(models.TextChoices):
        """Which date of a stay decides what version of the rules it is judged by."""

        DEPARTURE = "departure", _("departure")
        ARRIVAL = "arrival", _("arrival")
        BOOKED = "booked", _("booking")

    class ProfileField(models.TextChoices):
        """What a guest may tell about themself."""

        GENDER = "gender", _("gender")
        BIRTHDAY = "birthday", _("birthday")
        NATIONALITY = "nationality", _("nationality")
        LANGUAGE = "language", _("language")
        COMPANY = "company", _("company")
        PHONE = "phone", _("phone")
        EMAIL = "email", _("e-mail")

    code = models.CharField(_("code"), max_length=20, unique=True, validators=[code_validator])
    time_zone = models.CharField(
        _("time zone"), max_length=60, default="Asia/Shanghai", validators=[validate_time_zone]
    )
    currency = models.CharField(
        _("currency"),
        max_length=3,
        default="CNY",
        validators=[currency_validator],
        help_text=_("Thresholds in money and the value of a point are in this currency."),
    )
    number_prefix = models.CharField(_("prefix of membership numbers"), max_length=6, default="GK")
    point_value = models.DecimalField(
        _("value of a point"), max_digits=10, decimal_places=4, default=0, validators=[MinValueValidator(0)]
    )
    pending_days = models.PositiveSmallIntegerField(
        _("days pending after check-out"), default=0, help_text=_("The dispute window; points are released after it.")
    )
    expiry_months = models.PositiveSmallIntegerField(
        _("points live for months"), null=True, blank=True, help_text=_("Empty: points never expire.")
    )
    expiry_rounding = models.CharField(
        _("rounded to"), max_length=10, choices=ExpiryRounding, default=ExpiryRounding.NONE
    )
    shortfall_policy = models.CharField(
        _("points taken back that were spent"), max_length=10, choices=ShortfallPolicy, default=ShortfallPolicy.DEBT
    )
    lapsed_return_policy = models.CharField(
        _("canceled redemption of lapsed points"),
        max_length=10,
        choices=LapsedReturnPolicy,
        default=LapsedReturnPolicy.REOPEN,
    )
    lapsed_return_grace_days = models.PositiveSmallIntegerField(_("days of grace"), default=30)
    inactivity_months = models.PositiveSmallIntegerField(
        _("all points lapse after months without activity"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_(
            "Empty: inactivity takes nothing. Purchased points never lapse by inactivity, points given as compensation"
            " by their own date only."
        ),
    )
    inactivity_counts_earning = models.BooleanField(_("earning points is activity"), default=True)
    inactivity_counts_redeeming = models.BooleanField(_("redeeming points is activity"), default=True)
    inactivity_counts_stays = models.BooleanField(_("a stay is activity"), default=True)
    inactivity_from_date = models.DateField(
        _("inactivity counts from"),
        null=True,
        blank=True,
        help_text=_("No earlier day counts as inactive: a rule made today takes nobody's points tonight."),
    )
    inactivity_exempt_tier = models.ForeignKey(
        "loyalty.Tier",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("no lapse by inactivity from tier"),
        help_text=_("Members of this tier and of those above it keep their points while they are in it."),
    )
    expiry_notice_days = models.PositiveSmallIntegerField(
        _("notice before points lapse, days"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("Empty: no notices are written."),
    )
    expiry_needs_notice = models.BooleanField(
        _("no lapse by inactivity without notice"),
        default=False,
        help_text=_(
            "The points of a member who was not told so many days before stay usable and are listed as held back."
        ),
    )
    activity_date = models.CharField(
        _("date of a stay that decides"),
        max_length=10,
        choices=ActivityDate,
        default=ActivityDate.DEPARTURE,
        help_text=_("A stay is judged by the version of the earning rules in force on this date."),
    )
    bonus_expiry_months = models.PositiveSmallIntegerField(
        _("bonus points live for months"),
        null=True,
        blank=True,
        help_text=_("Keeps bonus points of a stay in an entry of their own. Empty: as all points."),
    )
    profile_fields = ArrayField(
        models.CharField(max_length=12, choices=ProfileField),
        verbose_name=_("a complete profile has"),
        default=list,
        blank=True,
        help_text=_("What brings the points for a completed profile. Empty: nothing does."),
    )
    qualification_months = models.PositiveSmallIntegerField(
        _("months that count towards a tier"), default=12, validators=[MinValueValidator(1)]
    )

    class Meta:
        verbose_name = _("programme")
        verbose_name_plural = _("programmes")
        permissions = [
            ("adjust_points", _("Can adjust points by hand")),
            ("redeem_points", _("Can redeem points")),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(expiry_rounding__in=["none", "month_end", "year_end"]),
                name="loyalty_programme_rounding_known",
            ),
            models.CheckConstraint(
                condition=Q(activity_date__in=["departure", "arrival", "booked"]),
                name="loyalty_programme_activity_known",
            ),
            models.CheckConstraint(
                condition=Q(shortfall_policy__in=["debt", "clamp"]), name="loyalty_programme_shortfall_known"
            ),
            models.CheckConstraint(
                condition=Q(lapsed_return_policy__in=["reopen", "forfeit"]),
                name="loyalty_programme_lapsed_return_known",
            ),
            models.CheckConstraint(
                condition=Q(inactivity_months=None)
                | Q(inactivity_counts_earning=True)
                | Q(inactivity_counts_redeeming=True)
                | Q(inactivity_counts_stays=True),
                name="loyalty_programme_some_activity",
                violation_error_message=_("Choose at least one kind of activity."),
            ),
            models.CheckConstraint(
                condition=Q(expiry_needs_notice=False) | Q(expiry_notice_days__isnull=False),
                name="loyalty_programme_notice_has_days",
                violation_error_message=_("Say how many days before the notice has to be given."),
            ),
        ]

    def local_date(self, now: dt.datetime) -> dt.date:
        """The programme's calendar date at an aware instant."""
        return now.astimezone(zoneinfo.ZoneInfo(self.time_zone)).date()


class Tier(BilingualName):
    """A level of the programme; rank 0 is where every member starts."""

    programme = models.ForeignKey(Programme, models.CASCADE, related_name="tiers", verbose_name=_("programme"))
    code = models.SlugField(_("code"), max_length=20)
    rank = models.PositiveSmallIntegerField(_("rank"))

    class Meta:
        verbose_name = _("tier")
        verbose_name_plural = _("tiers")
        ordering = ["programme", "rank"]
        constraints = [
            models.UniqueConstraint(
                fields=["programme", "code"],
                name="loyalty_tier_code_unique",
                violation_error_message=_("The programme has a tier with this code already."),
            ),
            models.UniqueConstraint(
                fields=["programme", "rank"],
                name="loyalty_tier_rank_unique",
                violation_error_message=_("The programme has a tier with this rank already."),
            ),
        ]


class TierCriteria(models.Model):
    """What reaches a tier from a date on: any one of the given thresholds is enough."""

    tier = models.ForeignKey(Tier, models.CASCADE, related_name="criteria", verbose_name=_("tier"))
    effective_from = models.DateField(_("effective from"))
    min_amount = models.DecimalField(
        _("spend of at least"),
        max_digits=14,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
    )
    min_stays = models.PositiveSmallIntegerField(_("stays of at least"), null=True, blank=True)
    min_nights = models.PositiveSmallIntegerField(_("nights of at least"), null=True, blank=True)

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
            models.CheckConstraint(
                condition=Q(min_amount__isnull=False) | Q(min_stays__isnull=False) | Q(min_nights__isnull=False),
                name="loyalty_tiercriteria_some_threshold",
                violation_error_message=_("Give at least one threshold."),
            ),
        ]

    def __str__(self) -> str:
        return str(self.effective_from)


class TierBenefit(BilingualName):
    """What a tier gets, group-wide or at one property, for a half-open range of dates."""

    tier = models.ForeignKey(Tier, models.CASCADE, related_name="benefits", verbose_name=_("tier"))
    property = models.ForeignKey(
        Property, models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("only at property")
    )
    effective_from = models.DateField(_("effective from"))
    effective_until = models.DateField(_("until (not included)"), null=True, blank=True)

    class Meta:
        verbose_name = _("tier benefit")
        verbose_name_plural = _("tier benefits")
        ordering = ["tier", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(effective_until=None) | Q(effective_until__gt=F("effective_from")),
                name="loyalty_tierbenefit_dates_ordered",
                violation_error_message=_("The end is not after the beginning."),
            ),
        ]
