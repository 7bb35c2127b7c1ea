"""Using."""

import datetime as dt
import uuid
from decimal import Decimal

import pytest

from loyalty.models import Voucher, VoucherBlackout, VoucherEvent
from loyalty.services.ledger import RequestKey
from loyalty.services.vouchers import (
    UNDO_WITHIN,
    VoucherRefused,
    undo_redemption,
)
from tests.factories import (
    NOW,
    make_brand,
    make_membership,
    make_programme,
    make_property,
    make_voucher_type,
)
from tests.loyalty.test_vouchers.acts import DAY, TODAY, issue, kinds, redeem, refusal

pytestmark = pytest.mark.django_db


def test_a_voucher_is_used_once_and_says_when_where_and_by_whom(voucher_type, place, clerk):
    voucher = issue(voucher_type)
    used = redeem(voucher, place, clerk, spend=Decimal(80), reference=" F-1 ")

    assert (used.amount, used.currency, used.replayed) == (Decimal(80), "CNY", False)
    assert (used.voucher.state, used.voucher.redeemed_by, used.voucher.redeemed_property) == ("redeemed", clerk, place)
    assert (used.voucher.folio_reference, used.voucher.spend) == ("F-1", Decimal(80))
    with pytest.raises(VoucherRefused) as refused:
        redeem(voucher, place, clerk)
    assert refused.value.code == "redeemed_at"
    assert str(refused.value) == f"已于 2026-06-15 12:00 在{place.name}由{clerk}核销。"
    assert kinds(voucher) == ["issued", "redeemed"]


def test_the_same_request_again_is_the_same_use(voucher_type, place, clerk):
    voucher = issue(voucher_type)
    request = RequestKey("pos", "k")
    first = redeem(voucher, place, clerk, request=request, spend=Decimal(50))
    again = redeem(voucher, place, clerk, request=request, spend=Decimal("50.00"))

    assert (again.redemption_id, again.amount, again.replayed) == (first.redemption_id, Decimal(50), True)
    assert refusal(redeem, voucher, place, clerk, request=request, spend=Decimal(51)) == "request_conflict"
    assert refusal(redeem, issue(voucher_type), place, clerk, request=request) == "request_conflict"
    assert kinds(voucher) == ["issued", "redeemed"]


def test_each_refusal_moves_nothing(programme, place, clerk, member):
    other = make_membership(programme)
    gold = programme.tiers.get(code="gold")
    elsewhere = make_property(brand=make_brand("ZZ"))
    personal = issue(make_voucher_type(programme), member)
    cases = {
        "foreign_member": (personal, {"membership_id": other.pk}),
        "member_required": (personal, {}),
        "tier_too_low": (issue(make_voucher_type(programme, min_tier=gold)), {"membership_id": other.pk}),
        "below_minimum_spend": (
            issue(make_voucher_type(programme, min_spend=Decimal(500))),
            {"spend": Decimal("499.99")},
        ),
        "spend_required": (issue(make_voucher_type(programme, kind="percent", percent=20)), {}),
        "other_currency": (issue(make_voucher_type(programme, currency="THB")), {}),
        "weekday": (issue(make_voucher_type(programme, weekdays=[2])), {}),
        "reference_required": (issue(make_voucher_type(programme, is_stackable=False)), {}),
        "not_yet_valid": (issue(make_voucher_type(programme, valid_from=TODAY + DAY)), {}),
        "expired": (issue(make_voucher_type(programme)), {"now": NOW + 31 * DAY}),
        "other_programme": (
            issue(make_voucher_type(programme)),
            {"membership_id": make_membership(make_programme()).pk},
        ),
    }
    blacked_out = make_voucher_type(programme)
    VoucherBlackout.objects.create(type=blacked_out, first_date=TODAY, last_date=TODAY)
    cases["blackout"] = (issue(blacked_out), {})
    at_one = make_voucher_type(programme)
    at_one.properties.add(elsewhere)
    cases["other_property"] = (issue(at_one), {})
    found = {code: refusal(redeem, voucher, place, clerk, **facts) for code, (voucher, facts) in cases.items()}

    assert found == {code: code for code in cases}
    assert set(Voucher.objects.values_list("state", flat=True)) == {"issued"}
    assert not VoucherEvent.objects.exclude(kind="issued").exists()
    # Each would be used but for its reason.
    assert redeem(personal, place, clerk, membership_id=member.pk).voucher.state == "redeemed"
    assert redeem(cases["other_property"][0], elsewhere, clerk).voucher.state == "redeemed"


def test_vouchers_that_cannot_be_combined_are_refused_on_one_folio(programme, voucher_type, place, clerk):
    alone = make_voucher_type(programme, is_stackable=False)
    redeem(issue(voucher_type), place, clerk, reference="F1")

    assert refusal(redeem, issue(alone), place, clerk, reference="F1") == "not_stackable"
    assert redeem(issue(voucher_type), place, clerk, reference="F1")
    assert redeem(issue(alone), place, clerk, reference="F2")
    assert refusal(redeem, issue(voucher_type), place, clerk, reference="F2") == "not_stackable"
    assert redeem(issue(alone), make_property(), clerk, reference="F2")


def test_a_use_is_undone_and_the_voucher_can_be_used_again(voucher_type, place, clerk):
    voucher = issue(voucher_type)
    first = redeem(voucher, place, clerk, spend=Decimal(80), reference="F1")
    undo = {"actor": clerk, "now": NOW, "redemption_id": first.redemption_id, "place": place}
    undo_redemption(**undo)
    second = redeem(voucher, place, clerk)

    assert undo_redemption(**undo).state == "redeemed", "the first use was undone already; the second one stays"
    assert second.redemption_id != first.redemption_id
    assert kinds(voucher) == ["issued", "redeemed", "undone", "redeemed"]
    undone = VoucherEvent.objects.get(kind="undone")
    assert (undone.amount, undone.folio_reference) == (Decimal(80), "F1")


def test_undoing_late_elsewhere_or_what_never_was_is_refused(voucher_type, place, clerk):
    used = redeem(issue(voucher_type), place, clerk)
    undo = {"actor": clerk, "now": NOW + UNDO_WITHIN, "redemption_id": used.redemption_id, "place": place}
    late = {**undo, "now": NOW + UNDO_WITHIN + dt.timedelta(seconds=1)}

    assert refusal(undo_redemption, **{**undo, "place": make_property()}) == "undo_elsewhere"
    assert refusal(undo_redemption, **{**undo, "redemption_id": uuid.uuid4()}) == "unknown"
    assert refusal(undo_redemption, **late) == "undo_too_late"
    assert undo_redemption(**late, may_undo_late=True).state == "issued"
