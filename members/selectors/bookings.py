"""Totals of ingested bookings, to be held against those that were worked out from the file alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.db.models import Count, F, Q, Sum

from hotels.models import Property
from members.models import FolioLine, Reservation, RevenueCategory, Stay
from members.rules.bookings import Booking


def stored_totals(*, place: Property, source_system: str) -> dict[str, Any]:
    """Totals of what the database holds of one source at one property.

    Rows are reservations; channels, nights and revenue are those of stays that were not voided: a
    channel's figure counts stays, a segment's is the net room revenue on their folios.
    """
    reservations = Reservation.objects.filter(property=place, source_system=source_system)
    stays = Stay.objects.filter(property=place, source_system=source_system, status=Stay.Status.CHECKED_OUT)
    # A join, not `stay__in`: right after a load, without statistics, a subquery is run for every line.
    revenue = FolioLine.objects.filter(
        stay__property=place,
        stay__source_system=source_system,
        stay__status=Stay.Status.CHECKED_OUT,
        category=RevenueCategory.ROOM,
    )
    statuses = Counter(dict(reservations.values_list("status").annotate(Count("pk")).order_by()))
    nights = stays.aggregate(nights=Sum(F("departure_date") - F("arrival_date")))["nights"]
    by_segment = revenue.values_list("stay__market_segment").annotate(Sum("net_amount")).order_by()
    return {
        "rows": reservations.count(),
        "checked_out": stays.count(),
        "canceled": statuses[Reservation.Status.CANCELED],
        "no_show": statuses[Reservation.Status.NO_SHOW],
        "nights_checked_out": nights.days if nights else 0,
        "room_revenue_checked_out": revenue.aggregate(total=Sum("net_amount"))["total"] or Decimal(0),
        "zero_night_checked_out": stays.filter(arrival_date=F("departure_date")).count(),
        "zero_guests": reservations.filter(adults=0, children=0).count(),
        "country_null": reservations.filter(Q(guest=None) | Q(guest__nationality="")).count(),
        "complementary": reservations.filter(market_segment="Complementary").count(),
        "by_channel": {
            channel or "Undefined": count
            for channel, count in stays.values_list("channel").annotate(Count("pk")).order_by()
        },
        "by_segment_revenue": dict(by_segment),
    }


def file_totals(bookings: Sequence[Booking]) -> dict[str, Any]:
    """Facts of a file that are not kept: rates, room changes, flags, rows that look alike."""
    alike = Counter(booking.content for booking in bookings)
    return {
        "adr_negative": sum(booking.night_rate < 0 for booking in bookings),
        "adr_zero": sum(booking.night_rate == 0 for booking in bookings),
        "room_type_changed": sum(b.reserved_room_type != b.assigned_room_type for b in bookings),
        "repeated_flag": sum(booking.is_repeated_guest for booking in bookings),
        "exact_duplicate_rows": sum(count - 1 for count in alike.values()),
    }
