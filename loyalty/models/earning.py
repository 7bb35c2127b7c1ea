"""Earning rules: points per unit of currency, by tier, property, revenue category and date."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from hotels.models import Property
from hotels.models.organisation import currency_validator
from loyalty.models.programme import Programme, Tier
from members.models import RevenueCategory

if TYPE_CHECKING:
    from django.db.models.expressions import Combinable


class EarningRuleQuerySet(models.QuerySet["EarningRule"]):
    """Reads of earning rules."""

    def in_force(self, on_date: dt.date) -> EarningRuleQuerySet:
        """Keep the rules in force on a business date."""
        return self.filter(Q(effective_until=None) | Q(effective_until__gt=on_date), effective_from__lte=on_date)


def _or_zero(field: str) -> Combinable:
    return Coalesce(F(field), Value(0, output_field=models.BigIntegerField()))


class EarningRule(models.Model):
    """Points per unit of currency for eligible folio lines of a business date.

    An empty tier, property or category means any. For each folio line the closest rule wins: one that
    names the property before one that names the tier before one that names the category.
    """

    programme = models.ForeignKey(Programme, models.CASCADE, related_name="earning_rules", verbose_name=_("programme"))
    name = models.CharField(_("name"), max_length=120)
    tier = models.ForeignKey(
        Tier, models.CASCADE, null=True, blank=True, related_name="earning_rules", verbose_name=_("tier")
    )
    property = models.ForeignKey(
        Property, models.CASCADE, null=True, blank=True, related_name="earning_rules", verbose_name=_("property")
    )
    category = models.CharField(_("revenue category"), max_length=12, choices=RevenueCategory, blank=True)
    currency = models.CharField(_("currency"), max_length=3, default="CNY", validators=[currency_validator])
    points_per_unit = models.DecimalField(
        _("points per unit of currency"), max_digits=10, decimal_places=4, validators=[MinValueValidator(0)]
    )
    effective_from = models.DateField(_("effective from"))
    effective_until = models.DateField(_("until (not included)"), null=True, blank=True)

    objects = EarningRuleQuerySet.as_manager()

    class Meta:
        verbose_name = _("earning rule")
        verbose_name_plural = _("earning rules")
        ordering = ["programme", "-effective_from", "id"]
        constraints = [
            models.CheckConstraint(
                # Empty is any category.
                condition=Q(category__in=["", *RevenueCategory.values]),
                name="loyalty_earningrule_category_known",
            ),
            models.CheckConstraint(
                condition=Q(points_per_unit__gte=0),
                name="loyalty_earningrule_rate_not_negative",
                violation_error_message=_("A rate is zero or more."),
            ),
            models.CheckConstraint(
                condition=Q(effective_until=None) | Q(effective_until__gt=F("effective_from")),
                name="loyalty_earningrule_dates_ordered",
                violation_error_message=_("The end is not after the beginning."),
            ),
            ExclusionConstraint(
                name="loyalty_earningrule_no_overlap",
                index_type="GIST",
                expressions=[
                    (F("programme"), RangeOperators.EQUAL),
                    (_or_zero("tier"), RangeOperators.EQUAL),
                    (_or_zero("property"), RangeOperators.EQUAL),
                    (F("category"), RangeOperators.EQUAL),
                    (F("currency"), RangeOperators.EQUAL),
                    (
                        Func(F("effective_from"), F("effective_until"), function="daterange"),
                        RangeOperators.OVERLAPS,
                    ),
                ],
                violation_error_message=_(
                    "Another rule for the same tier, property, category and currency is in force on some of these dates."
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.name
