"""Codes of vouchers, and whether and for how much a voucher may be used.

A code is 14 random characters and a check character. The alphabet is Douglas Crockford's base 32
(https://www.crockford.com/base32.html): digits and capital letters without I, L, O and U. 14 characters carry
70 bits, so that among a million live vouchers a guess hits one in 10^15; a code is all a bearer needs.

The check character is a weighted sum over the field of 32 elements, each place with a weight of its own, so that
every single wrong character and every exchange of two characters, neighbors or not, is found.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from loyalty.rules.money import money

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
RANDOM_LENGTH = 14
CODE_LENGTH = RANDOM_LENGTH + 1
GROUP = 5
# Typed instead of a character of the alphabet, and what is meant.
LOOK_ALIKES = str.maketrans({"O": "0", "I": "1", "L": "1"})
# Spaces of every kind, hyphens and dashes, dots and underscores between groups.
_BETWEEN = re.compile(r"[\s\-‐‑‒–—―−－_.·]+")
_VALUES = {character: value for value, character in enumerate(ALPHABET)}
# x^5 + x^2 + 1 generates the field; 2 is a primitive element.
_POLYNOMIAL = 0b100101


class CodeError(ValueError):
    """What was typed is no code.

    Attributes:
        code: `empty`, `wrong_length`, `wrong_character` or `wrong_check`.
        message: The sentence for the reader.
    """

    MESSAGES: dict[str, Promise] = {
        "empty": _("Type or scan a voucher code."),
        "wrong_length": _("A code has %(wanted)d characters, here are %(given)d."),
        "wrong_character": _("“%(character)s” does not occur in codes."),
        "wrong_check": _("The code contains a typing error; compare it with the voucher."),
    }

    def __init__(self, *, code: str, **params: object) -> None:
        super().__init__(code)
        self.code = code
        self.params = params

    @property
    def message(self) -> str:
        """The sentence in the active language."""
        return str(self.MESSAGES[self.code]) % self.params


def _times(left: int, right: int) -> int:
    product = 0
    while right:
        if right & 1:
            product ^= left
        left <<= 1
        if left & 32:
            left ^= _POLYNOMIAL
        right >>= 1
    return product


def _weights() -> list[int]:
    weight, weights = 1, []
    for _place in range(RANDOM_LENGTH):
        weight = _times(weight, 2)
        weights.append(weight)
    return weights


# PRODUCTS[place][value]: what a character adds to the check; the database has the same numbers.
PRODUCTS = [[_times(weight, value) for value in range(len(ALPHABET))] for weight in _weights()]


def check_character(body: str) -> str:
    """The check character of the 14 random ones."""
    total = 0
    for place, character in enumerate(body):
        total ^= PRODUCTS[place][_VALUES[character]]
    return ALPHABET[total]


def code_of(random_bytes: bytes) -> str:
    """The code made of 14 random bytes; five bits of each are used."""
    body = "".join(ALPHABET[byte & 31] for byte in random_bytes[:RANDOM_LENGTH])
    return body + check_character(body)


def parse_code(text: str) -> str:
    """The code that was typed or scanned, in its stored form.

    Small letters, spaces, hyphens, full-width characters, O for 0 and I or L for 1 are understood.

    Raises:
        CodeError: It cannot be a code.
    """
    code = _BETWEEN.sub("", unicodedata.normalize("NFKC", text)).upper().translate(LOOK_ALIKES)
    if not code:
        raise CodeError(code="empty")
    strange = next((character for character in code if character not in _VALUES), None)
    if strange is not None:
        raise CodeError(code="wrong_character", character=strange)
    if len(code) != CODE_LENGTH:
        raise CodeError(code="wrong_length", wanted=CODE_LENGTH, given=len(code))
    if check_character(code[:RANDOM_LENGTH]) != code[-1]:
        raise CodeError(code="wrong_check")
    return code


def spell_code(code: str) -> str:
    """A code as printed, in groups: 7K2QM-40XZP-9TBWD."""
    return "-".join(code[start : start + GROUP] for start in range(0, len(code), GROUP))


def mask_code(code: str) -> str:
    """A code as shown to those who may not use it: the last four characters."""
    return f"•••• {code[-4:]}"


# Whether a voucher may be used


@dataclass(frozen=True, slots=True)
class Terms:
    """What a type of vouchers promises and asks for.

    Attributes:
        kind: `amount`, `percent`, `room_night`, `upgrade` or `item`.
        amount: Worth of an `amount` voucher, or the most that a `percent` voucher takes off; None for no limit.
        percent: Of the spend, for `percent`.
        currency: Of amount and minimum spend; empty where no money is meant.
        min_spend: Least spend in the currency; None for no minimum.
        weekdays: ISO days of the week it may be used on; empty for all.
        blackouts: First and last day of each time in which it may not be used.
        property_ids, brand_ids: Where it may be used; both empty for everywhere.
        min_rank: Least rank of the member's tier; None for no such condition, which also lets in who is no member.
        is_transferable: Whether somebody else than the owner may use it.
        is_stackable: Whether it may be used on the same folio as other vouchers.
    """

    kind: str
    amount: Decimal | None = None
    percent: Decimal | None = None
    currency: str = ""
    min_spend: Decimal | None = None
    weekdays: frozenset[int] = frozenset()
    blackouts: Sequence[tuple[dt.date, dt.date]] = ()
    property_ids: frozenset[int] = frozenset()
    brand_ids: frozenset[int] = frozenset()
    min_rank: int | None = None
    is_transferable: bool = False
    is_stackable: bool = False


@dataclass(frozen=True, slots=True)
class Use:
    """Where, when, by whom and on what a voucher is to be used.

    Attributes:
        state: State of the voucher.
        valid_from: First day it may be used, in the programme's time zone.
        expires_on: Last day; None for no end.
        today: The programme's calendar date.
        local_date: The property's calendar date, which decides about weekdays and blackouts.
        property_id, brand_id, currency: Of the property.
        owner_id: Membership the voucher belongs to; None for a bearer voucher.
        presenter_id: Membership of who presents it; None if nobody said.
        presenter_rank: Rank of the presenter's tier.
        presenter_is_active: Whether the presenter's membership may spend.
        spend: What it is to be used on, in the property's currency; None if not known.
        reference: Folio or check it is used on; empty if not known.
        others: For each voucher used on the same folio, whether it may be combined.
    """

    state: str
    valid_from: dt.date
    expires_on: dt.date | None
    today: dt.date
    local_date: dt.date
    property_id: int
    brand_id: int
    currency: str
    owner_id: int | None = None
    presenter_id: int | None = None
    presenter_rank: int | None = None
    presenter_is_active: bool = True
    spend: Decimal | None = None
    reference: str = ""
    others: Sequence[bool] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a voucher may not be used: a stable code, and what the sentence needs.

    Attributes:
        code: One of `SENTENCES`.
        params: Values of the sentence.
    """

    code: str
    params: dict[str, Any] = field(default_factory=dict)

    SENTENCES = {
        "unknown": _("There is no voucher with this code."),
        "redeemed": _("This voucher was used already."),
        "redeemed_at": _("Used already on %(when)s at %(place)s by %(who)s."),
        "canceled": _("This voucher was canceled."),
        "expired": _("This voucher expired: its last day was %(date)s."),
        "not_yet_valid": _("This voucher is valid from %(date)s."),
        "other_property": _("This voucher cannot be used at this property."),
        "other_currency": _("This voucher is in %(wanted)s; this property charges in %(given)s."),
        "weekday": _("This voucher cannot be used on this day of the week."),
        "blackout": _("This voucher cannot be used from %(first)s to %(last)s."),
        "foreign_member": _("This voucher belongs to another member and cannot be passed on."),
        "member_required": _("This voucher is personal; say who presents it."),
        "member_inactive": _("The membership is suspended or closed."),
        "tier_too_low": _("This voucher is for a higher tier."),
        "spend_required": _("Enter the amount that the voucher is used on."),
        "below_minimum_spend": _("The minimum is %(minimum)s, here are %(given)s: %(missing)s are missing."),
        "reference_required": _(
            "This voucher cannot be combined with others; enter the folio or check that it is used on."
        ),
        "not_stackable": _("Another voucher was used on this folio, and these cannot be combined."),
        # What may not be done with a voucher, apart from its use.
        "not_issued": _("This voucher is not open any more: it was used, canceled or has expired."),
        "transfer_not_allowed": _("Vouchers of this type cannot be passed on."),
        "transfer_to_self": _("The voucher belongs to this member already."),
        "other_programme": _("The member belongs to another programme."),
        "member_limit": _("A member may have %(limit)d vouchers of this type."),
        "issue_limit": _("Of this type, %(left)d vouchers may still be issued."),
        "type_not_open": _("Vouchers of this type are not issued today."),
        "already_over": _("Vouchers of this type would have expired already."),
        "reason_required": _("Say why."),
        "undo_too_late": _("The time to undo is over; ask a manager."),
        "undo_elsewhere": _("The voucher was used at another property and can only be given back there."),
        "not_redeemed": _("This use of the voucher was undone already."),
        "request_conflict": _("This form was sent before with other content; open a new one."),
        "quantity": _("Enter a number from 1 to %(limit)s."),
        "batch_closed": _("This batch is done or was canceled."),
    }

    @property
    def message(self) -> str:
        """The sentence in the active language."""
        currency = self.params.get("currency", "")
        values = {
            name: money(value, currency) if isinstance(value, Decimal) else value for name, value in self.params.items()
        }
        return str(self.SENTENCES[self.code]) % values

    @property
    def is_final(self) -> bool:
        """Whether nothing that can be entered at the desk would change it."""
        return self.code not in {"spend_required", "below_minimum_spend", "reference_required", "member_required"}


