"""Together and apart."""

import pytest

from feedback import services
from tests.factories import (
    NOW,
    make_department,
    make_guest,
)
from tests.feedback.test_handling.acts import HOUR, clock_of, log

pytestmark = pytest.mark.django_db


def test_a_case_has_a_ticket_for_each_department(place):
    front, engineering = make_department(place), make_department(place, "ENG")
    ticket = log(place, department=front)

    part = services.split_ticket(
        actor=None,
        now=NOW,
        ticket_id=ticket.pk,
        department=engineering,
        subject="修空调",
        category="room",
        severity="low",
    )

    assert part.case_id == ticket.case_id
    assert clock_of(part).due_at == NOW + 24 * HOUR
    with pytest.raises(services.DepartmentHasTicket):
        services.split_ticket(
            actor=None,
            now=NOW,
            ticket_id=ticket.pk,
            department=engineering,
            subject="再",
            category="room",
            severity="low",
        )


def test_merging_keeps_both_and_is_undone_by_reopening(place):
    guest = make_guest()
    first, second = (log(place, guest_id=guest.pk) for _ in range(2))

    services.merge_tickets(actor=None, now=NOW, ticket_id=second.pk, into_id=first.pk)
    second.refresh_from_db()
    assert (second.status, second.merged_into) == ("merged", first)
    services.reopen_ticket(actor=None, now=NOW, ticket_id=second.pk)
    second.refresh_from_db()
    assert (second.status, second.merged_into) == ("open", None)


def test_tickets_of_two_guests_are_never_merged(place):
    """FreeScout 5138: a merge showed one customer's words to another."""
    with pytest.raises(services.CannotJoin):
        services.merge_tickets(actor=None, now=NOW, ticket_id=log(place).pk, into_id=log(place).pk)
