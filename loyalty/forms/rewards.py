"""Rewards at the desk."""

from __future__ import annotations

import datetime as dt

from django import forms
from django.utils.translation import gettext_lazy as _

from loyalty.models import (
    RewardCategory,
)
from loyalty.rules.rewards import QUANTITY_MAXIMUM
from members.forms import DeskForm


class RedeemForm(DeskForm):
    """A reward for points; the view draws the choice, with the price of the day."""

    reward = forms.CharField(label=_("Reward"), max_length=80, error_messages={"required": _("Choose a reward.")})
    for_date = forms.DateField(
        label=_("For the day"), required=False, widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
    )
    quantity = forms.IntegerField(
        label=_("Quantity"),
        required=False,
        min_value=1,
        max_value=QUANTITY_MAXIMUM,
        widget=forms.NumberInput(attrs={"inputmode": "numeric"}),
    )
    note = forms.CharField(label=_("Note"), required=False, max_length=200, help_text=_("Such as the time."))

    def asked(self, today: dt.date) -> tuple[dt.date, int]:
        """Day and quantity as they were entered, as far as they make sense; else today and one."""
        day, quantity = self["for_date"].value(), self["quantity"].value()
        try:
            date = self.fields["for_date"].clean(day) or today
        except forms.ValidationError:
            date = today
        try:
            return date, self.fields["quantity"].clean(quantity) or 1
        except forms.ValidationError:
            return date, 1


class CancelRedemptionForm(DeskForm):
    """Why a redemption is canceled."""

    reason = forms.CharField(label=_("Reason"), max_length=200)


class FulfilmentFilterForm(forms.Form):
    """Which rewards the list of what is to be handed over shows."""

    category = forms.ChoiceField(required=False, choices=[("", _("all")), *RewardCategory.choices])
