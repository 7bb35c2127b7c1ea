"""Friends who were referred, and shares."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from loyalty.models import (
    SocialShare,
)
from members.forms import DeskForm


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
