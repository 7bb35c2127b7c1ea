"""Referrals and shares in the admin: policies are set here, the rest is read."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from import_export import fields
from unfold.contrib.filters.admin import RangeDateFilter, RangeDateTimeFilter

from hotels.admin.base import AuditedAdmin, ExportAdminMixin, GrowingMixin, ReadOnlyAdmin
from hotels.resources import EXPORT_FORMATS, SafeResource
from loyalty.models import Membership, Referral, ReferralPolicy, SharePolicy, SocialShare
from loyalty.models.referral import any_stay
from loyalty.services.rules import RuleChangeRefused, check_start, last_begun_date
from members.rules.conditions import InvalidCondition, parse


class PolicyForm(forms.ModelForm):  # type: ignore[type-arg]
    """A policy begins in the future once there are members; its condition is one that can be asked of stays."""

    def clean_condition(self) -> dict[str, Any]:
        """Refuse what is no condition, with the reason."""
        tree = self.cleaned_data["condition"] or any_stay()
        try:
            parse(tree, "stay")
        except InvalidCondition as error:
            raise ValidationError([str(message) for _path, _code, message in error.errors]) from error
        return cast("dict[str, Any]", tree)

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
