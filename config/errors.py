"""What a reader sees when a request fails: a sentence, the next step and a code to quote."""

from __future__ import annotations

import structlog
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

# Status: (what happened, what to do next).
SENTENCES: dict[int, tuple[Promise, Promise]] = {
    400: (_("The request could not be read."), _("Go back, reload the page and try again.")),
    403: (
        _("You do not have the right to do this."),
        _("Ask your manager for the right, or switch to a property where you have it."),
    ),
    404: (
        _("This page or record does not exist, or it belongs to another property."),
        _("Check the address, or search for the guest again."),
    ),
    500: (
        _("Something went wrong on our side; nothing was saved."),
        _("Try again. If it happens again, give the code below to your administrator."),
    ),
}


def _asset(path: str) -> str:
    """Address of a static file; empty when it was not collected, for that may be what failed."""
    try:
        return static(path)
    except ValueError:
        return ""


def error_response(
    request: HttpRequest, status: int, *, message: str | Promise = "", advice: str | Promise = ""
) -> HttpResponse:
    """The error as JSON for the API, as a fragment for htmx, else as a page.

    Args:
        request: The failed request.
        status: HTTP status, one of `SENTENCES`.
        message: What happened, instead of the usual sentence.
        advice: What to do next, instead of the usual one.
    """
    sentence, next_step = SENTENCES[status]
    request_id = str(structlog.contextvars.get_contextvars().get("request_id", ""))
    context = {
        "status": status,
        "message": message or sentence,
        "advice": advice or next_step,
        "request_id": request_id,
        "stylesheet": _asset("house/auth.css"),
        "icon": _asset("app/favicon.svg"),
    }
    if request.path.startswith("/api/"):
        return JsonResponse({"detail": str(context["message"]), "code": f"http_{status}"}, status=status)
    template = "errors/fragment.html" if request.headers.get("HX-Request") == "true" else "errors/page.html"
    # Without the request: context processors could fail the way the view did.
    return HttpResponse(render_to_string(template, context), status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400."""
    return error_response(request, 400)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403; the view's own reason is shown if it gave one."""
    return error_response(request, 403, message=str(exception))


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404."""
    return error_response(request, 404)


def server_error(request: HttpRequest) -> HttpResponse:
    """500."""
    return error_response(request, 500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form whose token is missing or from an earlier login."""
    return error_response(
        request,
        403,
        message=_("This form is from an earlier sign-in."),
        advice=_("Reload the page and send it again; what you typed may have to be typed again."),
    )
