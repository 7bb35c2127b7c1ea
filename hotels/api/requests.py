"""What API views share: the client's guest, the idempotency key, answers that no cache keeps."""

from __future__ import annotations

from typing import Any

from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from hotels.api.errors import ApiError
from hotels.models import User

IDEMPOTENCY_HEADER = "Idempotency-Key"
IDEMPOTENCY_KEY_LENGTH = 120


class PrivateView(APIView):
    """A view whose answers are about one client and stay out of caches."""

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        """Forbid caching."""
        response = super().finalize_response(request, response, *args, **kwargs)
        add_never_cache_headers(response)
        return response


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields that it does not know, so that a misspelled one is not lost quietly."""

    def to_internal_value(self, data: Any) -> Any:
        """Check the names, then the values."""
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.fields))):
            raise serializers.ValidationError(
                {name: serializers.ErrorDetail(str(_("This field is not known.")), code="unknown") for name in unknown}
            )
        return super().to_internal_value(data)


def client_of(request: Request) -> User:
    """The user whose token the request carries; permissions have made sure that there is one."""
    if not isinstance(request.user, User):
        raise ApiError(code="not_authenticated", message=_("Send a token."), status_code=401)
    return request.user


def idempotency_key(request: Request) -> str:
    """The request's `Idempotency-Key`.

    Raises:
        ApiError: `idempotency_key_missing` or `idempotency_key_invalid`.
    """
    key = request.headers.get(IDEMPOTENCY_HEADER, "").strip()
    if not key:
        raise ApiError(
            code="idempotency_key_missing",
            message=_(
                "Send an Idempotency-Key header with a value of your own for each request, and the same for its retries."
            ),
        )
    if len(key) > IDEMPOTENCY_KEY_LENGTH or not (key.isascii() and key.isprintable()):
        raise ApiError(
            code="idempotency_key_invalid", message=_("An Idempotency-Key has at most 120 printable ASCII characters.")
        )
    return key
