"""What a manager does for one member's tier: protect it, count something by hand, start a challenge."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSingleDateWidget,
)

from loyalty.admin.asking import ReasonForm, ask
from loyalty.admin.dated import actor_of
from loyalty.models import Membership, TierChallenge
from loyalty.rules.tiers import MEASURES, Figures
from loyalty.services.tier_credits import QualificationError, add_qualification
from loyalty.services.tier_grants import TierGrantError, protect_member, start_challenge

LABELS = {
    "nights": _("nights"),
    "stays": _("stays"),
    "amount": _("amount"),
    "points": _("qualifying points"),
    "meetings": _("meetings"),
    "events": _("events"),
    "referrals": _("referrals"),
}


class ProtectForm(ReasonForm):
    """Until when reviews leave the tier alone."""

    until_date = forms.DateField(
        label=_("protected until"),
        required=False,
        widget=UnfoldAdminSingleDateWidget,
        help_text=_("Empty ends the protection."),
    )
    field_order = ["until_date", "reason"]


class CountForm(ReasonForm):
    """What counts towards a tier, on which day, and why; negative figures take away."""

    business_date = forms.DateField(label=_("business date"), widget=UnfoldAdminSingleDateWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in MEASURES:
            if name == "amount":
                self.fields[name] = forms.DecimalField(
                    label=LABELS[name],
                    required=False,
                    max_digits=12,
                    decimal_places=2,
                    widget=UnfoldAdminDecimalFieldWidget(),
                )
            else:
                self.fields[name] = forms.IntegerField(
                    label=LABELS[name],
                    required=False,
                    min_value=-(10**6),
                    max_value=10**6,
                    widget=UnfoldAdminIntegerFieldWidget(),
                )
        self.order_fields(["business_date", *MEASURES, "reason"])

    def figures(self) -> Figures:
        """As the service takes them."""
        numbers: dict[str, Any] = {name: self.cleaned_data[name] or 0 for name in MEASURES}
        return Figures(**{**numbers, "amount": Decimal(numbers["amount"])})

    def clean(self) -> dict[str, Any] | None:
        """Refuse a day to come."""
        cleaned = super().clean() or {}
        day = cleaned.get("business_date")
        if day and day > timezone.localdate():
            self.add_error("business_date", ValidationError(_("Choose a day that has begun."), code="day_ahead"))
        return cleaned


class ChallengeForm(forms.Form):
    """One of the challenges that are open today."""

    challenge = forms.ModelChoiceField(
        TierChallenge.objects.none(), label=_("challenge"), widget=UnfoldAdminSelectWidget
    )

    def __init__(self, *args: Any, membership: Membership, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        today = membership.programme.local_date(timezone.now())
        field = self.fields["challenge"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - for the reader of types
        field.queryset = (
            TierChallenge.objects.filter(programme=membership.programme, opens_on__lte=today)
            .filter(Q(closes_on=None) | Q(closes_on__gte=today))
            .order_by("code")
        )


class TierActs:
    """Actions on a membership's page, by “may grant tiers”."""

    actions_detail = ["protect", "count_by_hand", "begin_challenge"]

    def has_tier_acts_permission(self, request: HttpRequest, object_id: str | int | None = None) -> bool:
        """As for granting a tier."""
        user: Any = request.user
        return bool(user.has_perm("loyalty.grant_tier"))

    def _member(self, request: HttpRequest, object_id: str) -> Membership:
        if not self.has_tier_acts_permission(request):
            raise PermissionDenied
        page: Any = self
        membership = page.get_object(request, object_id)
        if not isinstance(membership, Membership):
            raise Http404
        return membership

    @action(  # type: ignore[untyped-decorator]
        description=_("Protect the tier"), url_path="protect", permissions=["tier_acts"], icon="shield"
    )
    def protect(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Keep reviews from moving the member down up to a day, or end that."""
        member = self._member(request, object_id)
        return ask(
            self,
            request,
            member,
            title=_("Protect the tier"),
            form=ProtectForm(request.POST or None, initial={"until_date": member.protected_until_date}),
            act=lambda given: protect_member(
                actor=actor_of(request), now=timezone.now(), membership_id=member.pk, **given
            ),
            refusals=(TierGrantError,),
            context={"summary": _("Up to and including that day no review moves the member down.")},
        )

    @action(  # type: ignore[untyped-decorator]
        description=_("Count by hand"), url_path="count", permissions=["tier_acts"], icon="add_task"
    )
    def count_by_hand(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Count what no stay says, or take it away again."""
        member = self._member(request, object_id)
        form = CountForm(request.POST or None, initial={"business_date": member.programme.local_date(timezone.now())})
        return ask(
            self,
            request,
            member,
            title=_("Count by hand"),
            form=form,
            act=lambda given: add_qualification(
                actor=actor_of(request),
                now=timezone.now(),
                membership_id=member.pk,
                figures=form.figures(),
                reason=given["reason"],
                business_date=given["business_date"],
            ),
            refusals=(QualificationError,),
            context={
                "summary": _(
                    "A tier that is reached begins at once. An entry stays; negative figures take away what was counted."
                )
            },
        )

    @action(  # type: ignore[untyped-decorator]
        description=_("Start a challenge"), url_path="challenge", permissions=["tier_acts"], icon="flag"
    )
    def begin_challenge(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Let the member try a challenge from today on."""
        member = self._member(request, object_id)
        return ask(
            self,
            request,
            member,
            title=_("Start a challenge"),
            form=ChallengeForm(request.POST or None, membership=member),
            act=lambda given: start_challenge(
                actor=actor_of(request), now=timezone.now(), membership_id=member.pk, challenge_id=given["challenge"].pk
            ),
            refusals=(TierGrantError,),
            context={"summary": _("What counted before today does not count for it.")},
        )
