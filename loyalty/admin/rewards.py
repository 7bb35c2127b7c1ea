"""The catalogue of rewards in the admin: prices, stock, limits, blackouts, a look through the guest's eyes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.widgets import (
    INPUT_CLASSES,
    SELECT_CLASSES,
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminTextInputWidget,
)

from hotels.admin.base import AuditedAdmin, ScopedInline
from hotels.models import Property, User
from hotels.models.organisation import currency_validator
from hotels.templatetags.ui import WEEKDAYS
from loyalty.models import (
    ExchangeRatio,
    Reward,
    RewardBlackout,
    RewardLimit,
    RewardPrice,
    RewardStock,
    Tier,
)
from loyalty.selectors.rewards import offers
from loyalty.services.redemptions import change_price

_DATE = {"type": "date", "class": " ".join(INPUT_CLASSES)}
_SELECT = {"class": " ".join(SELECT_CLASSES)}


class RewardPriceForm(forms.ModelForm[RewardPrice]):
    """One price; days of the week are ticked, the currency has to be the property's or the programme's."""

    weekdays = forms.TypedMultipleChoiceField(
        label=_("days of the week"),
        choices=[(number, label) for number, label in enumerate(WEEKDAYS, start=1)],
        coerce=int,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )

    class Meta:
        model = RewardPrice
        fields = [
            "points",
            "cash",
            "currency",
            "effective_from",
            "effective_until",
            "first_date",
            "last_date",
            "weekdays",
            "property",
            "brand",
        ]

    def clean(self) -> dict[str, Any] | None:
        """Refuse money that nobody could pay there."""
        cleaned = super().clean()
        currency = (cleaned or {}).get("currency")
        place = (cleaned or {}).get("property")
        if currency and place is not None and currency != place.currency:
            self.add_error(
                "currency",
                ValidationError(
                    _("%(property)s charges in %(currency)s."),
                    code="currency",
                    params={"property": place.local_name, "currency": place.currency},
                ),
            )
        return cleaned


class RewardForm(forms.ModelForm[Reward]):
    """The reward; what belongs to a programme has to be of its own."""

    class Meta:
        model = Reward
        fields = "__all__"  # noqa: DJ007 – the page's fieldsets choose

    def clean(self) -> dict[str, Any] | None:
        """Refuse tiers and vouchers of another programme."""
        cleaned = super().clean() or {}
        programme = cleaned.get("programme") or getattr(self.instance, "programme", None)
        for name in ("min_tier", "voucher_type"):
            other = cleaned.get(name)
            if other is not None and programme is not None and other.programme_id != programme.pk:
                self.add_error(name, ValidationError(_("This is of another programme."), code="other_programme"))
        return cleaned


class PriceInline(ScopedInline):
    """Options and exceptions to the standing price."""

    model = RewardPrice
    form = RewardPriceForm
    ordering = ["effective_from", "pk"]


class StockInline(ScopedInline):
    """How many there are."""

    model = RewardStock
    fields = ["property", "total", "taken"]
    readonly_fields = ["taken"]
    ordering = ["pk"]


class LimitInline(ScopedInline):
    """How many in a time."""

    model = RewardLimit
    fields = ["scope", "period", "maximum"]
    ordering = ["pk"]


class BlackoutInline(ScopedInline):
    """When not."""

    model = RewardBlackout
    fields = ["first_date", "last_date", "property"]
    ordering = ["first_date", "pk"]


class PreviewForm(forms.Form):
    """Through whose eyes the catalogue is looked at."""

    tier = forms.ModelChoiceField(
        label=_("tier"), queryset=Tier.objects.none(), empty_label=None, widget=forms.Select(attrs=_SELECT)
    )
    place = forms.ModelChoiceField(
        label=_("property"), queryset=Property.objects.none(), empty_label=None, widget=forms.Select(attrs=_SELECT)
    )
    for_date = forms.DateField(label=_("for the day"), widget=forms.DateInput(format="%Y-%m-%d", attrs=_DATE))

    def __init__(self, *args: Any, reward: Reward, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        tiers = Tier.objects.filter(programme=reward.programme_id).order_by("rank")
        self.fields["tier"].queryset = tiers  # type: ignore[attr-defined]
        places = Property.objects.visible_to(user).filter(is_active=True).order_by("code")
        self.fields["place"].queryset = places  # type: ignore[attr-defined]
        for field in self.fields.values():
            field.label = capfirst(field.label)


class ChangePriceForm(forms.Form):
    """A new price from a date on."""

    price = forms.ModelChoiceField(
        label=_("instead of"),
        queryset=RewardPrice.objects.none(),
        required=False,
        empty_label=_("the standing price"),
        widget=forms.Select(attrs=_SELECT),
    )
    points = forms.IntegerField(label=_("points"), min_value=1, widget=UnfoldAdminTextInputWidget)
    cash = forms.DecimalField(
        label=_("and money"),
        min_value=0,
        max_digits=12,
        decimal_places=2,
        required=False,
        widget=UnfoldAdminTextInputWidget,
    )
    currency = forms.CharField(
        label=_("currency"),
        max_length=3,
        required=False,
        validators=[currency_validator],
        widget=UnfoldAdminTextInputWidget,
    )
    effective_from = forms.DateField(label=_("from date"), widget=forms.DateInput(format="%Y-%m-%d", attrs=_DATE))

    def __init__(self, *args: Any, reward: Reward, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        prices = reward.prices.filter(effective_until=None).order_by("effective_from", "pk")
        self.fields["price"].queryset = prices  # type: ignore[attr-defined]
        for field in self.fields.values():
            field.label = capfirst(field.label)


@admin.register(Reward)
class RewardAdmin(AuditedAdmin):
    """What points are spent on; a price holds from the moment it is saved, or from a date."""

    form = RewardForm
    inlines = [PriceInline, StockInline, LimitInline, BlackoutInline]
    list_display = ["code", "name", "name_en", "category", "points", "is_active", "programme"]
    list_select_related = ["programme"]
    list_filter = ["programme", "category", "is_active"]
    ordering = ["programme", "points", "pk"]
    search_fields = ["code", "name", "name_en"]
    filter_horizontal = ["properties", "brands"]
    compressed_fields = True
    actions_detail = ["preview", "change_price"]
    fieldsets = [
        (None, {"fields": ["programme", "code", "name", "name_en", "category", "is_active"]}),
        (_("For the guest"), {"fields": ["description", "description_en", "picture"]}),
        (_("Price"), {"fields": ["points", "cash_value"]}),
        (_("Conditions"), {"fields": ["valid_from", "valid_until", "min_tier", "properties", "brands", "lead_hours"]}),
        (_("Fulfillment"), {"fields": ["fulfilment", "voucher_type", "cancel_hours", "open_days"]}),
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[str]:
        """The programme of a reward stays: redemptions were paid with its points."""
        return ["programme"] if obj else []

    def has_preview_permission(self, request: HttpRequest, object_id: str | int | None = None) -> bool:
        """As for looking at the reward."""
        return self.has_view_permission(request)

    def has_change_price_permission(self, request: HttpRequest, object_id: str | int | None = None) -> bool:
        """As for any other change."""
        return self.has_change_permission(request)

    def _row(self, request: HttpRequest, object_id: str) -> Reward:
        row = self.get_object(request, object_id)
        if not isinstance(row, Reward):
            raise Http404
        return row

    @action(  # type: ignore[untyped-decorator]
        description=_("As the guest sees it"), url_path="preview", permissions=["preview"], icon="visibility"
    )
    def preview(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The catalogue for a tier, a property and a day; this reward stands out."""
        reward, user, now = self._row(request, object_id), cast("User", request.user), timezone.now()
        place = Property.objects.visible_to(user).filter(is_active=True).order_by("code").first()
        tier = Tier.objects.filter(programme=reward.programme_id).order_by("rank").first()
        initial: dict[str, Any] = {"tier": tier, "place": place, "for_date": place.local_date(now) if place else None}
        form = PreviewForm(request.GET if "tier" in request.GET else None, reward=reward, user=user, initial=initial)
        chosen = form.cleaned_data if form.is_bound and form.is_valid() else initial
        found = []
        if chosen["place"] is not None and chosen["tier"] is not None:
            found = offers(
                programme=reward.programme,
                place=chosen["place"],
                now=now,
                for_date=chosen["for_date"],
                rank=chosen["tier"].rank,
            )
        context = {
            **self.admin_site.each_context(request),
            "title": _("As the guest sees it"),
            "opts": self.opts,
            "original": reward,
            "form": form,
            "offers": found,
        }
        return TemplateResponse(request, "admin/loyalty/reward_preview.html", context)

    @action(  # type: ignore[untyped-decorator]
        description=_("New price from a date"), url_path="price", permissions=["change_price"], icon="event"
    )
    def change_price(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for a price and from when on it holds."""
        reward = self._row(request, object_id)
        if not self.has_change_permission(request, reward):
            raise PermissionDenied
        form = ChangePriceForm(request.POST or None, reward=reward)
        if request.method == "POST" and form.is_valid():
            data = form.cleaned_data
            try:
                price = change_price(
                    actor=cast("User", request.user),
                    now=timezone.now(),
                    reward_id=reward.pk,
                    effective_from=data["effective_from"],
                    points=data["points"],
                    cash=data["cash"] or Decimal(0),
                    currency=data["currency"],
                    price_id=data["price"].pk if data["price"] else None,
                )
            except ValidationError as error:
                fields = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
                for name, problems in fields.items():
                    for problem in problems:
                        form.add_error(name if name in form.fields else None, problem)
            else:
                messages.success(
                    request,
                    _("“%(row)s” begins on %(date)s; until then everything stays as it is.")
                    % {"row": price, "date": price.effective_from},
                )
                return HttpResponseRedirect(reverse("admin:loyalty_reward_change", args=[reward.pk]))
        context = {
            **self.admin_site.each_context(request),
            "title": _("New price from a date"),
            "opts": self.opts,
            "original": reward,
            "form": form,
            "intro": _(
                "By the day of the redemption. The price in force holds until the day before; what was redeemed"
                " already stays as it is."
            ),
            "submit": _("Let it begin on that date"),
        }
        return TemplateResponse(request, "admin/loyalty/voucher_form.html", context, status=422 if form.errors else 200)


@admin.register(ExchangeRatio)
class ExchangeRatioAdmin(AuditedAdmin):
    """What money is worth in points where rewards have a value."""

    list_display = ["programme", "category", "property", "points_per_unit", "round_to", "effective_from"]
    list_display_links = ["points_per_unit"]
    list_select_related = ["programme", "property"]
    list_filter = ["programme", "category"]
    ordering = ["programme", "category", "-effective_from", "pk"]
    search_fields = ["programme__code"]
