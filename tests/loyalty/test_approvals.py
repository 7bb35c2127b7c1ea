"""Four eyes: what waits for an approval, who may give it, and that nothing moves before."""

import datetime as dt
import json
import uuid
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone, translation

from hotels.models import AuditEntry, Role, User
from loyalty.models import (
    Account,
    ApprovalLimit,
    ApprovalRequest,
    DailyUse,
    Membership,
    MovementRecord,
    Redemption,
    VelocityRule,
    Voucher,
)
from loyalty.services.approvals import (
    AdjustPoints,
    AlreadyDecided,
    NotTheApprover,
    OwnMovement,
    OwnRequest,
    PayloadChanged,
    Performed,
    ReasonMissing,
    RedeemReward,
    RequestConflict,
    Requested,
    RequestExpired,
    approve_request,
    expire_requests,
    perform_or_request,
    refuse_request,
    review_movement,
    withdraw_request,
)
from loyalty.services.ledger import InsufficientPoints, redeem_points
from members.models import Guest
from members.services.guests import update_guest
from tests.factories import (
    NOW,
    make_member,
    make_programme,
    make_property,
    make_reward,
    make_staff,
    make_voucher_type,
)

pytestmark = pytest.mark.django_db
START = dt.date(2020, 1, 1)
LATER = NOW + dt.timedelta(hours=1)


@pytest.fixture
def place():
    return make_property()


@pytest.fixture
def programme():
    return make_programme()


@pytest.fixture
def member(programme):
    return make_member(programme, points=5000)


@pytest.fixture
def clerk(place):
    return make_staff(place=place)


@pytest.fixture
def manager(place):
    return make_staff(Role.PROPERTY_MANAGER, place=place)


def make_limit(programme, kind="adjust", role="receptionist", **fields):
    return ApprovalLimit.objects.create(
        **{
            "programme": programme,
            "kind": kind,
            "role": role,
            "per_movement": 1000,
            "per_day": 1500,
            "approver_role": "property_manager",
            "effective_from": START,
            **fields,
        }
    )


def make_rule(programme, check="same_pair", **fields):
    return VelocityRule.objects.create(
        **{"programme": programme, "check_code": check, "count": 1, "effective_from": START, **fields}
    )


def adjust(actor, member, points, place, *, key="", now=NOW):
    return perform_or_request(
        kind="adjust",
        actor=actor,
        now=now,
        payload=AdjustPoints(membership_id=member.pk, points=points),
        membership_id=member.pk,
        place=place,
        reason="致歉",
        idempotency_key=key or str(uuid.uuid4()),
    )


def redeem(actor, member, reward, place, *, key="", now=NOW):
    return perform_or_request(
        kind="redeem",
        actor=actor,
        now=now,
        payload=RedeemReward(membership_id=member.pk, reward_id=reward.pk, points=reward.points),
        membership_id=member.pk,
        place=place,
        idempotency_key=key or str(uuid.uuid4()),
    )


def balances(member):
    account = Account.objects.get(membership=member)
    return account.available, account.held


def asked(*args, **kwargs):
    outcome = adjust(*args, **kwargs)
    assert isinstance(outcome, Requested)
    return outcome.request


# Limits


def test_within_the_limits_it_is_carried_out_and_counted(programme, member, clerk, place):
    make_limit(programme)

    outcome = adjust(clerk, member, 1000, place)

    assert isinstance(outcome, Performed)
    assert balances(member) == (6000, 0)
    use = DailyUse.objects.get()
    assert (use.user, use.used, use.movements, use.day) == (clerk, 1000, 1, NOW.date())
    assert MovementRecord.objects.get().reference == f"loyalty.posting:{outcome.result.posting_id}"


def test_above_the_limit_nothing_moves_and_a_request_waits(programme, member, clerk, place):
    make_limit(programme)

    request = asked(clerk, member, 1001, place)

    assert balances(member) == (5000, 0)
    assert (request.state, request.approver_role, request.value) == ("pending", "property_manager", 1001)
    assert [ground["check"] for ground in request.grounds] == ["per_movement"]
    assert DailyUse.objects.get().used == 0
    assert AuditEntry.objects.filter(action="approval.requested", actor=clerk).count() == 1


