"""Vouchers at the desk."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from loyalty.models import (
    Membership,
    Programme,
    Voucher,
    VoucherType,
)
from loyalty.rules.vouchers import Refusal
from members.forms import DeskForm


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
