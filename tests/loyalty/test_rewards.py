"""The catalogue through the service: prices, stock, limits, states, vouchers, giving back."""

import datetime as dt
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from hotels.models import AuditEntry
from loyalty.models import (
    ExchangeRatio,
    Posting,
    Redemption,
    RedemptionEvent,
    RewardBlackout,
    RewardLimit,
    RewardPrice,
    RewardStock,
    RewardUse,
    Voucher,
)
from loyalty.selectors.members import member_summary
from loyalty.selectors.postings import sentence_of
from loyalty.selectors.rewards import offers
from loyalty.services import ledger
from loyalty.services.memberships import enrol_member
from loyalty.services.redemptions import (
    CancellationRefused,
    RewardRefused,
    StateRefused,
    VoucherNotIssued,
    cancel_redemption,
    change_price,
    expire_redemptions,
    fulfil_redemption,
    mark_no_show,
    redeem_reward,
    reopen_redemption,
)
from loyalty.services.vouchers import redeem_voucher
from tests.factories import NOW, make_guest, make_programme, make_property, make_reward, make_staff, make_voucher_type

pytestmark = pytest.mark.django_db

TODAY = NOW.date()
LONG_AFTER = NOW + dt.timedelta(hours=2)


@pytest.fixture(autouse=True)
def _balances_hold():
    yield
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.fixture
def place():
    return make_property()


@pytest.fixture
def programme():
    return make_programme()


@pytest.fixture
def reward(programme):
    return make_reward(programme, points=2000)


@pytest.fixture
def clerk(place):
    return make_staff(place=place)


@pytest.fixture
def membership(programme):
    return make_member(programme)


def make_member(programme, points=100_000):
    membership = enrol_member(actor=None, now=NOW, programme=programme, guest_id=make_guest().pk)
    ledger.earn_points(actor=None, now=NOW, points=points, membership_id=membership.pk)
    return membership


def redeem(membership, reward, place, *, key="k1", now=NOW, actor=None, **facts):
    return redeem_reward(
        actor=actor,
        now=now,
        membership_id=membership.pk,
        reward_id=reward.pk,
        place=place,
        idempotency_key=key,
        **facts,
    )


def refusal(membership, reward, place, **facts):
    with pytest.raises(RewardRefused) as caught:
        redeem(membership, reward, place, key="no", **facts)
    return caught.value


def cancel(redemption, *, now=NOW, actor=None, **facts):
    return cancel_redemption(actor=actor, now=now, redemption_id=redemption.pk, reason="closed", **facts)


def available(membership):
    return member_summary(membership=membership, today=TODAY).available


def price(reward, points, **facts):
    row = RewardPrice(reward=reward, points=points, **{"effective_from": dt.date(2026, 1, 1), **facts})
    row.full_clean()
    row.save()
    return row


def test_points_and_money_are_one_of_two_options(membership, reward, place):
    price(reward, 5000)
    mixed = price(reward, 2000, cash=Decimal(180), currency="CNY")

    dear = redeem(membership, reward, place)
    cheap = redeem(membership, reward, place, key="k2", price_id=mixed.pk, quantity=2)

    assert (dear.points, dear.cash, dear.currency) == (5000, 0, "")
    assert (cheap.points, cheap.cash, cheap.currency) == (4000, 360, "CNY")
    assert "× 2" in sentence_of(Posting.objects.get(source_reference=str(cheap.public_id)))
    assert "360.00" in sentence_of(Posting.objects.get(source_reference=str(cheap.public_id)))


def test_the_day_the_property_and_the_ratio_make_the_price(membership, reward, place, programme):
    price(reward, 3000, weekdays=[6, 7])
    price(reward, 1500, property=place, first_date=TODAY, last_date=TODAY)
    saturday = TODAY + dt.timedelta(days=5)
    night = make_reward(programme, points=1)
    type(night).objects.filter(pk=night.pk).update(cash_value=Decimal(680), category="room_night")
    for category, day, ratio in (("", "2026-01-01", 10), ("room_night", "2026-06-01", 12), ("", "2026-07-01", 99)):
        ExchangeRatio.objects.create(
            programme=programme, category=category, effective_from=day, points_per_unit=ratio, round_to=100
        )

    assert redeem(membership, reward, place).points == 1500
    assert redeem(membership, reward, place, key="2", for_date=saturday).points == 3000
    assert redeem(membership, reward, make_property(), key="3").points == 2000
    assert redeem(membership, night, place, key="4").points == 8200


def test_a_price_that_changed_meanwhile_is_not_charged(membership, reward, place):
    caught = refusal(membership, reward, place, expected=(1800, Decimal(0)))

    assert caught.code == "price_changed"
    assert available(membership) == 100_000