def why_not(terms: Terms, use: Use) -> Refusal | None:
    """The first reason against using a voucher, or None; reasons that nobody can change at the desk come first."""
    return (
        _closed(use) or _elsewhere(terms, use) or _another_day(terms, use) or _somebody(terms, use) or _bill(terms, use)
    )


def _closed(use: Use) -> Refusal | None:
    if use.state in {"redeemed", "canceled"}:
        return Refusal(use.state)
    if use.state == "expired" or (use.expires_on is not None and use.expires_on < use.today):
        return Refusal("expired", {"date": use.expires_on})
    if use.valid_from > use.today:
        return Refusal("not_yet_valid", {"date": use.valid_from})
    return None


def _elsewhere(terms: Terms, use: Use) -> Refusal | None:
    if (terms.property_ids or terms.brand_ids) and not (
        use.property_id in terms.property_ids or use.brand_id in terms.brand_ids
    ):
        return Refusal("other_property")
    if terms.currency and terms.currency != use.currency:
        return Refusal("other_currency", {"wanted": terms.currency, "given": use.currency})
    return None


def _another_day(terms: Terms, use: Use) -> Refusal | None:
    for first, last in terms.blackouts:
        if first <= use.local_date <= last:
            return Refusal("blackout", {"first": first, "last": last})
    if terms.weekdays and use.local_date.isoweekday() not in terms.weekdays:
        return Refusal("weekday")
    return None


