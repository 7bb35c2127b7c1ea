"""The points ledger: every change of a member's points goes through here.

A verb (`earn_points`, `redeem_points`, …) makes one `Movement`; `post_movements` posts one or
thousands of them in one statement of the database, which holds the only implementation
(`loyalty/migrations/sql`). Called outside a transaction, a verb is one round trip and commits by
itself; called inside `transaction.atomic` it belongs to the caller's transaction.

Common meaning of arguments:
    membership_id / account_id: Whose points; give one. The account of a membership is found by its unit.
    points: Whole points, above zero unless a function says otherwise.
    now: Aware instant of the movement. What is spendable on that day is judged by the calendar date
        of `now` in the programme's time zone; a lot is usable to the end of its `expires_on`.
    business_date: Date the movement is booked under; by default the date of `now` in the programme's zone.
    source: Business key. A second movement of the same kind for the same source line is refused
        with `AlreadyPosted`, whoever sends it, whichever account it names.
    request: Idempotency key of the caller. The same key with the same request returns the stored
        result (`replayed`), with another request it raises `IdempotencyConflict`.
    explanation: JSON-ready facts from which `loyalty.rules.explain` makes one sentence.
    actor: Who acts; leaves an entry in the audit trail. None for the system, which leaves none.

An expected failure writes nothing and raises a `LedgerError`. The caller's transaction stays usable, except
after a strict call of several movements, an unknown account, or a key that another transaction took in the
same moment: those roll it back.
"""

from __future__ import annotations

import datetime as dt
import enum
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Final

import psycopg
import structlog
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from psycopg import errors as pg_errors

from hotels.models import User


class ByProgramme(enum.Enum):
    """Marks a date that follows from the programme's policy."""

    TOKEN = "by_programme"  # noqa: S105


BY_PROGRAMME: Final = ByProgramme.TOKEN


class Verb(enum.StrEnum):
    """What a movement asks for; the posting's kind follows from it."""

    EARN = "earn"
    REDEEM = "redeem"
    RELEASE = "release"
    REVERSE = "reverse"
    ADJUST = "adjust"
    EXPIRE = "expire"
    HOLD = "hold"
    CAPTURE = "capture"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class SourceLine:
    """The document line a movement comes from, such as ("opera", "H1-10233", "points")."""

    system: str
    reference: str
    line: str = ""


@dataclass(frozen=True, slots=True)
class RequestKey:
    """A caller's idempotency key, unique per programme and client.

    `request_hash` (hex SHA-256) tells a retry from another request under the same key; left empty,
    it is made of what the movement asks for, without times and explanation.
    """

    client: str
    key: str
    request_hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """One change asked of the ledger; the verbs below tell which fields each `verb` reads."""

    verb: Verb
    now: dt.datetime
    account_id: int | None = None
    membership_id: int | None = None
    unit: str = "points"
    points: int | None = None
    # "earn" or "bonus" for EARN.
    kind: str = "earn"
    lot_class: str = "earned"
    expires_on: dt.date | ByProgramme | None = BY_PROGRAMME
    pending_until: dt.date | ByProgramme | None = BY_PROGRAMME
    unit_cost: Decimal | None = None
    # The posting to reverse, or the earning whose pending points to release.
    posting_id: int | None = None
    # Share of the original to have reversed so far, as refunded / base.
    refunded_to_date: Decimal | None = None
    base: Decimal | None = None
    hold_id: int | None = None
    hold_until: dt.datetime | None = None
    source: SourceLine | None = None
    request: RequestKey | None = None
    explanation: dict[str, Any] | None = None
    rule_version: str = ""
    business_date: dt.date | None = None
    property_id: int | None = None
    actor_id: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PostingResult:
    """What was posted, with the balances right after it.

    `replayed` means that the request had been carried out before and this is its stored result.
    With `error` set (only from `post_movements(…, strict=False)`) nothing was posted and
    `posting_id` is None.
    """

    posting_id: int | None
    account_id: int
    seq: int | None
    kind: str
    points: int
    available: int
    pending: int
    held: int
    debt: int
    hold_id: int | None = None
    replayed: bool = False
    error: LedgerError | None = None


class LedgerError(Exception):
    """A movement the ledger refuses; `code` is stable, the message is for the reader."""

    code: ClassVar[str] = "ledger_refused"
    message: ClassVar[Any] = _("The points could not be posted.")

    def __init__(self, details: dict[str, Any] | None = None) -> None:
        self.details: dict[str, Any] = details or {}
        super().__init__(self.code)

    def __str__(self) -> str:
        return str(self.message)


