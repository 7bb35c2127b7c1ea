"""Stored value and transfers in the admin: policies are set here, what happened is read."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from import_export import fields
from unfold.contrib.filters.admin import RangeDateTimeFilter

from hotels.admin.base import ExportAdminMixin, GrowingMixin, ReadOnlyAdmin, ScopedInline
from hotels.resources import EXPORT_FORMATS, SafeResource
from loyalty.admin.friends import PolicyAdmin
from loyalty.models import PointsTransfer, StoredValueMovement, StoredValuePolicy, TopUpStep, TransferPolicy
from loyalty.rules.money import minor, money, whole


class MinorUnitsField(forms.DecimalField):
    """Money as people write it, kept in minor units."""

    def prepare_value(self, value: Any) -> Any:
        """The stored amount with two places."""
        return whole(value) if isinstance(value, int) else value

    def clean(self, value: Any) -> Any:
        """Minor units."""
        cleaned = super().clean(value)
        return None if cleaned is None else minor(cleaned)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare what was written with what is stored as money."""
        return super().has_changed(self.prepare_value(initial), data)


class TopUpStepForm(forms.ModelForm):  # type: ignore[type-arg]
    """One step of the gifts, in whole money."""

    amount = MinorUnitsField(label=capfirst(_("from an amount of")), min_value=Decimal("0.01"), decimal_places=2)
    gift = MinorUnitsField(label=capfirst(_("gift")), min_value=0, decimal_places=2)

    class Meta:
        model = TopUpStep
        fields = ("amount", "gift")


class TopUpStepInline(ScopedInline):
    """The gifts of a policy; they stay with it once it has begun."""

    model = TopUpStep
    form = TopUpStepForm
    extra = 1


@admin.register(StoredValuePolicy)
class StoredValuePolicyAdmin(PolicyAdmin):
    """Gifts, what pays first, refunds and expiry from a date on."""

    inlines = (TopUpStepInline,)
    list_display = [
        "effective_from",
        "programme",
        "brand",
        "property",
        "is_open",
        "currency",
        "gifts",
        "spending_order",
        "gift_refund",
    ]
    list_select_related = ["programme", "brand", "property"]
    list_filter = ["programme", "brand", "property"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[StoredValuePolicy]:
        """Policies with their steps."""
        return super().get_queryset(request).prefetch_related("steps")

    @admin.display(description=_("gifts"))
    def gifts(self, policy: StoredValuePolicy) -> str:
        """What each step gives, as a guest reads it."""
        return " · ".join(
            str(_("from %(amount)s: %(gift)s"))
            % {
                "amount": money(whole(step.amount), policy.currency),
                "gift": money(whole(step.gift), policy.currency),
            }
            for step in policy.steps.all()
        )


class StoredValueMovementResource(SafeResource):
    """Movements as exported."""

    made_at = fields.Field("made_at", _("at"))
    membership = fields.Field("membership__number", _("membership"))
    property = fields.Field("property__code", _("property"))
    kind = fields.Field("get_kind_display", _("kind"))
    currency = fields.Field("currency", _("currency"))
    principal = fields.Field(column_name=_("principal"))
    gift = fields.Field(column_name=_("gift"))
    method = fields.Field("get_method_display", _("paid by"))
    reference = fields.Field("reference", _("reference"))
    undone_at = fields.Field("undone_at", _("undone at"))

    class Meta:
        model = StoredValueMovement
        fields = (
            "made_at",
            "membership",
            "property",
            "kind",
            "currency",
            "principal",
            "gift",
            "method",
            "reference",
            "undone_at",
        )
        export_order = fields
        name = _("Stored-value movements")

    def dehydrate_principal(self, movement: StoredValueMovement) -> Decimal:
        """In whole money."""
        return whole(movement.principal)

    def dehydrate_gift(self, movement: StoredValueMovement) -> Decimal:
        """In whole money."""
        return whole(movement.gift)


@admin.register(StoredValueMovement)
class StoredValueMovementAdmin(ExportAdminMixin, GrowingMixin, ReadOnlyAdmin):
    """Top-ups, payments and refunds."""

    place_path = "property"
    resource_classes = (StoredValueMovementResource,)
    formats = EXPORT_FORMATS
    list_display = [
        "made_at",
        "membership",
        "property",
        "kind",
        "principal_text",
        "gift_text",
        "method",
        "reference",
        "actor",
        "undone_at",
    ]
    list_select_related = ["membership", "property", "policy", "actor", "top_up"]
    list_filter = ["kind", "method", "property", ("made_at", RangeDateTimeFilter)]
    ordering = ("-id",)
    search_fields = ("=membership__number", "=reference")
    search_help_text = _("Whole membership number or reference")
    exclude = ("public_id",)

    @admin.display(description=_("principal"))
    def principal_text(self, movement: StoredValueMovement) -> str:
        """As money."""
        return money(whole(movement.principal), movement.currency)

    @admin.display(description=_("gift"))
    def gift_text(self, movement: StoredValueMovement) -> str:
        """As money."""
        return money(whole(movement.gift), movement.currency)


@admin.register(TransferPolicy)
class TransferPolicyAdmin(PolicyAdmin):
    """How much members may pass on."""

    list_display = [
        "effective_from",
        "programme",
        "is_open",
        "min_points",
        "max_points",
        "fee_points",
        "year_limit_out",
        "year_limit_in",
    ]


@admin.register(PointsTransfer)
class PointsTransferAdmin(GrowingMixin, ReadOnlyAdmin):
    """Points that members passed on."""

    list_display = ["made_at", "giver", "receiver", "points", "fee_points", "property", "actor", "undone_at"]
    list_select_related = ["giver", "receiver", "policy", "property", "actor"]
    list_filter = ["property", ("made_at", RangeDateTimeFilter)]
    ordering = ("-id",)
    search_fields = ("=giver__number", "=receiver__number")
    search_help_text = _("Whole membership number")
    exclude = ("public_id",)
