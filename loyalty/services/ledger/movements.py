"""What is asked of the ledger, and what it answers."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from loyalty.services.ledger.refusals import LedgerError


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
