"""Real transactions and threads: a daily limit never passed together, a request decided once."""

import datetime as dt
import random
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections
from django.db.models import Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hotels.models import Role
from loyalty.models import Account, ApprovalLimit, ApprovalRequest, DailyUse, MovementRecord, Posting, VelocityRule
from loyalty.selectors.verification import verify_ledger
from loyalty.services.approvals import (
    AdjustPoints,
    ApprovalError,
    Performed,
    Requested,
    approve_request,
    expire_requests,
    perform_or_request,
    refuse_request,
    withdraw_request,
)
from loyalty.services.ledger import LedgerError
from tests.factories import NOW, make_member, make_programme, make_property, make_staff

START = dt.date(2020, 1, 1)
LATER = NOW + dt.timedelta(hours=1)


def set_up(**limit):
    programme, place = make_programme(), make_property()
    ApprovalLimit.objects.create(
        programme=programme,
        kind="adjust",
        role="receptionist",
        approver_role="property_manager",
        effective_from=START,
        **limit,
    )
    return programme, place


def adjust(actor, member, points, place, key=""):
    return perform_or_request(
        kind="adjust",
        actor=actor,
        now=NOW,
        payload=AdjustPoints(membership_id=member.pk, points=points),
        membership_id=member.pk,
        place=place,
        reason="致歉",
        idempotency_key=key or str(uuid.uuid4()),
    )


def at_once(count, call):
    """Results or codes of the refusals of `call(i)` from `count` threads that start together."""
    start = threading.Barrier(count)

    def run(i):
        try:
            connection.ensure_connection()
            start.wait()
            return call(i)
        except ApprovalError as refused:
            return refused.code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@pytest.mark.django_db(transaction=True)
def test_sixteen_desks_of_one_user_never_pass_the_daily_limit_together():
    programme, place = set_up(per_day=500)
    clerk = make_staff(place=place)
    members = [make_member(programme) for _ in range(16)]

    results = at_once(16, lambda i: adjust(clerk, members[i], 100, place))

    assert sum(isinstance(result, Performed) for result in results) == 5
    assert ApprovalRequest.objects.count() == 11
    assert DailyUse.objects.get().used == 500


@pytest.mark.django_db(transaction=True)
def test_ten_sendings_of_one_form_are_one_movement():
    programme, place = set_up(per_day=500)
    clerk, member = make_staff(place=place), make_member(programme)

    results = at_once(10, lambda i: adjust(clerk, member, 100, place, "k"))

    assert sorted(result.replayed for result in results) == [False] + [True] * 9
    assert Account.objects.get(membership=member).available == 100


@pytest.mark.django_db(transaction=True)
def test_eight_approvers_at_the_same_moment_give_one_effect():
    programme, place = set_up(per_movement=10)
    member = make_member(programme, points=1000)
    request = adjust(make_staff(place=place), member, -600, place).request
    managers = [make_staff(Role.PROPERTY_MANAGER, place=place) for _ in range(8)]

    results = at_once(8, lambda i: approve_request(actor=managers[i], now=LATER, request_id=request.pk).state)

    assert sorted(results) == ["already_decided"] * 7 + ["approved"]
    assert Posting.objects.filter(account__membership=member, kind="adjust").count() == 1
    account = Account.objects.get(membership=member)
    assert (account.available, account.held) == (400, 0)


@pytest.mark.django_db(transaction=True)
def test_approval_refusal_and_withdrawal_at_once_end_it_once():
    programme, place = set_up(per_movement=10)
    member, clerk = make_member(programme, points=1000), make_staff(place=place)
    request = adjust(clerk, member, -600, place).request
    first, second = (make_staff(Role.PROPERTY_MANAGER, place=place) for _ in range(2))
    facts = {"now": LATER, "request_id": request.pk}
    calls = [
        lambda: approve_request(actor=first, **facts).state,
        lambda: refuse_request(actor=second, note="否", **facts).state,
        lambda: withdraw_request(actor=clerk, **facts).state,
    ]

    results = at_once(3, lambda i: calls[i]())

    request.refresh_from_db()
    assert sorted(results) == sorted(["already_decided", "already_decided", request.state])
    account = Account.objects.get(membership=member)
    assert (account.available, account.held) == ((400, 0) if request.state == "approved" else (1000, 0))


@pytest.mark.django_db(transaction=True)
def test_movements_of_one_member_at_once_are_held_from_the_first_too_many():
    programme, place = set_up(per_movement=1000)
    VelocityRule.objects.create(programme=programme, check_code="member_count", count=3, effective_from=START)
    member = make_member(programme)
    clerks = [make_staff(place=place) for _ in range(10)]

    results = at_once(10, lambda i: adjust(clerks[i], member, 100, place))

    assert sum(isinstance(result, Performed) for result in results) == 3


steps = st.lists(
    st.tuples(
        st.sampled_from(["adjust", "adjust", "approve", "refuse", "withdraw", "expire"]),
        st.integers(-400, 400).filter(bool),
        st.integers(0, 1),
    ),
    min_size=4,
    max_size=14,
)


@pytest.mark.django_db
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=steps, seed=st.integers(0, 99))
def test_over_any_history_ledger_requests_and_daily_counters_tie(db, steps, seed):
    rng = random.Random(seed)
    programme, place = set_up(per_movement=250, per_day=600)
    clerk, manager = make_staff(place=place), make_staff(Role.PROPERTY_MANAGER, place=place)
    members = [make_member(programme, points=500) for _ in range(2)]
    mine = ApprovalRequest.objects.filter(programme=programme)
    moved = 0
    for what, points, who in steps:
        pending = list(mine.filter(state="pending"))
        if what == "adjust":
            try:
                outcome = adjust(clerk, members[who], points, place)
            except LedgerError:
                continue
            assert isinstance(outcome, Requested) == (abs(points) > 250 or _used(clerk, outcome) + abs(points) > 600)
            moved += points if isinstance(outcome, Performed) else 0
        elif what == "expire":
            expire_requests(now=NOW + dt.timedelta(days=4))
        elif pending:
            request = rng.choice(pending)
            facts = {"now": LATER, "request_id": request.pk}
            if what == "approve" and approve_request(actor=manager, **facts).state == "approved":
                moved += request.payload["points"]
            elif what == "refuse":
                refuse_request(actor=manager, note="否", **facts)
            elif what == "withdraw":
                withdraw_request(actor=clerk, **facts)

    records = MovementRecord.objects.filter(programme=programme)
    alone = records.filter(counted_on=NOW.date()).aggregate(total=Sum("value"))["total"] or 0
    accounts = Account.objects.filter(membership__in=members)
    held = sum(-row.payload["points"] for row in mine.filter(state="pending") if row.payload["points"] < 0)
    assert sum(DailyUse.objects.filter(user=clerk).values_list("used", flat=True)) == alone
    assert alone <= 600
    assert records.exclude(request=None).count() == mine.filter(state="approved").count()
    assert sum(account.available + account.held for account in accounts) == 1000 + moved
    assert sum(account.held for account in accounts) == held
    assert [finding for finding in verify_ledger() if finding.differences] == []


def _used(clerk, outcome):
    """What was used before this movement."""
    used = DailyUse.objects.get(user=clerk).used
    return used - (outcome.record.value if isinstance(outcome, Performed) else 0)
