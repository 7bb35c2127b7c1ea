"""Campaigns in the admin."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RangeDateFilter

from campaigns.models import Campaign
from hotels.admin.base import AuditedAdmin


@admin.register(Campaign)
class CampaignAdmin(AuditedAdmin):
    """Offers for a time."""

    list_display = ["name", "name_en", "status", "starts_on", "ends_on", "property", "minimum_tier"]
    list_select_related = ["property", "minimum_tier"]
    list_filter = ["status", "property", ("starts_on", RangeDateFilter)]
    ordering = ["-starts_on", "-id"]
    search_fields = ["name", "name_en", "offer"]
    fieldsets = [
        (None, {"fields": ["name", "name_en", "status"]}),
        (_("Offer"), {"fields": ["offer", "offer_en"]}),
        (_("For whom and when"), {"fields": ["starts_on", "ends_on", "property", "minimum_tier"]}),
    ]
