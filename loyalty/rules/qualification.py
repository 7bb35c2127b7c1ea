"""What conditions may ask of a member's figures, and what a stay counts.

The fields are those of the target `qualification`: each measure over the time that counts, and over the
whole time.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from django.utils.translation import gettext_lazy as _

from loyalty.rules.tiers import LIFETIME, PolicyTerms
from members.rules.conditions import Field, Kind, Target, register_fields, register_target

TARGET = "qualification"
OPERATORS = ("gte", "gt", "lte", "lt", "between")

_LABELS = {
    "nights": (_("nights"), _("nights since enrollment")),
    "stays": (_("stays"), _("stays since enrollment")),
    "amount": (_("spend"), _("spend since enrollment")),
    "points": (_("qualifying points"), _("qualifying points since enrollment")),
    "meetings": (_("meetings held"), _("meetings held since enrollment")),
    "events": (_("events attended"), _("events attended since enrollment")),
    "referrals": (_("friends referred"), _("friends referred since enrollment")),
}


def register_qualification() -> None:
    """Tell the conditions what may be asked of a member's figures."""
    register_target(Target(TARGET, _("what counts towards a tier")))
    register_fields(
        *(
            Field(
                name=f"{prefix}{name}",
                target=TARGET,
                kind=Kind.MONEY if name == "amount" else Kind.NUMBER,
                label=labels[index],
                operators=OPERATORS,
                nullable=False,
                group=(_("in the time that counts"), _("since enrollment"))[index],
            )
            for index, prefix in enumerate(("", LIFETIME))
            for name, labels in _LABELS.items()
        )
    )


@dataclass(frozen=True, slots=True)
class CountedStay:
    """The facts of a stay that decide which of its nights count.

    Attributes:
        id: Orders the rooms of a booking.
        arrival: First night, local to the property.
        departure: Not a night stayed.
        paid: What was charged and earns points, in the stay's currency.
        paid_nights: Nights on which something eligible was charged for the room.
        is_voided: Whether it was taken back.
        is_no_show: Whether the guest never came.
        is_asked_for: Whether the stay meets the conditions of the policy.
    """

    id: int
    arrival: dt.date
    departure: dt.date
    paid: Decimal
    paid_nights: frozenset[dt.date]
    is_voided: bool = False
    is_no_show: bool = False
    is_asked_for: bool = True


def counts(stay: CountedStay, terms: PolicyTerms) -> bool:
    """Whether a stay counts at all."""
    if stay.is_voided or not stay.is_asked_for:
        return False
    if stay.is_no_show and terms.no_show_nights == 0:
        return False
    if stay.arrival == stay.departure and terms.day_use == "none":
        return False
    return stay.paid > 0 or terms.free_nights == "all"


def nights_of(stay: CountedStay, terms: PolicyTerms) -> tuple[dt.date, ...]:
    """The nights of a stay that count, each by its date, oldest first; a day's use may stand for one."""
    if not counts(stay, terms):
        return ()
    if stay.arrival == stay.departure:
        return (stay.arrival,) if terms.day_use == "night" else ()
    nights = [stay.arrival + dt.timedelta(days=day) for day in range((stay.departure - stay.arrival).days)]
    if terms.free_nights == "paid":
        nights = [night for night in nights if night in stay.paid_nights]
    if stay.is_no_show and terms.no_show_nights is not None:
        nights = nights[: terms.no_show_nights]
    return tuple(nights)


def shared_nights(rooms: Iterable[CountedStay], terms: PolicyTerms) -> Mapping[int, int]:
    """How many nights each room of one booking counts, so that each night counts once.

    The room with the lowest id counts a night; when it is taken back, the next one does.
    """
    taken: set[dt.date] = set()
    shares: dict[int, int] = {}
    for room in sorted(rooms, key=lambda room: room.id):
        fresh = set(nights_of(room, terms)) - taken
        shares[room.id] = len(fresh)
        taken |= fresh
    return shares
