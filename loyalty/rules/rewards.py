"""What a reward costs on a day, and whether it can be had: pure, for desk, API, preview and service alike.

Which price holds: of the rows in force on the day of the redemption that fit the day it is for and the property, those
of the narrowest kind – a property before a brand before everywhere, then certain days before certain weekdays before
always. All rows of that kind are options beside each other, such as 5,000 points or 2,000 and 180 yuan. Without a row
the exchange ratio in force prices what has a value in money; without that, the standing price holds.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

PICTURE_BYTES = 2 << 20
QUANTITY_MAXIMUM = 99


def picture_type(head: bytes) -> str | None:
    """The media type of a picture by its first bytes; None for anything else.

    SVG is no picture here: it can carry scripts.
    """
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return None


@dataclass(frozen=True, slots=True)
class PriceRow:
    """One row of prices, in force on the day of the redemption and for the property."""

    id: int
    points: int
    cash: Decimal = Decimal(0)
    currency: str = ""
    first_date: dt.date | None = None
    last_date: dt.date | None = None
    weekdays: frozenset[int] = frozenset()
    of_property: bool = False
    of_brand: bool = False

    def fits(self, date: dt.date) -> bool:
        """Whether it prices a day."""
        return (
            (self.first_date is None or self.first_date <= date)
            and (self.last_date is None or date <= self.last_date)
            and (not self.weekdays or date.isoweekday() in self.weekdays)
        )

    @property
    def narrowness(self) -> tuple[int, int]:
        """Place, then time: the greatest one wins."""
        place = 2 if self.of_property else 1 if self.of_brand else 0
        is_dated = self.first_date is not None or self.last_date is not None
        return place, 2 if is_dated else 1 if self.weekdays else 0


@dataclass(frozen=True, slots=True)
class Option:
    """What one of a reward costs; `price_id` is 0 for the standing price or the ratio."""

    points: int
    cash: Decimal = Decimal(0)
    currency: str = ""
    price_id: int = 0


@dataclass(frozen=True, slots=True)
class Limit:
    """How many of a period are used; `scope` is `all`, `property` or `member`."""

    scope: str
    period: str
    maximum: int
    used: int = 0


@dataclass(frozen=True, slots=True)
class RewardTerms:
    """A reward as one property offers it on one day to one member.

    Attributes:
        id, programme_id, code, name, name_en, category, fulfilment: Of the reward.
        points: The standing price.
        value: In money, in the programme's currency; None where the price does not follow the ratio.
        ratio: Points for one unit of money in force on the day of the redemption.
        round_to: To which multiple points by the ratio are rounded up.
        prices: Rows of prices that are in force here.
        is_offered_here: Whether the property is among those that offer it.
        valid_from, valid_until: Days of redemption, half-open.
        min_rank, min_tier: Least tier, as (Chinese, English) name.
        lead_hours: How long before the beginning of its day it has to be redeemed.
        stock: What is left in each stock that is counted down here.
        has_stock: Whether it is counted anywhere.
        limits: With what is used in the periods that the day falls into.
        blackouts: First and last day of the times that are excluded here.
        voucher_type_id: The voucher that it gives.
        description, description_en, has_picture: For the reader.
    """

    id: int
    programme_id: int
    code: str
    name: str
    name_en: str
    category: str
    points: int
    is_active: bool = True
    fulfilment: str = "later"
    value: Decimal | None = None
    ratio: Decimal | None = None
    round_to: int = 1
    prices: Sequence[PriceRow] = ()
    is_offered_here: bool = True
    valid_from: dt.date | None = None
    valid_until: dt.date | None = None
    min_rank: int | None = None
    min_tier: tuple[str, str] = ("", "")
    lead_hours: int = 0
    stock: Sequence[int] = ()
    has_stock: bool = False
    limits: Sequence[Limit] = ()
    blackouts: Sequence[tuple[dt.date, dt.date]] = ()
    voucher_type_id: int | None = None
    description: str = ""
    description_en: str = ""
    has_picture: bool = False

    @property
    def local_name(self) -> str:
        """The name in the language of the reader."""
        return (self.name_en if _is_english() else "") or self.name

    @property
    def local_description(self) -> str:
        """The description in the language of the reader."""
        return (self.description_en if _is_english() else "") or self.description


@dataclass(frozen=True, slots=True)
class Wish:
    """Who wants it, when, and for which day.

    Attributes:
        today: The property's calendar date.
        for_date: The day it is for.
        until_day: Time left until that day begins at the property; negative once it has begun.
        currency: Of the property.
        programme_id: Of the membership.
        rank: Of the member's tier; None where nobody in particular is meant.
        is_active: Whether the membership may spend.
        quantity: How many.
    """

    today: dt.date
    for_date: dt.date
    until_day: dt.timedelta
    currency: str
    programme_id: int
    rank: int | None = None
    is_active: bool = True
    quantity: int = 1


@dataclass(frozen=True, slots=True)
class RewardRefusal:
    """Why a reward cannot be had.

    Attributes:
        code: Stable; one of `SENTENCES`.
        params: What the sentence says.
    """

    code: str
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def message(self) -> str:
        """The sentence in the active language."""
        params = dict(self.params)
        if isinstance(tier := params.get("tier"), tuple):
            params["tier"] = (tier[1] if _is_english() else "") or tier[0]
        return str(SENTENCES[self.code]) % params


SENTENCES: dict[str, Promise] = {
    "inactive": _("This reward cannot be redeemed now."),
    "other_programme": _("This reward belongs to another programme."),
    "member_inactive": _("This membership is not active."),
    "not_yet": _("Offered from %(date)s."),
    "no_longer": _("No longer offered since %(date)s."),
    "not_offered_here": _("This property does not offer it."),
    "tier_too_low": _("For members from %(tier)s on."),
    "date_past": _("The day is over."),
    "lead_time": _("Has to be redeemed %(hours)s hours ahead."),
    "blackout": _("Not from %(first)s to %(last)s."),
    "quantity": _("Choose a quantity from 1 to %(maximum)s."),
    "sold_out": _("Sold out."),
    "too_few_left": _("Only %(left)s left."),
    "limit_all": _("No more than %(maximum)s are given in this time; %(left)s left."),
    "limit_property": _("No more than %(maximum)s are given here in this time; %(left)s left."),
    "limit_member": _("No more than %(maximum)s for a member in this time; %(left)s left."),
    "no_price": _("There is no price in the currency of this property."),
    "price_changed": _("The price has changed; look at it again."),
    "insufficient_points": _("%(needed)s points are needed, %(available)s are available."),
}


def _is_english() -> bool:
    return (get_language() or "").startswith("en")


def points_by_ratio(value: Decimal, ratio: Decimal, round_to: int = 1) -> int:
    """Value in money × points for a unit, rounded up to a multiple; at least one such multiple."""
    steps = (value * ratio / round_to).to_integral_value(ROUND_CEILING)
    return max(1, int(steps)) * round_to


def options_of(terms: RewardTerms, for_date: dt.date, currency: str) -> list[Option]:
    """What one costs on a day at a property that charges in a currency, the fewest points first."""
    fitting = [row for row in terms.prices if row.fits(for_date)]
    if fitting:
        narrowest = max(row.narrowness for row in fitting)
        options = [
            Option(row.points, row.cash, row.currency, row.id)
            for row in fitting
            if row.narrowness == narrowest and (not row.cash or row.currency == currency)
        ]
        # In points alone first: it is what most choose.
        return sorted(options, key=lambda option: (option.cash, option.points, option.price_id))
    if terms.value is not None and terms.ratio is not None:
        return [Option(points_by_ratio(terms.value, terms.ratio, terms.round_to))]
    return [Option(terms.points)]


def why_not(terms: RewardTerms, wish: Wish) -> RewardRefusal | None:
    """Why a member cannot have a reward, points aside; None if nothing speaks against it."""
    return _not_offered(terms, wish) or _not_that_day(terms, wish) or _not_that_many(terms, wish)


def _not_offered(terms: RewardTerms, wish: Wish) -> RewardRefusal | None:
    first, end, rank = terms.valid_from, terms.valid_until, terms.min_rank
    checks = (
        (terms.programme_id != wish.programme_id, RewardRefusal("other_programme")),
        (not terms.is_active, RewardRefusal("inactive")),
        (not wish.is_active, RewardRefusal("member_inactive")),
        (first is not None and wish.today < first, RewardRefusal("not_yet", {"date": first})),
        (end is not None and wish.today >= end, RewardRefusal("no_longer", {"date": end})),
        (not terms.is_offered_here, RewardRefusal("not_offered_here")),
        (
            rank is not None and wish.rank is not None and wish.rank < rank,
            RewardRefusal("tier_too_low", {"tier": terms.min_tier}),
        ),
    )
    return next((refusal for speaks_against, refusal in checks if speaks_against), None)


def _not_that_day(terms: RewardTerms, wish: Wish) -> RewardRefusal | None:
    if wish.for_date < wish.today:
        return RewardRefusal("date_past")
    if terms.lead_hours and wish.until_day < dt.timedelta(hours=terms.lead_hours):
        return RewardRefusal("lead_time", {"hours": terms.lead_hours})
    for first, last in terms.blackouts:
        if first <= wish.for_date <= last:
            return RewardRefusal("blackout", {"first": first, "last": last})
    if not options_of(terms, wish.for_date, wish.currency):
        return RewardRefusal("no_price")
    return None


def _not_that_many(terms: RewardTerms, wish: Wish) -> RewardRefusal | None:
    if not 1 <= wish.quantity <= QUANTITY_MAXIMUM:
        return RewardRefusal("quantity", {"maximum": QUANTITY_MAXIMUM})
    if terms.has_stock:
        left = min(terms.stock, default=0)
        if left <= 0:
            return RewardRefusal("sold_out")
        if left < wish.quantity:
            return RewardRefusal("too_few_left", {"left": left})
    for limit in terms.limits:
        left = max(0, limit.maximum - limit.used)
        if left < wish.quantity:
            return RewardRefusal(f"limit_{limit.scope}", {"maximum": limit.maximum, "left": left})
    return None


def period_start(period: str, date: dt.date) -> dt.date | None:
    """First day of the period that a day falls into; weeks begin on Monday; None for the whole time."""
    match period:
        case "day":
            return date
        case "week":
            return date - dt.timedelta(days=date.weekday())
        case "month":
            return date.replace(day=1)
        case "year":
            return date.replace(month=1, day=1)
    return None


# Giving back


@dataclass(frozen=True, slots=True)
class Taken:
    """A redemption as the rules of cancellation see it.

    Attributes:
        status: Of the redemption.
        until_day: Time left until its day begins; negative once it has begun.
        since: Time since it was redeemed, or since it was fulfilled.
        cancel_hours: Of the reward; None: until it is fulfilled.
        voucher_states: Of the vouchers it gave.
    """

    status: str
    until_day: dt.timedelta
    since: dt.timedelta
    cancel_hours: int | None = None
    voucher_states: Sequence[str] = ()


# As long a slip at the desk is put right by whoever made it.
UNDO_WITHIN = dt.timedelta(minutes=30)

CANCEL_SENTENCES: dict[str, Promise] = {
    "voucher_used": _("Its voucher was used; undo that first."),
    "voucher_over": _("Its voucher has expired."),
    "already_fulfilled": _("It was fulfilled; only a manager can cancel it now."),
    "already_closed": _("It has lapsed; only a manager can cancel it now."),
    "too_late": _("It could be canceled until %(hours)s hours before; only a manager can cancel it now."),
}


def why_not_canceled(taken: Taken, *, may_override: bool) -> tuple[str, dict[str, Any]] | None:
    """Why a redemption cannot be canceled, as code and parameters of `CANCEL_SENTENCES`; None if it can.

    A voucher that was used speaks against it whoever asks; the other rules give way to who may override them.
    """
    if "redeemed" in taken.voucher_states:
        return "voucher_used", {}
    if may_override:
        return None
    is_slip = taken.since <= UNDO_WITHIN
    hours = taken.cancel_hours
    checks: tuple[tuple[bool, str], ...] = (
        ("expired" in taken.voucher_states, "voucher_over"),
        (taken.status in {"expired", "no_show"}, "already_closed"),
        (not is_slip and taken.status == "fulfilled" and not taken.voucher_states, "already_fulfilled"),
        (not is_slip and hours is not None and taken.until_day < dt.timedelta(hours=hours), "too_late"),
    )
    code = next((code for speaks_against, code in checks if speaks_against), None)
    return None if code is None else (code, {"hours": hours} if code == "too_late" else {})
