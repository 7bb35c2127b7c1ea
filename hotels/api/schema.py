"""Parts of the OpenAPI document that several doors share."""

from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers


class ErrorSerializer(serializers.Serializer[object]):
    """A refusal: a sentence for people, a stable code for programs, and the fields that are wrong."""

    detail = serializers.CharField()
    code = serializers.CharField()
    errors = serializers.DictField(  # type: ignore[assignment]
        required=False, help_text="By field name: a list of `{message, code}`; nested as the request is."
    )


LANGUAGE_HEADER = OpenApiParameter(
    "Accept-Language",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="Language of names and sentences: `zh-hans` (default) or `en`.",
)


def refusal(description: str) -> OpenApiResponse:
    """An error response of the document."""
    return OpenApiResponse(ErrorSerializer, description)
