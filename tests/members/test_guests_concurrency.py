"""Real transactions in threads: the database keeps an identity unique, whatever comes at once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from members.models import Guest, GuestIdentity
from members.services.guests import GuestInput, IdentityTaken, StaleRecord, create_guest, create_guests, update_guest
from tests.factories import NOW

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(count, act):
    """Run `act(number)` in threads that start together; returns results and exceptions."""
    barrier = Barrier(count)

    def run(number):
        try:
            connection.ensure_connection()
            barrier.wait(timeout=20)
            return act(number)
        except (IdentityTaken, StaleRecord) as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_one_phone_enrolled_ten_times_at_once_is_one_guest():
    outcomes = at_once(
        10,
        lambda number: create_guest(
            actor=None, now=NOW, name=f"陈{number}", phone="13800138000", email=f"c{number}@example.com", source="desk"
        ),
    )

    guest = Guest.objects.get()
    refused = [outcome for outcome in outcomes if isinstance(outcome, IdentityTaken)]
    assert outcomes.count(guest) == 1
    assert len(refused) == 9
    assert {refusal.guest for refusal in refused} == {guest}
    assert GuestIdentity.objects.count() == 2


def test_identities_given_in_any_order_never_deadlock():
    outcomes = at_once(
        8,
        lambda number: create_guest(
            actor=None,
            now=NOW,
            name="陈",
            phone=f"1380013800{number % 2}",
            email=f"c{number // 2 % 2}@example.com",
            source="desk",
        ),
    )

    assert all(isinstance(outcome, Guest | IdentityTaken) for outcome in outcomes)
    assert GuestIdentity.objects.count() == Guest.objects.count() * 2


def test_two_imports_and_the_desk_at_once_make_each_guest_once():
    rows = [GuestInput(name=f"客{number}", phone=f"139{number:08d}") for number in range(1, 301)]

    def act(number):
        if number == 2:
            return create_guest(actor=None, now=NOW, name="客150", phone="13900000150", source="desk")
        ordered = rows if number else rows[::-1]
        return create_guests(actor=None, now=NOW, rows=ordered, source="import", update_existing=bool(number))

    outcomes = at_once(3, act)

    assert Guest.objects.count() == GuestIdentity.objects.count() == 300
    statuses = [result.status for results in outcomes[:2] for result in results]
    assert set(statuses) <= {"created", "taken", "unchanged", "updated"}
    assert statuses.count("created") in {299, 300}


def test_two_saves_of_one_version_let_one_through():
    guest = create_guest(actor=None, now=NOW, name="陈", source="desk")

    outcomes = at_once(
        4,
        lambda number: update_guest(
            actor=None, now=NOW, guest_id=guest.pk, expected_version=1, changes={"company": f"公司{number}"}
        ),
    )

    assert sum(isinstance(outcome, StaleRecord) for outcome in outcomes) == 3
    assert Guest.objects.get().version == 2
