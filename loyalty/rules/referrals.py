"""When a member has brought a friend: the code, who may come by it, and which stay counts.

A friend has to be new, and another person than the one who refers. What a friend was promised on the
day of joining is kept: the terms of that day judge the stay, whatever is changed later.
"""

from __future__ import annotations

import datetime as dt
import enum
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

# Without the pairs that look alike in print or sound alike on the telephone: 0/O/Q, 1/I/L, 2/Z, 5/S, 6/G, 8/B,
# U/V. A prime number of characters, so that the last one, a weighted sum, tells every single wrong character and
# every swap of two neighbors.
ALPHABET = "3479ACDEFHJKMNPRTVW"
CODE_LENGTH = 8
_VALUE = {character: value for value, character in enumerate(ALPHABET)}


class Reason(enum.StrEnum):
    """Why a referral is refused; stable, kept with the referral."""

    SELF_REFERRAL = "self_referral"
    SHARED_IDENTITY = "shared_identity"
    SHARED_ROOM = "shared_room"
    REFERRER_INACTIVE = "referrer_inactive"
    FRIEND_INACTIVE = "friend_inactive"
    ALREADY_REFERRED = "already_referred"
    JOINED_BEFORE_REFERRER = "joined_before_referrer"
    ENTERED_TOO_LATE = "entered_too_late"
    STAYED_BEFORE = "stayed_before"
    STAY_TOO_LATE = "stay_too_late"
    MONTH_LIMIT = "month_limit"
    YEAR_LIMIT = "year_limit"
    WITHDRAWN = "withdrawn"


class Missing(enum.StrEnum):
    """What a referral that is neither granted nor refused still waits for."""

    STAY = "stay"
    PAYMENT = "payment"
    AMOUNT = "amount"
    CONDITION = "condition"


def make_code(choose: Callable[[str], str]) -> str:
    """A personal code: seven characters by chance and one that checks them.

    Args:
        choose: Picks one character of a string; `secrets.choice` outside of tests.
    """
    body = "".join(choose(ALPHABET) for _ in range(CODE_LENGTH - 1))
    return body + check_character(body)


def check_character(body: str) -> str:
    """The character that belongs at the end of a code."""
    return ALPHABET[-sum(weight * _VALUE[character] for weight, character in enumerate(body, 2)) % len(ALPHABET)]


def normalize_code(text: str) -> str:
    """The code as stored: capitals, no spaces or hyphens, ASCII also where it was typed in full width."""
    return "".join(
        character for character in unicodedata.normalize("NFKC", text).upper() if character not in " -–—·_.\t\r\n"
    )


def is_code(code: str) -> bool:
    """Whether a normalized code can be one: right characters, right check."""
    return (
        len(code) == CODE_LENGTH
        and all(character in _VALUE for character in code)
        and check_character(code[:-1]) == code[-1]
    )


def show_code(code: str) -> str:
    """The code as people read it, in two groups of four."""
    return f"{code[:4]}-{code[4:]}"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a programme asks of a referral.

    Attributes:
        entry_days: A code can be entered up to so many days after the friend joined.
        stay_days: The stay ends at most so many days after the friend joined; None: whenever.
        min_amount: The stay costs at least so much, in the programme's currency.
        month_limit: Friends of one member that count in a calendar month; None: any number.
        year_limit: The same for a calendar year.
    """

    entry_days: int = 30
    stay_days: int | None = None
    min_amount: Decimal = Decimal(0)
    month_limit: int | None = None
    year_limit: int | None = None

    def entry_until(self, joined_on: dt.date) -> dt.date:
        """The last day on which the code can be entered."""
        return joined_on + dt.timedelta(days=self.entry_days)

    def stay_until(self, joined_on: dt.date) -> dt.date | None:
        """The last day on which the stay may end; None without a limit."""
        return None if self.stay_days is None else joined_on + dt.timedelta(days=self.stay_days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is known when a code is entered; dates are calendar dates of the programme.

    Attributes:
        is_self: The friend is the referrer.
        shares_identity: Both have the same telephone, e-mail address, document or WeChat identity.
        shared_room: Both stayed in one room at the same time.
        referrer_active: The referrer's membership is active.
        friend_active: The friend's is, or the friend is no member yet.
        is_referred: Another referral of the friend stands.
        referrer_joined_at: Instant.
        friend_joined_at: Instant; None for who is no member yet.
        joined_on: Day of the friend's enrolment; None for who is no member yet.
        first_departure: Departure of the friend's earliest stay that was not voided.
        today: Day of the entry.
    """

    is_self: bool = False
    shares_identity: bool = False
    shared_room: bool = False
    referrer_active: bool = True
    friend_active: bool = True
    is_referred: bool = False
    referrer_joined_at: dt.datetime
    friend_joined_at: dt.datetime | None = None
    joined_on: dt.date | None = None
    first_departure: dt.date | None = None
    today: dt.date


