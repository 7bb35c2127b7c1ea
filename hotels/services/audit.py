"""Writing the audit trail."""

from __future__ import annotations

import datetime as dt
from typing import Any

import structlog
from django.db import models

from hotels.models import AuditEntry, Property, User


def record_audit(
    *,
    actor: User | None,
    now: dt.datetime,
    action: str,
    target: models.Model | None = None,
    object_type: str = "",
    object_id: str = "",
    label: str = "",
    place: Property | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    reason: str = "",
) -> AuditEntry:
    """Write one entry inside the caller's transaction.

    Args:
        actor: Who acts; None for the system itself.
        now: Aware instant of the change.
        action: Stable code, `noun.verb`, such as `guest.enrolled`.
        target: The record changed.
        object_type: Instead of a record: its kind, `app.model`.
        object_id: Instead of a record: its key.
        label: What a reader recognises the record by; never unmasked personal data.
        place: The property where it happened, which decides who may read the entry.
        before: Changed fields as they were, JSON-ready.
        after: Changed fields as they are now, JSON-ready.
        reason: Why, in the actor's words.

    Returns:
        The stored entry, with the request id and address of the current request if there is one.
    """
    context = structlog.contextvars.get_contextvars()
    return AuditEntry.objects.create(
        at=now,
        actor=actor,
        action=action,
        object_type=object_type or (target._meta.label_lower if target is not None else ""),
        object_id=object_id or (str(target.pk) if target is not None else ""),
        object_label=label[:200],
        property=place,
        before=before,
        after=after,
        reason=reason[:300],
        request_id=str(context.get("request_id", "")),
        address=context.get("ip"),
    )