class InsufficientPoints(LedgerError):
    """Fewer spendable points than asked for; lapsed, pending and held points do not count."""

    code = "insufficient_points"

    @property
    def needed(self) -> int:
        """Points asked for."""
        return int(self.details["needed"])

    @property
    def available(self) -> int:
        """Points that could be spent."""
        return int(self.details["available"])

    def __str__(self) -> str:
        return ngettext(
            "%(needed)s points are needed, %(available)s point is available.",
            "%(needed)s points are needed, %(available)s points are available.",
            self.available,
        ) % {"needed": f"{self.needed:,}", "available": f"{self.available:,}"}


class IdempotencyConflict(LedgerError):
    """The idempotency key was used before for another request."""

    code = "idempotency_conflict"
    message = _("This request key was used before for another request.")


class AlreadyPosted(LedgerError):
    """The source line has its posting; `posting_id` and `account_id` tell which."""

    code = "already_posted"
    message = _("These points are posted already.")

    @property
    def posting_id(self) -> int | None:
        """The posting that stands; None when another transaction was posting it at the same time."""
        return self.details.get("posting_id")

    @property
    def account_id(self) -> int | None:
        """The account it stands on."""
        return self.details.get("account_id")


class AlreadyReversed(LedgerError):
    """The posting is reversed in full, or the part asked for is."""

    code = "already_reversed"
    message = _("These points are reversed already.")


class NotReversible(LedgerError):
    """Postings of this kind are not reversed, such as a release or a reversal."""

    code = "not_reversible"
    message = _("This posting cannot be reversed.")


class ExcessiveReversal(LedgerError):
    """More is to be reversed than is left of the original."""

    code = "excessive_reversal"
    message = _("More points would be reversed than were posted.")


class NothingDue(LedgerError):
    """There is nothing to release or to expire on this account."""

    code = "nothing_due"
    message = _("There are no points to release.")


class HoldClosed(LedgerError):
    """The hold was captured, voided or timed out before."""

    code = "hold_closed"
    message = _("These points are no longer held.")


class MembershipInactive(LedgerError):
    """The membership is suspended or closed, it neither earns nor spends."""

    code = "membership_inactive"
    message = _("This membership is not active.")


class UnknownAccount(LedgerError):
    """No account, posting or hold with this id."""

    code = "unknown_account"
    message = _("There is no such points account.")


# What tells one request from another under the same key: what is asked, not when or how it is explained.
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


def _request_hash(movement: Movement) -> str:
    asked = [str(getattr(movement, name)) for name in _ASKED]
    return hashlib.sha256("\x1f".join(asked).encode()).hexdigest()


def _payload(i: int, movement: Movement, trace: dict[str, Any]) -> dict[str, Any]:
    """The movement as the database function reads it; what is left out is NULL there."""
    _refuse_nonsense(movement)
    row: dict[str, Any] = {"i": i, "occurred_at": movement.now}
    for name in _PLAIN:
        value = getattr(movement, name)
        if value is not None and value != "":
            row[name] = value
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


