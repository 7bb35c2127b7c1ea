"""Forms of the desk's actions on points and stays."""

from __future__ import annotations

import builtins
import datetime as dt
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, cast

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from hotels.models import Property, RoomType
from loyalty.models import Membership, Programme, Reward, SocialShare, TierBenefit, Voucher, VoucherType
from loyalty.rules.vouchers import Refusal
from members.forms import DateField, DeskForm
from members.models import Guest, Reservation, RevenueCategory
from members.rules.identity import DOCUMENT_TYPES
from members.selectors.desk import bookings_of_stay
from members.services.guests import GuestInput, GuestInputError, check_guest
from members.services.stays import amount_problem

# This month and three years before it.
SHOWN_MONTHS = 37


class EnrolForm(DeskForm):
    """A guest who stands at the desk."""

    name = forms.CharField(
        label=_("Name"), max_length=120, widget=forms.TextInput(attrs={"autofocus": True, "autocapitalize": "words"})
    )
    phone = forms.CharField(
        label=_("Phone"),
        max_length=40,
        required=False,
        widget=forms.TextInput(attrs={"type": "tel", "inputmode": "tel"}),
    )
    consent_programme = forms.BooleanField(
        label=_("The guest agrees to the program's terms and to the use of their data for it."),
        error_messages={"required": _("Without the guest's agreement there is no membership.")},
    )
    consent_marketing = forms.BooleanField(label=_("The guest wants to receive offers."), required=False)
    referral_code = forms.CharField(
        label=_("Referral code"),
        max_length=40,
        required=False,
        widget=forms.TextInput(attrs={"autocapitalize": "characters", "spellcheck": "false"}),
    )
    gender = forms.ChoiceField(label=_("Gender"), choices=Guest.Gender, required=False)
    birthday = DateField(label=_("Birthday"), required=False)
    document_type = forms.ChoiceField(
        label=_("Kind of document"),
        required=False,
        choices=[("", _("by the number")), *DOCUMENT_TYPES.items()],
    )
    document_number = forms.CharField(label=_("Document number"), max_length=40, required=False)
    email = forms.CharField(
        label=_("E-mail"), max_length=254, required=False, widget=forms.TextInput(attrs={"inputmode": "email"})
    )
    company = forms.CharField(label=_("Company"), max_length=120, required=False)

    def __init__(self, *args: Any, place: Property, today: dt.date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.place, self.today = place, today

    def clean(self) -> dict[str, Any]:
        """Ask for something to find the guest by, and say everything that is wrong at once."""
        data: dict[str, Any] = super().clean() or {}
        if "phone" in data and not data["phone"] and not data.get("document_number") and not data.get("email"):
            self.add_error("phone", _("Give a phone number, or below a document or an e-mail address."))
        try:
            check_guest(self.guest_input(), today=self.today)
        except GuestInputError as error:
            self.add_errors({name: text for name, text in error.errors.items() if not self.has_error(name)})
        return data

    def guest_input(self) -> GuestInput:
        """What was entered so far, for the service that judges it."""
        data = self.cleaned_data
        texts = ("name", "phone", "email", "document_type", "document_number", "gender", "company")
        return GuestInput(
            **{name: data.get(name) or "" for name in texts}, birthday=data.get("birthday"), region=self.place.country
        )

    @property
    def more_is_open(self) -> bool:
        """Whether the part below the fold has something to look at."""
        names = ("gender", "birthday", "document_type", "document_number", "email", "company")
        return any(self.errors.get(name) or self[name].value() for name in names) if self.is_bound else False


class MakeMemberForm(DeskForm):
    """A known guest becomes a member."""

    consent_programme = EnrolForm.base_fields["consent_programme"]
    consent_marketing = EnrolForm.base_fields["consent_marketing"]
    referral_code = EnrolForm.base_fields["referral_code"]


class StayForm(DeskForm):
    """A stay that ended, with what was charged, tax excluded.

    It belongs to the guest's booking for those nights, which is checked out with it. Where several could be
    meant the form asks.
    """

    NO_BOOKING = "none"

    arrival_date = DateField(label=_("Arrival"))
    departure_date = DateField(label=_("Departure"))
    room_number = forms.CharField(
        label=_("Room"), max_length=10, required=False, widget=forms.TextInput(attrs={"inputmode": "numeric"})
    )
    room_type = forms.ModelChoiceField(
        label=_("Room type"), queryset=RoomType.objects.none(), required=False, empty_label="–"
    )
    # No choice field: a form sent twice names a booking that is checked out by then.
    booking = forms.CharField(
        label=_("Which booking does this stay belong to?"), max_length=40, required=False, widget=forms.RadioSelect
    )

    def __init__(self, *args: Any, guest: Guest, place: Property, today: dt.date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.guest, self.place, self.today = guest, place, today
        # Those that could be meant, once the dates are known, and the one that is.
        self.bookings: list[Reservation] = []
        self.reservation: Reservation | None = None
        self.fields["room_type"].queryset = RoomType.objects.filter(property=place)  # type: ignore[attr-defined]
        for code, label in RevenueCategory.choices:
            self.fields[f"amount_{code}"] = forms.DecimalField(
                label=label,
                required=False,
                min_value=Decimal(0),
                max_digits=12,
                decimal_places=2,
                widget=forms.TextInput(
                    attrs={
                        "class": "form-control",
                        "inputmode": "decimal",
                        "autocomplete": "off",
                        "placeholder": "0.00",
                    }
                ),
            )
        self.fields["amount_room"].widget.attrs["autofocus"] = True

    @property
    def amount_fields(self) -> list[forms.BoundField]:
        """The fields of the amounts, in the order of the revenue categories."""
        return [self[f"amount_{code}"] for code in RevenueCategory.values]

    @property
    def amounts(self) -> dict[str, Decimal]:
        """Amount above zero by revenue category; read it after validation."""
        return {
            code: self.cleaned_data[f"amount_{code}"]
            for code in RevenueCategory.values
            if self.cleaned_data.get(f"amount_{code}")
        }

    def clean(self) -> dict[str, Any]:
        """Check the dates against each other and against today, and that something was charged."""
        data: dict[str, Any] = super().clean() or {}
        arrival, departure = data.get("arrival_date"), data.get("departure_date")
        if departure and departure > self.today:
            self.add_error("departure_date", _("This stay has not ended yet."))
        if arrival and departure and departure < arrival:
            self.add_error("departure_date", _("The departure is before the arrival."))
        for code, amount in self.amounts.items():
            if problem := amount_problem(amount, self.place.currency):
                self.add_error(f"amount_{code}", problem)
        if not self.errors and not self.amounts:
            self.add_error("amount_room", _("Enter what was charged."))
        if not self.errors:
            self._find_booking(data)
        return data

    def _find_booking(self, data: dict[str, Any]) -> None:
        self.bookings = bookings_of_stay(
            guest=self.guest,
            place=self.place,
            arrival_date=data["arrival_date"],
            departure_date=data["departure_date"],
            room_number=data["room_number"],
        )
        chosen = data["booking"]
        if chosen:
            self.reservation = next((one for one in self.bookings if str(one.public_id) == chosen), None)
        elif len(self.bookings) > 1:
            self.add_error("booking", _("The guest has several bookings for these nights; choose one."))
        elif self.bookings:
            self.reservation = self.bookings[0]


class RedeemForm(DeskForm):
    """A reward for points."""

    reward = forms.ModelChoiceField(
        label=_("Reward"),
        queryset=Reward.objects.none(),
        widget=forms.RadioSelect,
        empty_label=None,
        error_messages={"required": _("Choose a reward.")},
    )

    def __init__(self, *args: Any, programme: Programme, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rewards = Reward.objects.filter(programme=programme, is_active=True).order_by("points", "pk")
        self.fields["reward"].queryset = rewards  # type: ignore[attr-defined]


class BenefitForm(DeskForm):
    """One use of a benefit."""

    benefit = forms.ModelChoiceField(
        label=_("Benefit"),
        queryset=TierBenefit.objects.none(),
        widget=forms.RadioSelect,
        empty_label=None,
        error_messages={"required": _("Choose a benefit.")},
    )

    def __init__(self, *args: Any, benefits: Sequence[TierBenefit], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["benefit"].queryset = TierBenefit.objects.filter(  # type: ignore[attr-defined]
            pk__in=[benefit.pk for benefit in benefits]
        ).order_by("pk")


class AdjustForm(DeskForm):
    """A correction of points by hand."""

    points = forms.IntegerField(
        label=_("Points"),
        min_value=-10_000_000,
        max_value=10_000_000,
        help_text=_("Above zero adds, below zero takes off."),
        widget=forms.TextInput(attrs={"autofocus": True, "inputmode": "numeric", "placeholder": "+500"}),
    )
    reason = forms.CharField(
        label=_("Reason"),
        max_length=200,
        help_text=_("Stands in the member's statement and in the audit trail."),
    )

    def clean_points(self) -> int:
        """Refuse a correction by nothing."""
        points: int = self.cleaned_data["points"]
        if points == 0:
            raise forms.ValidationError(_("Enter how many points to add or take off."))
        return points


class ReferralForm(DeskForm):
    """The code of the member who sent a guest."""

    code = forms.CharField(
        label=_("Referral code"),
        max_length=40,
        help_text=_("Eight letters and digits, such as 3K7N-WAPD, from the friend's member page or card."),
        widget=forms.TextInput(attrs={"autofocus": True, "autocapitalize": "characters", "spellcheck": "false"}),
    )


class ShareForm(DeskForm):
    """A post on a social platform that a member claims points for."""

    platform = forms.ChoiceField(
        label=_("Platform"),
        choices=SocialShare.Platform,
        initial=SocialShare.Platform.XIAOHONGSHU,
        widget=forms.RadioSelect,
    )
    link = forms.CharField(
        label=_("Link of the post"),
        max_length=500,
        required=False,
        widget=forms.TextInput(attrs={"autofocus": True, "inputmode": "url", "placeholder": "https://"}),
        help_text=_("What the app copies may stand around it."),
    )
    note = forms.CharField(
        label=_("Note"), max_length=200, required=False, help_text=_("How to find the post where there is no link.")
    )


class RejectShareForm(DeskForm):
    """Why a claim is refused."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=200,
        help_text=_("The member can read it."),
        widget=forms.TextInput(attrs={"autofocus": True}),
    )


class ShareFilterForm(forms.Form):
    """Narrows the list of shares."""

    platform = forms.ChoiceField(
        label=_("Platform"), required=False, choices=[("", _("any")), *SocialShare.Platform.choices]
    )


class VoucherCodeForm(DeskForm):
    """A code as typed or scanned."""

    code = forms.CharField(
        label=_("Voucher code"),
        max_length=80,
        required=False,
        widget=forms.TextInput(
            attrs={
                "autofocus": True,
                "autocapitalize": "characters",
                "spellcheck": "false",
                "enterkeyhint": "go",
                "placeholder": "XXXXX-XXXXX-XXXXX",
                "class": "form-control code-input",
            }
        ),
    )


class VoucherUseForm(DeskForm):
    """What a voucher is used on."""

    spend = forms.DecimalField(
        label=_("Amount it is used on"),
        required=False,
        min_value=Decimal("0.01"),
        max_digits=12,
        decimal_places=2,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "placeholder": "0.00"}),
    )
    reference = forms.CharField(label=_("Folio or check no."), required=False, max_length=80)

    def __init__(self, *args: Any, needs_spend: bool, needs_reference: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, is_needed, code in (
            ("spend", needs_spend, "spend_required"),
            ("reference", needs_reference, "reference_required"),
        ):
            self.fields[name].required = is_needed
            self.fields[name].error_messages["required"] = Refusal(code).message
        asked = [("spend", needs_spend), ("reference", needs_reference and not self.initial.get("reference"))]
        first = next((name for name, is_needed in asked if is_needed), None)
        if first:
            self.fields[first].widget.attrs["autofocus"] = True
        self.asks_first = first is not None


class VoucherIssueForm(DeskForm):
    """A voucher for a member."""

    type = forms.ModelChoiceField(
        label=_("Voucher type"),
        queryset=VoucherType.objects.none(),
        widget=forms.RadioSelect,
        empty_label=None,
        error_messages={"required": _("Choose a type.")},
    )
    source = forms.ChoiceField(
        label=_("Why"),
        choices=[
            (value, label)
            for value, label in Voucher.Source.choices
            if value in {Voucher.Source.COMPENSATION, Voucher.Source.MANUAL, Voucher.Source.CAMPAIGN}
        ],
        initial=Voucher.Source.COMPENSATION,
        widget=forms.RadioSelect,
    )
    reason = forms.CharField(
        label=_("Reason"), max_length=200, help_text=_("Stands in the voucher's history and in the audit trail.")
    )

    def __init__(self, *args: Any, programme: Programme, today: dt.date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        types = (
            VoucherType.objects.filter(programme=programme, is_active=True)
            .exclude(issue_from__gt=today)
            .exclude(issue_until__lte=today)
            .order_by("code", "pk")
        )
        self.fields["type"].queryset = types  # type: ignore[attr-defined]


class VoucherTransferForm(DeskForm):
    """Who gets the voucher."""

    number = forms.CharField(
        label=_("Membership number of the new owner"),
        max_length=24,
        widget=forms.TextInput(attrs={"autofocus": True, "autocapitalize": "characters"}),
    )
    reason = forms.CharField(label=_("Reason"), max_length=200, required=False)

    def clean_number(self) -> Membership:
        """The membership with the number."""
        number = self.cleaned_data["number"].strip().upper()
        membership = Membership.objects.select_related("guest").filter(number=number).first()
        if membership is None:
            raise forms.ValidationError(_("There is no membership with this number."))
        return membership


class VoucherCancelForm(DeskForm):
    """Why a voucher is canceled."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=200,
        widget=forms.TextInput(attrs={"autofocus": True}),
        help_text=_("Stands in the voucher's history and in the audit trail."),
    )


class FinanceForm(forms.Form):
    """Which programme, month and property the reports of finance are about; sent in the address."""

    programme = forms.ChoiceField(label=pgettext_lazy("noun", "Programme"), required=False)
    month = forms.ChoiceField(label=_("Month"), required=False)
    property = forms.ChoiceField(label=_("Property"), required=False)

    def __init__(
        self, *args: Any, programmes: Sequence[Programme], places: Sequence[Property], now: dt.datetime, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.programmes, self.places = programmes, places
        self.months = [programmes[0].local_date(now).replace(day=1)]
        while len(self.months) < SHOWN_MONTHS:
            self.months.append((self.months[-1] - dt.timedelta(days=1)).replace(day=1))
        choices = cast("dict[str, forms.ChoiceField]", self.fields)
        choices["programme"].choices = [(one.code, one.local_name) for one in programmes]
        choices["month"].choices = [(f"{month:%Y-%m}", f"{month:%Y-%m}") for month in self.months]
        choices["property"].choices = [("", _("all")), *((place.code, place.local_name) for place in places)]
        for field in self.fields.values():
            field.widget.attrs["class"] = "form-select"

    def _asked(self, name: str) -> str:
        return str(getattr(self, "cleaned_data", {}).get(name) or "")

    @builtins.property
    def chosen_programme(self) -> Programme:
        """The one asked for, else the first."""
        return next((one for one in self.programmes if one.code == self._asked("programme")), self.programmes[0])

    @builtins.property
    def chosen_month(self) -> dt.date:
        """First day of the month asked for, else of the one before this."""
        return next((month for month in self.months if f"{month:%Y-%m}" == self._asked("month")), self.months[1])

    @builtins.property
    def chosen_property(self) -> Property | None:
        """The property asked for."""
        return next((place for place in self.places if place.code == self._asked("property")), None)

    @builtins.property
    def shown(self) -> list[tuple[str, Any, str]]:
        """Name, choices and present value of each filter that has something to choose from."""
        present = {
            "programme": self.chosen_programme.code,
            "month": f"{self.chosen_month:%Y-%m}",
            "property": self.chosen_property.code if self.chosen_property else "",
        }
        choices = cast("dict[str, forms.ChoiceField]", self.fields)
        return [
            (name, list(cast("Iterable[Any]", choices[name].choices)), value)
            for name, value in present.items()
            if name != "programme" or len(self.programmes) > 1
        ]

    @builtins.property
    def query(self) -> dict[str, str]:
        """What is asked, for addresses of other pages."""
        asked = {"month": f"{self.chosen_month:%Y-%m}"}
        if self.chosen_property:
            asked["property"] = self.chosen_property.code
        if len(self.programmes) > 1:
            asked["programme"] = self.chosen_programme.code
        return asked


class FinanceRowsForm(forms.Form):
    """Which rows behind a figure of finance; the addresses come from the reports."""

    of = forms.ChoiceField(choices=[(kind, kind) for kind in ("moves", "lots", "settled", "rule")])
    programme = forms.CharField(required=False)
    start = forms.DateField(required=False)
    end = forms.DateField(required=False)
    on = forms.DateField(required=False)
    part = forms.CharField(required=False)
    unit = forms.CharField(required=False)
    month = forms.DateField(required=False)
    property = forms.CharField(required=False)
    payer = forms.CharField(required=False)
    payee = forms.CharField(required=False)
    rule = forms.CharField(required=False)
    after = forms.IntegerField(required=False, min_value=0)

    def __init__(self, *args: Any, places: Sequence[Property], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.places = places
        self.chosen_property: Property | None = None

    def clean(self) -> dict[str, Any]:
        """Bring the days of each kind to a first day and the day after the last."""
        data = super().clean() or {}
        start, end, on = data.get("start"), data.get("end"), data.get("on")
        if data.get("of") == "lots" and on:
            start = end = on + dt.timedelta(days=1)
        elif start and not end:
            end = (start.replace(day=1) + dt.timedelta(days=32)).replace(day=1)
        if not start or not end or end < start:
            raise forms.ValidationError(_("Say which days."))
        asked = {name: data[name] for name in ("part", "unit", "month", "payer", "payee", "rule") if data.get(name)}
        code = data.get("property")
        self.chosen_property = next((place for place in self.places if place.code == code), None)
        if code == "-":
            asked["property"] = 0
        elif code:
            # What is not the reader's has no rows.
            asked["property"] = self.chosen_property.pk if self.chosen_property else -1
        return {**data, "start": start, "end": end, "asked": asked}


class StatementForm(forms.Form):
    """From which day to which; by default this year so far."""

    start = DateField(label=_("From day"), required=False)
    last = DateField(label=_("To day"), required=False)

    def __init__(self, *args: Any, today: dt.date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.today = today
        for field in self.fields.values():
            field.widget.attrs["class"] = "form-control"

    def clean(self) -> dict[str, Any]:
        """Fill in what was left out."""
        data = super().clean() or {}
        last = data.get("last") or self.today
        start = data.get("start") or last.replace(month=1, day=1)
        if start > last and not self.errors:
            self.add_error("last", _("The last day lies before the first."))
        return {**data, "start": start, "last": last}
