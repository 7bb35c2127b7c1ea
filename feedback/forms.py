"""Forms of the desk about tickets."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from feedback.models import Recovery, Ticket, TicketEvent
from hotels.models import Department, Property, User
from loyalty.models import VoucherType
from members.forms import DeskForm


class TicketForm(DeskForm):
    """What a guest complains of or asks for."""

    subject = forms.CharField(
        label=_("What is it about?"), max_length=120, widget=forms.TextInput(attrs={"autofocus": True})
    )
    category = forms.ChoiceField(label=_("Category"), choices=Ticket.Category, widget=forms.RadioSelect)
    severity = forms.ChoiceField(
        label=_("How bad is it for the guest?"),
        choices=Ticket.Severity,
        initial=Ticket.Severity.MEDIUM,
        widget=forms.RadioSelect,
    )
    department = forms.ModelChoiceField(
        label=_("Department"), queryset=Department.objects.none(), required=False, empty_label="–"
    )
    description = forms.CharField(
        label=_("Details"), max_length=4000, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )

    def __init__(self, *args: Any, place: Property, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["department"].queryset = Department.objects.filter(property=place)  # type: ignore[attr-defined]


class CloseForm(DeskForm):
    """How a ticket ended, and the newest event that was on the page."""

    seen = forms.IntegerField(widget=forms.HiddenInput, min_value=0, required=False)

    # “Not recorded” is for what was closed before it was asked.
    root_cause = forms.ChoiceField(
        label=_("Why did it happen?"),
        choices=[("", "–"), *(choice for choice in Ticket.RootCause.choices if choice[0] != Ticket.RootCause.UNKNOWN)],
    )
    resolution = forms.CharField(
        label=_("What was done for the guest?"), max_length=2000, widget=forms.Textarea(attrs={"rows": 3})
    )


class NoteForm(DeskForm):
    """An internal note."""

    text = forms.CharField(label=_("Internal note"), max_length=2000, widget=forms.Textarea(attrs={"rows": 2}))


class WorkForm(DeskForm):
    """One of several forms on the page of a ticket; their fields have the form's name in their ids."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, auto_id=f"{type(self).__name__.lower()}_%s", **kwargs)


class ReplyForm(WorkForm):
    """What the guest was told or said, and by which channel."""

    seen = forms.IntegerField(widget=forms.HiddenInput, min_value=0, required=False)
    channel = forms.ChoiceField(label=_("Channel"), choices=TicketEvent.Channel)
    text = forms.CharField(
        label=_("What was said to the guest?"), max_length=4000, widget=forms.Textarea(attrs={"rows": 3})
    )
    waits = forms.BooleanField(label=_("Wait for the guest’s answer; the clock stands"), required=False)


class ClassifyForm(WorkForm):
    """What it is about and how bad it is."""

    category = forms.ChoiceField(label=_("Category"), choices=Ticket.Category)
    severity = forms.ChoiceField(label=_("Severity"), choices=Ticket.Severity)


class AssignForm(WorkForm):
    """Who sees to it."""

    user = forms.ChoiceField(label=_("Give to"))

    def __init__(self, *args: Any, people: list[User], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["user"].choices = [(str(person.pk), str(person)) for person in people]  # type: ignore[attr-defined]


class PlaceForm(WorkForm):
    """Offers the departments of a property."""

    department = forms.ModelChoiceField(label=_("Department"), queryset=Department.objects.none(), empty_label=None)

    def __init__(self, *args: Any, place: Property, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        departments = Department.objects.filter(property=place).order_by("code")
        self.fields["department"].queryset = departments  # type: ignore[attr-defined]


class MoveForm(PlaceForm):
    """Which department sees to it."""


class SplitForm(PlaceForm):
    """A further ticket of the case, for another department."""

    subject = forms.CharField(label=_("What is it about?"), max_length=120)
    category = forms.ChoiceField(label=_("Category"), choices=Ticket.Category)
    severity = forms.ChoiceField(label=_("Severity"), choices=Ticket.Severity)


class JoinForm(WorkForm):
    """Another ticket, by its number."""

    number = forms.RegexField(
        label=_("Number of the other ticket"), regex=r"^(?:[Tt]-)?([0-9]{1,15})$", max_length=20, strip=True
    )

    def clean_number(self) -> int:
        """The number alone."""
        return int(self.cleaned_data["number"].lower().removeprefix("t-"))


class AttachForm(WorkForm):
    """A file."""

    file = forms.FileField(label=_("File"), help_text=_("Pictures, PDF, MP3 or MP4, up to 10 MB."))


class RecoveryForm(WorkForm):
    """What the guest is given."""

    kind = forms.ChoiceField(label=_("What the guest gets"), choices=Recovery.Kind)
    points = forms.IntegerField(label=_("Points"), min_value=1, required=False)
    voucher = forms.ModelChoiceField(label=_("Voucher"), queryset=VoucherType.objects.none(), required=False)
    amount = forms.DecimalField(
        label=_("Amount of the refund"), min_value=Decimal("0.01"), max_digits=12, decimal_places=2, required=False
    )
    text = forms.CharField(label=_("Reason"), max_length=300)

    def __init__(self, *args: Any, place: Property, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.place = place
        types = VoucherType.objects.filter(is_active=True).order_by("code", "pk")
        self.fields["voucher"].queryset = types  # type: ignore[attr-defined]


class BulkForm(WorkForm):
    """Some tickets, and what is done with them."""

    ACTIONS = (("take", _("Take")), ("handover", _("Take over")))

    action = forms.ChoiceField(choices=ACTIONS)
    tickets = forms.TypedMultipleChoiceField(coerce=uuid.UUID, choices=())

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        # Whatever was sent; the view looks only among the tickets that the user may see.
        sent = data.getlist("tickets")[:100]
        self.fields["tickets"].choices = [(value, value) for value in sent]  # type: ignore[attr-defined]
