"""What a programme gives points for: versioned sets of rules, and how often a capped rule was used."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from hotels.models import BilingualName, Property
from hotels.models.organisation import currency_validator
from loyalty.models.membership import Membership
from loyalty.models.programme import Programme
from members.models import RevenueCategory


def match_all() -> dict[str, Any]:
    """The condition that everything meets."""
    return {"all": []}


class EarningRuleSetQuerySet(models.QuerySet["EarningRuleSet"]):
    """Reads of rule sets."""

    def published(self) -> EarningRuleSetQuerySet:
        """Keep what is, was or will be in force."""
        return self.filter(status=EarningRuleSet.Status.PUBLISHED)

    def in_force(self, on_date: dt.date) -> EarningRuleSetQuerySet:
        """The one set of each programme that is in force on a date."""
        return (
            self.published()
            .filter(effective_from__lte=on_date)
            .order_by("programme", "-effective_from")
            .distinct("programme")
        )


class EarningRuleSet(models.Model):
    """One version of what a programme gives points for.

    In force on a date is the published set with the latest `effective_from` up to that date; a set is
    superseded as soon as another one is in force. Published sets and their rules are never altered
    (a trigger refuses it); one that has not begun can be withdrawn.
    """

    class Status(models.TextChoices):
        """What may still happen to the set."""

        DRAFT = "draft", _("draft")
        PUBLISHED = "published", _("published")
        WITHDRAWN = "withdrawn", _("withdrawn")

    programme = models.ForeignKey(
        Programme, models.PROTECT, related_name="earning_rule_sets", verbose_name=_("programme")
    )
    # 1, 2, 3, … within the programme.
    number = models.PositiveIntegerField(_("version"))
    name = models.CharField(_("name"), max_length=120)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.DRAFT)
    # First activity date of the stays and events that are judged by it.
    effective_from = models.DateField(_("in force from"), null=True, blank=True)
    based_on = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("based on")
    )
    note = models.TextField(_("note"), blank=True)
    created_at = models.DateTimeField(_("created at"))
    published_at = models.DateTimeField(_("published at"), null=True, blank=True)
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("published by"),
    )
    withdrawn_at = models.DateTimeField(_("withdrawn at"), null=True, blank=True)

    objects = EarningRuleSetQuerySet.as_manager()

    class Meta:
        verbose_name = _("earning rule set")
        verbose_name_plural = _("earning rule sets")
        ordering = ["programme", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["programme", "number"], name="loyalty_earningruleset_number_unique"),
            models.UniqueConstraint(
                fields=["programme", "effective_from"],
                condition=Q(status="published"),
                name="loyalty_earningruleset_day_unique",
                violation_error_message=_("Another version begins on this date."),
            ),
            models.CheckConstraint(
                condition=Q(status__in=["draft", "published", "withdrawn"]), name="loyalty_earningruleset_status_known"
            ),
            models.CheckConstraint(
                condition=Q(status="draft", effective_from=None, published_at=None)
                | Q(status__in=["published", "withdrawn"], effective_from__isnull=False, published_at__isnull=False),
                name="loyalty_earningruleset_published_from",
            ),
            models.CheckConstraint(
                condition=Q(status="withdrawn", withdrawn_at__isnull=False)
                | (~Q(status="withdrawn") & Q(withdrawn_at=None)),
                name="loyalty_earningruleset_withdrawn_at",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number} · {self.name}"

    @property
    def is_draft(self) -> bool:
        """Whether its rules may still be altered."""
        return self.status == self.Status.DRAFT


class EarningRule(BilingualName):
    """One rule of a set; what it means together with others is told in `loyalty.rules.earning`."""

    class Basis(models.TextChoices):
        """What the points are counted on."""

        AMOUNT = "amount", _("spend")
        NIGHTS = "nights", _("nights")
        STAYS = "stays", _("stays")
        EVENT = "event", _("event")

    class Event(models.TextChoices):
        """What else than a stay brings points."""

        ENROLMENT = "enrolment", _("enrollment")
        PROFILE_COMPLETED = "profile_completed", _("profile completed")
        SURVEY_ANSWERED = "survey_answered", _("survey answered")
        REFERRAL_MADE = "referral_made", _("friend referred")
        REFERRAL_JOINED = "referral_joined", _("came by a referral")
        SOCIAL_SHARE = "social_share", _("approved social share")
        BIRTHDAY = "birthday", _("birthday")

    class Result(models.TextChoices):
        """How the points follow from the basis."""

        RATE = "rate", _("points per unit")
        MULTIPLIER = "multiplier", _("multiple of the base points")
        FIXED = "fixed", _("fixed points")

    class Stacking(models.TextChoices):
        """How the rule goes with others."""

        ADD = "add", _("adds to others")
        BEST_OF = "best_of", _("the best of its group counts")
        EXCLUSIVE = "exclusive", _("the first of its group counts")

    rule_set = models.ForeignKey(
        EarningRuleSet, models.CASCADE, related_name="rules", verbose_name=_("earning rule set")
    )
    code = models.SlugField(
        _("code"), max_length=40, help_text=_("Stays the same over all versions; caps count by it.")
    )
    basis = models.CharField(_("counted on"), max_length=8, choices=Basis, default=Basis.AMOUNT)
    event = models.CharField(_("event"), max_length=20, choices=Event, blank=True)
    categories = ArrayField(
        models.CharField(max_length=12, choices=RevenueCategory),
        verbose_name=_("revenue categories"),
        default=list,
        blank=True,
        help_text=_("Empty: all of them."),
    )
    currency = models.CharField(
        _("currency"),
        max_length=3,
        blank=True,
        validators=[currency_validator],
        help_text=_("Only folios in this currency, points per unit of it. Empty: every folio, converted."),
    )
    condition = models.JSONField(_("condition"), default=match_all, blank=True)
    # Business dates of charges and nights, half-open.
    charges_from = models.DateField(_("charges from"), null=True, blank=True)
    charges_until = models.DateField(_("charges until (not included)"), null=True, blank=True)
    # ISO: 1 is Monday.
    charge_weekdays = ArrayField(
        models.PositiveSmallIntegerField(validators=[MinValueValidator(1), MaxValueValidator(7)]),
        verbose_name=_("days of the week"),
        default=list,
        blank=True,
        help_text=_("Of the charge or the night. Empty: all of them."),
    )
    result = models.CharField(_("gives"), max_length=10, choices=Result, default=Result.RATE)
    value = models.DecimalField(_("value"), max_digits=12, decimal_places=4, validators=[MinValueValidator(Decimal(0))])
    is_base = models.BooleanField(_("base points"), default=False, help_text=_("Multiples are taken of these points."))
    is_qualifying = models.BooleanField(
        _("counts towards tiers"), default=False, help_text=_("Its points count where a tier asks for points.")
    )
    priority = models.SmallIntegerField(_("priority"), default=0, help_text=_("The highest comes first."))
    stacking = models.CharField(_("together with others"), max_length=10, choices=Stacking, default=Stacking.ADD)
    group = models.SlugField(_("group"), max_length=40, blank=True)
    stops = models.BooleanField(
        _("stops"), default=False, help_text=_("No rule of lower priority applies to what this one covers.")
    )
    cap_stay = models.PositiveIntegerField(_("points per stay at most"), null=True, blank=True)
    cap_day = models.PositiveIntegerField(_("points per member and day at most"), null=True, blank=True)
    cap_month = models.PositiveIntegerField(_("points per member and month at most"), null=True, blank=True)
    cap_member = models.PositiveIntegerField(_("points per member at most, ever"), null=True, blank=True)
    budget_points = models.PositiveBigIntegerField(_("budget in points"), null=True, blank=True)
    # In the programme's currency.
    budget_money = models.DecimalField(
        _("budget in money"),
        max_digits=14,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal(0))],
    )
    point_cost = models.DecimalField(
        _("cost of a point"),
        max_digits=10,
        decimal_places=4,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal(0))],
        help_text=_("Empty: the programme's value of a point."),
    )
    funded_by = models.ForeignKey(
        Property,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("paid for by"),
        help_text=_("Empty: the property of the stay."),
    )

    class Meta:
        verbose_name = _("earning rule")
        verbose_name_plural = _("earning rules")
        ordering = ["rule_set", "-priority", "code"]
        constraints = [
            models.UniqueConstraint(
                fields=["rule_set", "code"],
                name="loyalty_earningrule_code_unique",
                violation_error_message=_("The version has a rule with this code already."),
            ),
            models.CheckConstraint(
                condition=Q(basis__in=["amount", "nights", "stays", "event"])
                & Q(result__in=["rate", "multiplier", "fixed"])
                & Q(stacking__in=["add", "best_of", "exclusive"]),
                name="loyalty_earningrule_choices_known",
            ),
            models.CheckConstraint(
                condition=Q(
                    basis="event",
                    result="fixed",
                    event__in=[
                        "enrolment",
                        "profile_completed",
                        "survey_answered",
                        "referral_made",
                        "referral_joined",
                        "social_share",
                        "birthday",
                    ],
                )
                | (~Q(basis="event") & Q(event="")),
                name="loyalty_earningrule_event_known",
                violation_error_message=_("An event gives fixed points, and nothing else has an event."),
            ),
            models.CheckConstraint(
                condition=Q(categories__contained_by=[*RevenueCategory.values]),
                name="loyalty_earningrule_category_known",
            ),
            models.CheckConstraint(
                condition=Q(charge_weekdays__contained_by=[1, 2, 3, 4, 5, 6, 7]),
                name="loyalty_earningrule_weekday_known",
            ),
            models.CheckConstraint(
                condition=Q(value__gte=0),
                name="loyalty_earningrule_value_not_negative",
                violation_error_message=_("A value is zero or more."),
            ),
            models.CheckConstraint(
                condition=~Q(result="multiplier") | Q(value__gte=1, is_base=False),
                name="loyalty_earningrule_multiplier_above_one",
                violation_error_message=_("A multiple is one or more, and of other points than its own."),
            ),
            models.CheckConstraint(
                condition=Q(is_base=False) | Q(result="rate"), name="loyalty_earningrule_base_is_rate"
            ),
            models.CheckConstraint(
                condition=Q(charges_until=None) | Q(charges_from=None) | Q(charges_until__gt=F("charges_from")),
                name="loyalty_earningrule_dates_ordered",
                violation_error_message=_("The end is not after the beginning."),
            ),
            models.CheckConstraint(
                condition=Q(stacking="add", group="") | (~Q(stacking="add") & ~Q(group="")),
                name="loyalty_earningrule_group_where_needed",
                violation_error_message=_("A group is named where only one of it counts, and only there."),
            ),
        ]

    @property
    def has_counters(self) -> bool:
        """Whether what it gives is counted over stays."""
        return any(
            cap is not None
            for cap in (self.cap_day, self.cap_month, self.cap_member, self.budget_points, self.budget_money)
        )


class RuleUse(models.Model):
    """How much of a cap or budget of a rule is used; over all versions of the rule.

    Written only together with the points it counts, under the lock of the membership (or, for a
    budget, of the row itself). `cap` is that of the newest use, raised where an older version had
    allowed more.
    """

    class Scope(models.TextChoices):
        """What is counted."""

        DAY = "day", _("points of a member on a day")
        MONTH = "month", _("points of a member in a month")
        MEMBER = "member", _("points of a member")
        POINTS = "points", _("points of the budget")
        MONEY = "money", _("money of the budget")

    programme = models.ForeignKey(Programme, models.PROTECT, related_name="+", verbose_name=_("programme"))
    membership = models.ForeignKey(
        Membership, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("membership")
    )
    rule_code = models.SlugField(_("rule"), max_length=40)
    scope = models.CharField(_("scope"), max_length=6, choices=Scope)
    # The first day of the day or month; empty for what has no end.
    period = models.DateField(_("period"), null=True, blank=True)
    used = models.DecimalField(_("used"), max_digits=18, decimal_places=4, default=0)
    cap = models.DecimalField(_("cap"), max_digits=18, decimal_places=4)

    class Meta:
        verbose_name = _("use of a cap")
        verbose_name_plural = _("uses of caps")
        constraints = [
            models.UniqueConstraint(
                fields=["programme", "membership", "rule_code", "scope", "period"],
                nulls_distinct=False,
                name="loyalty_ruleuse_unique",
            ),
            models.CheckConstraint(condition=Q(used__gte=0, used__lte=F("cap")), name="loyalty_ruleuse_within_cap"),
            models.CheckConstraint(
                condition=Q(scope="day", membership__isnull=False, period__isnull=False)
                | Q(scope="month", membership__isnull=False, period__isnull=False)
                | Q(scope="member", membership__isnull=False, period=None)
                | Q(scope__in=["points", "money"], membership=None, period=None),
                name="loyalty_ruleuse_scope_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rule_code} {self.scope}: {self.used}/{self.cap}"