def test_a_day_is_used_up_by_several_movements_and_the_next_day_begins_anew(programme, member, clerk, place):
    make_limit(programme)
    adjust(clerk, member, 1000, place)

    assert isinstance(adjust(clerk, member, 501, place), Requested)
    assert isinstance(adjust(clerk, member, 500, place), Performed)
    assert isinstance(adjust(clerk, member, 1, place), Requested)
    assert isinstance(adjust(clerk, member, 1000, place, now=NOW + dt.timedelta(days=1)), Performed)


def test_the_limit_that_has_begun_last_counts_and_a_property_has_its_own(programme, member, clerk, place):
    make_limit(programme)
    make_limit(programme, per_movement=50, effective_from=NOW.date())
    make_limit(programme, per_movement=7000, per_day=None, effective_from=NOW.date() + dt.timedelta(days=1))
    other = make_property()
    make_limit(programme, property=other, per_movement=None, per_day=None)

    assert isinstance(adjust(clerk, member, 51, place), Requested)
    assert isinstance(adjust(make_staff(place=other), member, 9000, other), Performed)


def test_without_a_limit_nothing_waits(member, clerk, place):
    assert isinstance(adjust(clerk, member, 10_000_000, place), Performed)


def test_the_same_form_sent_again_gets_the_same_answer(programme, member, clerk, place):
    make_limit(programme)

    first, again = (adjust(clerk, member, 500, place, key="k") for _ in range(2))
    assert (again.replayed, again.result.seq) == (True, first.result.seq)
    assert DailyUse.objects.get().used == 500
    one, two = (asked(clerk, member, 2000, place, key="j") for _ in range(2))
    assert one == two
    with pytest.raises(RequestConflict):
        adjust(clerk, member, 499, place, key="k")
    with pytest.raises(RequestConflict):
        adjust(clerk, member, 2001, place, key="j")
    assert balances(member) == (5500, 0)


def test_what_the_service_refuses_uses_up_nothing(programme, member, clerk, place):
    make_limit(programme, per_movement=9000, per_day=9000)

    with pytest.raises(InsufficientPoints):
        adjust(clerk, member, -5001, place)

    assert not DailyUse.objects.exists()
    assert not MovementRecord.objects.exists()


# Deciding


def test_an_approval_carries_it_out_once_and_says_who(programme, member, clerk, manager, place):
    make_limit(programme)
    request = asked(clerk, member, 2000, place)

    done = approve_request(actor=manager, now=LATER, request_id=request.pk, note="同意")

    assert (done.state, done.decided_by, done.note) == ("approved", manager, "同意")
    assert balances(member) == (7000, 0)
    record = MovementRecord.objects.get()
    assert (record.request, record.actor, record.counted_on, record.reference) == (request, clerk, None, done.reference)
    with pytest.raises(AlreadyDecided):
        approve_request(actor=manager, now=LATER, request_id=request.pk)
    with pytest.raises(AlreadyDecided):
        refuse_request(actor=manager, now=LATER, request_id=request.pk, note="不")
    with pytest.raises(AlreadyDecided):
        withdraw_request(actor=clerk, now=LATER, request_id=request.pk)
    assert balances(member) == (7000, 0)


def test_nobody_approves_their_own_request(programme, member, place):
    make_limit(programme, role="property_manager")
    boss = make_staff(Role.PROPERTY_MANAGER, place=place)
    request = asked(boss, member, 2000, place)

    with pytest.raises(OwnRequest):
        approve_request(actor=boss, now=LATER, request_id=request.pk)
    with pytest.raises(IntegrityError, match="loyalty_approvalrequest_four_eyes"), transaction.atomic():
        ApprovalRequest.objects.filter(pk=request.pk).update(state="approved", decided_by=boss, decided_at=LATER)
    assert balances(member) == (5000, 0)


