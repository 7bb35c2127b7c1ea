"""One effect for each idempotency key, however often the request is sent."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar, cast

from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from hotels.models import ApiRequest, User

# How long a client may repeat a request and get the first answer.
ANSWERS_KEPT = dt.timedelta(days=30)
_BATCH = 5000

# A form's effect: the primary key of what it made, or nothing.
Made = TypeVar("Made", bound="int | None")


class IdempotencyKeyReused(Exception):
    """The key was used for a request with other data."""

    code = "idempotency_conflict"
    message = _("This Idempotency-Key was used for a request with other data. Send a new request with a new key.")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client is told: HTTP status, JSON-ready body, and whether it is a repetition."""

    status: int
    body: dict[str, Any]
    is_replay: bool = False


@transaction.atomic
def answer_once(
    *, actor: User, now: dt.datetime, key: str, operation: str, data: Any, perform: Callable[[], Answer]
) -> Answer:
    """Carry out `perform` once for each key of a client and keep its answer.

    The unique key serializes parallel retries: a second request waits at the insert until the
    first commits (then it gets the stored answer) or rolls back (then it performs the effect).
    An exception of `perform` leaves nothing behind, so a refused request may be sent again.

    Args:
        actor: The client; keys of different clients never meet.
        now: Aware instant of the request.
        key: The client's `Idempotency-Key`.
        operation: Method and path, part of what must be equal in a retry.
        data: The parsed request, JSON-ready.
        perform: The effect; runs inside this transaction.

    Raises:
        IdempotencyKeyReused: The key belongs to a request with other data.
    """
    digest = request_hash(operation, data)
    row = ApiRequest(user=actor, key=key, operation=operation[:200], request_hash=digest, created_at=now)
    ApiRequest.objects.bulk_create([row], ignore_conflicts=True)
    # Ours if its answer is still open: nobody else can see an unanswered row.
    stored = ApiRequest.objects.select_for_update().get(user=actor, key=key)
    if stored.status:
        if bytes(stored.request_hash) != digest:
            raise IdempotencyKeyReused
        return Answer(status=stored.status, body=stored.body or {}, is_replay=True)
    answer = perform()
    stored.status = answer.status
    stored.body = answer.body
    stored.save(update_fields=["status", "body"])
    return answer


def perform_once(
    *,
    actor: User | None,
    now: dt.datetime,
    key: uuid.UUID | None,
    operation: str,
    data: Any,
    perform: Callable[[], Made],
) -> Made:
    """Carry out what a form asks for once for each opening of the form, however often it is sent.

    Args:
        actor: Who sends the form; without one, or without a key, nothing is remembered.
        now: Aware instant.
        key: The key of this opening of the form.
        operation: What is done, and to which record.
        data: What the form says, JSON-ready; only its hash is kept.
        perform: The effect; runs inside this transaction and returns the primary key of what it made, if anything.

    Returns:
        What `perform` returned the first time.

    Raises:
        IdempotencyKeyReused: The form was sent before with other content.
    """
    if actor is None or key is None:
        return perform()
    answer = answer_once(
        actor=actor,
        now=now,
        key=str(key),
        operation=operation,
        data=data,
        perform=lambda: Answer(status=HTTPStatus.OK, body={"made": perform()}),
    )
    return cast("Made", answer.body["made"])


def delete_old_answers(*, now: dt.datetime) -> int:
    """Forget answers older than `ANSWERS_KEPT`, each batch in a transaction of its own; safe to break off.

    A business key (a stay's source and number, a posting's source line) still refuses a later repetition.

    Returns:
        How many were deleted.
    """
    old = ApiRequest.objects.filter(created_at__lt=now - ANSWERS_KEPT).order_by("created_at").values("pk")
    total = 0
    while deleted := ApiRequest.objects.filter(pk__in=old[:_BATCH]).delete()[0]:
        total += deleted
    return total


def request_hash(operation: str, data: Any) -> bytes:
    """SHA-256 of a request; the order of keys and the spacing do not matter."""
    text = json.dumps([operation, data], cls=DjangoJSONEncoder, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()
