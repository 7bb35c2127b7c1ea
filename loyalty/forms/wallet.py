"""Stored value, and points that go to somebody else, at the desk."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.utils.translation import gettext_lazy as _

from loyalty.models import (
    Membership,
    StoredValueMovement,
)
from loyalty.rules.money import minor
from members.forms import DeskForm


class StoredValueForm(DeskForm):
    """Money with its reference."""

    amount = forms.DecimalField(
        label=_("Amount"),
        max_digits=11,
        decimal_places=2,
        widget=forms.TextInput(attrs={"autofocus": True, "inputmode": "decimal", "placeholder": "1000"}),
    )
    reference = forms.CharField(label=_("Reference"), max_length=80, required=False)

    @property
    def minor_units(self) -> int:
        """The amount as the ledger keeps it; read it after validation."""
        return minor(self.cleaned_data["amount"])


class TopUpForm(StoredValueForm):
    """Money that a guest pays in."""

    method = forms.ChoiceField(
        label=_("Paid by"), choices=StoredValueMovement.Method, initial="wechat", widget=forms.RadioSelect
    )
    field_order = ("amount", "method", "reference")


class StoredValueRefundForm(StoredValueForm):
    """Money that goes back, and of which top-up."""

    top_up = forms.ModelChoiceField(
        label=_("Top-up"),
        queryset=StoredValueMovement.objects.none(),
        to_field_name="public_id",
        widget=forms.RadioSelect,
        error_messages={"required": _("Choose a top-up.")},
    )
    method = forms.ChoiceField(
        label=_("Paid back by"), choices=StoredValueMovement.Method, initial="wechat", widget=forms.RadioSelect
    )
    reason = forms.CharField(
        label=_("Reason"), max_length=200, help_text=_("Stands in the member's statement and in the audit trail.")
    )

    def __init__(self, *args: Any, membership: Membership, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cast(
            "forms.ModelChoiceField[StoredValueMovement]", self.fields["top_up"]
        ).queryset = StoredValueMovement.objects.filter(
            membership=membership, kind=StoredValueMovement.Kind.TOP_UP, undone_at=None
        )


class TransferForm(DeskForm):
    """Who gets points, and how many."""

    receiver = forms.CharField(
        label=_("Membership number of the receiver"),
        max_length=24,
        widget=forms.TextInput(attrs={"autofocus": True, "autocapitalize": "characters"}),
    )
    points = forms.IntegerField(label=_("Points"), widget=forms.TextInput(attrs={"inputmode": "numeric"}))
    reason = forms.CharField(label=_("Reason"), max_length=200, required=False)

    def clean_receiver(self) -> Membership:
        """The membership with the number."""
        number = self.cleaned_data["receiver"].strip().upper()
        membership = Membership.objects.select_related("guest").filter(number=number).first()
        if membership is None:
            raise forms.ValidationError(_("There is no membership with this number."))
        return membership