def _execute(payload: str, *, strict: bool) -> list[tuple[Any, ...]]:
    """Call the database function, again where another transaction was in the way.

    A deadlock or a key taken in the same moment rolls the statement back; outside a transaction it
    is simply asked again. Inside the caller's transaction the key's owner is reported instead.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with connection.cursor() as cursor:
                cursor.execute(_POST, [payload, strict])
                rows: list[tuple[Any, ...]] = cursor.fetchall()
                return rows
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


def _post(**fields: Any) -> PostingResult:
    return post_movements([Movement(**fields)])[0]


def earn_points(
    *,
    actor: User | None,
    now: dt.datetime,
    points: int,
    membership_id: int | None = None,
    account_id: int | None = None,
    kind: str = "earn",
    lot_class: str = "earned",
    expires_on: dt.date | ByProgramme | None = BY_PROGRAMME,
    pending_until: dt.date | ByProgramme | None = BY_PROGRAMME,
    unit_cost: Decimal | None = None,
    source: SourceLine | None = None,
    request: RequestKey | None = None,
    explanation: dict[str, Any] | None = None,
    rule_version: str = "",
    business_date: dt.date | None = None,
    property_id: int | None = None,
    reason: str = "",
) -> PostingResult:
    """Credit points as one new lot; a debt is repaid from them first.

    Besides the arguments of the module:
        kind: "earn" or "bonus".
        lot_class: A value of `Lot.Class`: earned, bonus, purchased, compensation.
        expires_on: Last day the points can be used; None means never; by default the business date
            plus the programme's expiry months, rounded as the programme says.
        pending_until: Date on which the points are released; None opens them at once; by default the
            business date plus the programme's pending days, open when those are 0.
        unit_cost: What a point costs the funding property, in the programme's currency.
        property_id: The property that funds the points.

    Raises:
        AlreadyPosted, IdempotencyConflict, MembershipInactive, UnknownAccount: See the classes.
    """
    return _post(
        verb=Verb.EARN,
        actor_id=actor and actor.pk,
        now=now,
        points=points,
        membership_id=membership_id,
        account_id=account_id,
        kind=kind,
        lot_class=lot_class,
        expires_on=expires_on,
        pending_until=pending_until,
        unit_cost=unit_cost,
        source=source,
        request=request,
        explanation=explanation,
        rule_version=rule_version,
        business_date=business_date,
        property_id=property_id,
        reason=reason,
    )


def redeem_points(
    *,
    actor: User | None,
    now: dt.datetime,
    points: int,
    membership_id: int | None = None,
    account_id: int | None = None,
    source: SourceLine | None = None,
    request: RequestKey | None = None,
    explanation: dict[str, Any] | None = None,
    business_date: dt.date | None = None,
    property_id: int | None = None,
    reason: str = "",
) -> PostingResult:
    """Spend points from the soonest-expiring open lots.

    Raises:
        InsufficientPoints: Fewer points can be spent today.
        AlreadyPosted, IdempotencyConflict, MembershipInactive, UnknownAccount: See the classes.
    """
    return _post(
        verb=Verb.REDEEM,
        actor_id=actor and actor.pk,
        now=now,
        points=points,
        membership_id=membership_id,
        account_id=account_id,
        source=source,
        request=request,
        explanation=explanation,
        business_date=business_date,
        property_id=property_id,
        reason=reason,
    )


def release_pending(
    *,
    actor: User | None,
    now: dt.datetime,
    posting_id: int,
    request: RequestKey | None = None,
    explanation: dict[str, Any] | None = None,
    reason: str = "",
) -> PostingResult:
    """Open the pending points of one earning before or on their day; a debt is repaid first.

    Raises:
        NothingDue: The points are not pending.
    """
    return _post(
        verb=Verb.RELEASE,
        actor_id=actor and actor.pk,
        now=now,
        posting_id=posting_id,
        request=request,
        explanation=explanation,
        reason=reason,
    )


def reverse_posting(
    *,
    actor: User | None,
    now: dt.datetime,
    posting_id: int,
    points: int | None = None,
    source: SourceLine | None = None,
    request: RequestKey | None = None,
    explanation: dict[str, Any] | None = None,
    property_id: int | None = None,
    reason: str = "",
) -> PostingResult:
    """Undo what is left of an earning, a redemption, an expiry or an adjustment, by the recorded amounts.

    An earning is taken back (kind "clawback"): from its own lot, pending or open, then from the other
    lots, soonest expiry first; what is missing becomes a debt, or is let go under the policy "clamp".
    Points of its lot that expired unspent are not asked for again.
    A spending is given back (kind "refund"): see `cancel_redemption_posting`.

    Besides the arguments of the module:
        points: Reverse this part of an earning only.

    Raises:
        AlreadyReversed, ExcessiveReversal, NotReversible: See the classes.
    """
    return _post(
        verb=Verb.REVERSE,
        actor_id=actor and actor.pk,
        now=now,
        posting_id=posting_id,
        points=points,
        source=source,
        request=request,
        explanation=explanation,
        property_id=property_id,
        reason=reason,
    )


def refund_earning(
    *,
    actor: User | None,
    now: dt.datetime,
    posting_id: int,
    refunded_to_date: Decimal,
    base: Decimal,
    source: SourceLine | None = None,
    request: RequestKey | None = None,
    explanation: dict[str, Any] | None = None,
    property_id: int | None = None,
    reason: str = "",
) -> PostingResult:
    """Take back the share of an earning that was refunded, rounding cumulatively.

    Reverses round(points × refunded_to_date ÷ base), half away from zero, less what was reversed
    before, so that the parts of a refund add up to the whole.

    Besides the arguments of the module:
        refunded_to_date: Eligible amount refunded since the beginning, this refund included.
        base: Eligible amount the points were earned for.

    Raises:
        AlreadyReversed: No point is left to reverse for this share.
        ExcessiveReversal: More than the base was refunded.
        NotReversible: Not an earning.
    """
    return _post(
        verb=Verb.REVERSE,
        actor_id=actor and actor.pk,
        now=now,
        posting_id=posting_id,
        refunded_to_date=refunded_to_date,
        base=base,
        source=source,
        request=request,
        explanation=explanation,
        property_id=property_id,
        reason=reason,
    )


def cancel_redemption_posting(
    *,
    actor: User | None,
    now: dt.datetime,
    posting_id: int,
    source: SourceLine | None = None,
    request: RequestKey | None = None,
    explanation: dict[str, Any] | None = None,
    property_id: int | None = None,
    reason: str = "",
) -> PostingResult:
    """Give the points of a redemption back to the lots they came from, latest expiry first.

    A debt is repaid first. Lots that lapsed meanwhile open again for the programme's days of grace,
    or their part is forfeited; the result's `points` are those that came back.

    Raises:
        AlreadyReversed, NotReversible: See the classes.
    """
    return _post(
        verb=Verb.REVERSE,
        actor_id=actor and actor.pk,
        now=now,
        posting_id=posting_id,
        source=source,
        request=request,
        explanation=explanation,
        property_id=property_id,
        reason=reason,
    )


def adjust_points(
    *,
    actor: User | None,
    now: dt.datetime,
    points: int,
    reason: str,
    membership_id: int | None = None,
    account_id: int | None = None,
    lot_class: str = "compensation",
    expires_on: dt.date | ByProgramme | None = BY_PROGRAMME,
    source: SourceLine | None = None,
    request: RequestKey | None = None,
    explanation: dict[str, Any] | None = None,
    business_date: dt.date | None = None,
    property_id: int | None = None,
) -> PostingResult:
    """Correct a balance by hand: positive points open a lot, negative ones are taken like a redemption.

    Raises:
        InsufficientPoints: A negative adjustment beyond what can be spent.
    """
    return _post(
        verb=Verb.ADJUST,
        actor_id=actor and actor.pk,
        now=now,
        points=points,
        membership_id=membership_id,
        account_id=account_id,
        lot_class=lot_class,
        expires_on=expires_on,
        pending_until=None,
        source=source,
        request=request,
        explanation=explanation,
        business_date=business_date,
        property_id=property_id,
        reason=reason,
    )


def expire_lots(*, now: dt.datetime, account_id: int) -> PostingResult:
    """Expire the lapsed lots of one account; the nightly batch is `loyalty.services.jobs`.

    Raises:
        NothingDue: No lot has lapsed.
    """
    return _post(verb=Verb.EXPIRE, now=now, account_id=account_id)


def place_hold(
    *,
    actor: User | None,
    now: dt.datetime,
    points: int,
    hold_until: dt.datetime,
    membership_id: int | None = None,
    account_id: int | None = None,
    source: SourceLine | None = None,
    request: RequestKey | None = None,
    explanation: dict[str, Any] | None = None,
    property_id: int | None = None,
    reason: str = "",
) -> PostingResult:
    """Set points aside until they are captured, voided or `hold_until` (aware) passes.

    Held points do not expire; the result's `hold_id` names the hold.

    Raises:
        InsufficientPoints: Fewer points can be spent today.
    """
    return _post(
        verb=Verb.HOLD,
        actor_id=actor and actor.pk,
        now=now,
        points=points,
        membership_id=membership_id,
        account_id=account_id,
        hold_until=hold_until,
        source=source,
        request=request,
        explanation=explanation,
        property_id=property_id,
        reason=reason,
    )


def capture_hold(
    *,
    actor: User | None,
    now: dt.datetime,
    hold_id: int,
    points: int | None = None,
    source: SourceLine | None = None,
    request: RequestKey | None = None,
    explanation: dict[str, Any] | None = None,
    property_id: int | None = None,
    reason: str = "",
) -> PostingResult:
    """Redeem held points; with fewer `points` than held, the rest goes back to its lots.

    Raises:
        HoldClosed: The hold is no longer active, or its time has passed.
        InsufficientPoints: More than is held.
    """
    return _post(
        verb=Verb.CAPTURE,
        actor_id=actor and actor.pk,
        now=now,
        hold_id=hold_id,
        points=points,
        source=source,
        request=request,
        explanation=explanation,
        property_id=property_id,
        reason=reason,
    )


def void_hold(
    *,
    actor: User | None,
    now: dt.datetime,
    hold_id: int,
    request: RequestKey | None = None,
    reason: str = "",
) -> PostingResult:
    """Give held points back to their lots, as a canceled redemption does.

    Raises:
        HoldClosed: The hold is no longer active.
    """
    return _post(verb=Verb.VOID, actor_id=actor and actor.pk, now=now, hold_id=hold_id, request=request, reason=reason)
