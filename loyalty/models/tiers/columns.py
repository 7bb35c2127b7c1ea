"""Columns and checks that several tables about tiers share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Q

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django_stubs_ext import StrPromise

    from hotels.models import User


def everything() -> dict[str, list[object]]:
    """The condition that everything meets."""
    return {"all": []}


def who(verbose_name: str | StrPromise) -> models.ForeignKey[User | None, User | None]:
    """Who did it; empty where nobody or nobody any more."""
    return models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=verbose_name
    )


def known(field: str, values: Iterable[str], name: str) -> models.CheckConstraint:
    """A column holds one of these values."""
    return models.CheckConstraint(condition=Q(**{f"{field}__in": list(values)}), name=name)