def test_only_the_named_role_or_a_higher_one_at_that_property_decides(programme, member, clerk, place):
    make_limit(programme)
    make_limit(programme, role="property_manager", per_movement=3000, approver_role="group_manager")
    small, large = asked(clerk, member, 2000, place), asked(clerk, member, 3001, place)
    elsewhere = make_staff(Role.PROPERTY_MANAGER, place=make_property())
    auditor = make_staff(Role.AUDITOR)
    for nobody in (elsewhere, auditor, make_staff(place=place)):
        with pytest.raises(NotTheApprover):
            approve_request(actor=nobody, now=LATER, request_id=small.pk)
    with pytest.raises(NotTheApprover):
        approve_request(actor=make_staff(Role.PROPERTY_MANAGER, place=place), now=LATER, request_id=large.pk)
    assert balances(member) == (5000, 0)

    group = make_staff(Role.GROUP_MANAGER)
    assert approve_request(actor=group, now=LATER, request_id=small.pk).state == "approved"
    assert approve_request(actor=group, now=LATER, request_id=large.pk).state == "approved"


def test_a_refusal_says_why_and_moves_nothing(programme, member, clerk, manager, place):
    make_limit(programme)
    request = asked(clerk, member, -2000, place)
    assert balances(member) == (3000, 2000)

    with pytest.raises(ReasonMissing):
        refuse_request(actor=manager, now=LATER, request_id=request.pk, note=" ")
    refuse_request(actor=manager, now=LATER, request_id=request.pk, note="依据不足")

    assert balances(member) == (5000, 0)
    assert ApprovalRequest.objects.get().state == "refused"


def test_who_asked_may_withdraw_and_nobody_else(programme, member, clerk, manager, place):
    make_limit(programme)
    request = asked(clerk, member, -2000, place)

    with pytest.raises(NotTheApprover):
        withdraw_request(actor=manager, now=LATER, request_id=request.pk)
    assert withdraw_request(actor=clerk, now=LATER, request_id=request.pk).state == "withdrawn"
    assert balances(member) == (5000, 0)


def test_an_expired_request_is_ended_by_who_finds_it(programme, member, clerk, manager, place):
    make_limit(programme)
    request = asked(clerk, member, -2000, place)

    with pytest.raises(RequestExpired):
        approve_request(actor=manager, now=request.expires_at, request_id=request.pk)

    assert ApprovalRequest.objects.get().state == "expired"
    assert balances(member) == (5000, 0)


def test_the_job_ends_what_is_due_and_nothing_else(programme, member, clerk, place):
    make_limit(programme)
    old = asked(clerk, member, -2000, place)
    new = asked(clerk, member, -1001, place, now=LATER)

    assert expire_requests(now=old.expires_at) == 1
    assert expire_requests(now=old.expires_at) == 0

    assert dict(ApprovalRequest.objects.values_list("pk", "state")) == {old.pk: "expired", new.pk: "pending"}
    assert balances(member) == (3999, 1001)


def test_points_to_be_spent_stay_there_until_the_approval(programme, member, clerk, manager, place):
    make_limit(programme, kind="redeem")
    reward = make_reward(programme, points=4000)
    outcome = redeem(clerk, member, reward, place)
    assert isinstance(outcome, Requested)
    assert balances(member) == (1000, 4000)
    with pytest.raises(InsufficientPoints):
        redeem_points(actor=None, now=NOW, points=1001, membership_id=member.pk)

    approve_request(actor=manager, now=LATER, request_id=outcome.request.pk)

    assert balances(member) == (1000, 0)
    assert Redemption.objects.get().actor == clerk
    assert redeem(clerk, member, reward, place, key=outcome.request.idempotency_key).request.state == "approved"
    assert Redemption.objects.count() == 1


def test_a_request_that_cannot_be_held_is_refused_at_once(programme, member, clerk, place):
    make_limit(programme, kind="redeem")

    with pytest.raises(InsufficientPoints):
        redeem(clerk, member, make_reward(programme, points=5001), place)

    assert not ApprovalRequest.objects.exists()


def change_price(member, reward):
    reward.points = 4001
    reward.save(update_fields=["points"])


def switch_off(member, reward):
    reward.is_active = False
    reward.save(update_fields=["is_active"])


