"""Programmes, tiers with thresholds and benefits, rewards in the admin."""

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
from loyalty.admin.dated import (
    BenefitForm,
    DatedAdmin,
    DatedForm,
    DatedFormSet,
    ThresholdForm,
    actor_of,
    change_from_link,
)
from loyalty.models import Programme, Reward, Tier, TierBenefit, TierCriteria
from loyalty.services.rules import change_tier_benefit, change_tier_criteria


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
        (_("Tiers"), {"fields": ["qualification_months"]}),
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


class TierCriteriaForm(DatedForm[TierCriteria]):
    """Thresholds; those in force stay."""

    class Meta:
        model = TierCriteria
        fields = ["tier", "effective_from", "min_amount", "min_stays", "min_nights"]


class TierBenefitForm(DatedForm[TierBenefit]):
    """A benefit; one in force may only be given an end."""

    class Meta:
        model = TierBenefit
        fields = ["tier", "name", "name_en", "property", "effective_from", "effective_until"]


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
    fields = ["effective_from", "min_amount", "min_stays", "min_nights", "change_from"]
    ordering = ["-effective_from", "pk"]


class TierBenefitInline(DatedInline):
    """What the tier gets."""

    model = TierBenefit
    form = TierBenefitForm
    fields = ["name", "name_en", "property", "effective_from", "effective_until", "change_from"]
    ordering = ["-effective_from", "pk"]


@admin.register(Tier)
class TierAdmin(AuditedAdmin):
    """Levels of a programme with their thresholds and benefits."""

    list_display = ["rank", "name", "name_en", "code", "programme"]
    list_display_links = ["name"]
    list_select_related = ["programme"]
    list_filter = ["programme"]
    ordering = ["programme", "rank", "pk"]
    search_fields = ["code", "name", "name_en"]
    compressed_fields = True
    inlines = [TierCriteriaInline, TierBenefitInline]

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[str]:
        """Programme, code and rank of a tier stay: history and other systems refer to them."""
        return ["programme", "code", "rank"] if obj else []


@admin.register(TierCriteria)
class TierCriteriaAdmin(DatedAdmin):
    """Thresholds of all tiers, by date."""

    form = TierCriteriaForm
    change_from_form = ThresholdForm
    change_from_fields = ("min_amount", "min_stays", "min_nights")
    list_display = ["tier", "effective_from", "min_amount", "min_stays", "min_nights"]
    list_select_related = ["tier__programme"]
    list_filter = ["tier"]
    ordering = ["tier__rank", "-effective_from", "pk"]
    search_fields = ["tier__name", "tier__name_en"]

    def apply(self, request: HttpRequest, row: TierCriteria, values: dict[str, Any]) -> models.Model:
        """Let the new thresholds begin."""
        return change_tier_criteria(
            actor=actor_of(request),
            now=timezone.now(),
            criteria_id=row.pk,
            from_date=values["effective_from"],
            min_amount=values["min_amount"],
            min_stays=values["min_stays"],
            min_nights=values["min_nights"],
        )


@admin.register(TierBenefit)
class TierBenefitAdmin(DatedAdmin):
    """Benefits of all tiers, by date."""

    form = TierBenefitForm
    change_from_form = BenefitForm
    change_from_fields = ("name", "name_en")
    list_display = ["name", "name_en", "state", "tier", "property", "effective_from", "effective_until"]
    list_select_related = ["tier__programme", "property"]
    list_filter = ["tier", "property"]
    ordering = ["tier__rank", "-effective_from", "pk"]
    search_fields = ["name", "name_en"]

    def apply(self, request: HttpRequest, row: TierBenefit, values: dict[str, Any]) -> models.Model:
        """Let the new benefit begin."""
        return change_tier_benefit(
            actor=actor_of(request),
            now=timezone.now(),
            benefit_id=row.pk,
            from_date=values["effective_from"],
            name=values["name"],
            name_en=values["name_en"],
        )


@admin.register(Reward)
class RewardAdmin(AuditedAdmin):
    """What points are spent on; a price holds from the moment it is saved."""

    list_display = ["code", "name", "name_en", "category", "points", "is_active", "programme"]
    list_select_related = ["programme"]
    list_filter = ["programme", "category", "is_active"]
    ordering = ["programme", "points", "pk"]
    search_fields = ["code", "name", "name_en"]
