"""What a stay is posted with, what can be wrong with it, and how a repeat is recognised."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from django.utils.translation import gettext as _

from members.models import FolioLine, RevenueCategory, Stay

CENT = Decimal("0.01")
CURRENCY = re.compile(r"[A-Z]{3}")


class StayError(Exception):
    """A stay cannot be written as asked; `code` is stable, the text is for staff."""

    code = "stay_error"


class StayInputError(StayError):
    """Facts that contradict each other or do not fit; `errors` maps field names to messages."""

    code = "stay_invalid"

    def __init__(self, errors: dict[str, str]) -> None:
        self.errors = errors
        super().__init__(" ".join(errors.values()))


class StayConflict(StayError):
    """The source system posted this number before, with other content; `stay` is the stored one."""

    code = "stay_conflict"

    def __init__(self, stay: Stay) -> None:
        self.stay = stay
        super().__init__(
            _("Stay %(reference)s was posted before with other content.") % {"reference": stay.source_reference}
        )


class FolioLineConflict(StayError):
    """The folio has a line with this reference and other content."""

    code = "folio_line_conflict"

    def __init__(self, line_reference: str) -> None:
        self.line_reference = line_reference
        super().__init__(
            _("Line %(reference)s is on the folio already with other content.") % {"reference": line_reference}
        )


class StayIsVoided(StayError):
    """The stay was voided, so nothing more can be done with it."""

    code = "stay_voided"

    def __init__(self) -> None:
        super().__init__(_("This stay was voided."))


class StayAlreadyClaimed(StayError):
    """The stay has a guest already."""

    code = "stay_already_claimed"

    def __init__(self) -> None:
        super().__init__(_("This stay belongs to a guest already."))


@dataclass(frozen=True, slots=True)
class FolioLineInput:
    """One charge to put on a folio, in the stay's currency.

    Attributes:
        line_reference: The line's number in the source system; unique on the folio.
        business_date: Property-local date the charge belongs to.
        category: A value of `RevenueCategory`.
        net_amount: Tax excluded; negative for a rebate.
        tax_amount: Tax on top.
        description: What the guest reads on the invoice.
        is_eligible: Whether the line may earn points at all.
    """

    line_reference: str
    business_date: dt.date
    category: str
    net_amount: Decimal
    tax_amount: Decimal = Decimal(0)
    description: str = ""
    is_eligible: bool = True


@dataclass(frozen=True, slots=True)
class StayInput:
    """One stay of a bulk call; the fields mean what they mean in `post_stay`."""

    place_id: int
    source_system: str
    source_reference: str
    guest_id: int | None
    arrival_date: dt.date
    departure_date: dt.date
    lines: Sequence[FolioLineInput]
    currency: str
    room_number: str = ""
    room_type_id: int | None = None
    rate_plan: str = ""
    channel: str = ""
    market_segment: str = ""
    is_group: bool = False
    reservation_id: int | None = None
    checked_out_at: dt.datetime | None = None
    status: str = Stay.Status.CHECKED_OUT


class Outcome(Enum):
    """What a bulk call did with one stay."""

    CREATED = "created"
    UNCHANGED = "unchanged"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class StayResult:
    """The stored stay of a row and whether the row made it."""

    stay_id: int
    outcome: Outcome


_MAX_LENGTHS = {
    "source_system": 40,
    "source_reference": 80,
    "room_number": 10,
    "rate_plan": 40,
    "channel": 40,
    "market_segment": 40,
    "line_reference": 40,
}


def key_of(row: StayInput) -> tuple[int, str, str]:
    """What a stay is known by: property, source system and number there."""
    return row.place_id, row.source_system, row.source_reference


def check_stay(row: StayInput) -> None:
    """Refuse a stay that contradicts itself or does not fit, with `StayInputError`."""
    errors = {
        name: _("At most %(limit)d characters.") % {"limit": limit}
        for name, limit in _MAX_LENGTHS.items()
        if len(getattr(row, name, "")) > limit
    }
    for name in ("source_system", "source_reference"):
        if not getattr(row, name).strip():
            errors[name] = _("The stay needs a number in its source system.")
    if row.departure_date < row.arrival_date:
        errors["departure_date"] = _("The departure is before the arrival.")
    if not CURRENCY.fullmatch(row.currency):
        errors["currency"] = _("Use the three-letter ISO 4217 code, such as CNY.")
    if row.status not in {Stay.Status.IN_HOUSE, Stay.Status.CHECKED_OUT}:
        errors["status"] = _("A stay is posted in house or checked out.")
    if errors:
        raise StayInputError(errors)
    check_lines(row.lines)


def check_lines(lines: Sequence[FolioLineInput]) -> None:
    """Refuse lines that are wrong in themselves or carry one reference twice, with `StayInputError`."""
    for line in lines:
        if not line.line_reference.strip() or len(line.line_reference) > _MAX_LENGTHS["line_reference"]:
            raise StayInputError({"lines": _("A line needs a reference of at most 40 characters.")})
        if line.category not in RevenueCategory.values:
            raise StayInputError({"lines": _("%(category)s is no revenue category.") % {"category": line.category}})
        for amount in (line.net_amount, line.tax_amount):
            if not amount.is_finite() or amount != amount.quantize(CENT) or abs(amount) >= Decimal(10) ** 12:
                raise StayInputError({"lines": _("An amount has at most two decimals.")})
    if len({line.line_reference for line in lines}) != len(lines):
        raise StayInputError({"lines": _("Two lines have the same reference.")})


def content_hash(row: StayInput) -> str:
    """Hash of what the source says; not of when it says so or whether the guest has left."""
    content = [
        row.guest_id,
        row.arrival_date.isoformat(),
        row.departure_date.isoformat(),
        row.currency,
        row.room_number,
        row.room_type_id,
        row.rate_plan,
        row.channel,
        row.market_segment,
        sorted(line_content(line) for line in row.lines),
    ]
    if row.is_group:
        # Only where it is one: what was stored before this was known keeps its hash.
        content.append("group")
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()


def line_content(line: FolioLineInput | FolioLine) -> list[str]:
    """What makes two lines with one reference the same; the wording may differ."""
    return [
        line.line_reference,
        line.business_date.isoformat(),
        line.category,
        f"{line.net_amount:.2f}",
        f"{line.tax_amount:.2f}",
        str(int(line.is_eligible)),
    ]
