"""Vouchers through the services: issued, used once, undone, passed on, canceled, expired; and what the database keeps."""

import datetime as dt
import uuid
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from hotels.models import AuditEntry
from loyalty.models import Membership, Voucher, VoucherBatch, VoucherBlackout, VoucherEvent, VoucherType
from loyalty.rules.vouchers import mask_code, parse_code, spell_code
from loyalty.selectors.verification import missing_guards
from loyalty.selectors.vouchers import check_voucher, conditions_of, find_voucher, qr_code, worth_of
from loyalty.services.ledger import RequestKey
from loyalty.services.vouchers import (
    UNDO_WITHIN,
    VoucherRefused,
    batches,
    cancel_batch,
    cancel_voucher,
    expire_vouchers,
    issue_voucher,
    issue_vouchers,
    order_batch,
    redeem_voucher,
    remind_vouchers,
    run_batch,
    transfer_voucher,
    undo_redemption,
)
from tests.factories import (
    NOW,
    make_brand,
    make_membership,
    make_programme,
    make_property,
    make_staff,
    make_voucher_type,
)

pytestmark = pytest.mark.django_db
TODAY = NOW.date()
DAY = dt.timedelta(days=1)


@pytest.fixture
def programme():
    return make_programme()


@pytest.fixture
def place():
    return make_property()


@pytest.fixture
def clerk(place):
    return make_staff(place=place)


@pytest.fixture
def member(programme):
    return make_membership(programme)


@pytest.fixture
def voucher_type(programme):
    return make_voucher_type(programme)


def issue(voucher_type, membership=None, **facts):
    return issue_voucher(
        **{
            "actor": None,
            "now": NOW,
            "type_id": voucher_type.pk,
            "membership_id": membership.pk if membership else None,
            **facts,
        }
    )


def redeem(voucher, place, clerk, **facts):
    return redeem_voucher(
        **{
            "actor": clerk,
            "now": NOW,
            "voucher_id": voucher.pk,
            "place": place,
            "request": RequestKey("test", str(uuid.uuid4())),
            **facts,
        }
    )


def refusal(call, *args, **facts):
    with pytest.raises(VoucherRefused) as refused:
        call(*args, **facts)
    assert str(refused.value)
    return refused.value.code


def kinds(voucher):
    return list(VoucherEvent.objects.filter(voucher=voucher).order_by("id").values_list("kind", flat=True))


# Issuing


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


# Batches


def order(voucher_type, quantity, **facts):
    return order_batch(
        **{
            "actor": None,
            "now": NOW,
            "type_id": voucher_type.pk,
            "quantity": quantity,
            "purpose": "旅展",
            "request_key": uuid.uuid4(),
            **facts,
        }
    )


def test_a_batch_issues_exactly_what_was_ordered(voucher_type):
    batch = order(voucher_type, 250)

    assert run_batch(batch_id=batch.pk, now=NOW, chunk=100) == 250
    assert run_batch(batch_id=batch.pk, now=NOW, chunk=100) == 0
    batch.refresh_from_db()
    assert (batch.status, batch.issued_count, batch.percent_done) == ("issued", 250, 100)
    rows = Voucher.objects.filter(batch=batch)
    assert sorted(rows.values_list("batch_number", flat=True)) == list(range(1, 251))
    assert len(set(rows.values_list("code", flat=True))) == 250
    assert VoucherEvent.objects.filter(kind="issued", voucher__batch=batch).count() == 250


def test_a_form_sent_twice_orders_once(voucher_type):
    key = uuid.uuid4()

    assert order(voucher_type, 10, request_key=key) == order(voucher_type, 10, request_key=key)
    assert VoucherType.objects.get().issued_count == 10
    assert refusal(order, voucher_type, 11, request_key=key) == "request_conflict"


@pytest.mark.parametrize("quantity", [0, -1, 1_000_001])
def test_a_batch_of_no_or_too_many_vouchers_is_refused(voucher_type, quantity):
    assert refusal(order, voucher_type, quantity) == "quantity"


def test_a_batch_takes_its_whole_quantity_off_the_limit(programme):
    voucher_type = make_voucher_type(programme, issue_limit=100)
    order(voucher_type, 60)

    assert refusal(order, voucher_type, 41) == "issue_limit"
    assert order(voucher_type, 40)


def test_a_canceled_batch_gives_back_what_it_did_not_issue_and_leaves_used_vouchers(programme, place, clerk):
    voucher_type = make_voucher_type(programme, issue_limit=10)
    batch = order(voucher_type, 10)
    run_batch_once(batch, 4)
    used = Voucher.objects.get(batch_number=1)
    redeem(used, place, clerk)

    assert refusal(cancel_batch, actor=None, now=NOW, batch_id=batch.pk, reason=" ") == "reason_required"
    cancel_batch(actor=clerk, now=NOW, batch_id=batch.pk, reason="印错")
    cancel_batch(actor=clerk, now=NOW, batch_id=batch.pk, reason="印错")

    assert run_batch(batch_id=batch.pk, now=NOW) == 0
    assert sorted(Voucher.objects.values_list("batch_number", "state")) == [
        (1, "redeemed"),
        (2, "canceled"),
        (3, "canceled"),
        (4, "canceled"),
    ]
    assert VoucherType.objects.get().issued_count == 4
    assert AuditEntry.objects.get(action="voucherbatch.canceled").after == {"canceled": 3, "not_issued": 6}


