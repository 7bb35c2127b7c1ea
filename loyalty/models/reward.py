"""The catalogue: what points are spent on, at what price, how many of it, and when and where not."""

from __future__ import annotations

import uuid
from pathlib import PurePath
from typing import TYPE_CHECKING

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, DateRangeField, RangeOperators
from django.core.exceptions import ValidationError
from django.core.files.base import File
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Coalesce
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from hotels.models import BilingualName, Brand, Property
from hotels.models.organisation import currency_validator
from loyalty.models.membership import Membership
from loyalty.models.programme import Programme, Tier
from loyalty.models.voucher import VoucherType
from loyalty.rules.rewards import PICTURE_BYTES, picture_type

if TYPE_CHECKING:
    from hotels.models import User


def picture_path(_reward: Reward, file_name: str) -> str:
    """Where a picture is kept: under a name of its own, so that a browser never shows an old one for a new one."""
    return f"rewards/{uuid.uuid4().hex}{PurePath(file_name).suffix.lower()[:6]}"


def validate_picture(file: File) -> None:  # type: ignore[type-arg]
    """Refuse what is no picture, whatever its name says, or is too large to show in a list."""
    if getattr(file, "_committed", False):
        # Kept from before, when it was looked at.
        return
    if file.size > PICTURE_BYTES:
        raise ValidationError(
            _("A picture has at most %(limit)d MB."), params={"limit": PICTURE_BYTES >> 20}, code="too_large"
        )
    file.seek(0)
    head = file.read(16)
    file.seek(0)
    if picture_type(head) is None:
        raise ValidationError(_("Upload a picture: PNG, JPEG or WebP."), code="no_picture")


class RewardCategory(models.TextChoices):
    """What kind of thing a reward is."""

    ROOM_NIGHT = "room_night", _("room night")
    UPGRADE = "upgrade", _("room upgrade")
    LATE_CHECKOUT = "late_checkout", _("late check-out")
    FOOD = "food", _("food and drink")
    SPA = "spa", _("spa")
    TRANSFER = "transfer", _("transfer")
    GOODS = "goods", _("goods")
    PARTNER_CARD = "partner_card", _("partner card")


class RewardQuerySet(models.QuerySet["Reward"]):
    """Reads of the catalogue."""

    def visible_to(self, user: User) -> RewardQuerySet:
        """Staff see the whole catalogue, guests what is offered in a programme of theirs."""
        if user.is_superuser or user.active_assignments():
            return self
        return self.filter(is_active=True, programme__memberships__guest__user=user)


