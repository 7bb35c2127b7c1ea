"""Reservations as their source states them, again and again."""

import datetime as dt
from dataclasses import replace

import pytest

from members.models import Reservation
from members.services.reservations import (
    IllegalTransition,
    Outcome,
    ReservationInput,
    store_reservation,
    store_reservations,
)
from tests.factories import NOW, make_guest, make_property

pytestmark = pytest.mark.django_db


def booking(place, guest=None, **facts):
    return ReservationInput(
        **{
            "place_id": place.pk,
            "source_system": "pms",
            "source_reference": "R1",
            "guest_id": guest.pk if guest else None,
            "arrival_date": dt.date(2026, 6, 13),
            "departure_date": dt.date(2026, 6, 15),
            "status": "reserved",
            "currency": "CNY",
            **facts,
        }
    )


def test_a_message_without_a_guest_keeps_the_one_that_is_known():
    place, guest = make_property(), make_guest()
    store_reservation(actor=None, now=NOW, row=booking(place, guest))

    stored = store_reservation(actor=None, now=NOW, row=booking(place, room_number="1208"))

    assert (stored.guest_id, stored.room_number) == (guest.pk, "1208")


def test_a_message_that_only_leaves_out_the_guest_changes_nothing():
    place = make_property()
    row = booking(place, make_guest())
    store_reservation(actor=None, now=NOW, row=row)

    (result,) = store_reservations(actor=None, now=NOW, rows=[replace(row, guest_id=None)])

    assert result.outcome is Outcome.UNCHANGED


def test_a_message_with_another_guest_changes_the_guest():
    place, guest = make_property(), make_guest()
    store_reservation(actor=None, now=NOW, row=booking(place, make_guest()))

    store_reservation(actor=None, now=NOW, row=booking(place, guest))

    assert Reservation.objects.get().guest_id == guest.pk


def test_what_was_checked_out_stays_as_it_was():
    place = make_property()
    store_reservation(actor=None, now=NOW, row=booking(place, make_guest(), status="checked_out"))

    with pytest.raises(IllegalTransition):
        store_reservation(actor=None, now=NOW, row=booking(place, status="canceled"))
