"""Issuing."""

import pytest

from hotels.models import AuditEntry
from loyalty.models import Membership, Voucher, VoucherType
from loyalty.rules.vouchers import mask_code, parse_code, spell_code
from loyalty.services.ledger import RequestKey
from loyalty.services.vouchers import (
    cancel_voucher,
    issue_vouchers,
)
from tests.factories import (
    NOW,
    make_membership,
    make_programme,
    make_voucher_type,
)
from tests.loyalty.test_vouchers.acts import DAY, TODAY, issue, refusal

pytestmark = pytest.mark.django_db


def test_an_issued_voucher_has_a_code_days_and_a_history(voucher_type, member, place, clerk):
    voucher = issue(voucher_type, member, actor=clerk, place=place, reason="生日")

    assert parse_code(spell_code(voucher.code)) == voucher.code
    assert (voucher.state, voucher.membership) == ("issued", member)
    assert (voucher.valid_from, voucher.expires_on) == (TODAY, TODAY + 30 * DAY)
    (event,) = voucher.events.all()
    assert (event.kind, event.actor, event.property, event.membership, event.reason) == (
        "issued",
        clerk,
        place,
        member,
        "生日",
    )
    entry = AuditEntry.objects.get(action="voucher.issued")
    assert voucher.code not in f"{entry.object_label}{entry.after}"
    assert entry.object_label.endswith(mask_code(voucher.code))


def test_one_request_issues_one_voucher(voucher_type, member):
    request = RequestKey("test", "k1")
    first = issue(voucher_type, member, request=request)
    again = issue(voucher_type, member, request=request)

    assert first == again
    assert Voucher.objects.count() == 1
    assert VoucherType.objects.get().issued_count == 1
    assert refusal(issue, voucher_type, None, request=request) == "request_conflict"


def test_a_voucher_for_each_of_many_members(programme, voucher_type):
    members = [make_membership(programme) for _ in range(3)]

    ids = issue_vouchers(
        actor=None,
        now=NOW,
        type_id=voucher_type.pk,
        membership_ids=[member.pk for member in members],
        source=Voucher.Source.CAMPAIGN,
        source_reference="C1",
    )

    assert list(Voucher.objects.filter(pk__in=ids).order_by("pk").values_list("membership", "source")) == [
        (member.pk, "campaign") for member in members
    ]
    assert AuditEntry.objects.get(action="voucher.issued_to_many").after["count"] == 3


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"is_active": False}, "type_not_open"),
        ({"issue_from": TODAY + DAY}, "type_not_open"),
        ({"issue_until": TODAY}, "type_not_open"),
        ({"issue_limit": 0}, "issue_limit"),
        ({"expires_on": TODAY - DAY}, "already_over"),
    ],
)
def test_nothing_is_issued_outside_the_terms(programme, fields, code):
    voucher_type = make_voucher_type(programme, **fields)

    assert refusal(issue, voucher_type) == code
    assert not Voucher.objects.exists()
    assert VoucherType.objects.get().issued_count == 0


def test_the_limits_of_a_type_and_of_a_member_are_kept(programme, member):
    voucher_type = make_voucher_type(programme, issue_limit=3, per_member_limit=1)
    issue(voucher_type, member)

    assert refusal(issue, voucher_type, member) == "member_limit"
    issue(voucher_type, make_membership(programme))
    issue(voucher_type)
    assert refusal(issue, voucher_type) == "issue_limit"
    assert VoucherType.objects.get().issued_count == Voucher.objects.count() == 3


def test_a_canceled_voucher_leaves_room_for_another_of_the_member(programme, member):
    voucher_type = make_voucher_type(programme, per_member_limit=1)
    cancel_voucher(actor=None, now=NOW, voucher_id=issue(voucher_type, member).pk, reason="错发")

    assert issue(voucher_type, member).state == "issued"


def test_strangers_and_closed_members_get_none(programme, voucher_type, member):
    stranger = make_membership(make_programme())
    Membership.objects.filter(pk=member.pk).update(status="closed")

    assert refusal(issue, voucher_type, stranger) == "other_programme"
    assert refusal(issue, voucher_type, member) == "member_inactive"
