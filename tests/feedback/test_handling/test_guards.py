"""What the database refuses."""

import pytest
from django.db import IntegrityError, transaction

from feedback import services
from feedback.models import (
    Ticket,
    TicketEvent,
)
from feedback.selectors.desk import guest_thread
from tests.factories import (
    NOW,
    make_department,
    make_guest,
)
from tests.feedback.test_handling.acts import log

pytestmark = pytest.mark.django_db


def test_history_cannot_be_altered(place):
    log(place)
    for change in (lambda: TicketEvent.objects.update(text="x"), lambda: TicketEvent.objects.all().delete()):
        with pytest.raises(IntegrityError), transaction.atomic():
            change()


def test_a_ticket_goes_only_the_ways_there_are(place):
    ticket = log(place)
    services.close_ticket(root_cause="staff", actor=None, now=NOW, ticket_id=ticket.pk)

    with pytest.raises(IntegrityError), transaction.atomic():
        Ticket.objects.filter(pk=ticket.pk).update(status="waiting", closed_at=None, waiting_since=NOW)


@pytest.mark.parametrize(("kind", "channel"), [("note", "email"), ("reply", ""), ("escalated", "sms")])
def test_a_note_has_no_channel_to_the_guest(place, kind, channel):
    ticket = log(place)

    with pytest.raises(IntegrityError), transaction.atomic():
        TicketEvent.objects.create(ticket=ticket, kind=kind, channel=channel, at=NOW)


def test_the_guest_reads_replies_and_messages_only(place):
    ticket = log(place)
    services.add_note(actor=None, now=NOW, ticket_id=ticket.pk, text="难缠")
    services.record_reply(actor=None, now=NOW, ticket_id=ticket.pk, text="马上处理", channel="phone")

    assert [event.text for event in guest_thread(ticket)] == ["马上处理"]


def test_closing_without_a_cause_is_refused(place):
    ticket = log(place)

    with pytest.raises(services.RootCauseMissing):
        services.close_ticket(root_cause="", actor=None, now=NOW, ticket_id=ticket.pk)


def test_one_letter_opens_one_ticket_a_department(place):
    departments = [make_department(place, code) for code in ("FO", "ENG")]
    guest = make_guest()

    made = [
        log(place, guest_id=guest.pk, department=department, source="email", source_reference="<1@x>")
        for department in [*departments, *departments]
    ]

    assert made[:2] == made[2:]
    assert Ticket.objects.count() == 2
