"""The admin site of managers, marketers and auditors."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.urls import reverse
from unfold.sites import UnfoldAdminSite

from hotels.models import User
from hotels.views import safe_path


class StaffAdminSite(UnfoldAdminSite):  # type: ignore[misc]
    """Entered by role, not by the `is_staff` flag, and only through the staff login."""

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether the user has a role that works here."""
        return isinstance(request.user, User) and request.user.is_active and request.user.may_administer

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Send nobody to the staff login, and others away: there is one login with one second factor."""
        if isinstance(request.user, User):
            raise PermissionDenied
        back = safe_path(request, request.GET.get("next")) or reverse("admin:index")
        return redirect_to_login(back, resolve_url(settings.LOGIN_URL))
