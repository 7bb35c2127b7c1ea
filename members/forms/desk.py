"""Forms of the desk. They check shape; what is right about a guest is judged by the services."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from members.models import Guest, Preference, Tag


class DeskForm(forms.Form):
    """A form of the desk: our look, errors tied to their fields, one key for each time it was opened.

    The key makes a second sending of the same form, by a double click or a resent page, the same request.
    """

    request_key = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("initial", {})
        kwargs["initial"] = {"request_key": uuid.uuid4(), **kwargs["initial"]}
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            widget = field.widget
            if isinstance(widget, (forms.HiddenInput, forms.CheckboxInput, forms.RadioSelect)):
                continue
            widget.attrs.setdefault("class", "form-select" if isinstance(widget, forms.Select) else "form-control")
            widget.attrs.setdefault("autocomplete", "off")

    @property
    def key(self) -> uuid.UUID:
        """The key of this opening of the form; read it after validation."""
        key: uuid.UUID = self.cleaned_data["request_key"]
        return key

    def add_errors(self, errors: Mapping[str, str]) -> None:
        """Put a service's complaints beside the fields; what has no field here stands above the form."""
        for name, message in errors.items():
            self.add_error(name if name in self.fields else None, message)


class DateField(forms.DateField):
    """A date chosen with the browser's own calendar."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("widget", forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}))
        super().__init__(**kwargs)


class ProfileForm(DeskForm):
    """A guest's profile, with the version it was opened at; phone and e-mail stay as they are if left empty."""

    version = forms.IntegerField(widget=forms.HiddenInput, min_value=1)
    name = forms.CharField(label=_("Name"), max_length=120, widget=forms.TextInput(attrs={"autofocus": True}))
    gender = forms.ChoiceField(label=_("Gender"), choices=Guest.Gender, required=False)
    phone = forms.CharField(
        label=_("New phone"),
        max_length=40,
        required=False,
        widget=forms.TextInput(attrs={"type": "tel", "inputmode": "tel"}),
    )
    email = forms.CharField(
        label=_("New e-mail"), max_length=254, required=False, widget=forms.TextInput(attrs={"inputmode": "email"})
    )
    birthday = DateField(label=_("Birthday"), required=False)
    company = forms.CharField(label=_("Company"), max_length=120, required=False)

    def __init__(self, *args: Any, guest: Guest, masked: Mapping[str, str], **kwargs: Any) -> None:
        facts = {name: getattr(guest, name) for name in ("version", "name", "gender", "birthday", "company")}
        super().__init__(*args, initial=facts, **kwargs)
        for name in ("phone", "email"):
            self.fields[name].widget.attrs["placeholder"] = masked.get(name, "")

    @property
    def changes(self) -> dict[str, Any]:
        """What to store; read it after validation."""
        data = self.cleaned_data
        changes: dict[str, Any] = {name: data[name] for name in ("name", "gender", "birthday", "company")}
        return changes | {name: data[name] for name in ("phone", "email") if data[name]}


class PreferenceForm(DeskForm):
    """Something to know about a guest."""

    category = forms.ChoiceField(label=_("About"), choices=Preference.Category, widget=forms.RadioSelect)
    text = forms.CharField(
        label=_("What to know"),
        max_length=200,
        widget=forms.TextInput(
            attrs={"autofocus": True, "placeholder": _("High floor, buckwheat pillow, no peanuts …")}
        ),
    )
    severity = forms.ChoiceField(
        label=_("Shown as"), choices=Preference.Severity, initial=Preference.Severity.WISH, widget=forms.RadioSelect
    )


class TagForm(DeskForm):
    """A label for a guest."""

    tag = forms.ModelChoiceField(
        label=_("Tag"),
        queryset=Tag.objects.order_by("name", "pk"),
        widget=forms.RadioSelect,
        error_messages={"required": _("Choose a tag.")},
    )


class GuestFilterForm(forms.Form):
    """Narrows the list of guests."""

    name = forms.CharField(label=_("Name begins with"), required=False, max_length=60)
    tag = forms.ModelChoiceField(
        label=_("Tag"), queryset=Tag.objects.order_by("name", "pk"), required=False, empty_label=_("any")
    )
    alert = forms.BooleanField(label=_("with an alert"), required=False)
