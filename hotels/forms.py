"""Staff forms of the organisation."""

from __future__ import annotations

import datetime as dt
from typing import Any

from allauth.account.forms import LoginForm
from django import forms
from django.utils.translation import gettext_lazy as _

from hotels.models import User
from hotels.services.users import change_profile


class StaffLoginForm(LoginForm):  # type: ignore[misc]
    """The login form with labels instead of placeholders."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].label = _("Username or e-mail address")
        for field in self.fields.values():
            field.widget.attrs.pop("placeholder", None)


class ProfileForm(forms.ModelForm[User]):
    """What a user may change about themselves."""

    class Meta:
        model = User
        fields = ["display_name", "language", "shortcuts_enabled"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["language"] = forms.ChoiceField(
            label=self.fields["language"].label,
            choices=[("", _("Language of the browser")), *User.Language.choices],
            required=False,
        )

    def save(self, commit: bool = True, *, now: dt.datetime | None = None) -> User:  # noqa: FBT001, FBT002
        """Store the changed fields through the service; `now` is aware."""
        if now is None:
            return super().save(commit=commit)
        return change_profile(
            actor=self.instance,
            now=now,
            changes={name: self.cleaned_data[name] for name in self.changed_data},
        )