def suspend(member, reward):
    Membership.objects.filter(pk=member.pk).update(status="suspended")


@pytest.mark.parametrize(
    ("change", "failure"),
    [(change_price, "price_changed"), (switch_off, "reward_unavailable"), (suspend, "membership_inactive")],
)
def test_what_has_changed_meanwhile_ends_the_request_with_nothing_half_done(
    programme, member, clerk, manager, place, change, failure
):
    make_limit(programme, kind="redeem")
    reward = make_reward(programme, points=4000)
    request = redeem(clerk, member, reward, place).request
    change(member, reward)

    done = approve_request(actor=manager, now=LATER, request_id=request.pk)

    assert (done.state, done.failure) == ("failed", failure)
    assert balances(member) == (5000, 0)
    assert not Redemption.objects.exists()
    assert not MovementRecord.objects.exists()


def test_the_database_refuses_an_edited_request(programme, member, clerk, place):
    make_limit(programme)
    request = asked(clerk, member, 2000, place)

    for change in ({"payload": {"membership_id": member.pk, "points": 9}}, {"value": 9}, {"reason": "x"}):
        with pytest.raises(IntegrityError, match="cannot be altered"), transaction.atomic():
            ApprovalRequest.objects.filter(pk=request.pk).update(**change)


def test_content_edited_behind_the_database_is_found_by_its_signature(programme, member, clerk, manager, place):
    make_limit(programme)
    request = asked(clerk, member, 2000, place)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            "UPDATE loyalty_approvalrequest SET payload = %s",
            [json.dumps({"membership_id": member.pk, "points": 1_000_000})],
        )
        cursor.execute("SET LOCAL session_replication_role = origin")

    with pytest.raises(PayloadChanged):
        approve_request(actor=manager, now=LATER, request_id=request.pk)

    assert balances(member) == (5000, 0)
    assert AuditEntry.objects.filter(action="approval.content_changed").exists()


# Patterns


def test_a_held_movement_waits_with_its_evidence(programme, member, clerk, place):
    make_rule(programme, count=2)
    records = [adjust(clerk, member, 10, place).record.pk for _ in range(2)]

    request = asked(clerk, member, 10, place)

    (ground,) = request.grounds
    assert (ground["check"], ground["seen"], ground["movements"]) == ("same_pair", 3, sorted(records))
    assert isinstance(adjust(make_staff(place=place), member, 10, place), Performed)


def test_a_marked_movement_is_carried_out_and_reviewed_by_somebody_else(programme, member, clerk, manager, place):
    make_rule(programme, count=0, outcome="flag")

    record = adjust(clerk, member, 10, place).record

    assert balances(member) == (5010, 0)
    assert [flag["check"] for flag in record.flags] == ["same_pair"]
    with pytest.raises(OwnMovement):
        review_movement(actor=clerk, now=LATER, record_id=record.pk)
    with pytest.raises(NotTheApprover):
        review_movement(actor=make_staff(place=place), now=LATER, record_id=record.pk)
    assert review_movement(actor=manager, now=LATER, record_id=record.pk).reviewed_by == manager


def test_adjustments_just_under_the_limit_are_held(programme, member, clerk, place):
    make_limit(programme, per_day=None)
    make_rule(programme, "near_limit")
    adjust(clerk, member, 990, place)

    assert isinstance(adjust(clerk, member, 899, place), Performed)
    assert [g["check"] for g in asked(clerk, make_member(programme), 950, place).grounds] == ["near_limit"]


def test_redemptions_after_a_change_of_telephone_are_held(programme, clerk, place):
    make_rule(programme, "after_phone_change", kind="redeem", count=1, hours=48)
    member = make_member(programme, points=5000, phone="13800000001")
    reward = make_reward(programme, points=10)
    assert isinstance(redeem(clerk, member, reward, place), Performed)
    update_guest(
        actor=clerk,
        now=NOW,
        guest_id=member.guest_id,
        expected_version=Guest.objects.get(pk=member.guest_id).version,
        changes={"phone": "13800000002"},
        place=place,
    )

    assert isinstance(redeem(clerk, member, reward, place, now=LATER), Performed)
    outcome = redeem(clerk, member, reward, place, now=LATER)

    assert [g["check"] for g in outcome.request.grounds] == ["after_phone_change"]