def entry_refusal(entry: Entry, terms: Terms) -> Reason | None:
    """Why the friend cannot come by this referrer; None if nothing speaks against it.

    A stay that goes on or ends on the day of joining is no stay before: guests often join at check-out.
    """
    since = entry.joined_on or entry.today
    refusals = {
        Reason.SELF_REFERRAL: entry.is_self,
        Reason.SHARED_IDENTITY: entry.shares_identity,
        Reason.REFERRER_INACTIVE: not entry.referrer_active,
        Reason.FRIEND_INACTIVE: not entry.friend_active,
        Reason.ALREADY_REFERRED: entry.is_referred,
        Reason.JOINED_BEFORE_REFERRER: entry.friend_joined_at is not None
        and entry.friend_joined_at <= entry.referrer_joined_at,
        Reason.ENTERED_TOO_LATE: entry.joined_on is not None and entry.today > terms.entry_until(entry.joined_on),
        Reason.STAYED_BEFORE: entry.first_departure is not None and entry.first_departure < since,
        Reason.SHARED_ROOM: entry.shared_room,
    }
    return next((reason for reason, holds in refusals.items() if holds), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class FriendStay:
    """A finished stay of the friend that was not voided.

    Attributes:
        amount: What was paid, in the programme's currency; None where no exchange rate is known.
        shares_room: The referrer was in the same room at the same time.
        meets_condition: What the programme asks of the stay besides.
    """

    id: int
    departure: dt.date
    amount: Decimal | None
    shares_room: bool = False
    meets_condition: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from the friend's stays: the one that counts, a refusal, or what is missing."""

    stay_id: int | None = None
    departure: dt.date | None = None
    reason: Reason | None = None
    missing: Missing | None = None


def first_paid_stay(
    stays: Iterable[FriendStay], terms: Terms, *, joined_on: dt.date, kept: int | None = None
) -> Verdict:
    """Which stay of the friend counts.

    The earliest one that was paid, costs enough and meets the condition, unless another one counts
    already (`kept`) and still does. A stay too cheap or of another kind is passed over. The first
    that would count after the last day ends the referral, and so does one in the referrer's room.

    Args:
        stays: The friend's stays, in any order.
        terms: What was in force when the friend joined.
        joined_on: The day of joining; stays that ended before it do not count.
        kept: The stay that counts so far.
    """
    missing = Missing.STAY
    last_day = terms.stay_until(joined_on)
    candidates = sorted(stays, key=lambda stay: (stay.id != kept, stay.departure, stay.id))
    refusal: Verdict | None = None
    for stay in candidates:
        if stay.departure < joined_on:
            continue
        lacks = _lacks(stay, terms)
        if lacks is not None:
            missing = lacks
        elif last_day is not None and stay.departure > last_day:
            refusal = refusal or Verdict(reason=Reason.STAY_TOO_LATE)
        elif stay.shares_room:
            return Verdict(reason=Reason.SHARED_ROOM)
        else:
            return Verdict(stay_id=stay.id, departure=stay.departure)
    return refusal or Verdict(missing=missing)


def _lacks(stay: FriendStay, terms: Terms) -> Missing | None:
    if stay.amount is None or stay.amount <= 0:
        return Missing.PAYMENT
    if stay.amount < terms.min_amount:
        return Missing.AMOUNT
    return None if stay.meets_condition else Missing.CONDITION


def limit_refusal(counted_on: Sequence[dt.date], day: dt.date, terms: Terms) -> Reason | None:
    """Whether one more friend on a day is more than counts for the referrer.

    Args:
        counted_on: The days of the friends that count already.
        day: The day of the next one.
        terms: What holds for the next one.
    """
    in_year = [other for other in counted_on if other.year == day.year]
    in_month = [other for other in in_year if other.month == day.month]
    if terms.month_limit is not None and len(in_month) >= terms.month_limit:
        return Reason.MONTH_LIMIT
    if terms.year_limit is not None and len(in_year) >= terms.year_limit:
        return Reason.YEAR_LIMIT
    return None


@dataclass(frozen=True, slots=True)
class Occupied:
    """A room of a property for half-open dates; a stay within a day takes that day."""

    property_id: int
    room: str
    arrival: dt.date
    departure: dt.date

    def meets(self, other: Occupied) -> bool:
        """Whether both were in the room on the same night or day."""
        return (
            bool(self.room)
            and (self.property_id, self.room) == (other.property_id, other.room)
            and self.arrival < other._end
            and other.arrival < self._end
        )

    @property
    def _end(self) -> dt.date:
        return max(self.departure, self.arrival + dt.timedelta(days=1))


def by_room_of(occupied: Iterable[Occupied]) -> dict[tuple[int, str], list[Occupied]]:
    """Group what one guest occupied by property and room."""
    groups: dict[tuple[int, str], list[Occupied]] = {}
    for stay in occupied:
        groups.setdefault((stay.property_id, stay.room), []).append(stay)
    return groups


def rooms_shared(mine: Iterable[Occupied], others: Mapping[tuple[int, str], Sequence[Occupied]]) -> bool:
    """Whether any stay of one guest met one of another, whose stays are given by property and room."""
    return any(stay.meets(other) for stay in mine for other in others.get((stay.property_id, stay.room), ()))