def _somebody(terms: Terms, use: Use) -> Refusal | None:
    is_personal = use.owner_id is not None and not terms.is_transferable
    if is_personal and use.presenter_id is not None and use.presenter_id != use.owner_id:
        return Refusal("foreign_member")
    if use.presenter_id is None and (is_personal or terms.min_rank is not None):
        return Refusal("member_required")
    if use.presenter_id is not None and not use.presenter_is_active:
        return Refusal("member_inactive")
    if terms.min_rank is not None and (use.presenter_rank is None or use.presenter_rank < terms.min_rank):
        return Refusal("tier_too_low")
    return None


def _bill(terms: Terms, use: Use) -> Refusal | None:
    if use.spend is None and needs_spend(terms):
        return Refusal("spend_required")
    if terms.min_spend is not None and use.spend is not None and use.spend < terms.min_spend:
        return Refusal(
            "below_minimum_spend",
            {
                "minimum": terms.min_spend,
                "given": use.spend,
                "missing": terms.min_spend - use.spend,
                "currency": use.currency,
            },
        )
    if not terms.is_stackable and not use.reference:
        return Refusal("reference_required")
    if use.others and not (terms.is_stackable and all(use.others)):
        return Refusal("not_stackable")
    return None


def needs_spend(terms: Terms) -> bool:
    """Whether the amount it is used on has to be known."""
    return terms.kind == "percent" or terms.min_spend is not None


def amount_off(terms: Terms, spend: Decimal | None, *, digits: int = 2) -> Decimal | None:
    """What a voucher takes off, never more than the spend; None for what is not money, or not known yet.

    Args:
        terms: Terms of its type.
        spend: What it is used on; None if not known.
        digits: Decimal places of the currency; half is rounded up.
    """
    if terms.kind == "amount" and terms.amount is not None:
        return terms.amount if spend is None else min(terms.amount, spend)
    if terms.kind == "percent" and terms.percent is not None and spend is not None:
        off = (spend * terms.percent / 100).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
        return min(x for x in (off, terms.amount, spend) if x is not None)
    return None


def last_day(
    *, issued: dt.date, type_expires_on: dt.date | None, days: int | None, valid_from: dt.date
) -> dt.date | None:
    """The last day a voucher may be used: the type's, or so many days after the issue, whichever comes first.

    Args:
        issued: Day of the issue.
        type_expires_on: Last day of all vouchers of the type; None for none.
        days: Days after the issue, or after the first day if that is later; None for none.
        valid_from: First day the voucher may be used.
    """
    ends: Iterable[dt.date | None] = (
        type_expires_on,
        max(issued, valid_from) + dt.timedelta(days=days) if days is not None else None,
    )
    return min((end for end in ends if end is not None), default=None)
