"""Tiers that are granted, reviews of tiers, and benefits that were used."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from import_export import fields
from unfold.contrib.filters.admin import RangeDateFilter
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextInputWidget

from hotels.admin.base import AuditedAdmin, ExportAdminMixin, GrowingMixin, ReadOnlyAdmin, ScopedMixin
from hotels.resources import EXPORT_FORMATS, SafeResource
from loyalty.admin.asking import TEMPLATE, ReasonForm, ask
from loyalty.admin.dated import actor_of
from loyalty.models import (
    Entitlement,
    EntitlementUse,
    Membership,
    MovementKind,
    TierGrant,
    TierReview,
    TierReviewRow,
    TierSource,
)
from loyalty.rules.progress import explain_verdict
from loyalty.selectors.approvals import waiting_sentence
from loyalty.services.approvals import ApprovalError, GrantTier, Requested, perform_or_request
from loyalty.services.tier_grants import TierGrantError, revoke_grant
from loyalty.services.tier_reviews import (
    TierReviewError,
    apply_review,
    approve_review,
    build_review,
    decide_row,
    discard_review,
)

BY_HAND = [
    (TierSource.MANUAL, TierSource.MANUAL.label),
    (TierSource.MATCHED, TierSource.MATCHED.label),
    (TierSource.PROMOTIONAL, TierSource.PROMOTIONAL.label),
    (TierSource.PURCHASED, TierSource.PURCHASED.label),
]


class TierGrantForm(forms.ModelForm[TierGrant]):
    """A grant by hand; the service judges it when it is saved."""

    number = forms.CharField(label=_("membership number"), max_length=24, widget=UnfoldAdminTextInputWidget)
    source = forms.ChoiceField(label=_("tier from"), choices=BY_HAND)

    class Meta:
        model = TierGrant
        fields = ["tier", "source", "until_date", "reason", "proof", "proof_reference"]

    def clean_number(self) -> str:
        """Find the member."""
        number = str(self.cleaned_data["number"]).strip()
        self.membership = Membership.objects.select_related("programme").filter(number=number).first()
        if self.membership is None:
            raise ValidationError(_("There is no member with this number."), code="unknown_number")
        return number

    def clean(self) -> dict[str, Any] | None:
        """Ask the service, inside the transaction of the page; what it refuses stands above the form."""
        cleaned = super().clean() or {}
        membership, tier = getattr(self, "membership", None), cleaned.get("tier")
        if membership and tier and tier.programme_id != membership.programme_id:
            self.add_error(
                "tier", ValidationError(_("This tier belongs to another programme."), code="other_programme")
            )
        if cleaned.get("source") == TierSource.MATCHED and not (cleaned.get("proof") and cleaned.get("until_date")):
            self.add_error("proof", ValidationError(_("A status match needs a proof and a last day."), code="no_proof"))
        if cleaned.get("source") == TierSource.PURCHASED and not cleaned.get("proof_reference"):
            self.add_error("proof_reference", ValidationError(_("Give the number of the payment."), code="no_payment"))
        return cleaned


class MayGrant(ScopedMixin):
    """Rights by “may grant tiers”."""

    def _allows(self, request: HttpRequest, action: str, obj: models.Model | None) -> bool:
        wanted = "loyalty.view_tiergrant" if action == "view" else "loyalty.grant_tier"
        user: Any = request.user
        return bool(user.has_perm(wanted)) and action != "delete"


@admin.register(TierGrant)
class TierGrantAdmin(MayGrant, GrowingMixin, AuditedAdmin):
    """Tiers by hand, matched, won, bought, for life."""

    form = TierGrantForm
    list_display = ["granted_at", "membership", "tier", "source", "from_date", "until_date", "reason", "revoked_at"]
    list_select_related = ["membership", "tier", "granted_by"]
    list_filter = ["source", "tier", ("revoked_at", admin.EmptyFieldListFilter)]
    ordering = ["-id"]
    search_fields = ["=membership__number"]
    search_help_text = _("Whole membership number")
    compressed_fields = True
    actions = None
    actions_detail = ["take_back"]

    def get_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[str]:
        """To grant: who, what, until when and why; afterwards everything that is known."""
        if obj is None:
            return ["number", "tier", "source", "until_date", "reason", "proof", "proof_reference"]
        return [field.name for field in TierGrant._meta.concrete_fields if field.name not in {"id", "public_id"}]

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[str]:
        """A grant stays as it was given."""
        return self.get_fields(request, obj) if obj else []

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Never: it is taken back and given anew."""
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Grant through the service, which writes history and audit."""
        data = form.cleaned_data
        outcome = perform_or_request(
            kind=MovementKind.GRANT_TIER,
            actor=actor_of(request),
            now=timezone.now(),
            membership_id=form.membership.pk,
            payload=GrantTier(
                membership_id=form.membership.pk,
                tier_id=data["tier"].pk,
                until_date=data["until_date"],
                source=data["source"],
                proof=data["proof"],
                proof_reference=data["proof_reference"],
            ),
            reason=data["reason"],
            # A second sending gives the member nothing and is refused by the service.
            idempotency_key=str(uuid.uuid4()),
        )
        if isinstance(outcome, Requested):
            obj.asked = outcome.request
        else:
            given: TierGrant = outcome.result
            obj.pk, obj.membership, obj.granted_at = given.pk, given.membership, given.granted_at

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Nothing was added yet where somebody else decides."""
        return None if hasattr(obj, "asked") else super().log_addition(request, obj, message)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Say who decides where a grant waits for an approval."""
        if hasattr(obj, "asked"):
            messages.warning(request, waiting_sentence(obj.asked))
            return HttpResponseRedirect(reverse("admin:loyalty_tiergrant_changelist"))
        return cast("HttpResponse", super().response_add(request, obj, post_url_continue))

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """What the service refuses is said on the page, and nothing is written."""
        try:
            return cast("HttpResponse", super().add_view(request, form_url, extra_context))
        except (TierGrantError, ApprovalError) as refused:
            messages.error(request, str(refused))
            return HttpResponseRedirect(request.get_full_path())

    def has_take_back_permission(self, request: HttpRequest, object_id: str | int | None = None) -> bool:
        """As for granting."""
        return self.has_add_permission(request)

    @action(  # type: ignore[untyped-decorator]
        description=_("Take back"), url_path="take-back", permissions=["take_back"], icon="undo"
    )
    def take_back(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask why, and take the grant back."""
        grant = self.get_object(request, object_id)
        if grant is None:
            raise Http404
        return ask(
            self,
            request,
            grant,
            title=_("Take back"),
            form=ReasonForm(request.POST or None),
            act=lambda given: revoke_grant(
                actor=actor_of(request), now=timezone.now(), grant_id=grant.pk, reason=given["reason"]
            ),
            refusals=(TierGrantError,),
        )


