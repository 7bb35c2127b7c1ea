"""Limits and velocity rules are set here; requests and movements are read."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.decorators import display

from hotels.admin.base import GrowingMixin, ReadOnlyAdmin
from hotels.rules import role_allows
from loyalty.admin.friends import PolicyAdmin, PolicyForm
from loyalty.models import ApprovalLimit, ApprovalRequest, MovementRecord, VelocityRule

DECIDE = "loyalty.decide_approval"


def _check_role(form: PolicyForm, cleaned: dict[str, Any] | None, field: str) -> None:
    role = (cleaned or {}).get(field)
    if role and not role_allows(role, DECIDE):
        form.add_error(field, ValidationError(_("This role approves nothing."), code="not_an_approver"))


class ApprovalLimitForm(PolicyForm):
    """A limit that begins in the future, decided by a role that may."""

    def clean(self) -> dict[str, Any] | None:
        """Refuse approvers without the right, and a day's limit below that of one movement."""
        cleaned = super().clean()
        _check_role(self, cleaned, "approver_role")
        one, day = (cleaned or {}).get("per_movement"), (cleaned or {}).get("per_day")
        if one is not None and day is not None and day < one:
            self.add_error(
                "per_day",
                ValidationError(_("The limit per day is below the one per movement."), code="day_below_movement"),
            )
        return cleaned


class VelocityRuleForm(PolicyForm):
    """A rule that begins in the future, reviewed by a role that may."""

    def clean(self) -> dict[str, Any] | None:
        """Refuse reviewers without the right."""
        cleaned = super().clean()
        _check_role(self, cleaned, "reviewer_role")
        return cleaned


@admin.register(ApprovalLimit)
class ApprovalLimitAdmin(PolicyAdmin):
    """How much each role moves alone, by the day it begins."""

    form = ApprovalLimitForm
    list_display = [
        "kind",
        "role",
        "unit",
        "per_movement",
        "per_day",
        "approver_role",
        "brand",
        "property",
        "effective_from",
    ]
    list_select_related = ["programme", "brand", "property"]
    list_filter = ["programme", "kind", "role"]
    ordering = ["programme", "kind", "role", "-effective_from", "-id"]


@admin.register(VelocityRule)
class VelocityRuleAdmin(PolicyAdmin):
    """Patterns that are held or marked, by the day they begin."""

    form = VelocityRuleForm
    list_display = [
        "check_code",
        "kind",
        "count",
        "hours",
        "percent",
        "outcome",
        "reviewer_role",
        "is_active",
        "effective_from",
    ]
    list_filter = ["programme", "check_code", "kind", "outcome"]
    ordering = ["programme", "check_code", "kind", "-effective_from", "-id"]


@admin.register(ApprovalRequest)
class ApprovalRequestAdmin(GrowingMixin, ReadOnlyAdmin):
    """Requests with their decisions; they are decided on the staff page."""

    list_display = [
        "id",
        "requested_at",
        "kind",
        "membership",
        "value",
        "unit",
        "requested_by",
        "state_label",
        "decided_by",
        "property",
    ]
    list_select_related = ["programme", "membership", "property", "requested_by", "decided_by", "hold"]
    list_filter = ["state", "kind", "property", ("requested_at", RangeDateTimeFilter)]
    ordering = ["-id"]
    search_fields = ["=membership__number"]
    search_help_text = _("Whole membership number")
    exclude = ["public_id", "signature"]
    readonly_fields = ["page"]

    @display(  # type: ignore[untyped-decorator]
        description=_("state"),
        label={"pending": "warning", "approved": "success", "refused": "danger", "failed": "danger"},
    )
    def state_label(self, request: ApprovalRequest) -> tuple[str, str]:
        """Colored."""
        return str(request.state), str(request.get_state_display())

    @admin.display(description=_("page of the request"))
    def page(self, request: ApprovalRequest) -> SafeString:
        """A link to the staff page with the evidence."""
        url = reverse("loyalty:approval", args=[request.public_id])
        return format_html("<a class='text-primary-600' href='{}'>{}</a>", url, _("Open the request"))


@admin.register(MovementRecord)
class MovementRecordAdmin(GrowingMixin, ReadOnlyAdmin):
    """What was moved, by whom, within which limit."""

    list_display = ["at", "kind", "membership", "value", "unit", "limit", "actor", "property", "is_marked"]
    list_select_related = ["programme", "membership", "property", "actor", "request", "reviewed_by"]
    list_filter = ["kind", "property", ("at", RangeDateTimeFilter)]
    ordering = ["-id"]
    search_fields = ["=membership__number", "=actor__username"]
    search_help_text = _("Whole membership number or user name")
    exclude = ["signature"]

    @admin.display(description=_("marked"), boolean=True)
    def is_marked(self, record: MovementRecord) -> bool:
        """Whether a rule has marked it."""
        return bool(record.flags)
