"""Posting movements through the one function of the database that holds the rules."""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Sequence
from typing import Any

import psycopg
import structlog
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import errors as pg_errors

from loyalty.selectors.prepared import run_prepared
from loyalty.services.ledger.movements import BY_PROGRAMME, Movement, PostingResult, Verb
from loyalty.services.ledger.refusals import (
    AlreadyPosted,
    AlreadyReversed,
    ExcessiveReversal,
    HoldClosed,
    IdempotencyConflict,
    InsufficientPoints,
    LedgerError,
    MembershipInactive,
    NothingDue,
    NotReversible,
    UnknownAccount,
)

_ASKED = (
    "verb",
    "account_id",
    "membership_id",
    "unit",
    "points",
    "kind",
    "lot_class",
    "unit_cost",
    "posting_id",
    "refunded_to_date",
    "base",
    "hold_id",
    "source",
    "property_id",
)
_PLAIN = (
    "verb",
    "account_id",
    "membership_id",
    "unit",
    "points",
    "posting_id",
    "hold_id",
    "hold_until",
    "business_date",
    "property_id",
    "explanation",
    "rule_version",
    "actor_id",
    "reason",
)
_POST = "SELECT * FROM loyalty_post_movements(%s, %s)"
_REFUSED = "GK001"
_REPLAYED = "replayed"
_FIND = "SELECT membership_id, id FROM loyalty_account WHERE membership_id = ANY(%(ids)s) AND unit = %(unit)s"
_OPEN = """
    WITH opened AS (
        INSERT INTO loyalty_account (programme_id, membership_id, unit, available, pending, held, debt, last_seq, head_hash)
        SELECT m.programme_id, m.id, %(unit)s, 0, 0, 0, 0, 0, '' FROM loyalty_membership m WHERE m.id = ANY(%(ids)s)
        ON CONFLICT (membership_id, unit) DO NOTHING
        RETURNING membership_id, id
    )
    SELECT membership_id, id FROM opened UNION ALL
    SELECT membership_id, id FROM loyalty_account WHERE membership_id = ANY(%(ids)s) AND unit = %(unit)s
"""
_ERRORS: dict[str, type[LedgerError]] = {
    error.code: error
    for error in (
        InsufficientPoints,
        IdempotencyConflict,
        AlreadyPosted,
        AlreadyReversed,
        NotReversible,
        ExcessiveReversal,
        NothingDue,
        HoldClosed,
        MembershipInactive,
        UnknownAccount,
    )
}
_ATTEMPTS = 5


_asked = operator.attrgetter(*_ASKED)
_plain = operator.attrgetter(*_PLAIN)


def _request_hash(movement: Movement) -> str:
    return hashlib.sha256("\x1f".join(map(str, _asked(movement))).encode()).hexdigest()


def _payload(i: int, movement: Movement, trace: dict[str, Any]) -> dict[str, Any]:
    """The movement as the database function reads it; what is left out is NULL there."""
    _refuse_nonsense(movement)
    row = {
        name: value for name, value in zip(_PLAIN, _plain(movement), strict=True) if value is not None and value != ""
    }
    row["i"] = i
    row["occurred_at"] = movement.now.isoformat()
    if movement.source is not None:
        row["source_system"] = movement.source.system
        row["source_reference"] = movement.source.reference
        row["source_line"] = movement.source.line
    if movement.request is not None:
        row["request_client"] = movement.request.client
        row["request_key"] = movement.request.key
        row["request_hash"] = movement.request.request_hash or _request_hash(movement)
    if movement.verb is Verb.EARN or movement.verb is Verb.ADJUST:
        _describe_lot(row, movement)
    if movement.base is not None:
        row["refunded"] = movement.refunded_to_date
        row["base"] = movement.base
    if movement.actor_id is not None:
        row.update(trace)
    return row


def _refuse_nonsense(movement: Movement) -> None:
    """Catch a caller's mistake before it reaches the database."""
    points = movement.points
    if points is not None and (points == 0 or (points < 0 and movement.verb is not Verb.ADJUST)):
        message = "points must be above zero, or not zero for an adjustment"
        raise ValueError(message)
    if movement.now.tzinfo is None:
        message = "now must be aware"
        raise ValueError(message)
    if movement.source is not None and not (movement.source.system and movement.source.reference):
        message = "a source line needs a system and a reference"
        raise ValueError(message)
    if movement.request is not None and not (movement.request.client and movement.request.key):
        message = "a request key needs a client and a key"
        raise ValueError(message)


def _describe_lot(row: dict[str, Any], movement: Movement) -> None:
    row["lot_class"] = movement.lot_class
    if movement.unit_cost is not None:
        row["unit_cost"] = movement.unit_cost
    if movement.verb is Verb.EARN:
        row["kind"] = movement.kind
    if movement.expires_on is BY_PROGRAMME:
        row["expires_by_programme"] = True
    elif movement.expires_on is not None:
        row["expires_on"] = movement.expires_on
    if movement.pending_until is BY_PROGRAMME:
        row["pending_by_programme"] = True
    elif movement.pending_until is not None:
        row["pending_until"] = movement.pending_until