class MayReview(ScopedMixin):
    """Rights by “may review tiers”."""

    def _allows(self, request: HttpRequest, action: str, obj: models.Model | None) -> bool:
        wanted = "loyalty.view_tierreview" if action == "view" else "loyalty.review_tiers"
        user: Any = request.user
        return bool(user.has_perm(wanted)) and action != "delete"


class TierReviewForm(forms.ModelForm[TierReview]):
    """Which programme, as on which day."""

    class Meta:
        model = TierReview
        fields = ["programme", "run_date"]

    def clean(self) -> dict[str, Any] | None:
        """Refuse a day that has not begun or has its review."""
        cleaned = super().clean() or {}
        programme, day = cleaned.get("programme"), cleaned.get("run_date")
        if programme and day and day > programme.local_date(timezone.now()):
            self.add_error("run_date", ValidationError(_("Choose a day that has begun."), code="run_date_ahead"))
        elif (
            programme
            and day
            and TierReview.objects.filter(programme=programme, run_date=day).exclude(
                state__in=[TierReview.State.DISCARDED, TierReview.State.BUILDING]
            )
        ):
            self.add_error(
                "run_date",
                ValidationError(_("There is a review of this day already; discard it first."), code="review_exists"),
            )
        return cleaned


@admin.register(TierReview)
class TierReviewAdmin(MayReview, AuditedAdmin):
    """Reviews: build, look at the rows, approve, apply."""

    form = TierReviewForm
    list_display = ["run_date", "programme", "state", "created_by", "approved_by", "applied_by", "applied_at"]
    list_select_related = ["programme", "created_by", "approved_by", "applied_by"]
    list_filter = ["programme", "state"]
    ordering = ["-run_date", "-id"]
    search_fields = ["programme__code"]
    compressed_fields = True
    actions = None
    actions_detail = ["approve", "apply", "discard"]

    def get_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[str]:
        """To build: programme and day; afterwards what was found and who did what."""
        if obj is None:
            return ["programme", "run_date"]
        return [
            "programme",
            "run_date",
            "state",
            "summary",
            "created_by",
            "created_at",
            "approved_by",
            "approved_at",
            "applied_by",
            "applied_at",
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[str]:
        """A review changes by its steps only."""
        return self.get_fields(request, obj) if obj else []

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """By its steps only."""
        return False

    @admin.display(description=_("rows"))
    def summary(self, review: TierReview) -> str:
        """How many move which way, with a link to them."""
        counts = review.rows.values_list("kind", "state").annotate(count=Count("pk")).order_by("kind", "state")
        kinds, states = dict(TierReviewRow.Kind.choices), dict(TierReviewRow.State.choices)
        text = "; ".join(f"{capfirst(kinds[kind])} ({states[state]}): {count:,}" for kind, state, count in counts)
        url = f"{reverse('admin:loyalty_tierreviewrow_changelist')}?review__id__exact={review.pk}"
        return format_html("{}<br><a class='text-primary-600' href='{}'>{}</a>", text, url, _("Who, and why"))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Build through the service."""
        built = build_review(
            actor=actor_of(request),
            now=timezone.now(),
            programme=form.cleaned_data["programme"],
            run_date=form.cleaned_data["run_date"],
        )
        obj.pk = built.pk

    def has_step_permission(self, request: HttpRequest, object_id: str | int | None = None) -> bool:
        """As for building."""
        return self.has_add_permission(request)

    def _step(self, request: HttpRequest, object_id: str, step: Callable[[TierReview], object]) -> HttpResponse:
        review = self.get_object(request, object_id)
        if review is None:
            raise Http404
        if not self.has_add_permission(request):
            raise PermissionDenied
        url = reverse("admin:loyalty_tierreview_change", args=[review.pk])
        if request.method != "POST":
            context = {
                **self.admin_site.each_context(request),
                "title": str(review),
                "opts": self.model._meta,
                "original": review,
                "summary": self.summary(review),
                "form": forms.Form(),
            }
            return TemplateResponse(request, TEMPLATE, context)
        try:
            step(review)
        except TierReviewError as refused:
            messages.error(request, str(refused))
        else:
            messages.success(request, _("Done."))
        return HttpResponseRedirect(url)

    @action(description=_("Approve"), url_path="approve", permissions=["step"], icon="check")  # type: ignore[untyped-decorator]
    def approve(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Approve the review as it stands."""
        return self._step(
            request,
            object_id,
            lambda review: approve_review(actor=actor_of(request), now=timezone.now(), review_id=review.pk),
        )

    @action(description=_("Apply"), url_path="apply", permissions=["step"], icon="done_all")  # type: ignore[untyped-decorator]
    def apply(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Move the members; interrupted, it goes on when asked again."""
        return self._step(
            request,
            object_id,
            lambda review: apply_review(actor=actor_of(request), now=timezone.now(), review_id=review.pk),
        )

    @action(description=_("Discard"), url_path="discard", permissions=["step"], icon="delete")  # type: ignore[untyped-decorator]
    def discard(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Put the review away."""
        return self._step(
            request,
            object_id,
            lambda review: discard_review(actor=actor_of(request), now=timezone.now(), review_id=review.pk),
        )


class TierReviewRowResource(SafeResource):
    """Rows of a review as exported."""

    membership = fields.Field("membership__number", _("membership number"))
    kind = fields.Field("get_kind_display", _("kind"))
    from_tier = fields.Field("from_tier__name", _("from tier"))
    to_tier = fields.Field("to_tier__name", _("to tier"))
    until_date = fields.Field("until_date", _("valid until"))
    why = fields.Field(column_name=_("why"))
    decision = fields.Field("get_decision_display", _("decision"))
    decision_reason = fields.Field("decision_reason", _("reason of the decision"))
    state = fields.Field("get_state_display", _("state"))

    class Meta:
        model = TierReviewRow
        fields = [
            "membership",
            "kind",
            "from_tier",
            "to_tier",
            "until_date",
            "why",
            "decision",
            "decision_reason",
            "state",
        ]
        export_order = fields
        name = _("Rows of a tier review")

    def dehydrate_why(self, row: TierReviewRow) -> str:
        """The sentence."""
        return _why(row)


def _why(row: TierReviewRow) -> str:
    return explain_verdict(row.kind, row.figures, row.why, currency=row.review.programme.currency)


class TierReviewRowForm(forms.ModelForm[TierReviewRow]):
    """The decision about a member."""

    class Meta:
        model = TierReviewRow
        fields = ["decision", "decision_reason"]


@admin.register(TierReviewRow)
class TierReviewRowAdmin(MayReview, ExportAdminMixin, GrowingMixin, AuditedAdmin):
    """Who moves where and why; a manager leaves somebody out with a reason."""

    form = TierReviewRowForm
    resource_classes = [TierReviewRowResource]
    formats = EXPORT_FORMATS
    list_display = ["membership", "kind", "from_tier", "to_tier", "until_date", "reason", "decision", "state"]
    list_select_related = ["membership", "from_tier", "to_tier", "review__programme", "decided_by"]
    list_filter = ["review", "kind", "from_tier", "to_tier", "decision", "state", ("until_date", RangeDateFilter)]
    ordering = ["-review_id", "membership_id", "id"]
    search_fields = ["=membership__number"]
    search_help_text = _("Whole membership number")
    actions = None
    fields = [
        "review",
        "membership",
        "kind",
        "from_tier",
        "to_tier",
        "until_date",
        "reason",
        "decision",
        "decision_reason",
        "decided_by",
        "decided_at",
        "state",
        "skipped_reason",
    ]
    readonly_fields = [name for name in fields if name not in {"decision", "decision_reason"}]

    @admin.display(description=_("why"))
    def reason(self, row: TierReviewRow) -> str:
        """The sentence."""
        return _why(row)

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Never: a review is built."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """While the review is looked at."""
        if isinstance(obj, TierReviewRow) and obj.review.state != TierReview.State.DRAFT:
            return False
        return super().has_change_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Decide through the service."""
        decide_row(
            actor=actor_of(request),
            now=timezone.now(),
            row_id=obj.pk,
            is_included=obj.decision == TierReviewRow.Decision.INCLUDE,
            reason=obj.decision_reason,
        )


@admin.register(Entitlement)
class EntitlementAdmin(GrowingMixin, ReadOnlyAdmin):
    """How much of which benefit members used."""

    list_display = ["membership", "benefit", "period", "used", "quantity"]
    list_select_related = ["membership", "benefit__tier"]
    list_filter = ["benefit__kind"]
    ordering = ["-id"]
    search_fields = ["=membership__number"]
    search_help_text = _("Whole membership number")


@admin.register(EntitlementUse)
class EntitlementUseAdmin(GrowingMixin, ReadOnlyAdmin):
    """Each use of a benefit."""

    place_path = "property"
    list_display = ["used_at", "entitlement", "property", "actor", "undone_at", "undone_by"]
    list_select_related = ["entitlement", "property", "actor", "undone_by"]
    list_filter = ["property"]
    ordering = ["-id"]
    search_fields = ["=entitlement__membership__number"]
    search_help_text = _("Whole membership number")
    exclude = ["public_id", "idempotency_key"]