def run_batch_once(batch, chunk):
    assert batches._run_chunk(batch.pk, NOW, chunk) == chunk


# Using


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


# Passing on and canceling


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


# Expiry


def test_vouchers_expire_after_their_last_day_in_the_programmes_zone(voucher_type, place, clerk):
    voucher, used = issue(voucher_type), issue(voucher_type)
    redeem(used, place, clerk)
    last_moment = NOW.replace(hour=23, minute=59) + 30 * DAY

    assert expire_vouchers(now=last_moment).done == 0
    assert check_voucher(voucher=voucher, now=last_moment, place=place).refusal is None
    # Late or not, the job changes nothing about what may be used.
    after = last_moment + dt.timedelta(minutes=1)
    assert check_voucher(voucher=voucher, now=after, place=place).refusal.code == "expired"
    assert expire_vouchers(now=after, batch_size=1).done == 1
    assert expire_vouchers(now=after).done == 0
    assert sorted(Voucher.objects.values_list("state", flat=True)) == ["expired", "redeemed"]
    assert kinds(voucher) == ["issued", "expired"]


def test_a_use_undone_after_the_last_day_expires(voucher_type, place, clerk):
    used = redeem(issue(voucher_type), place, clerk, now=NOW + 30 * DAY)
    later = NOW + 31 * DAY
    undo_redemption(
        actor=clerk, now=later, redemption_id=used.redemption_id, place=place, may_undo_late=True, reason="退款"
    )

    assert expire_vouchers(now=later).done == 1


def test_owners_are_reminded_once_in_time(programme, member):
    voucher_type = make_voucher_type(programme, reminder_days=7, is_transferable=True)
    voucher = issue(voucher_type, member)
    issue(voucher_type)
    issue(make_voucher_type(programme), member)

    assert remind_vouchers(now=NOW + 22 * DAY).done == 0
    assert remind_vouchers(now=NOW + 23 * DAY).done == 1
    assert remind_vouchers(now=NOW + 24 * DAY).done == 0
    assert kinds(voucher) == ["issued", "reminded"]
    transfer_voucher(
        actor=None, now=NOW + 24 * DAY, voucher_id=voucher.pk, to_membership_id=make_membership(programme).pk
    )
    assert remind_vouchers(now=NOW + 30 * DAY).done == 1


def test_the_command_expires_and_reminds(voucher_type, capsys):
    issue(voucher_type)

    call_command("expire_vouchers")

    assert "reminders due" in capsys.readouterr().out
    with pytest.raises(CommandError, match="ahead"):
        call_command("expire_vouchers", "--date", "2999-01-01")


# What is said


def test_codes_are_found_as_typed(voucher_type):
    voucher = issue(voucher_type)

    assert find_voucher(spell_code(voucher.code).lower().replace("0", "o").replace("1", "l")) == voucher
    assert find_voucher("000000000000000") is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "立减 ¥100"),
        ({"kind": "percent", "percent": Decimal(20), "amount": None}, "立减 20%"),
        ({"kind": "percent", "percent": Decimal("12.5"), "amount": Decimal(80)}, "立减 12.5%，最高 ¥80"),
        ({"kind": "room_night", "amount": None}, "免费房晚"),
    ],
)
def test_the_worth_is_said_in_words(programme, fields, words):
    assert worth_of(make_voucher_type(programme, **fields)) == words


def test_the_conditions_are_said_in_words(programme, place):
    voucher_type = make_voucher_type(
        programme, min_spend=500, weekdays=[1, 2], min_tier=programme.tiers.get(code="gold"), is_stackable=False
    )
    voucher_type.properties.add(place)
    VoucherBlackout.objects.create(type=voucher_type, first_date=dt.date(2026, 10, 1), last_date=dt.date(2026, 10, 7))
    voucher_type.refresh_from_db()

    assert conditions_of(voucher_type) == [
        "消费满 ¥500 可用",
        f"仅限{place.name}",
        "仅限周一、周二",
        "2026-10-01 至 2026-10-07 不可用",
        "金卡及以上会员可用",
        "不可转赠",
        "不可与其他券同时使用",
    ]


def test_the_qr_code_is_an_svg_without_styles():
    svg = qr_code("7K2QM40XZP9TBWD")

    assert svg.startswith("<svg ")
    # 21 modules and four on each side: a whole QR code; cameras of telephones do not read the smaller Micro QR.
    assert 'viewBox="0 0 116 116"' in svg
    assert "style" not in svg
    assert "<script" not in svg


# What the database keeps


