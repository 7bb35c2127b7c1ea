"""Bringing a property's past bookings into guests, members, reservations, stays and points.

Each step is set-based, in chunks, and finds what an earlier run left, so that a run that was cut off
is completed by the next one and a second run changes nothing.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

from django.db import connection, transaction

from hotels.models import Brand, ExchangeRate, HotelGroup, Property, RoomType
from hotels.services.audit import record_audit
from loyalty.models import EarningRule, EarningRuleSet, Programme, Tier
from loyalty.selectors.postings import points_of_source
from loyalty.services.memberships import enrol_members
from loyalty.services.rules import create_draft, publish_rule_set, save_rule
from members.models import Reservation, RevenueCategory
from members.rules.bookings import Booking, assign_guests
from members.rules.invented_names import invent_name
from members.services.guests import GuestInput, create_guests
from members.services.reservations import ReservationInput, store_reservations
from members.services.stays import FolioLineInput, StayInput, post_stays

if TYPE_CHECKING:
    from hotels.models import User

T = TypeVar("T")

SOURCE_SYSTEM = "hotel-bookings"
CHUNK = 5000
# The data has days without hours; departures are put at the usual hour of the house.
CHECK_OUT_TIME = dt.time(11)
ARRIVAL_TIME = dt.time(15)
# Where nobody has said what a euro earns and is worth: about what a yuan earns.
DEFAULT_POINTS_PER_EURO = Decimal(8)
DEFAULT_EURO_IN_YUAN = Decimal(8)


class IngestRunning(Exception):
    """Another run takes in bookings of the same property at this moment."""

    code = "ingest_running"


@dataclass(slots=True)
class IngestCounts:
    """What a run did: new guests and members, outcomes of reservations and stays, and what these brought."""

    guests: int = 0
    members: int = 0
    reservations: Counter[str] = field(default_factory=Counter)
    stays: Counter[str] = field(default_factory=Counter)
    points: int = 0


def prepare_property(*, actor: User | None, now: dt.datetime, code: str) -> Property:
    """The property with this code; made as a resort in Portugal (EUR, Europe/Lisbon) if there is none."""
    place = Property.objects.filter(code=code).first()
    if place is not None:
        return place
    with transaction.atomic():
        brand = Brand.objects.order_by("pk").first()
        if brand is None:
            group = HotelGroup.objects.order_by("pk").first() or HotelGroup.objects.create(
                name="归客酒店集团", name_en="Guike Hotels"
            )
            brand = Brand.objects.create(group=group, code="RESORT", name="度假酒店", name_en="Resorts")
        place = Property.objects.create(
            brand=brand,
            code=code,
            name="阿尔加维海岸度假酒店",
            name_en="Algarve Coast Resort",
            city="Faro",
            country="PT",
            time_zone="Europe/Lisbon",
            currency="EUR",
        )
        record_audit(actor=actor, now=now, action="property.created", target=place, label=place.name, place=place)
    return place


@transaction.atomic
def prepare_programme(
    *, actor: User | None, now: dt.datetime, programme: Programme | None, place: Property, first_date: dt.date
) -> Programme:
    """A programme that can judge the property's past: made, or completed where something is missing.

    Missing are taken to be: the programme itself (with one tier), a version of the earning rules in force on
    the first date (see `_cover_past`), and an exchange rate into the programme's currency on the first
    date (the oldest known, else 8).
    """
    if programme is None:
        programme = Programme.objects.create(code="GUIKE", name="归客会", name_en="Guike Club")
        record_audit(actor=actor, now=now, action="programme.created", target=programme, label=programme.name)
    if not programme.tiers.exists():
        Tier.objects.create(programme=programme, code="member", name="会员", name_en="Member", rank=0)
    _cover_past(actor, now, programme, place, first_date)
    if place.currency != programme.currency:
        rates = ExchangeRate.objects.filter(currency=place.currency, to_currency=programme.currency)
        if not rates.filter(effective_from__lte=first_date).exists():
            oldest = rates.order_by("effective_from").first()
            ExchangeRate.objects.create(
                currency=place.currency,
                to_currency=programme.currency,
                effective_from=first_date,
                rate=oldest.rate if oldest else DEFAULT_EURO_IN_YUAN,
            )
    return programme


def _cover_past(
    actor: User | None, now: dt.datetime, programme: Programme, place: Property, first_date: dt.date
) -> None:
    """Publish a version from the first date on, where none was in force so early.

    It holds the rules of the oldest version there is, and 8 points a unit of the property's currency
    where these pay nothing for it. What has been given stays: nothing was judged by a version before.
    """
    published = EarningRuleSet.objects.published().filter(programme=programme)
    oldest = published.order_by("effective_from").first()
    if oldest is not None and oldest.effective_from is not None and oldest.effective_from <= first_date:
        return
    draft = create_draft(actor=actor, now=now, programme=programme, based_on=oldest, name=str(first_date))
    if not draft.rules.filter(basis=EarningRule.Basis.AMOUNT, currency__in=["", place.currency]).exists():
        save_rule(
            actor=actor,
            now=now,
            rule=EarningRule(
                rule_set=draft,
                code=f"base-{place.currency.lower()}",
                name=f"{place.currency} {DEFAULT_POINTS_PER_EURO}",
                currency=place.currency,
                value=DEFAULT_POINTS_PER_EURO,
                is_base=True,
                is_qualifying=True,
                stacking=EarningRule.Stacking.EXCLUSIVE,
                group="base",
            ),
        )
    publish_rule_set(actor=actor, now=now, rule_set_id=draft.pk, from_date=first_date, fills_past=True)


def ingest_bookings(
    *, actor: User | None, now: dt.datetime, bookings: Sequence[Booking], place: Property, programme: Programme
) -> IngestCounts:
    """Store bookings as reservations, those that were checked out as stays of members, with their points.

    A canceled booking or a no-show is a reservation only. Every night of a stay is one folio line of the
    night's rate. Guests are those of `members.rules.bookings`; a guest is enrolled on the arrival day of
    the first stay. Each stay is judged as on its day of departure, so it earns by the rules in force
    then and by the tier that the stays before it had brought.

    Args:
        actor: Who ingests; None for the system.
        now: Aware instant.
        bookings: The rows of one file, each number once.
        place: The property they are of.
        programme: The programme its guests join.

    Returns:
        Counts of what is new, changed, unchanged and refused.

    Raises:
        IngestRunning: Another run is at work; two at once would make the same guests twice.
    """
    with _alone(place):
        return _ingest(actor, now, bookings, place, programme)


@contextmanager
def _alone(place: Property) -> Iterator[None]:
    key = f"ingest_bookings {place.pk}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s))", [key])
        if not cursor.fetchone()[0]:
            raise IngestRunning(place.code)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(hashtext(%s))", [key])


def _ingest(
    actor: User | None, now: dt.datetime, bookings: Sequence[Booking], place: Property, programme: Programme
) -> IngestCounts:
    counts = IngestCounts()
    points_before = points_of_source(programme_id=programme.pk, source_system=SOURCE_SYSTEM)
    room_types = _room_types(place, bookings)
    ordered = sorted(bookings, key=lambda b: (b.arrival_date, b.number))
    firsts = assign_guests(ordered)
    guest_of = _known_guests(place, firsts)
    reservation_of: dict[int, int] = {}
    for chunk in _chunks(ordered):
        with transaction.atomic():
            counts.guests += _make_guests(actor, now, place, chunk, firsts, guest_of)
            results = store_reservations(
                actor=actor,
                now=now,
                rows=[_reservation(b, place, room_types, guest_of[firsts[b.number]]) for b in chunk],
            )
        for booking, result in zip(chunk, results, strict=True):
            reservation_of[booking.number] = result.reservation_id
            counts.reservations[result.outcome.value] += 1
    stays = sorted((b for b in bookings if b.is_checked_out), key=lambda b: (b.departure_date, b.number))
    counts.members = _enrol(actor, now, place, programme, stays, firsts, guest_of)
    for chunk in _chunks(stays):
        posted = post_stays(
            actor=actor,
            now=now,
            rows=[_stay(b, place, room_types, guest_of[firsts[b.number]], reservation_of[b.number]) for b in chunk],
        )
        counts.stays.update(result.outcome.value for result in posted)
    if counts.reservations["created"] >= CHUNK:
        with connection.cursor() as cursor:
            # So that the next reader gets good plans at once, not when autovacuum comes round.
            cursor.execute(
                "ANALYZE members_guest, members_reservation, members_stay, members_folioline, loyalty_posting"
            )
    counts.points = points_of_source(programme_id=programme.pk, source_system=SOURCE_SYSTEM) - points_before
    return counts


def _room_types(place: Property, bookings: Sequence[Booking]) -> dict[str, int]:
    """Ids of the property's room types by code; those missing are made, since the data has only letters."""
    codes = {b.reserved_room_type for b in bookings} | {b.assigned_room_type for b in bookings}
    known = dict(RoomType.objects.filter(property=place).values_list("code", "pk"))
    missing = sorted(codes - known.keys() - {""})
    RoomType.objects.bulk_create(
        RoomType(property=place, code=code, name=f"{code} 型客房", name_en=f"Room type {code}") for code in missing
    )
    return dict(RoomType.objects.filter(property=place).values_list("code", "pk"))