class Reward(BilingualName):
    """Something a member gets for points, or for points and money."""

    Category = RewardCategory

    class Fulfilment(models.TextChoices):
        """When the guest has it."""

        LATER = "later", _("given later, by whoever is in charge")
        AT_ONCE = "at_once", _("given with the redemption")

    programme = models.ForeignKey(Programme, models.CASCADE, related_name="rewards", verbose_name=_("programme"))
    code = models.SlugField(_("code"), max_length=40)
    category = models.CharField(_("category"), max_length=20, choices=RewardCategory)
    points = models.PositiveIntegerField(
        _("points"),
        validators=[MinValueValidator(1)],
        help_text=_("The price where no row of prices below says otherwise."),
    )
    is_active = models.BooleanField(_("active"), default=True)
    description = models.TextField(_("description (Chinese)"), blank=True, max_length=1000)
    description_en = models.TextField(_("description (English)"), blank=True, max_length=1000)
    picture = models.FileField(
        _("picture"),
        upload_to=picture_path,
        blank=True,
        validators=[validate_picture],
        help_text=_("PNG, JPEG or WebP of at most 2 MB; 4:3 looks best."),
    )
    cash_value = models.DecimalField(
        _("value in money"),
        max_digits=12,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=_("With a value, the price follows the exchange ratio in force, in the programme's currency."),
    )
    fulfilment = models.CharField(_("fulfillment"), max_length=8, choices=Fulfilment, default=Fulfilment.LATER)
    voucher_type = models.ForeignKey(
        VoucherType,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("gives a voucher"),
        help_text=_("The voucher is issued with the redemption; with that, the redemption is fulfilled."),
    )
    valid_from = models.DateField(_("offered from"), null=True, blank=True)
    valid_until = models.DateField(_("offered until (not included)"), null=True, blank=True)
    min_tier = models.ForeignKey(
        Tier, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("from tier")
    )
    properties = models.ManyToManyField(
        Property,
        blank=True,
        related_name="+",
        verbose_name=_("properties"),
        help_text=_("Neither properties nor brands: everywhere."),
    )
    brands = models.ManyToManyField(Brand, blank=True, related_name="+", verbose_name=_("brands"))
    lead_hours = models.PositiveSmallIntegerField(
        _("hours ahead"), default=0, help_text=_("How long before the beginning of its day it has to be redeemed.")
    )
    cancel_hours = models.PositiveSmallIntegerField(
        _("can be canceled until hours before"),
        null=True,
        blank=True,
        help_text=_("Before the beginning of its day. Empty: until it is fulfilled."),
    )
    open_days = models.PositiveSmallIntegerField(
        _("kept for days"),
        null=True,
        blank=True,
        help_text=_("What nobody asked for so many days after its day expires. Empty: it is kept."),
    )

    objects = RewardQuerySet.as_manager()

    class Meta:
        verbose_name = _("reward")
        verbose_name_plural = _("rewards")
        ordering = ["programme", "points", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["programme", "code"],
                name="loyalty_reward_code_unique",
                violation_error_message=_("The programme has a reward with this code already."),
            ),
            models.CheckConstraint(
                condition=Q(category__in=RewardCategory.values), name="loyalty_reward_category_known"
            ),
            models.CheckConstraint(
                condition=Q(points__gt=0),
                name="loyalty_reward_costs_points",
                violation_error_message=_("A reward costs at least one point."),
            ),
            models.CheckConstraint(
                condition=Q(fulfilment__in=["later", "at_once"]), name="loyalty_reward_fulfilment_known"
            ),
            models.CheckConstraint(
                condition=Q(cash_value__isnull=True) | Q(cash_value__gt=0),
                name="loyalty_reward_value_positive",
                violation_error_message=_("A value is above zero."),
            ),
            models.CheckConstraint(
                condition=Q(valid_from__isnull=True) | Q(valid_until__isnull=True) | Q(valid_until__gt=F("valid_from")),
                name="loyalty_reward_days_ordered",
                violation_error_message=_("The end is not after the beginning."),
            ),
        ]

    @property
    def local_description(self) -> str:
        """What it is, in the language of the reader where it is told in it."""
        is_english = (get_language() or "").startswith("en")
        return (self.description_en if is_english else "") or self.description


