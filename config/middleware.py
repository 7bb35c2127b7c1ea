"""Request handling that spans all apps: the log line, the session of staff, the admin's policy."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from urllib.parse import urlsplit

import structlog
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, resolve_url
from django.utils import translation
from django.utils.translation import gettext as _
from django_structlog.middlewares import RequestMiddleware

from hotels.models import User
from hotels.views import login_redirect

# Django's admin theme evaluates its own attributes (Alpine.js) and styles by attribute.
ADMIN_POLICY = {"script-src": ["'unsafe-eval'"], "style-src": ["'unsafe-inline'"]}
ADMIN_PREFIX = "/admin/"

# Reachable before a required second factor is set up.
WITHOUT_SECOND_FACTOR = ("/accounts/", "/i18n/", "/static/", "/health/", "/ready/")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


class RequestLogMiddleware(RequestMiddleware):
    """Logs each request under an id that the response carries as `X-Request-ID`.

    Only the path is logged: a query may hold a guest's phone number.
    """

    @staticmethod
    def format_request(request: HttpRequest) -> str:
        """Method and path, without the query."""
        return f"{request.method} {request.path}"

    @classmethod
    def bind_ip(cls, request: HttpRequest) -> None:
        """Bind the client's address, believing only as many proxies as the settings name."""
        address = request.META.get("REMOTE_ADDR") or None
        count = settings.ALLAUTH_TRUSTED_PROXY_COUNT
        forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
        if count and len(forwarded) >= count and _is_address(forwarded[-count]):
            address = forwarded[-count]
        structlog.contextvars.bind_contextvars(ip=address)

    def handle_response(self, request: HttpRequest, response: HttpResponse) -> None:
        """Add the id before the log context is cleared."""
        request_id = structlog.contextvars.get_contextvars().get("request_id")
        if request_id:
            response["X-Request-ID"] = request_id
        super().handle_response(request, response)


def refuse_null_characters(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Answer 400 to an address with NUL in it: no text column can hold one, so every search would fail on it."""

    def handle(request: HttpRequest) -> HttpResponse:
        if "\0" in request.path or any(
            "\0" in text for name, values in request.GET.lists() for text in [name, *values]
        ):
            msg = "NUL in the address"
            raise BadRequest(msg)
        return get_response(request)

    return handle


def second_factor_missing(user: User) -> bool:
    """Whether the user must have a second factor and has not set one up."""
    required = user.second_factor_required or any(
        a.role in settings.GUIKE_SECOND_FACTOR_ROLES for a in user.active_assignments()
    )
    return required and not is_mfa_enabled(user, [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN])


class StaffSessionMiddleware:
    """The signed-in user's language and second factor, the way back after a lost session."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        """Keep the next handler."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Handle one request."""
        user = request.user
        if isinstance(user, User):
            if user.language:
                translation.activate(user.language)
                request.LANGUAGE_CODE = translation.get_language()
            if not request.path.startswith(WITHOUT_SECOND_FACTOR) and second_factor_missing(user):
                if request.method == "GET" and request.headers.get("HX-Request") != "true":
                    messages.warning(request, _("Your role needs a second factor. Set one up to go on."))
                return self._for_htmx(request, redirect("mfa_index"))
        response = self._for_htmx(request, self.get_response(request))
        if request.path.startswith(ADMIN_PREFIX):
            response._csp_update = ADMIN_POLICY  # type: ignore[attr-defined]
        return response

    def _for_htmx(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Turn a redirect to the login or set-up page into one that htmx follows as a whole page.

        htmx follows a plain redirect inside its request and would put the login page into a panel.
        """
        if request.headers.get("HX-Request") != "true" or response.status_code not in {301, 302, 303, 307}:
            return response
        path = urlsplit(response["Location"]).path
        if path == resolve_url(settings.LOGIN_URL):
            target = login_redirect(request)["Location"]
        elif path.startswith("/accounts/"):
            target = response["Location"]
        else:
            return response
        return HttpResponse(status=401, headers={"HX-Redirect": target})
