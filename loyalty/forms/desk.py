"""Guests, stays, benefits and corrections at the desk."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from hotels.models import Property, RoomType
from loyalty.models import Membership, TierBenefit
from members.forms import DateField, DeskForm
from members.models import Guest, Reservation, RevenueCategory
from members.rules.identity import DOCUMENT_TYPES
from members.selectors.desk import bookings_of_stay
from members.services.guests import GuestInput, GuestInputError, check_guest
from members.services.stays import amount_problem


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
    # Ids of the guests who were shown as likely the same, and are not.
    told_apart = forms.CharField(required=False, max_length=400, widget=forms.HiddenInput)

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


class MoveStayForm(DeskForm):
    """Whose the stay is, and why it is moved."""

    number = forms.CharField(label=_("Membership number of the right guest"), max_length=24)
    reason = forms.CharField(
        label=_("Reason"), max_length=200, help_text=_("Stands in the member's statement and in the audit trail.")
    )

    def clean_number(self) -> Membership:
        """Find the member."""
        number = str(self.cleaned_data["number"]).strip()
        membership = Membership.objects.select_related("guest").filter(number=number).first()
        if membership is None:
            raise forms.ValidationError(_("There is no member with this number."), code="unknown_number")
        return membership