def test_the_same_price_twice_is_refused_with_a_sentence(reward):
    price(reward, 5000, effective_until=dt.date(2026, 7, 1))
    price(reward, 5500, effective_from=dt.date(2026, 7, 1))
    price(reward, 5000, weekdays=[1])

    with pytest.raises(ValidationError, match=r"already|已有"):
        price(reward, 4000, effective_from=dt.date(2026, 6, 1))
    with pytest.raises(IntegrityError), transaction.atomic():
        RewardPrice.objects.create(reward=reward, points=1, effective_from=dt.date(2027, 1, 1))


def test_a_new_price_begins_on_its_day(membership, reward, place, clerk):
    old = price(reward, 2000)
    change_price(
        actor=clerk,
        now=NOW,
        reward_id=reward.pk,
        price_id=old.pk,
        effective_from=TODAY + dt.timedelta(days=1),
        points=2500,
    )

    tomorrow = NOW + dt.timedelta(days=1)
    assert redeem(membership, reward, place).points == 2000
    assert redeem(membership, reward, place, key="2", now=tomorrow).points == 2500
    assert AuditEntry.objects.get(action="reward.price_changed").after["price"] == "2,500"


def test_stock_is_counted_in_all_and_at_the_property_and_comes_back(membership, reward, place):
    shared = RewardStock.objects.create(reward=reward, total=5)
    own = RewardStock.objects.create(reward=reward, property=place, total=2)
    first = redeem(membership, reward, place, quantity=2)

    caught = refusal(membership, reward, place)
    redeem(membership, reward, make_property(), key="elsewhere", quantity=3)
    elsewhere = refusal(membership, reward, make_property())
    cancel(first)

    assert (caught.code, elsewhere.code) == ("sold_out", "sold_out")
    shared.refresh_from_db()
    own.refresh_from_db()
    assert (shared.taken, own.taken) == (3, 0)
    redeem(membership, reward, place, key="again", quantity=2)


def test_the_database_refuses_more_than_there_is(reward):
    stock = RewardStock.objects.create(reward=reward, total=2)

    for taken in (3, -1):
        with pytest.raises(IntegrityError), transaction.atomic():
            RewardStock.objects.filter(pk=stock.pk).update(taken=taken)


@pytest.mark.parametrize(("scope", "period"), [("all", "week"), ("property", "day"), ("member", "month")])
def test_limits_count_by_the_day_it_is_for_and_give_back(membership, reward, place, programme, scope, period):
    RewardLimit.objects.create(reward=reward, scope=scope, period=period, maximum=2)
    first = redeem(membership, reward, place)
    redeem(membership, reward, place, key="2")

    caught = refusal(membership, reward, place)
    redeem(membership, reward, place, key="later", for_date=TODAY + dt.timedelta(days=40))
    if scope == "member":
        redeem(make_member(programme), reward, place, key="other")
    if scope == "property":
        redeem(membership, reward, make_property(), key="other")
    cancel(first)
    redeem(membership, reward, place, key="freed")

    assert caught.code == f"limit_{scope}"
    assert caught.refusal.params == {"maximum": 2, "left": 0}
    assert all(use.used <= use.maximum for use in RewardUse.objects.all())


def test_each_refusal_moves_nothing(membership, reward, place, programme):
    gold = programme.tiers.get(code="gold")
    RewardBlackout.objects.create(
        reward=reward, first_date=TODAY + dt.timedelta(days=1), last_date=TODAY + dt.timedelta(days=7)
    )
    found = {"blackout": refusal(membership, reward, place, for_date=TODAY + dt.timedelta(days=7)).code}
    rows = type(reward).objects.filter(pk=reward.pk)
    for code, facts in (
        ("tier_too_low", {"min_tier": gold}),
        ("not_yet", {"min_tier": None, "valid_from": TODAY + dt.timedelta(days=1)}),
        ("no_longer", {"valid_from": None, "valid_until": TODAY}),
        ("lead_time", {"valid_until": None, "lead_hours": 24}),
    ):
        rows.update(**facts)
        found[code] = refusal(membership, reward, place).code
    rows.update(lead_hours=0)
    reward.properties.add(make_property())
    found["not_offered_here"] = refusal(membership, reward, place).code
    found["quantity"] = refusal(membership, make_reward(programme), place, quantity=0).code

    assert found == {code: code for code in found}
    assert not Redemption.objects.exists()
    assert available(membership) == 100_000