def _known_guests(place: Property, firsts: dict[int, int]) -> dict[int, int]:
    """Guests of an earlier run, as {number of the guest's first booking: guest id}."""
    stored = Reservation.objects.filter(property=place, source_system=SOURCE_SYSTEM, guest__isnull=False).values_list(
        "source_reference", "guest_id"
    )
    numbers = {str(number): first for number, first in firsts.items()}
    return {numbers[reference]: guest_id for reference, guest_id in stored if reference in numbers and guest_id}


def _make_guests(
    actor: User | None,
    now: dt.datetime,
    place: Property,
    chunk: Sequence[Booking],
    firsts: dict[int, int],
    guest_of: dict[int, int],
) -> int:
    """Make the guests whose first booking of the file stands in the chunk and who are not known yet."""
    missing = [b for b in chunk if firsts[b.number] == b.number and b.number not in guest_of]
    inputs = []
    for booking in missing:
        name, gender = invent_name(str(booking.number), booking.country)
        inputs.append(
            GuestInput(
                name=name,
                gender=gender,
                nationality=booking.country,
                company=f"Company {booking.company}" if booking.company else "",
            )
        )
    results = create_guests(actor=actor, now=now, rows=inputs, source=SOURCE_SYSTEM, place=place) if inputs else []
    for booking, result in zip(missing, results, strict=True):
        if result.guest_id is None:
            raise ValueError(booking.number, result.status)
        guest_of[booking.number] = result.guest_id
    return len(missing)


