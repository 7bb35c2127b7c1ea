"""How every error of the API looks: `{detail, code}`, with `errors` by field where input is wrong."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, JsonResponse
from django.utils.translation import gettext_lazy as _
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_exception_handler


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Turn an exception into the answer; None for what is a fault of ours."""
    if isinstance(exc, Http404):
        exc = exceptions.NotFound(*exc.args)
    elif isinstance(exc, PermissionDenied):
        exc = exceptions.PermissionDenied(*exc.args)
    response = drf_exception_handler(exc, context)
    if response is None or not isinstance(exc, exceptions.APIException):
        return response
    if isinstance(exc, exceptions.ValidationError):
        response.data = {
            "detail": str(_("Some of the data is wrong; see the errors by field.")),
            "code": "invalid",
            "errors": exc.get_full_details(),
        }
    else:
        response.data = {"detail": str(exc.detail), "code": str(exc.get_codes())}
    return response


def not_found(request: HttpRequest) -> JsonResponse:  # noqa: ARG001
    """Answer an address under /api/ that does not exist."""
    return JsonResponse({"detail": str(_("There is nothing at this address.")), "code": "not_found"}, status=404)
