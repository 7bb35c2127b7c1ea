"""Earning rules in the admin."""

from __future__ import annotations

from django.contrib import admin

from hotels.admin.base import ReadOnlyAdmin
from loyalty.models import EarningRule, EarningRuleSet


@admin.register(EarningRuleSet)
class EarningRuleSetAdmin(ReadOnlyAdmin):
    """Versions of the earning rules."""

    list_display = ["number", "name", "programme", "status", "effective_from"]
    list_select_related = ["programme"]
    list_filter = ["programme", "status"]
    ordering = ["programme", "-number", "pk"]


@admin.register(EarningRule)
class EarningRuleAdmin(ReadOnlyAdmin):
    """Rules of all versions."""

    list_display = ["code", "name", "rule_set"]
    list_select_related = ["rule_set"]
    ordering = ["rule_set", "-priority", "code", "pk"]
