"""Writing vouchers together with their history, by one statement, as the database demands."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection

from loyalty.models import VoucherEvent
from loyalty.services.ledger import RequestKey
from loyalty.services.vouchers.refusals import refused

EVENT_COLUMNS = (
    "kind",
    "at",
    "actor_id",
    "property_id",
    "from_membership_id",
    "membership_id",
    "reason",
    "redemption_id",
    "folio_reference",
    "amount",
    "request_client",
    "request_key",
    "request_hash",
)
_BLANK = {"reason", "folio_reference", "request_client", "request_key", "request_hash"}

_LOCK = """
    SELECT id FROM loyalty_voucher WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
"""


def event_values(kind: VoucherEvent.Kind, *, at: dt.datetime, **facts: Any) -> dict[str, Any]:
    """All columns of an entry; those not given are empty."""
    values = {name: "" if name in _BLANK else None for name in EVENT_COLUMNS}
    return {**values, "kind": kind.value, "at": at, **facts}


def change_vouchers(
    *, ids: Sequence[int], state: str, sets: Mapping[str, Any], event: Mapping[str, Any], still: str = "", **params: Any
) -> list[int]:
    """Change those of the vouchers that are in a state, with an entry for each.

    The condition on the state and the change are one: of two that race for a voucher, one finds no row.

    Args:
        ids: Primary keys.
        state: Which state they have to be in.
        sets: New values by column.
        event: From `event_values`.
        still: Further condition in SQL on `v`.
        **params: Parameters of that condition.

    Returns:
        Keys of the changed vouchers.
    """
    assignments = ", ".join(f"{column} = %(set_{column})s" for column in sets)
    columns = ", ".join(EVENT_COLUMNS)
    values = ", ".join(f"%(event_{column})s" for column in EVENT_COLUMNS)
    # Column names are ours, values are parameters.
    statement = f"""
        WITH changed AS (
            UPDATE loyalty_voucher v SET {assignments}
            WHERE v.id = ANY(%(ids)s) AND v.state = %(state)s {still}
            RETURNING v.id
        ), written AS (
            INSERT INTO loyalty_voucherevent (voucher_id, {columns}) SELECT id, {_typed(values)} FROM changed
        )
        SELECT id FROM changed
    """  # noqa: S608
    parameters = {
        "ids": list(ids),
        "state": state,
        **{f"set_{name}": value for name, value in sets.items()},
        **{f"event_{name}": event[name] for name in EVENT_COLUMNS},
        **params,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return [row[0] for row in cursor.fetchall()]


def _typed(values: str) -> str:
    """The values with the types that a bare NULL in a SELECT lacks."""
    types = {
        "at": "timestamptz",
        "actor_id": "bigint",
        "property_id": "bigint",
        "from_membership_id": "bigint",
        "membership_id": "bigint",
        "redemption_id": "uuid",
        "amount": "numeric",
    }
    for column, kind in types.items():
        values = values.replace(f"%(event_{column})s", f"%(event_{column})s::{kind}")
    return values


def lock_free(ids: Sequence[int]) -> list[int]:
    """Lock those of the vouchers that nobody else holds."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [list(ids)])
        return [row[0] for row in cursor.fetchall()]


def request_hash(*facts: object) -> str:
    """What tells a retry from another request with the same key."""
    return hashlib.sha256("\x1f".join(map(str, facts)).encode()).hexdigest()


def answered(request: RequestKey | None, kind: VoucherEvent.Kind, digest: str) -> VoucherEvent | None:
    """The entry that an earlier sending of the same request made.

    Raises:
        VoucherRefused: `request_conflict`: the key belongs to another request.
    """
    if request is None:
        return None
    event = VoucherEvent.objects.filter(request_client=request.client, request_key=request.key).first()
    if event is not None and (event.kind != kind or event.request_hash != digest):
        raise refused(code="request_conflict")
    return event


def request_facts(request: RequestKey | None, digest: str) -> dict[str, str]:
    """The columns of the request in an entry."""
    if request is None:
        return {}
    return {"request_client": request.client, "request_key": request.key, "request_hash": digest}