def test_a_member_alone_has_no_limits_but_is_counted(programme, member, manager, place):
    make_limit(programme, kind="redeem", per_movement=1)
    make_rule(programme, "member_count", kind="redeem", count=1)
    reward = make_reward(programme, points=100)

    assert isinstance(redeem(None, member, reward, place), Performed)
    request = redeem(None, member, reward, place).request
    assert (request.requested_by, request.approver_role) == (None, "property_manager")
    assert approve_request(actor=manager, now=LATER, request_id=request.pk).state == "approved"


def test_the_own_account_is_known_by_login_and_by_mail(programme, member, place):
    make_rule(programme, "own_account")
    by_login = make_staff(place=place)
    Guest.objects.filter(pk=member.guest_id).update(user=by_login)
    update_guest(
        actor=None,
        now=NOW,
        guest_id=member.guest_id,
        expected_version=Guest.objects.get(pk=member.guest_id).version,
        changes={"email": "lin@example.com"},
    )
    by_mail = make_staff(place=place, email="Lin@Example.com")

    for owner in (by_login, by_mail):
        assert [g["check"] for g in asked(owner, member, 10, place).grounds] == ["own_account"]
    assert isinstance(adjust(make_staff(place=place, email="nobody"), member, 10, place), Performed)


def test_a_rule_that_is_switched_off_from_today_holds_nothing(programme, member, clerk, place):
    make_rule(programme, count=0)
    make_rule(programme, count=0, is_active=False, effective_from=NOW.date())

    assert isinstance(adjust(clerk, member, 10, place), Performed)


def statements(captured):
    return [query["sql"] for query in captured if not query["sql"].startswith(("SAVEPOINT", "RELEASE"))]


def test_the_check_costs_the_same_for_many_movements(programme, member, clerk, place):
    make_limit(programme, per_day=None)
    make_rule(programme, count=500)
    make_rule(programme, "near_limit", count=500)
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as captured:
            adjust(clerk, member, 10, place)
        counts.append(len(statements(captured)))
        for _ in range(10):
            adjust(clerk, member, 10, place)
    looks = [sql for sql in statements(captured) if "hotels_auditentry" in sql and sql.lstrip().startswith("(SELECT")]
    assert counts[0] == counts[1] + 1  # the clerk's assignments, read once for each loaded user
    assert len(looks) == 1


# The desk and the queue


@pytest.fixture
def desk(client, programme, clerk, manager):
    make_limit(programme, role="property_manager", per_movement=2000, per_day=None, approver_role="group_manager")
    make_limit(programme, kind="redeem")
    make_limit(programme, kind="issue_voucher", unit="CNY", role="property_manager", per_movement=50)
    return client


def test_the_desk_says_who_decides_and_that_nothing_moved(desk, programme, manager, place):
    member = make_member(programme, points=5000)
    desk.force_login(manager)

    page = desk.post(
        reverse("loyalty:adjust", args=[member.guest.public_id]),
        {"request_key": uuid.uuid4(), "points": "2500", "reason": "致歉"},
        follow=True,
    ).content.decode()

    request = ApprovalRequest.objects.get()
    assert "需要集团经理审批" in page
    assert f"{request.number}" in page
    assert "待审批" in page
    assert balances(member) == (5000, 0)


def test_a_reward_and_a_voucher_wait_as_well(desk, programme, clerk, manager):
    member, reward = make_member(programme, points=5000), make_reward(programme, points=4000)
    voucher_type = make_voucher_type(programme)
    desk.force_login(clerk)
    desk.post(
        reverse("loyalty:redeem", args=[member.guest.public_id]), {"request_key": uuid.uuid4(), "reward": reward.pk}
    )
    desk.force_login(manager)
    desk.post(
        reverse("loyalty:issue_voucher", args=[member.guest.public_id]),
        {"request_key": uuid.uuid4(), "type": voucher_type.pk, "source": "compensation", "reason": "致歉"},
    )

    assert sorted(ApprovalRequest.objects.values_list("kind", "unit", "value")) == [
        ("issue_voucher", "CNY", Decimal(100)),
        ("redeem", "points", Decimal(4000)),
    ]
    assert not Voucher.objects.exists()
    assert not Redemption.objects.exists()


