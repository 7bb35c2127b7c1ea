"""Writing the audit trail."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import structlog
from django.db import connection, models

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


@dataclass(frozen=True, slots=True)
class AuditFact:
    """One entry among many of one actor at one instant; see `record_audit` for the meaning of each."""

    action: str
    object_type: str
    object_id: str
    label: str
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    reason: str = ""


def record_audits(*, actor: User | None, now: dt.datetime, place: Property | None, facts: Iterable[AuditFact]) -> None:
    """Write many entries inside the caller's transaction by one COPY.

    Args:
        actor: Who acts; None for the system itself.
        now: Aware instant of the changes.
        place: The property where they happened.
        facts: What happened to which record.
    """
    context = structlog.contextvars.get_contextvars()
    request_id, address = str(context.get("request_id", "")), context.get("ip")
    actor_id, place_id = (actor.pk if actor else None), (place.pk if place else None)
    columns = (
        "at, actor_id, action, object_type, object_id, object_label, property_id, before, after, reason, "
        "request_id, address"
    )
    with (
        # Django does not translate the errors of COPY by itself.
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(f"COPY hotels_auditentry ({columns}) FROM STDIN") as copy,
    ):
        for fact in facts:
            copy.write_row(
                (
                    now,
                    actor_id,
                    fact.action,
                    fact.object_type,
                    fact.object_id,
                    fact.label[:200],
                    place_id,
                    _json(fact.before),
                    _json(fact.after),
                    fact.reason[:300],
                    request_id,
                    address,
                )
            )


def _json(value: dict[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)
