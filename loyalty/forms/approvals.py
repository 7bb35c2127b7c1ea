"""Decisions about movements."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from loyalty.models import (
    MovementKind,
)
from members.forms import DeskForm


class ApprovalFilterForm(forms.Form):
    """Narrows the lists of requests and movements."""

    kind = forms.ChoiceField(label=_("Movement"), required=False, choices=[("", _("any")), *MovementKind.choices])


class ApprovalNoteForm(DeskForm):
    """A remark of who approves."""

    note = forms.CharField(
        label=_("Note"),
        max_length=300,
        required=False,
        help_text=_("Stands with the request and in the audit trail."),
        widget=forms.TextInput(attrs={"autofocus": True}),
    )


class RefuseApprovalForm(ApprovalNoteForm):
    """Why a request is refused."""

    note = forms.CharField(
        label=_("Reason"),
        max_length=300,
        help_text=_("Whoever asked reads it."),
        widget=forms.TextInput(attrs={"autofocus": True}),
    )
