"""Forms of the desk about tickets."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from feedback.models import Ticket
from hotels.models import Department, Property
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

    resolution = forms.CharField(
        label=_("What was done for the guest?"), max_length=2000, widget=forms.Textarea(attrs={"rows": 3})
    )


class NoteForm(DeskForm):
    """An internal note."""

    text = forms.CharField(label=_("Internal note"), max_length=2000, widget=forms.Textarea(attrs={"rows": 2}))
