"""What the desk shows: today's guests of a property, and everything `members` knows of one guest."""

from __future__ import annotations

import datetime as dt
import uuid
import zoneinfo
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from hotels.models import Property, User
from members.models import Guest, GuestIdentity, GuestTag, Preference, Reservation, Stay
from members.selectors.panels import GuestMark, guest_marks

SECTIONS = ("due_in", "in_house", "due_out", "all")
BIRTHDAY_DAYS_AHEAD = 7
# More than anybody reads from a list; the search finds the rest.
QUEUE_LIMIT = 150
LAST_STAYS = 5
# The icon beside a preference.
DRAWINGS = {
    Preference.Category.ROOM: "building-skyscraper",
    Preference.Category.BEDDING: "bed",
    Preference.Category.FOOD: "tools-kitchen-2",
    Preference.Category.SERVICE: "bell",
    Preference.Category.OTHER: "note",
}


@dataclass(slots=True)
class DeskRow:
    """One guest in the desk's list.

    Attributes:
        guest_id: Primary key.
        public_id: For the address of the card.
        name: As registered.
        gender: Value of `Guest.Gender`.
        phone: Masked.
        has_alert: Whether an allergy or another alert is noted.
        birthday_in_days: Days to the birthday if it is within a week, else None.
        room: Room number, empty if none.
        status: `due_in`, `in_house`, `due_out`, or empty without a visit.
        status_date: When they come or leave, local to the property.
        mark: Tier, if a member.
    """

    guest_id: int
    public_id: uuid.UUID
    name: str
    gender: str
    phone: str
    has_alert: bool
    birthday_in_days: int | None
    room: str
    status: str
    status_date: dt.date | None
    mark: GuestMark | None = None


def birthday_in_days(birthday: dt.date | None, today: dt.date) -> int | None:
    """Days to the next birthday if it is within a week; one of 29 February is kept on 1 March in other years."""
    if birthday is None:
        return None
    for year in (today.year, today.year + 1):
        try:
            date = birthday.replace(year=year)
        except ValueError:
            date = dt.date(year, 3, 1)
        days = (date - today).days
        if 0 <= days <= BIRTHDAY_DAYS_AHEAD:
            return days
    return None


def with_marks(rows: Sequence[DeskRow]) -> list[DeskRow]:
    """Give each row the mark of its guest, by one query for all."""
    marks = guest_marks(row.guest_id for row in rows)
    for row in rows:
        row.mark = marks.get(row.guest_id)
    return list(rows)


def _present(place: Property, today: dt.date) -> tuple[QuerySet[Reservation], QuerySet[Stay]]:
    """Bookings that arrive today or are in house, and stays in house that were never booked."""
    bookings = Reservation.objects.filter(property=place, guest__isnull=False).filter(
        Q(status=Reservation.Status.RESERVED, arrival_date=today) | Q(status=Reservation.Status.IN_HOUSE)
    )
    stays = Stay.objects.filter(
        property=place, guest__isnull=False, status=Stay.Status.IN_HOUSE, reservation__isnull=True
    )
    return bookings, stays


def desk_counts(*, place: Property, today: dt.date) -> dict[str, int]:
    """How many guests each section of today's list has, in two queries."""
    bookings, stays = _present(place, today)
    leaving = Q(departure_date__lte=today)
    booked = bookings.aggregate(
        due_in=Count("id", filter=Q(status=Reservation.Status.RESERVED)),
        in_house=Count("id", filter=Q(status=Reservation.Status.IN_HOUSE)),
        due_out=Count("id", filter=Q(status=Reservation.Status.IN_HOUSE) & leaving),
    )
    present = stays.aggregate(in_house=Count("id"), due_out=Count("id", filter=leaving))
    counts = {
        "due_in": booked["due_in"],
        "in_house": booked["in_house"] + present["in_house"],
        "due_out": booked["due_out"] + present["due_out"],
    }
    counts["all"] = counts["due_in"] + counts["in_house"]
    return counts


def desk_rows(*, place: Property, today: dt.date, section: str) -> list[DeskRow]:
    """Today's guests of a section, by room; at most `QUEUE_LIMIT`, in three queries.

    Args:
        place: The property.
        today: Its local date.
        section: One of `SECTIONS`.
    """
    bookings, stays = _present(place, today)
    if section == "due_in":
        bookings, stays = bookings.filter(status=Reservation.Status.RESERVED), stays.none()
    elif section != "all":
        bookings = bookings.filter(status=Reservation.Status.IN_HOUSE)
        if section == "due_out":
            bookings, stays = bookings.filter(departure_date__lte=today), stays.filter(departure_date__lte=today)
    rows = [_desk_row(visit, today) for visit in [*_for_desk(bookings), *_for_desk(stays)]]
    order = {"due_out": 0, "due_in": 1, "in_house": 2}
    rows.sort(key=lambda row: (order[row.status], row.room == "", row.room, row.name, row.guest_id))
    return with_marks(rows[:QUEUE_LIMIT])


def _for_desk(visits: QuerySet[Any]) -> Iterable[Reservation | Stay]:
    phone = GuestIdentity.objects.filter(
        guest=OuterRef("guest"), kind=GuestIdentity.Kind.PHONE, is_primary=True
    ).values("masked")[:1]
    alert = Preference.objects.filter(guest=OuterRef("guest"), severity=Preference.Severity.ALERT)
    found: QuerySet[Any] = (
        visits.select_related("guest")
        .annotate(phone=Coalesce(Subquery(phone), Value("")), has_alert=Exists(alert))
        .order_by("room_number", "pk")[:QUEUE_LIMIT]
    )
    return found


