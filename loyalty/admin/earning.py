"""Earning rules in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RangeDateFilter

from loyalty.admin.dated import DatedAdmin, DatedForm, RateForm, actor_of
from loyalty.models import EarningRule
from loyalty.services.rules import RateEffect, change_earning_rule, preview_rate


class EarningRuleForm(DatedForm[EarningRule]):
    """A rule; one in force keeps what it gives."""

    class Meta:
        model = EarningRule
        fields = [
            "programme",
            "name",
            "tier",
            "property",
            "category",
            "currency",
            "points_per_unit",
            "effective_from",
            "effective_until",
        ]

    def clean(self) -> dict[str, Any] | None:
        """Refuse a tier of another programme."""
        cleaned = super().clean() or {}
        tier, programme = cleaned.get("tier"), cleaned.get("programme")
        if tier and programme and tier.programme_id != programme.pk:
            self.add_error(
                "tier", ValidationError(_("This tier belongs to another programme."), code="other_programme")
            )
        return cleaned


@admin.register(EarningRule)
class EarningRuleAdmin(DatedAdmin):
    """Points per unit of currency, by tier, property, revenue category and date."""

    form = EarningRuleForm
    change_from_form = RateForm
    change_from_fields = ("points_per_unit", "name")
    list_display = [
        "name",
        "state",
        "programme",
        "tier",
        "property",
        "category",
        "currency",
        "points_per_unit",
        "effective_from",
        "effective_until",
    ]
    list_select_related = ["programme", "tier", "property"]
    list_filter = ["programme", "tier", "property", "category", "currency", ("effective_from", RangeDateFilter)]
    ordering = ["programme", "-effective_from", "id"]
    search_fields = ["name"]
    compressed_fields = True

    def preview(self, row: EarningRule, values: dict[str, Any]) -> RateEffect:
        """Points of the last twelve months at both rates."""
        return preview_rate(rule=row, points_per_unit=values["points_per_unit"], now=timezone.now())

    def apply(self, request: HttpRequest, row: EarningRule, values: dict[str, Any]) -> models.Model:
        """Let the new rate begin."""
        return change_earning_rule(
            actor=actor_of(request),
            now=timezone.now(),
            rule_id=row.pk,
            from_date=values["effective_from"],
            points_per_unit=values["points_per_unit"],
            name=values["name"],
        )