def test_the_queue_shows_the_evidence_and_decides(desk, programme, member, clerk, manager, place):
    make_limit(programme)
    adjust(clerk, member, 700, place, now=timezone.now())
    request = asked(clerk, member, 1200, place, now=timezone.now())
    desk.force_login(manager)
    url = reverse("loyalty:approval", args=[request.public_id])

    page = desk.get(url).content.decode()
    assert "1,200" in page
    assert "700" in page
    assert "1,000 积分" in page
    answer = desk.post(url, {"request_key": uuid.uuid4(), "note": "好"})
    assert answer["Location"] == reverse("loyalty:approvals")
    assert balances(member) == (6900, 0)


def test_a_refusal_on_the_page_needs_a_reason(desk, programme, member, clerk, manager, place):
    make_limit(programme)
    request = asked(clerk, member, 1200, place, now=timezone.now())
    desk.force_login(manager)
    url = reverse("loyalty:refuse_approval", args=[request.public_id])

    assert desk.post(url, {"request_key": uuid.uuid4(), "note": ""}).status_code == 422
    desk.post(url, {"request_key": uuid.uuid4(), "note": "依据不足"})

    request.refresh_from_db()
    assert (request.state, request.note) == ("refused", "依据不足")


def test_a_receptionist_sees_only_their_own_requests(desk, programme, member, clerk, place):
    make_limit(programme)
    own = asked(clerk, member, 1200, place)
    other = asked(make_staff(place=place), member, 1300, place)
    desk.force_login(clerk)

    page = desk.get(reverse("loyalty:approvals")).content.decode()

    assert "1,200" in page
    assert "1,300" not in page
    assert desk.get(reverse("loyalty:approval", args=[own.public_id])).status_code == 200
    assert desk.get(reverse("loyalty:approval", args=[other.public_id])).status_code == 404


@pytest.mark.parametrize("tab", ["waiting", "decided", "marked", "mine"])
def test_the_list_costs_the_same_for_one_row_and_for_thirty(desk, programme, clerk, manager, place, tab):
    make_limit(programme)
    make_rule(programme, count=0, kind="adjust", outcome="flag")
    desk.force_login(manager)

    def make_rows(number):
        for _ in range(number):
            row = make_member(programme)
            request = asked(clerk, row, 1200, place, now=timezone.now())
            asked(manager, row, 2500, place, now=timezone.now())
            adjust(clerk, row, 1, place, now=timezone.now())
            if tab == "decided":
                refuse_request(actor=manager, now=timezone.now(), request_id=request.pk, note="否")

    counts = []
    for number in (1, 30):
        make_rows(number)
        desk.get(reverse("loyalty:approvals"))
        with CaptureQueriesContext(connection) as captured:
            answer = desk.get(reverse("loyalty:approvals"), {"show": tab})
        counts.append(len(captured))
    assert counts[0] == counts[1]
    assert len(answer.context["rows"]) == 20
    assert answer.context["next"]


def test_the_badge_counts_what_the_reader_may_decide(desk, programme, member, clerk, manager, place):
    make_limit(programme)
    asked(clerk, member, 1200, place)
    asked(manager, member, 2500, place)
    elsewhere = make_staff(Role.PROPERTY_MANAGER, place=make_property())

    def badge(user):
        desk.force_login(user)
        nav = desk.get(reverse("loyalty:approvals")).context["nav"]
        return next(item.count for item in nav if item.code == "approvals")

    assert (badge(manager), badge(elsewhere), badge(clerk)) == (1, 0, None)


def test_english_words_are_english(desk, programme, member, clerk, manager, place):
    make_limit(programme)
    request = asked(clerk, member, 1200, place)
    User.objects.filter(pk=manager.pk).update(language="en")
    desk.force_login(User.objects.get(pk=manager.pk))

    page = desk.get(reverse("loyalty:approval", args=[request.public_id])).content.decode()

    assert "+1,200 points" in page
    assert "1,200 points is above the limit per movement of 1,000 points" in page
    translation.activate("zh-hans")


