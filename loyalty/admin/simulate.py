"""Try a stay: the page on which a version of the earning rules judges a stay that is picked or entered."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    INPUT_CLASSES,
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from hotels.models import Property
from loyalty.admin.dated import actor_of
from loyalty.models import EarningRuleSet, Membership, Tier
from loyalty.selectors.simulation import TriedStay, entered_stay, known_stay, simulate
from members.models import RevenueCategory, Stay

LAST_STAYS = 10
LONGEST = 366


class PickForm(forms.Form):
    """A stay by its number, or a member whose last stays are to choose from."""

    place = forms.ModelChoiceField(
        Property.objects.none(), label=_("Property"), required=False, widget=UnfoldAdminSelectWidget
    )
    reference = forms.CharField(
        label=_("Number of the stay"), max_length=80, required=False, widget=UnfoldAdminTextInputWidget
    )
    number = forms.CharField(
        label=_("Membership number"), max_length=40, required=False, widget=UnfoldAdminTextInputWidget
    )

    def __init__(self, *args: Any, rule_set: EarningRuleSet, stays: QuerySet[Stay], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rule_set, self.stays = rule_set, stays
        self.found: list[Stay] = []
        self.membership: Membership | None = None

    def clean(self) -> dict[str, Any] | None:
        """Find the stays, and the member of a single one."""
        cleaned = super().clean() or {}
        if cleaned.get("reference"):
            self._find(cleaned["reference"], cleaned.get("place"))
        elif cleaned.get("number"):
            member = self.rule_set.programme.memberships.filter(number=cleaned["number"].strip())
            self.found = list(
                self.stays.filter(guest__memberships__in=member).order_by("-departure_date", "-pk")[:LAST_STAYS]
            )
            if not self.found:
                self.add_error("number", ValidationError(_("No stay of this member is found."), code="not_found"))
        else:
            raise ValidationError(_("Enter the number of a stay or of a member."), code="nothing_entered")
        return cleaned

    def _find(self, reference: str, place: Property | None) -> None:
        stays = self.stays.filter(source_reference=reference.strip())
        self.found = list((stays.filter(property=place) if place else stays).order_by("-departure_date")[:LAST_STAYS])
        if not self.found:
            self.add_error("reference", ValidationError(_("No stay with this number is found."), code="not_found"))
        elif len(self.found) == 1:
            members = Membership.objects.filter(
                programme=self.rule_set.programme, guest=self.found[0].guest_id, status=Membership.Status.ACTIVE
            )
            self.membership = members.select_related("tier", "programme").order_by("pk").first()
            if self.membership is None:
                message = _("The guest of this stay is no member: the stay brings nothing.")
                self.add_error("reference", ValidationError(message, code="no_member"))


def _day_field(label: Any) -> forms.DateField:
    return forms.DateField(
        label=label, widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date", "class": " ".join(INPUT_CLASSES)})
    )


def _text_field(label: Any) -> forms.CharField:
    return forms.CharField(label=label, max_length=40, required=False, widget=UnfoldAdminTextInputWidget)


class EnterForm(forms.Form):
    """A stay that nobody had."""

    place = forms.ModelChoiceField(Property.objects.none(), label=_("Property"), widget=UnfoldAdminSelectWidget)
    tier = forms.ModelChoiceField(Tier.objects.none(), label=_("Tier"), widget=UnfoldAdminSelectWidget)
    arrival = _day_field(_("Arrival"))
    departure = _day_field(_("Departure"))
    room_type = _text_field(_("Room type (code)"))
    rate_plan = _text_field(_("Rate plan"))
    channel = _text_field(_("Channel"))

    def __init__(self, *args: Any, rule_set: EarningRuleSet, places: QuerySet[Property], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cast("forms.ModelChoiceField[Property]", self.fields["place"]).queryset = places
        tiers = rule_set.programme.tiers.order_by("rank")
        cast("forms.ModelChoiceField[Tier]", self.fields["tier"]).queryset = tiers
        for category in RevenueCategory:
            self.fields[f"amount_{category.value}"] = forms.DecimalField(
                label=category.label,
                required=False,
                min_value=0,
                max_digits=12,
                decimal_places=2,
                widget=UnfoldAdminDecimalFieldWidget,
            )

    def clean(self) -> dict[str, Any] | None:
        """Refuse a stay that ends before it begins or never."""
        cleaned = super().clean() or {}
        arrival, departure = cleaned.get("arrival"), cleaned.get("departure")
        if arrival and departure:
            if departure < arrival:
                self.add_error("departure", ValidationError(_("The end is before the beginning."), code="reversed"))
            elif (departure - arrival).days > LONGEST:
                self.add_error("departure", ValidationError(_("A stay of more than a year."), code="too_long"))
        return cleaned

    def stay(self, rule_set: EarningRuleSet) -> TriedStay:
        """The stay that was entered."""
        values = self.cleaned_data
        amounts: dict[str, Decimal] = {
            category.value: values[f"amount_{category.value}"]
            for category in RevenueCategory
            if values.get(f"amount_{category.value}")
        }
        return entered_stay(
            programme=rule_set.programme,
            amounts=amounts,
            **{name: values[name] for name in ("place", "tier", "arrival", "departure")},
            **{name: values[name].strip() for name in ("room_type", "rate_plan", "channel")},
        )


def simulate_page(request: HttpRequest, rule_set: EarningRuleSet, context: dict[str, Any]) -> HttpResponse:
    """The two forms, and what the rules do with the stay of the one that was sent; nothing is written."""
    today: dt.date = timezone.localdate()
    user = actor_of(request)
    places = Property.objects.visible_to(user).select_related("brand").order_by("code")
    stays = Stay.objects.visible_to(user).select_related("property").exclude(status=Stay.Status.VOIDED)
    how = request.GET.get("how", "")
    pick = PickForm(request.GET if how == "pick" else None, rule_set=rule_set, stays=stays)
    cast("forms.ModelChoiceField[Property]", pick.fields["place"]).queryset = places
    enter = EnterForm(request.GET if how == "enter" else None, rule_set=rule_set, places=places)
    tried: TriedStay | None = None
    if pick.is_valid() and pick.membership is not None:
        tried = known_stay(pick.found[0], pick.membership, rule_set, today=today)
    elif enter.is_valid():
        tried = enter.stay(rule_set)
    context |= {
        "title": _("Try a stay"),
        "original": rule_set,
        "pick": pick,
        "enter": enter,
        "stays": [] if tried else pick.found,
        "tried": tried,
        "result": simulate(rule_set, tried, today=today) if tried else None,
    }
    status = 422 if pick.errors or enter.errors else 200
    return TemplateResponse(request, "admin/loyalty/simulate.html", context, status=status)
