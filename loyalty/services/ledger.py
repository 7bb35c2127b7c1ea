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

An expected failure writes nothing and raises a `LedgerError`; the transaction stays usable.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar, Final

import structlog
from django.db import DEFAULT_DB_ALIAS, IntegrityError, OperationalError, connections
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
        ) % {"needed": self.needed, "available": self.available}


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


def open_account(*, membership_id: int, unit: str = "points") -> int:
    """Open the account of a membership, or find it; returns its id."""
    raise NotImplementedError


def open_accounts(*, membership_ids: Sequence[int], unit: str = "points") -> dict[int, int]:
    """Open or find the accounts of many memberships in one statement; returns {membership id: account id}."""
    raise NotImplementedError


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
    raise NotImplementedError


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

    Args:
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
    raise NotImplementedError


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
    raise NotImplementedError


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
    raise NotImplementedError


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

    Args:
        points: Reverse this part of an earning only.

    Raises:
        AlreadyReversed, ExcessiveReversal, NotReversible: See the classes.
    """
    raise NotImplementedError


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

    Args:
        refunded_to_date: Eligible amount refunded since the beginning, this refund included.
        base: Eligible amount the points were earned for.

    Raises:
        AlreadyReversed: No point is left to reverse for this share.
        ExcessiveReversal: More than the base was refunded.
        NotReversible: Not an earning.
    """
    raise NotImplementedError


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
    raise NotImplementedError


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
    raise NotImplementedError


def expire_lots(*, now: dt.datetime, account_id: int) -> PostingResult:
    """Expire the lapsed lots of one account; the nightly batch is `loyalty.services.jobs`.

    Raises:
        NothingDue: No lot has lapsed.
    """
    raise NotImplementedError


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
    raise NotImplementedError


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
    raise NotImplementedError


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
    raise NotImplementedError
