"""Two years of bookings, stays and folios, up to who is in the house today."""

from __future__ import annotations

import datetime as dt
import random
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hotels.models import Property
from members.models import Reservation, RevenueCategory, Stay
from members.services.reservations import ReservationInput, store_reservations
from members.services.stays import FolioLineInput, StayInput, post_stays

SOURCE = "demo-pms"
HISTORY_DAYS = 790
TAX = Decimal("0.06")
CENT = Decimal("0.01")
# Share of guests, and how often they stayed in two years at least and at most.
FREQUENCIES = ((0.10, 0, 0), (0.47, 1, 2), (0.28, 3, 6), (0.10, 7, 14), (0.04, 15, 28), (0.01, 30, 48))
CHANNELS = ("direct", "wechat", "ctrip", "meituan", "booking", "corporate")
# Net price of a night in the property's currency, by room type.
NIGHT_PRICES = {
    "CNY": {"KING": 680, "TWIN": 640, "CLUB": 980, "SUITE": 1880},
    "THB": {"KING": 3200, "TWIN": 3000, "CLUB": 4800, "SUITE": 9000},
}
EXTRAS = (
    (RevenueCategory.FOOD, "餐饮", 0.45, 60, 480),
    (RevenueCategory.LAUNDRY, "洗衣", 0.12, 30, 160),
    (RevenueCategory.SPA, "水疗", 0.07, 280, 900),
    (RevenueCategory.TRANSPORT, "接送", 0.06, 120, 380),
    (RevenueCategory.OTHER, "迷你吧", 0.10, 15, 90),
)
IN_HOUSE_PER_PROPERTY = 24
DUE_IN_PER_PROPERTY = 12
LATER_PER_PROPERTY = 30
CHECK_OUT = dt.time(11, 30)


@dataclass(frozen=True)
class Visit:
    """One booking of one guest."""

    guest_id: int
    place: Property
    arrival: dt.date
    departure: dt.date
    status: str


class Diary:
    """Writes visits through the services, with numbers, rooms and folios that follow from the seed."""

    def __init__(self, rng: random.Random, places: list[Property]) -> None:
        self.rng = rng
        self.places = places
        self.room_types = {place.pk: list(place.room_types.order_by("pk")) for place in places}
        self.number = 100_000

    def write(self, visits: list[Visit], *, now: dt.datetime) -> None:
        """Store the bookings, and the stays of those that came."""
        reservations, drafts = [], []
        for visit in visits:
            self.number += 1
            room_type = self.rng.choices(self.room_types[visit.place.pk], weights=(8, 6, 3, 1))[0]
            arrived = visit.status in (Reservation.Status.IN_HOUSE, Reservation.Status.CHECKED_OUT)
            lines = self._folio(visit, room_type.code, now)
            # Rooms of the house today are handed out one by one, because two guests cannot share one.
            room = f"{8 + self.number // 40 % 20}{self.number % 40 + 1:02d}" if arrived else ""
            channel = self.rng.choice(CHANNELS)
            price = NIGHT_PRICES[visit.place.currency][room_type.code]
            facts: dict[str, Any] = {
                "place_id": visit.place.pk,
                "source_system": SOURCE,
                "source_reference": f"{visit.place.code}-{self.number}",
                "guest_id": visit.guest_id,
                "arrival_date": visit.arrival,
                "departure_date": visit.departure,
                "currency": visit.place.currency,
                "room_type_id": room_type.pk,
                "room_number": room,
                "rate_plan": "BAR" if channel != "corporate" else "CORP",
                "channel": channel,
                "market_segment": "business" if channel == "corporate" else "leisure",
            }
            reservations.append(
                ReservationInput(
                    **facts,
                    status=visit.status,
                    amount=Decimal(price * max((visit.departure - visit.arrival).days, 1)),
                    booked_on_date=visit.arrival - dt.timedelta(days=self.rng.randint(0, 45)),
                    status_date=min(visit.departure if arrived else visit.arrival, now.date()),
                    adults=self.rng.choice((1, 1, 2)),
                )
            )
            drafts.append((visit, facts, lines) if arrived else None)
        stored = store_reservations(actor=None, now=now, rows=reservations)
        stays = []
        for result, draft in zip(stored, drafts, strict=True):
            if draft:
                visit, facts, lines = draft
                zone = zoneinfo.ZoneInfo(visit.place.time_zone)
                left_at = dt.datetime.combine(visit.departure, CHECK_OUT, tzinfo=zone)
                is_over = visit.status == Reservation.Status.CHECKED_OUT
                stays.append(
                    StayInput(
                        **facts,
                        lines=lines,
                        reservation_id=result.reservation_id,
                        checked_out_at=min(left_at, now) if is_over else None,
                        status=Stay.Status.CHECKED_OUT if is_over else Stay.Status.IN_HOUSE,
                    )
                )
        post_stays(actor=None, now=now, rows=stays)

    def _folio(self, visit: Visit, room_type: str, now: dt.datetime) -> list[FolioLineInput]:
        currency = visit.place.currency
        factor = NIGHT_PRICES[currency]["KING"] / NIGHT_PRICES["CNY"]["KING"]
        last_night = min(visit.departure, visit.place.local_date(now))
        lines: list[FolioLineInput] = []

        def charge(date: dt.date, category: str, net: Decimal, text: str, *, earns: bool = True) -> None:
            net = net.quantize(CENT)
            lines.append(
                FolioLineInput(str(len(lines) + 1), date, category, net, (net * TAX).quantize(CENT), text, earns)
            )

        date = visit.arrival
        while date < last_night:
            season = Decimal(str(round(self.rng.uniform(0.85, 1.25), 2)))
            charge(date, RevenueCategory.ROOM, NIGHT_PRICES[currency][room_type] * season, "房费")
            for category, text, chance, low, high in EXTRAS:
                if self.rng.random() < chance:
                    charge(date, category, Decimal(round(self.rng.uniform(low, high) * factor)), text)
            date += dt.timedelta(days=1)
        if lines and self.rng.random() < 0.02:
            charge(date, RevenueCategory.FOOD, Decimal(round(-40 * factor)), "餐饮退款")
        return lines


