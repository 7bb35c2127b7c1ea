"""Staff forms of the organisation."""

from __future__ import annotations

import datetime as dt

from django import forms

from hotels.models import User
from hotels.services.users import change_profile


class ProfileForm(forms.ModelForm[User]):
    """What a user may change about themselves."""

    class Meta:
        model = User
        fields = ["display_name", "language", "shortcuts_enabled"]

    def save(self, commit: bool = True, *, now: dt.datetime | None = None) -> User:  # noqa: FBT001, FBT002
        """Store the changed fields through the service; `now` is aware."""
        if now is None:
            return super().save(commit=commit)
        return change_profile(
            actor=self.instance,
            now=now,
            changes={name: self.cleaned_data[name] for name in self.changed_data},
        )
