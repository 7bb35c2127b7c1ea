"""Errors of the API: a sentence, a stable code, and where it helps the fields."""

from __future__ import annotations

from typing import Any

from rest_framework import status
from rest_framework.exceptions import APIException


class ApiError(APIException):
    """A refusal with a stable code; the codes are listed in docs/api.md."""

    def __init__(self, *, code: str, message: Any, status_code: int = status.HTTP_400_BAD_REQUEST) -> None:
        super().__init__(detail=message, code=code)
        self.status_code = status_code
