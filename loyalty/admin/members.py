"""Memberships and what happened to them, to read; services and jobs write them."""

from __future__ import annotations

from typing import cast

from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from import_export import fields
from unfold.contrib.filters.admin import RangeDateFilter, RangeDateTimeFilter

from hotels.admin.base import ExportAdminMixin, GrowingMixin, ReadOnlyAdmin, ReadOnlyInline
from hotels.resources import EXPORT_FORMATS, SafeResource
from loyalty.admin.member_acts import TierActs
from loyalty.models import Account, Membership, QualificationEntry, Redemption, RedemptionEvent, TierChange


class MembershipResource(SafeResource):
    """Memberships as exported."""

    number = fields.Field("number", _("membership number"))
    guest = fields.Field("guest__name", _("guest"))
    tier = fields.Field("tier__name", _("tier"))
    tier_since_date = fields.Field("tier_since_date", _("in the tier since"))
    status = fields.Field("get_status_display", _("status"))
    enrolled_at = fields.Field("enrolled_at", _("enrolled at"))
    available = fields.Field(column_name=_("available"))
    pending = fields.Field(column_name=_("pending"))

    class Meta:
        model = Membership
        fields = ["number", "guest", "tier", "tier_since_date", "status", "enrolled_at", "available", "pending"]
        export_order = fields
        name = _("Memberships")

    def dehydrate_available(self, membership: Membership) -> int:
        """Points that can be spent."""
        return sum(account.available for account in membership.accounts.all())

    def dehydrate_pending(self, membership: Membership) -> int:
        """Points that wait for release."""
        return sum(account.pending for account in membership.accounts.all())


@admin.register(Membership)
class MembershipAdmin(TierActs, ExportAdminMixin, GrowingMixin, ReadOnlyAdmin):
    """Members with tier and points."""

    resource_classes = [MembershipResource]
    formats = EXPORT_FORMATS
    list_display = [
        "number",
        "guest",
        "tier",
        "tier_since_date",
        "available",
        "pending",
        "debt",
        "status",
        "enrolled_at",
    ]
    list_select_related = ["guest", "tier", "programme", "enrolled_property", "enrolled_by"]
    list_filter = ["status", "programme", "tier", ("enrolled_at", RangeDateTimeFilter)]
    ordering = ["-id"]
    search_fields = ["=number", "guest__name__startswith"]
    search_help_text = _("Whole membership number, or beginning of the guest's name")
    fields = [
        "number",
        "programme",
        "guest",
        "tier",
        "tier_since_date",
        "protected_until_date",
        "protected_reason",
        "available",
        "pending",
        "debt",
        "status",
        "enrolled_at",
        "enrolled_property",
        "enrolled_by",
    ]
    readonly_fields = ["available", "pending", "debt"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        """With the points account in one further query."""
        points = Account.objects.filter(unit="points").order_by("pk")
        return cast(
            "QuerySet[Membership]", super().get_queryset(request).prefetch_related(Prefetch("accounts", points))
        )

    def _balance(self, membership: Membership, name: str) -> str:
        return f"{sum(getattr(account, name) for account in membership.accounts.all()):,}"

    @admin.display(description=_("available"))
    def available(self, membership: Membership) -> str:
        """Points that can be spent."""
        return self._balance(membership, "available")

    @admin.display(description=_("pending"))
    def pending(self, membership: Membership) -> str:
        """Points that wait for release."""
        return self._balance(membership, "pending")

    @admin.display(description=_("debt"))
    def debt(self, membership: Membership) -> str:
        """Points to be repaid by later ones."""
        return self._balance(membership, "debt")


class RedemptionResource(SafeResource):
    """Redemptions as exported."""

    redeemed_at = fields.Field("redeemed_at", _("redeemed at"))
    membership = fields.Field("membership__number", _("membership number"))
    reward = fields.Field("reward__name", _("reward"))
    quantity = fields.Field("quantity", _("quantity"))
    points = fields.Field("points", _("points"))
    cash = fields.Field("cash", _("and money"))
    currency = fields.Field("currency", _("currency"))
    for_date = fields.Field("for_date", _("for the day"))
    property = fields.Field("property__code", _("property"))
    status = fields.Field("get_status_display", _("status"))

    class Meta:
        model = Redemption
        fields = [
            "redeemed_at",
            "membership",
            "reward",
            "quantity",
            "points",
            "cash",
            "currency",
            "for_date",
            "property",
            "status",
        ]
        export_order = fields
        name = _("Redemptions")


class RedemptionEventInline(ReadOnlyInline):
    """What happened to it, by whom."""

    model = RedemptionEvent
    fields = ["at", "kind", "actor", "spoken_reason"]
    readonly_fields = ["spoken_reason"]
    ordering = ["pk"]

    @admin.display(description=_("reason or note"))
    def spoken_reason(self, event: RedemptionEvent) -> str:
        """In the actor's words."""
        return event.spoken_reason


@admin.register(Redemption)
class RedemptionAdmin(ExportAdminMixin, GrowingMixin, ReadOnlyAdmin):
    """Rewards that members took."""

    place_path = "property"
    resource_classes = [RedemptionResource]
    formats = EXPORT_FORMATS
    inlines = [RedemptionEventInline]
    list_display = [
        "redeemed_at",
        "membership",
        "reward",
        "quantity",
        "points",
        "for_date",
        "property",
        "status",
        "actor",
    ]
    list_select_related = ["membership", "reward", "property", "actor"]
    list_filter = ["status", "reward", "property", ("redeemed_at", RangeDateTimeFilter)]
    ordering = ["-id"]
    search_fields = ["=membership__number"]
    search_help_text = _("Whole membership number")
    exclude = ["public_id", "stock_ids", "use_ids"]


@admin.register(TierChange)
class TierChangeAdmin(GrowingMixin, ReadOnlyAdmin):
    """Each change of a tier with the figures it was decided on."""

    list_display = ["effective_date", "membership", "from_tier", "to_tier", "reason", "actor"]
    list_select_related = ["membership", "from_tier", "to_tier", "actor"]
    list_filter = ["to_tier", ("effective_date", RangeDateFilter)]
    ordering = ["-id"]
    search_fields = ["=membership__number"]
    search_help_text = _("Whole membership number")


@admin.register(QualificationEntry)
class QualificationEntryAdmin(GrowingMixin, ReadOnlyAdmin):
    """What each stay counts towards a tier."""

    list_display = ["business_date", "membership", "stay", "nights", "stays", "amount", "revision"]
    list_select_related = ["membership", "stay"]
    list_filter = [("business_date", RangeDateFilter)]
    ordering = ["-id"]
    search_fields = ["=membership__number"]
    search_help_text = _("Whole membership number")
