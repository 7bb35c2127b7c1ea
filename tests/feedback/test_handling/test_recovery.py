"""Service recovery."""

import uuid

import pytest

from feedback import services
from feedback.models import (
    Recovery,
)
from hotels.models import Role
from loyalty.models import Account
from loyalty.services.memberships import enrol_member
from tests.factories import (
    NOW,
    make_guest,
    make_programme,
    make_staff,
    make_voucher_type,
)
from tests.feedback.test_handling.acts import log

pytestmark = pytest.mark.django_db


@pytest.fixture
def member(place):
    guest = make_guest()
    enrol_member(actor=None, now=NOW, programme=make_programme(), guest_id=guest.pk, place=place)
    return guest


def test_points_are_given_once_within_the_limit_and_taken_back(place, member):
    agent = make_staff(Role.GUEST_SERVICE, place=place)
    ticket, key = log(place, guest_id=member.pk), uuid.uuid4()
    give = {"actor": agent, "now": NOW, "ticket_id": ticket.pk, "kind": "points", "text": "致歉"}

    recovery, again = (services.recover_service(**give, points=1500, key=key) for _ in range(2))
    with pytest.raises(services.RecoveryRefused):
        services.recover_service(**give, points=501)
    given = Account.objects.get(membership__guest=member).available
    services.undo_recovery(actor=agent, now=NOW, recovery_id=recovery.pk)
    services.undo_recovery(actor=agent, now=NOW, recovery_id=recovery.pk)

    assert (recovery, given) == (again, 1500)
    assert Account.objects.get(membership__guest=member).available == 0


def test_a_voucher_is_given_and_canceled(place, member):
    agent = make_staff(Role.GUEST_SERVICE, place=place)
    voucher_type = make_voucher_type(member.memberships.get().programme)
    ticket = log(place, guest_id=member.pk)

    recovery = services.recover_service(
        actor=agent, now=NOW, ticket_id=ticket.pk, kind="voucher", text="致歉", voucher_type_id=voucher_type.pk
    )
    services.undo_recovery(actor=agent, now=NOW, recovery_id=recovery.pk)

    recovery.voucher.refresh_from_db()
    assert recovery.voucher.state == "canceled"


@pytest.mark.parametrize("role", [Role.MARKETER, Role.AUDITOR])
def test_who_has_no_limit_gives_nothing(place, member, role):
    with pytest.raises(services.RecoveryRefused):
        services.recover_service(
            actor=make_staff(role),
            now=NOW,
            ticket_id=log(place, guest_id=member.pk).pk,
            kind="points",
            points=1,
            text="x",
        )
    assert not Recovery.objects.exists()