def _desk_row(visit: Any, today: dt.date) -> DeskRow:
    guest: Guest = visit.guest
    if visit.status == Reservation.Status.RESERVED:
        status, date = "due_in", visit.arrival_date
    elif visit.departure_date <= today:
        status, date = "due_out", visit.departure_date
    else:
        status, date = "in_house", visit.departure_date
    return DeskRow(
        guest_id=guest.pk,
        public_id=guest.public_id,
        name=guest.name,
        gender=guest.gender,
        phone=visit.phone,
        has_alert=visit.has_alert,
        birthday_in_days=birthday_in_days(guest.birthday, today),
        room=visit.room_number,
        status=status,
        status_date=date,
    )


@dataclass(frozen=True, slots=True)
class CurrentVisit:
    """Where the guest is now, or the booking that comes next."""

    room: str
    room_type: str
    place: Property
    arrival_date: dt.date
    departure_date: dt.date
    nights: int
    night: int | None
    channel: str
    status: str
    reservation_id: int | None


def current_visit(guest: Guest, today: dt.date) -> CurrentVisit | None:
    """The visit in house, else the next booking from today on; two queries."""
    booking = (
        Reservation.objects.filter(guest=guest)
        .filter(Q(status=Reservation.Status.IN_HOUSE) | Q(status=Reservation.Status.RESERVED, arrival_date__gte=today))
        .select_related("property", "room_type")
        .order_by("status", "arrival_date", "pk")
        .first()
    )
    stay = (
        Stay.objects.filter(guest=guest, status=Stay.Status.IN_HOUSE)
        .select_related("property", "room_type")
        .order_by("-arrival_date", "-pk")
        .first()
    )
    visit: Any = booking if booking and (booking.status == Reservation.Status.IN_HOUSE or not stay) else stay
    if visit is None:
        return None
    in_house = visit.status == Reservation.Status.IN_HOUSE
    status = "due_in" if not in_house else "due_out" if visit.departure_date <= today else "in_house"
    night = min(max((today - visit.arrival_date).days + 1, 1), max(visit.nights, 1))
    return CurrentVisit(
        room=visit.room_number,
        room_type=visit.room_type.local_name if visit.room_type else "",
        place=visit.property,
        arrival_date=visit.arrival_date,
        departure_date=visit.departure_date,
        nights=visit.nights,
        night=night if in_house else None,
        channel=visit.channel,
        status=status,
        reservation_id=booking.pk if booking and visit is booking else None,
    )


def bookings_of_stay(
    *, guest: Guest, place: Property, arrival_date: dt.date, departure_date: dt.date, room_number: str = ""
) -> list[Reservation]:
    """The open bookings that a stay just ended may belong to; one query.

    A booking whose guest is in house need only share a night with the stay, for guests leave early and
    extend. One that is still due must hold all of it. Of several, those of the room decide.

    Args:
        guest: Whose stay it is.
        place: Where.
        arrival_date: First night, local to the property.
        departure_date: Day of departure.
        room_number: Where they slept; empty if not said.
    """
    in_house = Q(
        status=Reservation.Status.IN_HOUSE,
        arrival_date__lt=max(departure_date, arrival_date + dt.timedelta(days=1)),
        departure_date__gt=arrival_date,
    )
    due = Q(status=Reservation.Status.RESERVED, arrival_date__lte=arrival_date, departure_date__gte=departure_date) & Q(
        departure_date__gt=arrival_date
    )
    bookings = list(
        Reservation.objects.filter(in_house | due, guest=guest, property=place, stay=None).order_by(
            "arrival_date", "room_number", "pk"
        )
    )
    of_room = [booking for booking in bookings if room_number and booking.room_number == room_number]
    return of_room or bookings


def guest_profile(guest: Guest, user: User, place: Property, today: dt.date) -> dict[str, Any]:
    """Everything `members` shows on the guest card, in seven queries.

    Stays are those of the user's properties.
    """
    zone = zoneinfo.ZoneInfo(place.time_zone)
    identities = list(guest.identities.order_by("-is_primary", "pk"))
    kind = GuestIdentity.Kind
    preferences: list[Any] = list(guest.preferences.select_related("created_by").order_by("pk"))
    for preference in preferences:
        preference.drawing = DRAWINGS.get(preference.category, "note")
        preference.noted_on = preference.created_at.astimezone(zone).date()
    stays = Stay.objects.visible_to(user).filter(guest=guest).exclude(status=Stay.Status.VOIDED)
    totals = stays.filter(status=Stay.Status.CHECKED_OUT).aggregate(
        stays=Count("id"), nights=Coalesce(Sum(F("departure_date") - F("arrival_date")), Value(dt.timedelta(0)))
    )
    return {
        "phone": next((i for i in identities if i.kind == kind.PHONE), None),
        "email": next((i for i in identities if i.kind == kind.EMAIL), None),
        "document": next((i for i in identities if i.kind == kind.DOCUMENT), None),
        "alerts": [p for p in preferences if p.severity == Preference.Severity.ALERT],
        "wishes": [p for p in preferences if p.severity != Preference.Severity.ALERT],
        "tags": list(GuestTag.objects.filter(guest=guest).select_related("tag").order_by("pk")),
        "visit": current_visit(guest, today),
        "stays": list(
            stays.filter(status=Stay.Status.CHECKED_OUT)
            .select_related("property", "room_type")
            .order_by("-departure_date", "-pk")[:LAST_STAYS]
        ),
        "stay_count": totals["stays"],
        "night_count": totals["nights"].days,
        "birthday_in_days": birthday_in_days(guest.birthday, today),
    }