def test_a_reward_that_gives_a_voucher_is_fulfilled_with_it(membership, reward, place, programme, clerk):
    kind = make_voucher_type(programme)
    type(reward).objects.filter(pk=reward.pk).update(voucher_type=kind)

    redemption = redeem(membership, reward, place, actor=clerk, quantity=2)

    vouchers = list(redemption.vouchers.all())
    assert redemption.status == Redemption.Status.FULFILLED
    assert {(v.membership_id, v.source, v.source_reference) for v in vouchers} == {
        (membership.pk, "reward", str(redemption.public_id))
    }
    assert len(vouchers) == 2
    cancel(redemption, now=LONG_AFTER, actor=clerk)
    assert set(Voucher.objects.values_list("state", flat=True)) == {"canceled"}
    assert available(membership) == 100_000


def test_a_used_voucher_keeps_its_redemption(membership, reward, place, programme, clerk):
    type(reward).objects.filter(pk=reward.pk).update(voucher_type=make_voucher_type(programme))
    redemption = redeem(membership, reward, place, actor=clerk)
    redeem_voucher(
        actor=clerk,
        now=NOW,
        voucher_id=redemption.vouchers.get().pk,
        place=place,
        request=ledger.RequestKey("t", "1"),
        membership_id=membership.pk,
        spend=Decimal(500),
    )

    with pytest.raises(CancellationRefused) as caught:
        cancel(redemption, actor=clerk, may_override=True)

    assert caught.value.code == "voucher_used"
    assert available(membership) == 98_000


def test_without_its_voucher_nothing_is_redeemed(membership, reward, place, programme):
    type(reward).objects.filter(pk=reward.pk).update(voucher_type=make_voucher_type(programme, issue_limit=1))

    with pytest.raises(VoucherNotIssued):
        redeem(membership, reward, place, quantity=2)

    assert not Redemption.objects.exists()
    assert not Voucher.objects.exists()
    assert available(membership) == 100_000


def test_what_is_handed_over_is_told_with_who_and_when(membership, reward, place, clerk):
    redemption = redeem(membership, reward, place, actor=clerk, note="15:00")
    facts = {"actor": clerk, "now": LONG_AFTER, "redemption_id": redemption.pk}

    fulfil_redemption(**facts, note="room 1208")
    fulfil_redemption(**facts)
    reopen_redemption(**facts)
    mark_no_show(**facts)
    with pytest.raises(StateRefused):
        fulfil_redemption(**facts)

    events = RedemptionEvent.objects.values_list("kind", "actor", "reason")
    assert list(events) == [
        ("redeemed", clerk.pk, "15:00"),
        ("fulfilled", clerk.pk, "room 1208"),
        ("reopened", clerk.pk, ""),
        ("no_show", clerk.pk, ""),
    ]


def test_after_its_deadline_only_a_manager_cancels(membership, reward, place, clerk):
    type(reward).objects.filter(pk=reward.pk).update(cancel_hours=24)
    redemption = redeem(membership, reward, place, actor=clerk)

    with pytest.raises(CancellationRefused) as late:
        cancel(redemption, now=LONG_AFTER, actor=clerk)
    with pytest.raises(CancellationRefused):
        cancel(redemption)
    cancel(redemption, now=LONG_AFTER, actor=clerk, may_override=True)

    assert late.value.code == "too_late"
    assert "24" in str(late.value)
    assert RedemptionEvent.objects.last().reason == "closed"


def test_what_nobody_asked_for_expires_after_its_days(membership, reward, place):
    type(reward).objects.filter(pk=reward.pk).update(open_days=3)
    redemption = redeem(membership, reward, place)

    assert expire_redemptions(now=NOW + dt.timedelta(days=3)) == 0
    assert expire_redemptions(now=NOW + dt.timedelta(days=4)) == 1
    assert expire_redemptions(now=NOW + dt.timedelta(days=4)) == 0
    redemption.refresh_from_db()
    assert redemption.status == "expired"
    assert RedemptionEvent.objects.last().kind == "expired"


def test_the_database_knows_the_ways_between_states(membership, reward, place):
    redemption = redeem(membership, reward, place)
    cancel(redemption)

    for change in ({"status": "redeemed"}, {"points": 1}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Redemption.objects.filter(pk=redemption.pk).update(**change)


def test_the_catalogue_shows_first_what_can_be_had(membership, programme, place, django_assert_num_queries):
    near = make_reward(programme, points=500, code="near")
    RewardStock.objects.create(reward=near, total=0)
    make_reward(programme, points=800, code="tea")
    make_reward(programme, points=100_001, code="far")

    with django_assert_num_queries(1):
        found = offers(programme=programme, place=place, now=NOW, membership=membership, available=100_000)

    assert [(offer.terms.code, offer.refusal and offer.refusal.code) for offer in found] == [
        ("tea", None),
        ("near", "sold_out"),
        ("far", "insufficient_points"),
    ]
    assert "100,001" in found[2].refusal.message
