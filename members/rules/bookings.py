"""Reading the *Hotel booking demand* data: one row is one booking of one room.

The layout is that of Antonio, de Almeida and Nunes, *Hotel booking demand datasets*, Data in Brief 22
(2019), with a leading `src_row` that numbers the rows. Missing values are the texts `NULL` and `NA`.
Rows that look alike are bookings of their own: only `src_row` tells them apart.

The data names no guest. Who made a booking is invented by this rule, which needs nothing but the file:

1. A row that is not flagged `is_repeated_guest` is a guest's first booking: a new guest.
2. A flagged row belongs to the guest whose latest booking ended last among those of the same country,
   company and agent, if that booking ended by the day the new one begins (a canceled one or a no-show
   counts as ended on its arrival day); where there is none, among those of the same country and
   company; where there is none again, it is a new guest, whose earlier stays the file does not hold.
   Rows are taken in the order of arrival date, then `src_row`.
3. The guest's name and gender are put together from common names of the country by the `src_row` of
   the guest's first booking (`members.rules.invented_names`).
"""

from __future__ import annotations

import calendar
import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from members.rules.invented_names import COUNTRIES

COLUMNS = (
    "src_row",
    "is_canceled",
    "lead_time",
    "arrival_date_year",
    "arrival_date_month",
    "arrival_date_day_of_month",
    "stays_in_weekend_nights",
    "stays_in_week_nights",
    "adults",
    "children",
    "babies",
    "meal",
    "country",
    "market_segment",
    "distribution_channel",
    "is_repeated_guest",
    "reserved_room_type",
    "assigned_room_type",
    "agent",
    "company",
    "adr",
    "reservation_status",
    "reservation_status_date",
)
STATUSES = {"Check-Out": "checked_out", "Canceled": "canceled", "No-Show": "no_show"}
MONTHS = {name: number for number, name in enumerate(calendar.month_name) if name}
MISSING = {"", "NULL", "NA"}
CENT = Decimal("0.01")


class BookingRowError(ValueError):
    """A row that cannot be read; `column` names the cell."""

    def __init__(self, column: str, value: str | None) -> None:
        self.column = column
        super().__init__(f"{column}: {value!r}")


@dataclass(frozen=True, slots=True)
class Booking:
    """One row. `night_rate` is the average daily rate, so the price is the rate times the nights."""

    number: int
    status: str
    status_date: dt.date
    booked_on_date: dt.date
    arrival_date: dt.date
    nights: int
    night_rate: Decimal
    adults: int
    children: int
    country: str
    company: str
    agent: str
    meal: str
    market_segment: str
    channel: str
    reserved_room_type: str
    assigned_room_type: str
    is_repeated_guest: bool
    # The cells without the number: what two rows that look alike have in common.
    content: tuple[str | None, ...] = ()

    @property
    def departure_date(self) -> dt.date:
        """Day of departure; the arrival day where no night was stayed."""
        return self.arrival_date + dt.timedelta(days=self.nights)

    @property
    def amount(self) -> Decimal:
        """Price of all nights."""
        return self.night_rate * self.nights

    @property
    def is_group(self) -> bool:
        """Whether it is one room of a group's booking."""
        return self.market_segment == "Groups"

    @property
    def is_checked_out(self) -> bool:
        """Whether the booking became a stay."""
        return self.status == "checked_out"


