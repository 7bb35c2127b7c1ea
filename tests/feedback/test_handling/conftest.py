"""Who and what these tests are about."""

import datetime as dt

import pytest

from feedback.models import (
    BusinessCalendar,
    CalendarInterval,
)
from tests.factories import (
    make_property,
)


@pytest.fixture
def place():
    return make_property()


@pytest.fixture
def office(place):
    """Monday to Friday, 9 to 12 and 14 to 18; NOW is a Monday, 12:00."""
    calendar = BusinessCalendar.objects.create(code="OFFICE", name="办公时间")
    for day in range(1, 6):
        for opens, closes in ((9, 12), (14, 18)):
            CalendarInterval.objects.create(
                calendar=calendar, weekday=day, opens=dt.time(opens), closes=dt.time(closes)
            )
    return calendar
