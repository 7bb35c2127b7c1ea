"""Programmes, tiers with their thresholds and benefits, and rewards in the admin."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from hotels.admin.base import AuditedAdmin, ScopedInline
from loyalty.admin.dated import DatedFormSet, change_from_link, in_words
from loyalty.admin.tiers import TierBenefitForm, TierCriteriaForm
from loyalty.models import Programme, Tier, TierBenefit, TierCriteria
from loyalty.rules.qualification import TARGET
from loyalty.selectors.findings import findings_of_tiers


class ProgrammeForm(forms.ModelForm[Programme]):
    """The programme; what a complete profile has is ticked."""

    profile_fields = forms.MultipleChoiceField(
        label=_("A complete profile has"),
        choices=Programme.ProfileField.choices,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=_("What brings the points for a completed profile. Empty: nothing does."),
    )

    class Meta:
        model = Programme
        exclude: list[str] = []


@admin.register(Programme)
class ProgrammeAdmin(AuditedAdmin):
    """The programme and its ledger policies."""

    form = ProgrammeForm
    list_display = ["code", "name", "name_en", "currency", "time_zone", "expiry_months", "pending_days"]
    ordering = ["code", "pk"]
    search_fields = ["code", "name", "name_en"]
    compressed_fields = True
    fieldsets = [
        (None, {"fields": ["code", "name", "name_en", "number_prefix"]}),
        (_("Place and money"), {"fields": ["time_zone", "currency", "point_value"]}),
        (
            _("Life of points"),
            {
                "fields": [
                    "pending_days",
                    "expiry_months",
                    "expiry_rounding",
                    "bonus_expiry_months",
                    "shortfall_policy",
                    "lapsed_return_policy",
                    "lapsed_return_grace_days",
                ]
            },
        ),
        (
            _("Lapse by inactivity"),
            {
                "fields": [
                    "inactivity_months",
                    "inactivity_from_date",
                    "inactivity_counts_earning",
                    "inactivity_counts_redeeming",
                    "inactivity_counts_stays",
                    "inactivity_exempt_tier",
                    "expiry_notice_days",
                    "expiry_needs_notice",
                ]
            },
        ),
        (_("Earning"), {"fields": ["activity_date", "profile_fields"]}),
    ]

    def get_form(
        self, request: HttpRequest, obj: models.Model | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Only the programme's own tiers exempt its members."""
        form = super().get_form(request, obj, change, **kwargs)
        if "inactivity_exempt_tier" in form.base_fields:
            tiers = Tier.objects.filter(programme=obj.pk if obj else None).order_by("rank")
            form.base_fields["inactivity_exempt_tier"].queryset = tiers
        return form

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[str]:
        """Code, currency and time zone of a programme are facts that its history is written in."""
        return ["code", "currency", "time_zone"] if obj else []

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Never: the ledger belongs to it."""
        return False


class DatedInline(ScopedInline):
    """Rows of a tier, each with a link to “change from a date”."""

    formset = DatedFormSet
    readonly_fields = ["change_from"]

    @admin.display(description="")
    def change_from(self, row: Any) -> str:
        """The link, once the row is stored."""
        return change_from_link(row)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With the programme, whose days count."""
        return super().get_queryset(request).select_related("tier__programme")


class TierCriteriaInline(DatedInline):
    """What reaches the tier."""

    model = TierCriteria
    form = TierCriteriaForm
    fields = ["effective_from", "conditions", "in_words", "change_from"]
    readonly_fields = ["in_words", "change_from"]
    ordering = ["-effective_from", "pk"]

    @admin.display(description=_("in words"))
    def in_words(self, row: TierCriteria) -> str:
        """The conditions as a sentence."""
        return in_words(row.conditions, TARGET) if row.pk else ""


class TierBenefitInline(DatedInline):
    """What the tier gets."""

    model = TierBenefit
    form = TierBenefitForm
    fields = [
        "name",
        "name_en",
        "kind",
        "period",
        "quantity",
        "property",
        "effective_from",
        "effective_until",
        "change_from",
    ]
    ordering = ["-effective_from", "pk"]


@admin.register(Tier)
class TierAdmin(AuditedAdmin):
    """Levels of a programme with their thresholds and benefits."""

    list_display = ["rank", "name", "name_en", "code", "is_purchasable", "programme"]
    list_display_links = ["name"]
    list_select_related = ["programme"]
    list_filter = ["programme"]
    ordering = ["programme", "rank", "pk"]
    search_fields = ["code", "name", "name_en"]
    compressed_fields = True
    inlines = [TierCriteriaInline, TierBenefitInline]
    change_form_outer_before_template = "admin/loyalty/findings.html"

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """With gaps and overlaps between the thresholds of the programme's tiers."""
        more = dict(extra_context or {})
        tier = self.get_object(request, object_id) if object_id else None
        if tier is not None:
            more["findings"] = findings_of_tiers(tier.programme, today=tier.programme.local_date(timezone.now()))
        return super().changeform_view(request, object_id, form_url, more)

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[str]:
        """Programme, code and rank of a tier stay: history and other systems refer to them."""
        return ["programme", "code", "rank"] if obj else []
