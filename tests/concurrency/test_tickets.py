"""Many people and workers at one ticket, in real transactions."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from feedback import services
from feedback.models import Notification, Ticket, TicketEvent
from hotels.models import Role
from tests.factories import NOW, make_department, make_guest, make_property, make_shift, make_staff

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(count, perform):
    def run(number):
        try:
            return perform(number)
        except services.TicketError as error:
            return error.code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def log(place, **facts):
    return services.open_ticket(
        **{
            "actor": None, "now": NOW, "guest_id": make_guest().pk, "place": place, "category": "noise",
            "severity": "high", "subject": "空调", **facts,
        }
    )  # fmt: skip


def test_of_twenty_who_take_a_ticket_one_gets_it():
    place = make_property()
    users = [make_staff(Role.GUEST_SERVICE, place=place) for _ in range(20)]
    ticket = log(place)

    results = at_once(
        20, lambda i: services.take_ticket(actor=users[i], now=NOW, ticket_id=ticket.pk, from_user_id=None).pk
    )

    assert sorted(str(result) for result in results) == sorted([str(ticket.pk), *["ticket_taken"] * 19])
    assert TicketEvent.objects.filter(kind="taken").count() == 1
    winner = users[results.index(ticket.pk)]
    assert Ticket.objects.get().assignee == winner


def test_two_workers_give_each_rung_once():
    place = make_property()
    department, agent = make_department(place), make_staff(Role.GUEST_SERVICE, place=place)
    make_shift(agent, department)
    for _ in range(30):
        log(place, department=department)

    sent = at_once(2, lambda _i: services.send_reminders(now=NOW + dt.timedelta(minutes=61)).sent)

    assert sum(sent) == 30
    assert Notification.objects.exclude(reminder=None).count() == 30


def test_the_same_letter_three_times_at_once_is_one_ticket():
    place, guest = make_property(), make_guest()

    made = at_once(3, lambda _i: log(place, guest_id=guest.pk, source="email", source_reference="<1@x>").pk)

    assert len(set(made)) == 1
    assert Ticket.objects.count() == 1
