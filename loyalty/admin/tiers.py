"""What tiers need, how long they last, and what they give: each changed from a date on."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from hotels.admin.base import AuditedAdmin, GrowingMixin, ReadOnlyAdmin
from loyalty.admin.dated import DatedAdmin, DatedForm, actor_of, in_words
from loyalty.models import (
    ChallengeEntry,
    TierBenefit,
    TierChallenge,
    TierCriteria,
    TierPolicy,
    TierWarning,
)
from loyalty.rules.qualification import TARGET
from loyalty.services.tier_terms import (
    POLICY_TERMS,
    change_tier_benefit,
    change_tier_criteria,
    change_tier_policy,
)
from members.forms import ConditionField

CARRIED = [
    ("nights", _("nights")),
    ("stays", _("stays")),
    ("amount", _("spend")),
    ("points", _("qualifying points")),
]


class TierPolicyForm(DatedForm[TierPolicy]):
    """A policy; one in force stays as it is."""

    carry_over = forms.MultipleChoiceField(
        label=_("carried over"),
        choices=CARRIED,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=TierPolicy._meta.get_field("carry_over").help_text,
    )
    stay_conditions = ConditionField(
        target="stay",
        label=_("stays that count"),
        required=False,
        help_text=TierPolicy._meta.get_field("stay_conditions").help_text,
    )

    class Meta:
        model = TierPolicy
        fields = ["programme", "effective_from", *POLICY_TERMS]

    def clean(self) -> dict[str, Any] | None:
        """Refuse a tier of another programme."""
        cleaned = super().clean() or {}
        tier, programme = cleaned.get("carry_over_tier"), cleaned.get("programme")
        if tier and programme and tier.programme_id != programme.pk:
            self.add_error("carry_over_tier", _("This tier belongs to another programme."))
        return cleaned


class TierCriteriaForm(DatedForm[TierCriteria]):
    """Thresholds; those in force stay."""

    conditions = ConditionField(target=TARGET, required=True, label=_("reached by"))

    class Meta:
        model = TierCriteria
        fields = ["tier", "effective_from", "conditions"]


class TierBenefitForm(DatedForm[TierBenefit]):
    """A benefit; one in force may only be given an end."""

    class Meta:
        model = TierBenefit
        fields = [
            "tier",
            "name",
            "name_en",
            "kind",
            "period",
            "quantity",
            "property",
            "effective_from",
            "effective_until",
        ]


@admin.register(TierPolicy)
class TierPolicyAdmin(DatedAdmin):
    """How each programme counts, and how long its tiers last, by date."""

    form = TierPolicyForm
    change_from_fields = POLICY_TERMS
    list_display = ["programme", "effective_from", "state", "window", "validity", "downgrade", "upgrade_timing"]
    list_display_links = ["programme", "effective_from"]
    list_select_related = ["programme"]
    list_filter = ["programme", "window", "validity"]
    ordering = ["programme", "-effective_from", "pk"]
    search_fields = ["programme__code", "programme__name"]
    compressed_fields = True
    fieldsets = [
        (None, {"fields": ["programme", "effective_from"]}),
        (
            _("What counts"),
            {
                "fields": [
                    "window",
                    "window_months",
                    "stay_conditions",
                    "night_counting",
                    "free_nights",
                    "no_show_nights",
                    "day_use",
                ]
            },
        ),
        (_("A new year, a new tier"), {"fields": ["carry_over", "carry_over_tier", "zero_on_change"]}),
        (_("Upgrade and validity"), {"fields": ["upgrade_timing", "validity", "validity_months"]}),
        (_("Downgrade"), {"fields": ["grace_days", "downgrade", "warning_days", "four_eyes"]}),
    ]

    def apply(self, request: HttpRequest, row: TierPolicy, values: dict[str, Any]) -> models.Model:
        """Let the new policy begin."""
        return change_tier_policy(
            actor=actor_of(request),
            now=timezone.now(),
            policy_id=row.pk,
            from_date=values["effective_from"],
            terms={name: values[name] for name in POLICY_TERMS},
        )


@admin.register(TierCriteria)
class TierCriteriaAdmin(DatedAdmin):
    """Thresholds of all tiers, by date."""

    form = TierCriteriaForm
    change_from_fields = ("conditions",)
    list_display = ["tier", "effective_from", "state", "in_words"]
    list_select_related = ["tier__programme"]
    list_filter = ["tier"]
    ordering = ["tier__rank", "-effective_from", "pk"]
    search_fields = ["tier__name", "tier__name_en"]

    @admin.display(description=_("reached by"))
    def in_words(self, row: TierCriteria) -> str:
        """The conditions as a sentence."""
        return in_words(row.conditions, TARGET)

    def apply(self, request: HttpRequest, row: TierCriteria, values: dict[str, Any]) -> models.Model:
        """Let the new thresholds begin."""
        return change_tier_criteria(
            actor=actor_of(request),
            now=timezone.now(),
            criteria_id=row.pk,
            from_date=values["effective_from"],
            conditions=values["conditions"],
        )


@admin.register(TierBenefit)
class TierBenefitAdmin(DatedAdmin):
    """Benefits of all tiers, by date."""

    form = TierBenefitForm
    change_from_fields = ("name", "name_en", "kind", "period", "quantity")
    list_display = [
        "name",
        "name_en",
        "state",
        "kind",
        "period",
        "quantity",
        "tier",
        "property",
        "effective_from",
        "effective_until",
    ]
    list_select_related = ["tier__programme", "property"]
    list_filter = ["tier", "property", "kind"]
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
            kind=values["kind"],
            period=values["period"],
            quantity=values["quantity"],
        )


class TierChallengeForm(forms.ModelForm[TierChallenge]):
    """A challenge."""

    conditions = ConditionField(target=TARGET, required=True, label=_("to be met"))

    class Meta:
        model = TierChallenge
        fields = [
            "programme",
            "code",
            "name",
            "name_en",
            "tier",
            "conditions",
            "days",
            "valid_months",
            "opens_on",
            "closes_on",
        ]


@admin.register(TierChallenge)
class TierChallengeAdmin(AuditedAdmin):
    """Ways to a tier within some days."""

    form = TierChallengeForm
    list_display = ["code", "name", "name_en", "tier", "in_words", "days", "opens_on", "closes_on"]
    list_display_links = ["code", "name"]
    list_select_related = ["tier__programme"]
    list_filter = ["programme", "tier"]
    ordering = ["programme", "code", "pk"]
    search_fields = ["code", "name", "name_en"]
    compressed_fields = True

    @admin.display(description=_("to be met"))
    def in_words(self, row: TierChallenge) -> str:
        """The conditions as a sentence."""
        return in_words(row.conditions, TARGET)

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[str]:
        """What members have started on stays as it is; it may be closed."""
        if isinstance(obj, TierChallenge) and obj.entries.exists():
            return ["programme", "code", "tier", "days", "valid_months", "opens_on"]
        return []

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Only what nobody has started on."""
        allowed = super().has_delete_permission(request, obj)
        return allowed and not (isinstance(obj, TierChallenge) and obj.entries.exists())


@admin.register(ChallengeEntry)
class ChallengeEntryAdmin(GrowingMixin, ReadOnlyAdmin):
    """Who tries which challenge, and how it ended."""

    list_display = ["membership", "challenge", "from_date", "until_date", "state", "decided_at"]
    list_select_related = ["membership", "challenge__tier"]
    list_filter = ["state", "challenge"]
    ordering = ["-id"]
    search_fields = ["=membership__number"]
    search_help_text = _("Whole membership number")


@admin.register(TierWarning)
class TierWarningAdmin(GrowingMixin, ReadOnlyAdmin):
    """Members to be told that their tier ends."""

    list_display = ["until_date", "membership", "tier", "next_tier", "created_at", "sent_at"]
    list_select_related = ["membership", "tier", "next_tier"]
    list_filter = ["tier", ("sent_at", admin.EmptyFieldListFilter)]
    ordering = ["-id"]
    search_fields = ["=membership__number"]
    search_help_text = _("Whole membership number")
