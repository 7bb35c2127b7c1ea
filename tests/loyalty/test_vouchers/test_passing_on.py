"""Passing on and canceling."""

import pytest

from hotels.models import AuditEntry
from loyalty.models import VoucherEvent
from loyalty.services.vouchers import (
    cancel_voucher,
    transfer_voucher,
)
from tests.factories import (
    NOW,
    make_membership,
    make_programme,
    make_voucher_type,
)
from tests.loyalty.test_vouchers.acts import DAY, issue, kinds, redeem, refusal

pytestmark = pytest.mark.django_db


def test_a_voucher_is_passed_on_and_only_the_new_owner_may_use_it(programme, place, clerk, member):
    voucher_type = make_voucher_type(programme, is_transferable=True)
    other = make_membership(programme)
    voucher = issue(voucher_type, member)

    moved = transfer_voucher(actor=clerk, now=NOW, voucher_id=voucher.pk, to_membership_id=other.pk, place=place)

    assert moved.membership == other
    event = VoucherEvent.objects.get(kind="transferred")
    assert (event.from_membership, event.membership) == (member, other)
    assert AuditEntry.objects.get(action="voucher.transferred").after == {"member": other.number}


def test_what_cannot_be_passed_on_stays(programme, place, clerk, member):
    other = make_membership(programme)
    movable = make_voucher_type(programme, is_transferable=True, per_member_limit=1)
    fixed, free, used = issue(make_voucher_type(programme), member), issue(movable, member), issue(movable)
    issue(movable, other)
    redeem(used, place, clerk)

    def transfer(voucher, to, **facts):
        return refusal(
            transfer_voucher,
            **{"actor": clerk, "now": NOW, "voucher_id": voucher.pk, "to_membership_id": to.pk, **facts},
        )

    assert transfer(fixed, other) == "transfer_not_allowed"
    assert transfer(free, member) == "transfer_to_self"
    assert transfer(used, other) == "not_issued"
    assert transfer(free, other) == "member_limit"
    assert transfer(free, make_membership(make_programme())) == "other_programme"
    assert transfer(free, make_membership(programme), now=NOW + 31 * DAY) == "not_issued"
    assert not VoucherEvent.objects.filter(kind="transferred").exists()


def test_a_bearer_voucher_becomes_a_members_own(voucher_type, member):
    voucher = issue(voucher_type)

    moved = transfer_voucher(actor=None, now=NOW, voucher_id=voucher.pk, to_membership_id=member.pk)

    assert moved.membership == member


def test_canceling_needs_a_reason_and_an_open_voucher(voucher_type, place, clerk):
    voucher, used = issue(voucher_type), issue(voucher_type)
    redeem(used, place, clerk)

    assert refusal(cancel_voucher, actor=clerk, now=NOW, voucher_id=voucher.pk, reason="") == "reason_required"
    assert refusal(cancel_voucher, actor=clerk, now=NOW, voucher_id=used.pk, reason="x") == "not_issued"
    for _ in range(2):
        assert cancel_voucher(actor=clerk, now=NOW, voucher_id=voucher.pk, reason="遗失").state == "canceled"
    assert refusal(redeem, voucher, place, clerk) == "canceled"
    assert kinds(voucher) == ["issued", "canceled"]