class RewardPrice(models.Model):
    """A price of a reward: always, or for some days, weekdays, a property or a brand; one row an option."""

    reward = models.ForeignKey(Reward, models.CASCADE, related_name="prices", verbose_name=_("reward"))
    points = models.PositiveIntegerField(_("points"), validators=[MinValueValidator(1)])
    cash = models.DecimalField(
        _("and money"), max_digits=12, decimal_places=2, default=0, validators=[MinValueValidator(0)]
    )
    currency = models.CharField(_("currency"), max_length=3, blank=True, validators=[currency_validator])
    effective_from = models.DateField(
        _("redeemed from"), help_text=_("By the day of the redemption, so that a new price can be set ahead.")
    )
    effective_until = models.DateField(_("redeemed until (not included)"), null=True, blank=True)
    first_date = models.DateField(
        _("for days from"), null=True, blank=True, help_text=_("By the day it is for, such as the night.")
    )
    last_date = models.DateField(_("to (included)"), null=True, blank=True)
    weekdays = ArrayField(
        models.PositiveSmallIntegerField(), verbose_name=_("days of the week"), default=list, blank=True
    )
    property = models.ForeignKey(
        Property, models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("property")
    )
    brand = models.ForeignKey(Brand, models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("brand"))

    class Meta:
        verbose_name = _("price")
        verbose_name_plural = _("prices")
        ordering = ["reward", "effective_from", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(points__gt=0),
                name="loyalty_rewardprice_costs_points",
                violation_error_message=_("A reward costs at least one point."),
            ),
            models.CheckConstraint(
                condition=Q(cash=0, currency="") | Q(cash__gt=0, currency__regex=r"^[A-Z]{3}$"),
                name="loyalty_rewardprice_currency_given",
                violation_error_message=_("Money needs a currency, and a price in points alone has none."),
            ),
            models.CheckConstraint(
                condition=Q(effective_until__isnull=True) | Q(effective_until__gt=F("effective_from")),
                name="loyalty_rewardprice_validity_ordered",
                violation_error_message=_("The end is not after the beginning."),
            ),
            models.CheckConstraint(
                condition=Q(first_date__isnull=True) | Q(last_date__isnull=True) | Q(last_date__gte=F("first_date")),
                name="loyalty_rewardprice_days_ordered",
                violation_error_message=_("The last day is before the first."),
            ),
            models.CheckConstraint(
                condition=Q(weekdays__contained_by=[1, 2, 3, 4, 5, 6, 7]), name="loyalty_rewardprice_weekdays_known"
            ),
            models.CheckConstraint(
                condition=Q(property__isnull=True) | Q(brand__isnull=True),
                name="loyalty_rewardprice_one_place",
                violation_error_message=_("Choose a property or a brand, not both."),
            ),
            # The same option twice would leave it to chance what the guest pays.
            ExclusionConstraint(
                name="loyalty_rewardprice_no_overlap",
                expressions=[
                    ("reward", RangeOperators.EQUAL),
                    (Coalesce("property", 0), RangeOperators.EQUAL),
                    (Coalesce("brand", 0), RangeOperators.EQUAL),
                    (
                        Func(F("weekdays"), function="loyalty_weekdays", output_field=models.IntegerField()),
                        RangeOperators.EQUAL,
                    ),
                    ("cash", RangeOperators.EQUAL),
                    ("currency", RangeOperators.EQUAL),
                    (
                        Func(
                            F("effective_from"),
                            F("effective_until"),
                            function="daterange",
                            output_field=DateRangeField(),
                        ),
                        RangeOperators.OVERLAPS,
                    ),
                    (
                        Func(
                            F("first_date"),
                            F("last_date"),
                            Value("[]"),
                            function="daterange",
                            output_field=DateRangeField(),
                        ),
                        RangeOperators.OVERLAPS,
                    ),
                ],
                violation_error_message=_("There is such a price for some of these days already."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.points:,}" + (f" + {self.cash} {self.currency}" if self.cash else "")


class ExchangeRatio(models.Model):
    """How many points one unit of money is worth in rewards, from a date on, for a property or a category."""

    programme = models.ForeignKey(Programme, models.CASCADE, related_name="ratios", verbose_name=_("programme"))
    category = models.CharField(
        _("category"), max_length=20, choices=RewardCategory, blank=True, help_text=_("Empty: all.")
    )
    property = models.ForeignKey(
        Property,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("property"),
        help_text=_("Empty: all."),
    )
    effective_from = models.DateField(_("effective from"))
    points_per_unit = models.DecimalField(
        _("points for one unit of money"), max_digits=10, decimal_places=4, validators=[MinValueValidator(0)]
    )
    round_to = models.PositiveIntegerField(
        _("rounded up to"), default=1, validators=[MinValueValidator(1)], help_text=_("Such as full hundreds.")
    )

    class Meta:
        verbose_name = _("exchange ratio")
        verbose_name_plural = _("exchange ratios")
        ordering = ["programme", "category", "property", "-effective_from"]
        constraints = [
            models.UniqueConstraint(
                fields=["programme", "category", "property", "effective_from"],
                nulls_distinct=False,
                name="loyalty_exchangeratio_day_unique",
                violation_error_message=_("There is a ratio from this date already."),
            ),
            models.CheckConstraint(
                condition=Q(category="") | Q(category__in=RewardCategory.values),
                name="loyalty_exchangeratio_category_known",
            ),
            models.CheckConstraint(
                condition=Q(points_per_unit__gt=0),
                name="loyalty_exchangeratio_positive",
                violation_error_message=_("A ratio is above zero."),
            ),
            models.CheckConstraint(condition=Q(round_to__gt=0), name="loyalty_exchangeratio_rounding_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.points_per_unit.normalize():f} ({self.effective_from})"


class RewardStock(models.Model):
    """How many there are, in all or at one property; every row that applies is counted down."""

    reward = models.ForeignKey(Reward, models.CASCADE, related_name="stock", verbose_name=_("reward"))
    property = models.ForeignKey(
        Property,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("property"),
        help_text=_("Empty: of all properties together."),
    )
    total = models.PositiveIntegerField(_("in all"))
    taken = models.PositiveIntegerField(_("taken"), default=0, editable=False)

    class Meta:
        verbose_name = _("stock")
        verbose_name_plural = _("stock")
        ordering = ["reward", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["reward", "property"],
                nulls_distinct=False,
                name="loyalty_rewardstock_place_unique",
                violation_error_message=_("This stock is counted already."),
            ),
            models.CheckConstraint(
                condition=Q(taken__gte=0) & Q(taken__lte=F("total")),
                name="loyalty_rewardstock_not_below_zero",
                violation_error_message=_("More than these were taken already."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.total - self.taken:,} / {self.total:,}"


class LimitScope(models.TextChoices):
    """Whom a limit counts together."""

    ALL = "all", _("all properties together")
    PROPERTY = "property", _("each property")
    MEMBER = "member", _("each member")


class LimitPeriod(models.TextChoices):
    """In which time a limit counts, by the day the reward is for."""

    DAY = "day", _("a day")
    WEEK = "week", _("a week")
    MONTH = "month", _("a month")
    YEAR = "year", _("a year")
    LIFETIME = "lifetime", _("in all")


class RewardLimit(models.Model):
    """How many may be redeemed in a time, by all, at each property, or by each member."""

    Scope = LimitScope
    Period = LimitPeriod

    reward = models.ForeignKey(Reward, models.CASCADE, related_name="limits", verbose_name=_("reward"))
    scope = models.CharField(_("for"), max_length=8, choices=LimitScope)
    period = models.CharField(_("period"), max_length=8, choices=LimitPeriod)
    maximum = models.PositiveIntegerField(_("at most"), validators=[MinValueValidator(1)])

    class Meta:
        verbose_name = _("limit")
        verbose_name_plural = _("limits")
        ordering = ["reward", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["reward", "scope", "period"],
                name="loyalty_rewardlimit_unique",
                violation_error_message=_("There is such a limit already."),
            ),
            models.CheckConstraint(condition=Q(scope__in=LimitScope.values), name="loyalty_rewardlimit_scope_known"),
            models.CheckConstraint(condition=Q(period__in=LimitPeriod.values), name="loyalty_rewardlimit_period_known"),
            models.CheckConstraint(
                condition=Q(maximum__gt=0),
                name="loyalty_rewardlimit_positive",
                violation_error_message=_("A limit is at least one."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_scope_display()}: {self.maximum} {self.get_period_display()}"


class RewardUse(models.Model):
    """What is used of a limit in one period; its row is the lock, its check the promise."""

    reward = models.ForeignKey(Reward, models.CASCADE, related_name="uses", verbose_name=_("reward"), db_index=False)
    scope = models.CharField(_("for"), max_length=8, choices=LimitScope)
    property = models.ForeignKey(
        Property, models.CASCADE, null=True, related_name="+", verbose_name=_("property"), db_index=False
    )
    membership = models.ForeignKey(
        Membership, models.CASCADE, null=True, related_name="+", verbose_name=_("membership"), db_index=False
    )
    period = models.CharField(_("period"), max_length=8, choices=LimitPeriod)
    # First day of the period; none for the whole time.
    period_start = models.DateField(_("from"), null=True)
    used = models.PositiveIntegerField(_("used"), default=0)
    maximum = models.PositiveIntegerField(_("at most"))

    class Meta:
        verbose_name = _("use of a limit")
        verbose_name_plural = _("uses of limits")
        constraints = [
            models.UniqueConstraint(
                fields=["reward", "scope", "property", "membership", "period", "period_start"],
                nulls_distinct=False,
                name="loyalty_rewarduse_unique",
            ),
            models.CheckConstraint(condition=Q(scope__in=LimitScope.values), name="loyalty_rewarduse_scope_known"),
            models.CheckConstraint(condition=Q(period__in=LimitPeriod.values), name="loyalty_rewarduse_period_known"),
            models.CheckConstraint(
                condition=Q(used__gte=0) & Q(used__lte=F("maximum")), name="loyalty_rewarduse_within_maximum"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.used} / {self.maximum}"


class RewardBlackout(models.Model):
    """Days for which a reward cannot be redeemed, such as the Golden Week; both days are included."""

    reward = models.ForeignKey(Reward, models.CASCADE, related_name="blackouts", verbose_name=_("reward"))
    property = models.ForeignKey(
        Property,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("property"),
        help_text=_("Empty: all."),
    )
    first_date = models.DateField(_("from"))
    last_date = models.DateField(_("to (included)"))

    class Meta:
        verbose_name = _("blackout")
        verbose_name_plural = _("blackouts")
        ordering = ["first_date", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(last_date__gte=F("first_date")),
                name="loyalty_rewardblackout_days_ordered",
                violation_error_message=_("The last day is before the first."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.first_date} – {self.last_date}"
