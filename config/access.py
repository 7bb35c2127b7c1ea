"""Who may do what: rights from staff assignments, and the staff login."""

from __future__ import annotations

import base64
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from django.contrib.auth.backends import BaseBackend
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from hotels.models import Property, User
from hotels.rules import role_allows
from members.services.vault import decrypt, encrypt


class RoleBackend(BaseBackend):
    """Grants permissions by role; with a property as object, only where the role holds."""

    def get_user(self, user_id: int) -> User | None:
        """The active user behind a session."""
        return User.objects.filter(pk=user_id, is_active=True).first()

    def has_perm(self, user_obj: AbstractBaseUser | AnonymousUser, perm: str, obj: Any = None) -> bool:
        """Whether an assignment of the user includes `perm`, and covers `obj` if it is a property."""
        if not isinstance(user_obj, User) or not user_obj.is_active:
            return False
        return any(
            role_allows(a.role, perm) and (not isinstance(obj, Property) or a.covers(obj))
            for a in user_obj.active_assignments()
        )

    def has_module_perms(self, user_obj: AbstractBaseUser | AnonymousUser, app_label: str) -> bool:
        """Whether the user may see anything of an app, which decides the admin's index."""
        if not isinstance(user_obj, User) or not user_obj.is_active:
            return False
        return any(role_allows(a.role, f"{app_label}.view_any") for a in user_obj.active_assignments())


class StaffAccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Staff accounts are made by a manager; nobody signs up."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Closed: accounts come from the admin."""
        return False


class StaffMFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Second factors of staff; their secrets are encrypted like guests' personal data."""

    def encrypt(self, text: str) -> str:
        """The secret as stored."""
        return base64.b64encode(encrypt(text.encode())).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """The secret as used."""
        return decrypt(base64.b64decode(encrypted_text)).decode()