# The administration


@pytest.fixture
def group_desk(client):
    client.force_login(make_staff(Role.GROUP_MANAGER))
    return client


def limit_form(programme, **fields):
    return {
        "programme": programme.pk,
        "kind": "adjust",
        "role": "receptionist",
        "unit": "points",
        "per_movement": "100",
        "per_day": "500",
        "approver_role": "property_manager",
        "effective_from": str(timezone.localdate() + dt.timedelta(days=2)),
        **fields,
    }


def test_a_limit_is_added_for_a_day_to_come_and_audited(group_desk, programme, member):
    group_desk.post(reverse("admin:loyalty_approvallimit_add"), limit_form(programme))

    assert ApprovalLimit.objects.get().per_day == 500
    assert AuditEntry.objects.filter(action="approvallimit.added").exists()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"approver_role": "receptionist"}, "approver_role"),
        ({"per_day": "99"}, "per_day"),
        ({"per_movement": "-1"}, "per_movement"),
        ({"effective_from": "2026-01-01"}, "effective_from"),
        ({"unit": "stars"}, "__all__"),
    ],
)
def test_a_limit_without_sense_is_refused_at_its_field(group_desk, programme, member, wrong, field):
    answer = group_desk.post(reverse("admin:loyalty_approvallimit_add"), limit_form(programme, **wrong))

    assert list(answer.context["adminform"].form.errors) == [field]
    assert not ApprovalLimit.objects.exists()


def test_a_limit_and_a_rule_that_have_begun_stay_as_they_are(group_desk, programme, member):
    rows = {"approvallimit": make_limit(programme), "velocityrule": make_rule(programme)}

    for name, row in rows.items():
        url = reverse(f"admin:loyalty_{name}_change", args=[row.pk])
        assert group_desk.post(url, {"effective_from": "2030-01-01"}).status_code == 403
        assert (
            group_desk.post(reverse(f"admin:loyalty_{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
        )


def test_a_batch_above_the_limit_waits_and_is_ordered_by_the_approval(client, programme):
    make_limit(programme, "voucher_batch", "marketer", unit="CNY", per_day=None, approver_role="group_manager")
    voucher_type = make_voucher_type(programme)
    client.force_login(make_staff(Role.MARKETER))

    client.post(
        reverse("admin:loyalty_vouchertype_order", args=[voucher_type.pk]),
        {"quantity": "11", "purpose": "旅展", "request_key": uuid.uuid4()},
    )

    request = ApprovalRequest.objects.get()
    assert (request.value, request.unit, request.property) == (Decimal(1100), "CNY", None)
    of_place = make_staff(Role.PROPERTY_MANAGER, place=make_property())
    with pytest.raises(NotTheApprover):
        approve_request(actor=of_place, now=timezone.now(), request_id=request.pk)
    done = approve_request(actor=make_staff(Role.GROUP_MANAGER), now=timezone.now(), request_id=request.pk)
    assert (done.state, voucher_type.batches.get().quantity) == ("approved", 11)


def test_a_tier_waits_where_its_grant_needs_an_approval(group_desk, programme, member):
    make_limit(
        programme,
        "grant_tier",
        "group_manager",
        unit="times",
        per_movement=0,
        per_day=None,
        approver_role="group_manager",
    )
    form = {
        "number": member.number,
        "tier": programme.tiers.get(code="gold").pk,
        "source": "manual",
        "until_date": str(timezone.localdate() + dt.timedelta(days=30)),
        "reason": "赔礼",
        "proof": "",
        "proof_reference": "",
    }

    group_desk.post(reverse("admin:loyalty_tiergrant_add"), form)

    member.refresh_from_db()
    assert member.tier.code == "base"
    request = ApprovalRequest.objects.get()
    approve_request(actor=make_staff(Role.GROUP_MANAGER), now=timezone.now(), request_id=request.pk)
    member.refresh_from_db()
    assert member.tier.code == "gold"
