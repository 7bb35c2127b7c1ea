"""Routing."""

import uuid

import pytest
from django.urls import reverse

from feedback import services
from feedback.models import (
    Handover,
    Notification,
    RoutingRule,
)
from hotels.models import Role
from tests.factories import (
    NOW,
    make_department,
    make_shift,
    make_staff,
)
from tests.feedback.test_handling.acts import HOUR, leaf, log

pytestmark = pytest.mark.django_db


def test_rules_name_the_department_and_the_roster_the_person(place):
    front, engineering = make_department(place), make_department(place, "ENG")
    RoutingRule.objects.create(name="工程", condition=leaf("ticket.category", ["room"]), department_code="ENG")
    RoutingRule.objects.create(name="其他", position=200, department_code="FO")
    users = [make_staff(Role.GUEST_SERVICE, place=place) for _ in range(4)]
    make_shift(users[0], front)
    make_shift(users[1], engineering, skills=["noise"])
    make_shift(users[2], engineering)
    make_shift(users[3], engineering, start=NOW + 20 * HOUR)

    first, second, other = (log(place, category=category) for category in ("room", "room", "noise"))

    assert (first.department, first.assignee) == (engineering, users[2])
    assert second.assignee == users[2]
    assert (other.department, other.assignee) == (front, users[0])
    assert Notification.objects.filter(user=users[2], kind="assigned").count() == 2


def test_the_least_loaded_takes_it(place):
    department = make_department(place)
    users = [make_staff(Role.GUEST_SERVICE, place=place) for _ in range(2)]
    for user in users:
        make_shift(user, department)

    assert [log(place, department=department).assignee for _ in range(4)] == [*users, *users]


def test_nobody_absent_gets_it_and_the_roster_is_asked_again(place):
    """Chatwoot 7204, 15786, 5672: given to who is away, or never tried again."""
    department, clerk = make_department(place), make_staff(place=place)
    late = make_staff(Role.GUEST_SERVICE, place=place)
    make_shift(late, department, start=NOW + 2 * HOUR)

    ticket, of_system = log(place, clerk, department=department), log(place, department=department)
    assert (ticket.assignee, ticket.is_provisional, of_system.assignee) == (clerk, True, None)
    assert services.assign_waiting(now=NOW) == 0
    assert services.assign_waiting(now=NOW + HOUR) == 2
    ticket.refresh_from_db()
    assert (ticket.assignee, ticket.is_provisional) == (late, False)
    with pytest.raises(services.PersonIsAbsent):
        services.assign_ticket(actor=None, now=NOW, ticket_id=ticket.pk, user=clerk)


def test_a_shift_leaves_a_list_that_the_next_takes_over(client, place):
    department = make_department(place)
    early, late = (make_staff(Role.GUEST_SERVICE, place=place) for _ in range(2))
    make_shift(early, department, hours=2)
    ticket = log(place, department=department)

    assert services.close_shifts(now=NOW + 2 * HOUR) == 1
    assert services.close_shifts(now=NOW + 2 * HOUR) == 0
    client.force_login(late)
    page = client.get(reverse("feedback:handover")).content.decode()
    client.post(
        reverse("feedback:bulk"),
        {"request_key": str(uuid.uuid4()), "action": "handover", "tickets": [str(ticket.public_id)]},
    )

    ticket.refresh_from_db()
    assert ticket.subject in page
    assert ticket.assignee == late
    assert Handover.objects.get().accepted_by == late