def parse_booking(row: Mapping[str, str | None]) -> Booking:
    """Read one row.

    Raises:
        BookingRowError: A cell does not hold what its column promises.
    """
    nights = _whole(row, "stays_in_weekend_nights") + _whole(row, "stays_in_week_nights")
    month = MONTHS.get(_text(row, "arrival_date_month"))
    if month is None:
        raise BookingRowError(column="arrival_date_month", value=row.get("arrival_date_month"))
    try:
        arrival = dt.date(_whole(row, "arrival_date_year"), month, _whole(row, "arrival_date_day_of_month"))
        booked = arrival - dt.timedelta(days=_whole(row, "lead_time"))
    except (ValueError, OverflowError) as error:
        raise BookingRowError(column="arrival_date_day_of_month", value=row.get("arrival_date_day_of_month")) from error
    status = STATUSES.get(_text(row, "reservation_status"))
    if status is None:
        raise BookingRowError(column="reservation_status", value=row.get("reservation_status"))
    country = _text(row, "country")
    return Booking(
        number=_whole(row, "src_row"),
        status=status,
        status_date=_date(row, "reservation_status_date"),
        booked_on_date=booked,
        arrival_date=arrival,
        nights=nights,
        night_rate=_money(row, "adr"),
        adults=_whole(row, "adults"),
        children=_whole(row, "children") + _whole(row, "babies"),
        country=country if len(country) == 2 else COUNTRIES.get(country, ""),  # noqa: PLR2004 - alpha-2
        company=_text(row, "company"),
        agent=_text(row, "agent"),
        meal=_text(row, "meal"),
        market_segment=_text(row, "market_segment"),
        channel=_text(row, "distribution_channel"),
        reserved_room_type=_text(row, "reserved_room_type"),
        assigned_room_type=_text(row, "assigned_room_type"),
        is_repeated_guest=_text(row, "is_repeated_guest") == "1",
        content=tuple(value for column, value in row.items() if column != "src_row"),
    )


def assign_guests(bookings: Iterable[Booking]) -> dict[int, int]:
    """Whose booking each is, as {number of the booking: number of that guest's first booking}."""
    guests: dict[int, int] = {}
    narrow: dict[tuple[str, ...], dict[int, dt.date]] = defaultdict(dict)
    wide: dict[tuple[str, ...], dict[int, dt.date]] = defaultdict(dict)
    for booking in sorted(bookings, key=lambda b: (b.arrival_date, b.number)):
        close = narrow[booking.country, booking.company, booking.agent]
        loose = wide[booking.country, booking.company]
        guest = booking.number
        if booking.is_repeated_guest:
            known = _latest(close, booking.arrival_date)
            if known is None:
                known = _latest(loose, booking.arrival_date)
            guest = known if known is not None else guest
        guests[booking.number] = guest
        ends = booking.departure_date if booking.is_checked_out else booking.arrival_date
        close[guest] = max(ends, close.get(guest, ends))
        loose[guest] = max(ends, loose.get(guest, ends))
    return guests


def _latest(guests: Mapping[int, dt.date], arrival: dt.date) -> int | None:
    return max(
        (guest for guest, ends in guests.items() if ends <= arrival),
        key=lambda guest: (guests[guest], guest),
        default=None,
    )


def missing_columns(header: Sequence[str]) -> list[str]:
    """Columns that a file lacks."""
    return [column for column in COLUMNS if column not in header]


def _text(row: Mapping[str, str | None], column: str) -> str:
    value = (row.get(column) or "").strip()
    return "" if value in MISSING else value


def _whole(row: Mapping[str, str | None], column: str) -> int:
    value = _text(row, column)
    if not value and column in {"children", "babies"}:
        return 0
    try:
        number = int(value)
    except ValueError as error:
        raise BookingRowError(column=column, value=row.get(column)) from error
    if number < 0:
        raise BookingRowError(column=column, value=row.get(column))
    return number


def _money(row: Mapping[str, str | None], column: str) -> Decimal:
    try:
        amount = Decimal(_text(row, column))
    except InvalidOperation as error:
        raise BookingRowError(column=column, value=row.get(column)) from error
    if not amount.is_finite() or amount != amount.quantize(CENT):
        raise BookingRowError(column=column, value=row.get(column))
    return amount.quantize(CENT)


def _date(row: Mapping[str, str | None], column: str) -> dt.date:
    try:
        return dt.date.fromisoformat(_text(row, column))
    except ValueError as error:
        raise BookingRowError(column=column, value=row.get(column)) from error
