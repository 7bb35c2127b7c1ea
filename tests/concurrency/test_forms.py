"""A form sent by several hands at the same moment has one effect."""

import uuid

import pytest

from feedback import services as tickets
from feedback.models import Ticket, TicketEvent
from hotels.models import AuditEntry
from members.models import Preference
from members.services.preferences import add_preference
from tests.concurrency.test_earning import at_once
from tests.factories import NOW, make_guest, make_property, make_staff

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def agent():
    return make_staff()


@pytest.fixture
def ticket(agent):
    return tickets.open_ticket(
        actor=agent,
        now=NOW,
        guest_id=make_guest().pk,
        place=make_property(),
        category="noise",
        severity="high",
        subject="空调噪音",
    )


def test_one_note_sent_ten_times_at_once_is_one_note(agent, ticket):
    key = uuid.uuid4()

    outcomes = at_once(
        10, lambda _index: tickets.add_note(actor=agent, now=NOW, ticket_id=ticket.pk, text="已致电", key=key).pk
    )

    assert len(set(outcomes)) == 1
    assert TicketEvent.objects.filter(kind="note").count() == 1
    assert AuditEntry.objects.filter(action="ticket.noted").count() == 1


def test_one_closing_sent_ten_times_at_once_closes_once_and_refuses_none(agent, ticket):
    key = uuid.uuid4()

    def close(_index):
        return tickets.close_ticket(
            root_cause="staff", actor=agent, now=NOW, ticket_id=ticket.pk, resolution="换房", key=key
        ).status

    assert at_once(10, close) == [Ticket.Status.CLOSED] * 10
    assert TicketEvent.objects.filter(kind="closed").count() == 1


def test_one_preference_sent_ten_times_at_once_is_one_preference(agent):
    guest_id, key = make_guest().pk, uuid.uuid4()

    def note(_index):
        return add_preference(
            actor=agent, now=NOW, guest_id=guest_id, category="room", text="高楼层", source="desk", place=None, key=key
        ).pk

    assert len(set(at_once(10, note))) == 1
    assert Preference.objects.count() == 1
    assert AuditEntry.objects.filter(action="preference.added").count() == 1