def invent_history(
    rng: random.Random, guest_ids: list[int], places: list[Property], today: dt.date, fixed: dict[int, int]
) -> list[Visit]:
    """Invent past visits, oldest departure first; `fixed` sets how many some guests have."""
    shares = [share for share, _low, _high in FREQUENCIES]
    visits = []
    for guest_id in guest_ids:
        _share, low, high = rng.choices(FREQUENCIES, weights=shares)[0]
        count = fixed.get(guest_id, rng.randint(low, high))
        favorite = places[0] if guest_id in fixed else rng.choice(places)
        for arrival, departure in _periods(rng, count, today):
            place = favorite if rng.random() < 0.7 else rng.choice(places)
            chance = rng.random()
            status = Reservation.Status.CHECKED_OUT
            if guest_id not in fixed and chance < 0.06:
                status = Reservation.Status.CANCELED if chance < 0.045 else Reservation.Status.NO_SHOW
            visits.append(Visit(guest_id, place, arrival, departure, status))
    visits.sort(key=lambda visit: (visit.departure, visit.guest_id))
    return visits


def _periods(rng: random.Random, count: int, today: dt.date) -> Iterator[tuple[dt.date, dt.date]]:
    """Stays of one guest that do not overlap, all over by yesterday."""
    if not count:
        return
    gap = HISTORY_DAYS / count
    nights = (1, 1, 2, 2, 3, 4, 6) if gap > 12 else (1, 1, 2, 3)
    for index in range(count):
        # The last may end yesterday; the others leave room for the next.
        room = gap - 1 if index == count - 1 else gap - 7
        days_ago = round(HISTORY_DAYS - index * gap - rng.uniform(0, max(room, 0)))
        arrival = today - dt.timedelta(days=days_ago)
        departure = arrival + dt.timedelta(days=rng.choice(nights))
        if departure < today:
            yield arrival, departure


def invent_present(
    rng: random.Random, guest_ids: list[int], places: list[Property], now: dt.datetime, fixed: dict[int, str]
) -> list[Visit]:
    """Invent who is in the house, due in, due out and booked for later; `fixed` guests are at the first."""
    waiting = rng.sample([guest_id for guest_id in guest_ids if guest_id not in fixed], k=len(guest_ids) - len(fixed))
    visits = []

    def add(place: Property, guest_id: int, arrives_in: int, nights: int, status: str) -> None:
        arrival = place.local_date(now) + dt.timedelta(days=arrives_in)
        visits.append(Visit(guest_id, place, arrival, arrival + dt.timedelta(days=nights), status))

    for guest_id, today in fixed.items():
        if today == "in_house":
            add(places[0], guest_id, -1, 3, Reservation.Status.IN_HOUSE)
        elif today == "due_out":
            add(places[0], guest_id, -2, 2, Reservation.Status.IN_HOUSE)
        elif today == "due_in":
            add(places[0], guest_id, 0, 2, Reservation.Status.RESERVED)
    size = min(1.0, len(guest_ids) / 1000)
    for place in places:
        for _number in range(round(IN_HOUSE_PER_PROPERTY * size)):
            stayed = rng.randint(1, 3)
            # Every third leaves today.
            add(place, waiting.pop(), -stayed, stayed + rng.choice((0, 1, 2)), Reservation.Status.IN_HOUSE)
        for _number in range(round(DUE_IN_PER_PROPERTY * size)):
            add(place, waiting.pop(), 0, rng.randint(1, 4), Reservation.Status.RESERVED)
        for _number in range(round(LATER_PER_PROPERTY * size)):
            add(place, waiting.pop(), rng.randint(1, 60), rng.randint(1, 5), Reservation.Status.RESERVED)
    return visits
