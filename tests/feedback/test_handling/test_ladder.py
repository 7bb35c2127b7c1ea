"""The ladder."""

import datetime as dt

import pytest

from feedback import services
from feedback.models import (
    Notification,
    Shift,
    Ticket,
)
from hotels.models import Role
from tests.factories import (
    NOW,
    make_department,
    make_shift,
    make_staff,
)
from tests.feedback.test_handling.acts import HOUR, log, promise

pytestmark = pytest.mark.django_db


def test_each_rung_is_given_once_to_those_on_duty(place):
    promise(first_response_minutes=None, resolution_minutes=100)
    department = make_department(place)
    users = {level: make_staff(Role.GUEST_SERVICE, place=place) for level in ("agent", "supervisor", "department_head")}
    for level, user in users.items():
        make_shift(user, department, level=level)
    log(place, department=department)

    for minutes in (49, 50, 80, 100, 100):
        services.send_reminders(now=NOW + dt.timedelta(minutes=minutes))

    rungs = Notification.objects.exclude(reminder=None).order_by("pk").values_list("reminder__percent", "user", "kind")
    assert list(rungs) == [
        (50, users["agent"].pk, "reminder"),
        (80, users["supervisor"].pk, "reminder"),
        (100, users["department_head"].pk, "overdue"),
    ]


@pytest.mark.parametrize(("may_wake", "told_at"), [(False, NOW + 20 * HOUR), (True, NOW + 7 * HOUR)])
def test_a_rung_waits_for_its_people_unless_they_may_be_woken(place, may_wake, told_at):
    """Zammad 4432: alerts at midnight."""
    promise(first_response_minutes=None, resolution_minutes=240)
    manager = make_staff(Role.PROPERTY_MANAGER, place=place)
    Shift.objects.create(
        user=manager,
        property=place,
        level="duty_manager",
        starts_at=NOW + 20 * HOUR,
        ends_at=NOW + 28 * HOUR,
    )
    ticket = log(place)
    Ticket.objects.filter(pk=ticket.pk).update(is_urgent_at_night=may_wake)

    services.send_reminders(now=NOW + 7 * HOUR)
    services.send_reminders(now=NOW + 20 * HOUR)

    assert Notification.objects.get(user=manager, reminder__percent=150).at == told_at