def _trace() -> dict[str, Any]:
    """Where the request came from, for the audit trail."""
    context = structlog.contextvars.get_contextvars()
    trace = {"trace_id": str(context["request_id"])[:64]} if context.get("request_id") else {}
    if context.get("ip"):
        trace["address"] = str(context["ip"])
    return trace


def _error(code: str, details: str | dict[str, Any] | None) -> LedgerError:
    return _ERRORS[code](json.loads(details) if isinstance(details, str) else details)


def _call(connection: BaseDatabaseWrapper, payload: str, *, strict: bool) -> list[tuple[Any, ...]]:
    """Call the function once, as a statement that this connection has prepared."""
    return run_prepared(connection, _POST, [payload, strict])


def movement_json(movement: Movement) -> dict[str, Any]:
    """A movement as the functions of the database read it, for those that post besides doing something else."""
    return _payload(0, movement, _trace())


def refusal_of(code: str, details: str | dict[str, Any] | None) -> LedgerError:
    """The exception for a refusal that a function of the database returned or raised."""
    return _error(code, details)


def _execute(payload: str, *, strict: bool) -> list[tuple[Any, ...]]:
    """Call the database function, again where another transaction was in the way.

    A deadlock or a key taken in the same moment rolls the statement back; outside a transaction it
    is simply asked again. Inside the caller's transaction the key's owner is reported instead.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _call(connection, payload, strict=strict)
        except DatabaseError as error:
            cause = error.__cause__
            if isinstance(cause, pg_errors.UniqueViolation):
                if not connection.in_atomic_block and attempt < _ATTEMPTS:
                    continue
                constraint = cause.diag.constraint_name or ""
                if constraint.startswith("loyalty_sourcekey"):
                    raise AlreadyPosted from error
                if constraint.startswith("loyalty_requestkey"):
                    raise IdempotencyConflict from error
            elif isinstance(cause, pg_errors.DeadlockDetected | pg_errors.SerializationFailure):
                if not connection.in_atomic_block and attempt < _ATTEMPTS:
                    continue
            elif isinstance(cause, psycopg.Error) and cause.sqlstate == _REFUSED:
                refusal = json.loads(cause.diag.message_detail or "{}")
                raise _error(refusal["error"], refusal.get("details")) from None
            raise
    raise AssertionError


def open_account(*, membership_id: int, unit: str = "points") -> int:
    """Open the account of a membership, or find it; returns its id."""
    return open_accounts(membership_ids=[membership_id], unit=unit)[membership_id]


def open_accounts(*, membership_ids: Sequence[int], unit: str = "points") -> dict[int, int]:
    """Open or find the accounts of many memberships in one statement; returns {membership id: account id}."""
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(_OPEN, {"ids": list(membership_ids), "unit": unit})
        opened = dict(cursor.fetchall())
        if len(opened) < len(set(membership_ids)):
            # Opened by someone else between the two halves of the statement, or no such membership.
            cursor.execute(_FIND, {"ids": list(membership_ids), "unit": unit})
            opened = dict(cursor.fetchall())
    if missing := set(membership_ids) - opened.keys():
        raise UnknownAccount({"membership_ids": sorted(missing)})
    return opened


def post_movements(movements: Sequence[Movement], *, strict: bool = True) -> list[PostingResult]:
    """Post one or many movements atomically; results stand in the order given.

    Movements of one account are carried out in the order given, those of different accounts side by
    side. Thousands a call are fine; 5,000 is a good chunk.

    Args:
        movements: What to post.
        strict: True raises the first failure and posts nothing. False posts what can be posted and
            returns each failure in `PostingResult.error` (a source line posted before carries
            `AlreadyPosted`, so a batch can be run again).

    Raises:
        LedgerError: One of the classes of this module, with `strict`.
    """
    if not movements:
        return []
    trace = _trace()
    payload = json.dumps([_payload(i, movement, trace) for i, movement in enumerate(movements)], default=str)
    rows = _execute(payload, strict=strict and len(movements) > 1)
    rows.sort()
    results = [
        PostingResult(
            posting_id=row[3],
            account_id=row[4],
            seq=row[5],
            kind=row[6],
            points=row[7] or 0,
            available=row[8] or 0,
            pending=row[9] or 0,
            held=row[10] or 0,
            debt=row[11] or 0,
            hold_id=row[12],
            replayed=row[1] == _REPLAYED,
            error=None if row[1] is None or row[1] == _REPLAYED else _error(row[1], row[2]),
        )
        for row in rows
    ]
    if strict:
        for result in results:
            if result.error is not None:
                raise result.error
    return results
