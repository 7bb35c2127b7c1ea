"""Settlements in the admin: months to read, rates to add. Who owes whom stands on the pages of finance."""

from __future__ import annotations

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from hotels.admin.base import AuditedAdmin, GrowingMixin, ReadOnlyAdmin
from loyalty.models import SettlementRate, SettlementRun


@admin.register(SettlementRun)
class SettlementRunAdmin(GrowingMixin, ReadOnlyAdmin):
    """Months settled between the properties, newest first."""

    list_display = ["__str__", "programme", "currency", "closed_at", "closed_by"]
    list_select_related = ["programme", "closed_by"]
    list_filter = ["programme"]
    search_fields = ["=programme__code"]
    search_help_text = _("Code of the programme")
    ordering = ["-id"]


@admin.register(SettlementRate)
class SettlementRateAdmin(AuditedAdmin):
    """What a point is worth between properties, from a date on; another follows it, none is altered."""

    list_display = ["programme", "effective_from", "rate"]
    list_select_related = ["programme"]
    list_filter = ["programme"]
    search_fields = ["=programme__code"]
    search_help_text = _("Code of the programme")
    ordering = ["-effective_from", "-id"]

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Never: months were settled by it."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Never, for the same reason."""
        return False