def _enrol(
    actor: User | None,
    now: dt.datetime,
    place: Property,
    programme: Programme,
    stays: Sequence[Booking],
    firsts: dict[int, int],
    guest_of: dict[int, int],
) -> int:
    zone = zoneinfo.ZoneInfo(place.time_zone)
    since: dict[int, dt.datetime] = {}
    for booking in sorted(stays, key=lambda b: b.arrival_date):
        arrived_at = dt.datetime.combine(booking.arrival_date, ARRIVAL_TIME, zone)
        since.setdefault(guest_of[firsts[booking.number]], arrived_at)
    known = set(programme.memberships.filter(guest__reservations__property=place).values_list("guest_id", flat=True))
    missing = [guest_id for guest_id in since if guest_id not in known]
    for chunk in _chunks(missing):
        enrol_members(actor=actor, now=now, programme=programme, guest_ids=chunk, place=place, enrolled_at=since)
    return len(missing)


def _reservation(booking: Booking, place: Property, room_types: dict[str, int], guest_id: int) -> ReservationInput:
    return ReservationInput(
        place_id=place.pk,
        source_system=SOURCE_SYSTEM,
        source_reference=str(booking.number),
        guest_id=guest_id,
        arrival_date=booking.arrival_date,
        departure_date=booking.departure_date,
        status=booking.status,
        currency=place.currency,
        amount=booking.amount,
        room_type_id=room_types.get(booking.reserved_room_type),
        rate_plan=booking.meal,
        channel=booking.channel,
        market_segment=booking.market_segment,
        is_group=booking.is_group,
        booked_on_date=booking.booked_on_date,
        status_date=booking.status_date,
        adults=booking.adults,
        children=booking.children,
    )


def _stay(
    booking: Booking, place: Property, room_types: dict[str, int], guest_id: int, reservation_id: int
) -> StayInput:
    nights = [booking.arrival_date + dt.timedelta(days=night) for night in range(booking.nights)]
    return StayInput(
        place_id=place.pk,
        source_system=SOURCE_SYSTEM,
        source_reference=str(booking.number),
        guest_id=guest_id,
        arrival_date=booking.arrival_date,
        departure_date=booking.departure_date,
        lines=[
            FolioLineInput(
                line_reference=str(number),
                business_date=night,
                category=RevenueCategory.ROOM,
                net_amount=booking.night_rate,
                description="Room",
            )
            for number, night in enumerate(nights, start=1)
        ],
        currency=place.currency,
        room_type_id=room_types.get(booking.assigned_room_type),
        rate_plan=booking.meal,
        channel=booking.channel,
        market_segment=booking.market_segment,
        is_group=booking.is_group,
        reservation_id=reservation_id,
        checked_out_at=dt.datetime.combine(booking.departure_date, CHECK_OUT_TIME, zoneinfo.ZoneInfo(place.time_zone)),
    )


def _chunks(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    return (rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK))
