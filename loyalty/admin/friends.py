"""Referrals and shares in the admin: policies are set here, the rest is read."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from import_export import fields
from unfold.contrib.filters.admin import RangeDateFilter, RangeDateTimeFilter

from hotels.admin.base import AuditedAdmin, ExportAdminMixin, GrowingMixin, ReadOnlyAdmin
from hotels.resources import EXPORT_FORMATS, SafeResource
from loyalty.models import Membership, Referral, ReferralPolicy, SharePolicy, SocialShare
from loyalty.services.rules import RuleChangeRefused, check_start, last_begun_date
from members.forms import ConditionField


class PolicyForm(forms.ModelForm):  # type: ignore[type-arg]
    """A policy begins in the future once there are members."""

    def clean(self) -> dict[str, Any] | None:
        """Refuse a first day that has begun."""
        cleaned = super().clean()
        programme = (cleaned or {}).get("programme") or getattr(self.instance, "programme", None)
        if cleaned is None or programme is None or not Membership.objects.filter(programme=programme).exists():
            return cleaned
        try:
            check_start(cleaned.get("effective_from"), today=last_begun_date(programme, timezone.now()))
        except RuleChangeRefused as refused:
            self.add_error("effective_from", ValidationError(str(refused.message), code=refused.code))
        return cleaned


class ReferralPolicyForm(PolicyForm):
    """What the friend's first stay has to be is built like every other condition."""

    condition = ConditionField(target="stay", required=False, label=capfirst(_("condition of the stay")))


class PolicyAdmin(AuditedAdmin):
    """Policies by the day they begin; what has begun stays as it is."""

    form = PolicyForm
    list_select_related = ["programme"]
    list_filter = ["programme"]
    ordering = ["programme", "-effective_from", "-id"]
    search_fields = ["=programme__code"]
    search_help_text = _("Whole code of the program")

    def _has_begun(self, obj: Any) -> bool:
        return obj is not None and obj.effective_from <= last_begun_date(obj.programme, timezone.now())

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Not of one that has begun: friends were promised it."""
        return super().has_change_permission(request, obj) and not self._has_begun(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Neither."""
        return super().has_delete_permission(request, obj) and not self._has_begun(obj)


@admin.register(ReferralPolicy)
class ReferralPolicyAdmin(PolicyAdmin):
    """What a referral takes."""

    form = ReferralPolicyForm
    list_display = [
        "effective_from",
        "programme",
        "is_open",
        "entry_days",
        "stay_days",
        "min_amount",
        "month_limit",
        "year_limit",
    ]


@admin.register(SharePolicy)
class SharePolicyAdmin(PolicyAdmin):
    """How many shares a member may hand in."""

    list_display = ["effective_from", "programme", "month_limit", "needs_link"]


class ReferralResource(SafeResource):
    """Referrals as exported."""

    entered_at = fields.Field("entered_at", _("entered at"))
    referrer = fields.Field("referrer__number", _("referred by"))
    friend = fields.Field("friend__number", _("friend's membership"))
    state = fields.Field("get_state_display", _("state"))
    reason = fields.Field("get_reason_display", _("reason"))
    joined_on = fields.Field("joined_on", _("joined on"))
    qualified_on = fields.Field("qualified_on", _("counts on"))

    class Meta:
        model = Referral
        fields = ["entered_at", "referrer", "friend", "state", "reason", "joined_on", "qualified_on"]
        export_order = fields
        name = _("Referrals")


@admin.register(Referral)
class ReferralAdmin(ExportAdminMixin, GrowingMixin, ReadOnlyAdmin):
    """Friends of members, with the reasons of those refused."""

    resource_classes = [ReferralResource]
    formats = EXPORT_FORMATS
    list_display = ["entered_at", "referrer", "guest", "state", "reason", "joined_on", "qualified_on", "property"]
    list_select_related = [
        "programme",
        "referrer",
        "guest",
        "friend",
        "policy",
        "stay",
        "property",
        "entered_by",
        "decided_by",
    ]
    list_filter = ["state", "reason", "programme", ("entered_at", RangeDateTimeFilter)]
    ordering = ["-id"]
    search_fields = ["=referrer__number", "=friend__number", "=code"]
    search_help_text = _("Whole membership number or code")
    exclude = ["public_id"]


@admin.register(SocialShare)
class SocialShareAdmin(GrowingMixin, ReadOnlyAdmin):
    """Posts that members handed in; staff decide on their own page."""

    list_display = ["submitted_at", "membership", "platform", "link", "state", "reason", "decided_by", "property"]
    list_select_related = ["programme", "membership", "property", "submitted_by", "decided_by"]
    list_filter = ["state", "platform", "property", ("submitted_on", RangeDateFilter)]
    ordering = ["-id"]
    search_fields = ["=membership__number"]
    search_help_text = _("Whole membership number")
    exclude = ["public_id"]
