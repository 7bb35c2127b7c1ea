"""Calendars as `rules.clock` counts by them."""

from __future__ import annotations

from feedback.models import BusinessCalendar, CalendarException, CalendarInterval, PublicHoliday
from feedback.rules.clock import Calendar, always
from feedback.rules.hours import Exceptional, Hours, calendar_of
from hotels.models import Property


class Calendars:
    """Reads each calendar once; for one request or one batch, because calendars change."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, str, str], Calendar] = {}
        self._rows: dict[int, BusinessCalendar] = {}

    def get(self, calendar_id: int | None, place: Property) -> Calendar:
        """The hours of a calendar at a property; around the clock for None."""
        if calendar_id is None:
            return always(place.time_zone)
        row = self._rows.get(calendar_id)
        if row is None:
            row = self._rows[calendar_id] = BusinessCalendar.objects.get(pk=calendar_id)
        zone = row.time_zone or place.time_zone
        key = (calendar_id, zone, place.country if row.keeps_holidays else "")
        if key not in self._found:
            self._found[key] = self._read(row, zone, place.country)
        return self._found[key]

    @staticmethod
    def _read(row: BusinessCalendar, zone: str, country: str) -> Calendar:
        hours = CalendarInterval.objects.filter(calendar=row).values_list("weekday", "opens", "closes")
        exceptions = CalendarException.objects.filter(calendar=row).values_list("date", "kind", "opens", "closes")
        holidays = PublicHoliday.objects.filter(country=country).values_list("date", "is_working")
        return calendar_of(
            zone,
            [Hours(*values) for values in hours],
            [Exceptional(*values) for values in exceptions],
            list(holidays) if row.keeps_holidays else [],
        )