def refused_by_database(statement, *params):
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with pytest.raises(IntegrityError), transaction.atomic():
            cursor.execute(statement, params)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE loyalty_voucher SET state = 'redeemed' WHERE id = %s",
        "UPDATE loyalty_voucher SET state = 'canceled' WHERE id = %s",
        "UPDATE loyalty_voucher SET state = 'expired' WHERE id = %s",
        "UPDATE loyalty_voucher SET state = 'lost' WHERE id = %s",
        "UPDATE loyalty_voucher SET code = '000000000000000' WHERE id = %s",
        "UPDATE loyalty_voucher SET expires_on = NULL WHERE id = %s",
        "UPDATE loyalty_voucher SET membership_id = NULL WHERE id = %s",
        "UPDATE loyalty_voucher SET folio_reference = 'F' WHERE id = %s",
        "DELETE FROM loyalty_voucher WHERE id = %s",
        "UPDATE loyalty_voucherevent SET reason = 'x' WHERE voucher_id = %s",
        "DELETE FROM loyalty_voucherevent WHERE voucher_id = %s",
        "TRUNCATE loyalty_voucherevent, loyalty_voucher CASCADE -- %s",
        (
            "INSERT INTO loyalty_voucher (public_id, code, type_id, state, source, source_reference, issued_at, valid_from,"
            " folio_reference) SELECT gen_random_uuid(), '000000000000000', type_id, 'issued', 'manual', '', now(), '2026-01-01',"
            " '' FROM loyalty_voucher WHERE id = %s"
        ),
    ],
)
def test_the_database_refuses_to_alter_what_was_issued(voucher_type, member, statement):
    voucher = issue(voucher_type, member)

    refused_by_database(statement, voucher.pk)

    assert Voucher.objects.filter(pk=voucher.pk, state="issued", membership=member).exists()


@pytest.mark.parametrize(
    "change", ["state = 'expired'", "state = 'canceled'", "amount_applied = 1", "redeemed_at = now()", "spend = 1"]
)
def test_the_database_refuses_to_alter_a_use(voucher_type, place, clerk, change):
    used = redeem(issue(voucher_type), place, clerk)

    refused_by_database(f"UPDATE loyalty_voucher SET {change} WHERE id = %s", used.voucher.pk)


def test_a_code_is_unique_and_a_use_complete(voucher_type, place, clerk):
    voucher = issue(voucher_type)
    with connection.cursor() as cursor, pytest.raises(IntegrityError, match="code"), transaction.atomic():
        cursor.execute(
            "INSERT INTO loyalty_voucher (public_id, code, type_id, state, source, source_reference, issued_at,"
            " valid_from, folio_reference) SELECT gen_random_uuid(), code, type_id, 'issued', 'manual', '', now(),"
            " valid_from, '' FROM loyalty_voucher WHERE id = %s",
            [voucher.pk],
        )
    used = redeem(voucher, place, clerk)
    assert used.voucher.redeemed_at == NOW
    assert missing_guards() == []


@pytest.mark.parametrize(
    "change",
    [
        "amount = 200",
        "currency = 'USD'",
        "weekdays = '{1}'",
        "is_transferable = true",
        "valid_days = 60",
        "unit_cost = 5",
    ],
)
def test_the_terms_are_fixed_with_the_first_voucher(programme, change):
    voucher_type = make_voucher_type(programme)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE loyalty_vouchertype SET {change} WHERE id = %s", [voucher_type.pk])
        cursor.execute("UPDATE loyalty_vouchertype SET weekdays = '{}', amount = 100, currency = 'CNY'")
    other = make_voucher_type(programme)
    issue(other)

    refused_by_database(f"UPDATE loyalty_vouchertype SET {change} WHERE id = %s", other.pk)

    VoucherType.objects.filter(pk=other.pk).update(name="新名称", is_active=False, issue_limit=5, reminder_days=3)


def test_places_and_blackouts_are_fixed_with_the_first_voucher(programme, place):
    voucher_type = make_voucher_type(programme)
    voucher_type.properties.add(place)
    voucher_type.brands.add(place.brand)
    blackout = VoucherBlackout.objects.create(type=voucher_type, first_date=TODAY + DAY, last_date=TODAY + DAY)
    issue(voucher_type)

    for change in (
        voucher_type.properties.clear,
        lambda: voucher_type.properties.add(make_property()),
        voucher_type.brands.clear,
        blackout.delete,
        lambda: VoucherBlackout.objects.create(type=voucher_type, first_date=TODAY, last_date=TODAY),
    ):
        with pytest.raises(IntegrityError, match="terms"), transaction.atomic():
            change()


@pytest.mark.parametrize("change", ["quantity = 9", "issued_count = 1", "status = 'issuing'", "type_id = 0"])
def test_a_batch_stays_what_was_ordered(voucher_type, change):
    batch = order(voucher_type, 5)
    run_batch(batch_id=batch.pk, now=NOW)

    refused_by_database(f"UPDATE loyalty_voucherbatch SET {change} WHERE id = %s", batch.pk)
    refused_by_database("DELETE FROM loyalty_voucherbatch WHERE id = %s", batch.pk)
    assert VoucherBatch.objects.get().status == "issued"
