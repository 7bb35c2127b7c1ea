"""What the verbs of the ledger do, one rule a test."""

import datetime as dt
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from hotels.models import AuditEntry
from loyalty import tasks
from loyalty.models import Account, Hold, Lot, Membership, Posting
from loyalty.services import jobs, ledger
from loyalty.services.ledger import (
    AlreadyPosted,
    HoldClosed,
    IdempotencyConflict,
    InsufficientPoints,
    MembershipInactive,
    Movement,
    NothingDue,
    RequestKey,
    SourceLine,
    UnknownAccount,
    Verb,
)
from tests.factories import NOW, make_guest, make_membership, make_programme, make_property, make_staff

pytestmark = pytest.mark.django_db
SHANGHAI = ZoneInfo("Asia/Shanghai")


def open_account(**programme: object) -> int:
    return ledger.open_account(membership_id=make_membership(make_programme(**programme)).pk)


def earn(account, points, **fields):
    fields = {"actor": None, "now": NOW, "expires_on": None, **fields}
    return ledger.earn_points(account_id=account, points=points, **fields)


def redeem(account, points, **fields):
    return ledger.redeem_points(account_id=account, points=points, **{"actor": None, "now": NOW, **fields})


def balances(account):
    return Account.objects.values_list("available", "pending", "held", "debt").get(pk=account)


# Earning and dates


@pytest.mark.parametrize(
    ("booked", "months", "rounding", "expires"),
    [
        (dt.date(2026, 6, 15), 24, "none", dt.date(2028, 6, 15)),
        (dt.date(2024, 2, 29), 12, "none", dt.date(2025, 2, 28)),
        (dt.date(2024, 2, 29), 48, "none", dt.date(2028, 2, 29)),
        (dt.date(2026, 8, 31), 6, "none", dt.date(2027, 2, 28)),
        (dt.date(2023, 2, 10), 12, "month_end", dt.date(2024, 2, 29)),
        (dt.date(2026, 6, 15), 12, "year_end", dt.date(2027, 12, 31)),
        (dt.date(2026, 6, 15), None, "none", None),
    ],
)
def test_a_lot_lives_as_long_as_the_programme_says(booked, months, rounding, expires):
    account = open_account(expiry_months=months, expiry_rounding=rounding)
    ledger.earn_points(actor=None, now=NOW, account_id=account, points=10, business_date=booked)
    assert Lot.objects.get().expires_on == expires


def test_points_wait_for_the_dispute_window_of_the_programme():
    account = open_account(pending_days=3)
    ledger.earn_points(actor=None, now=NOW, account_id=account, points=10)
    assert Lot.objects.values_list("state", "release_on").get() == ("pending", dt.date(2026, 6, 18))
    with pytest.raises(InsufficientPoints):
        redeem(account, 1)


def test_a_lot_is_usable_to_the_last_second_of_its_day_in_the_programmes_zone():
    account = open_account(time_zone="Asia/Shanghai")
    earn(account, 10, expires_on=dt.date(2026, 6, 30))
    last_second = dt.datetime(2026, 6, 30, 23, 59, 59, tzinfo=SHANGHAI)
    midnight = last_second + dt.timedelta(seconds=1)

    assert redeem(account, 4, now=last_second.astimezone(dt.UTC)).available == 6
    # The nightly job is late: the cache still shows them, but they cannot be spent.
    with pytest.raises(InsufficientPoints) as refusal:
        redeem(account, 1, now=midnight.astimezone(ZoneInfo("America/New_York")))
    assert (refusal.value.needed, refusal.value.available) == (1, 0)
    assert jobs.expire_lapsed_points(now=last_second).done == 0
    assert jobs.expire_lapsed_points(now=midnight) == jobs.JobReport(done=1, points=6)


def test_each_programme_expires_in_its_own_zone():
    shanghai, new_york = open_account(time_zone="Asia/Shanghai"), open_account(time_zone="America/New_York")
    for account in (shanghai, new_york):
        earn(account, 10, expires_on=dt.date(2026, 10, 31))
    # 00:30 in Shanghai is 12:30 the day before in New York, where the clocks go back that night.
    jobs.expire_lapsed_points(now=dt.datetime(2026, 11, 1, 0, 30, tzinfo=SHANGHAI))
    assert (balances(shanghai)[0], balances(new_york)[0]) == (0, 10)
    jobs.expire_lapsed_points(now=dt.datetime(2026, 11, 1, 0, 0, tzinfo=ZoneInfo("America/New_York")))
    assert balances(new_york)[0] == 0


def test_leap_day_points_are_usable_on_leap_day():
    account = open_account()
    earn(account, 10, expires_on=dt.date(2028, 2, 29))
    assert redeem(account, 10, now=dt.datetime(2028, 2, 29, 23, 59, tzinfo=SHANGHAI)).available == 0


# Spending and keys


def test_the_soonest_to_expire_is_spent_first_whenever_it_came():
    account = open_account()
    earn(account, 10)
    earn(account, 10, expires_on=dt.date(2027, 1, 1))
    earn(account, 10, expires_on=dt.date(2026, 7, 1))
    redeem(account, 15)
    assert list(Lot.objects.order_by("id").values_list("remaining", flat=True)) == [10, 5, 0]


def test_a_retry_returns_the_stored_result_and_another_request_is_a_conflict():
    account = open_account()
    first = earn(account, 10, request=RequestKey("app", "k"))
    earn(account, 5)
    again = earn(account, 10, request=RequestKey("app", "k"), now=NOW + dt.timedelta(hours=1))
    assert (again.posting_id, again.available, again.replayed) == (first.posting_id, 10, True)
    with pytest.raises(IdempotencyConflict):
        earn(account, 11, request=RequestKey("app", "k"))
    assert earn(account, 11, request=RequestKey("other client", "k")).available == 26


def test_the_same_folio_with_a_new_key_is_refused_on_every_account():
    account = open_account()
    other = ledger.open_account(
        membership_id=make_membership(Account.objects.get(pk=account).programme, make_guest()).pk
    )
    first = earn(account, 10, source=SourceLine("pms", "F1", "2"), request=RequestKey("app", "1"))
    for target in (account, other):
        with pytest.raises(AlreadyPosted) as refusal:
            earn(target, 10, source=SourceLine("pms", "F1", "2"), request=RequestKey("app", f"2{target}"))
        assert (refusal.value.posting_id, refusal.value.account_id) == (first.posting_id, account)
    earn(account, 10, source=SourceLine("pms", "F1", "3"))
    earn(account, 10, source=SourceLine("pms", "F1", "2"), kind="bonus")


def test_a_suspended_member_neither_earns_nor_spends():
    account = open_account()
    earn(account, 10)
    Membership.objects.update(status=Membership.Status.SUSPENDED)
    for call in (earn, redeem):
        with pytest.raises(MembershipInactive):
            call(account, 1)


def test_an_unknown_account_is_refused():
    with pytest.raises(UnknownAccount):
        earn(987654321, 1)


@pytest.mark.parametrize("points", [0, -5])
def test_points_above_zero_are_asked_for(points):
    with pytest.raises(ValueError, match="above zero"):
        redeem(1, points)


# Reversal


def test_parts_of_a_refund_add_up_to_the_whole():
    account = open_account()
    posting = earn(account, 100)
    taken = [
        ledger.refund_earning(
            actor=None, now=NOW, posting_id=posting.posting_id, refunded_to_date=Decimal(part), base=Decimal(3)
        ).points
        for part in (1, 2, 3)
    ]
    assert taken == [-33, -34, -33]
    assert balances(account) == (0, 0, 0, 0)


def test_a_clawback_takes_its_own_lot_then_others_then_makes_a_debt_that_later_points_repay():
    account = open_account()
    refunded = earn(account, 100, expires_on=dt.date(2026, 7, 1))
    earn(account, 30)
    redeem(account, 60)
    clawback = ledger.reverse_posting(actor=None, now=NOW, posting_id=refunded.posting_id)
    assert (clawback.points, balances(account)) == (-100, (0, 0, 0, 30))
    assert earn(account, 20).debt == 10
    assert (earn(account, 50).available, balances(account)) == (40, (40, 0, 0, 0))


def test_a_clawback_under_the_clamp_policy_takes_what_is_there():
    account = open_account(shortfall_policy="clamp")
    refunded = earn(account, 100)
    redeem(account, 80)
    assert ledger.reverse_posting(actor=None, now=NOW, posting_id=refunded.posting_id).points == -20
    assert balances(account) == (0, 0, 0, 0)


def test_a_clawback_takes_points_while_they_are_pending():
    account = open_account()
    refunded = earn(account, 100, pending_until=dt.date(2026, 7, 1))
    earn(account, 50)
    ledger.reverse_posting(actor=None, now=NOW, posting_id=refunded.posting_id, points=40)
    assert balances(account) == (50, 60, 0, 0)


def test_a_canceled_redemption_returns_to_its_lots_with_their_expiry():
    account = open_account()
    earn(account, 40, expires_on=dt.date(2026, 7, 1))
    earn(account, 40, expires_on=dt.date(2026, 8, 1))
    spent = redeem(account, 60)
    before = list(Lot.objects.order_by("id").values_list("expires_on", flat=True))
    ledger.cancel_redemption_posting(actor=None, now=NOW, posting_id=spent.posting_id)
    assert list(Lot.objects.order_by("id").values_list("remaining", flat=True)) == [40, 40]
    assert list(Lot.objects.order_by("id").values_list("expires_on", flat=True)) == before


@pytest.mark.parametrize(("policy", "back"), [("reopen", 60), ("forfeit", 20)])
def test_lapsed_points_of_a_canceled_redemption_follow_the_policy(policy, back):
    account = open_account(lapsed_return_policy=policy, lapsed_return_grace_days=10)
    earn(account, 40, expires_on=dt.date(2026, 7, 1))
    earn(account, 40, expires_on=dt.date(2026, 8, 1))
    spent = redeem(account, 60)
    later = dt.datetime(2026, 7, 15, 12, tzinfo=SHANGHAI)
    result = ledger.cancel_redemption_posting(actor=None, now=later, posting_id=spent.posting_id)
    assert result.points == back
    reopened = Lot.objects.order_by("id").first()
    assert (reopened.remaining, reopened.expires_on) == (
        (40, dt.date(2026, 7, 25)) if policy == "reopen" else (0, dt.date(2026, 7, 1))
    )
    with pytest.raises(ledger.AlreadyReversed):
        ledger.cancel_redemption_posting(actor=None, now=later, posting_id=spent.posting_id)


def test_a_late_expiry_makes_no_difference():
    """The same life with the job on time and far too late ends alike."""
    ends = []
    for on_time in (True, False):
        account = open_account()
        first = earn(account, 100, expires_on=dt.date(2026, 7, 1))
        earn(account, 50, expires_on=dt.date(2026, 9, 1))
        redeem(account, 30)
        later = dt.datetime(2026, 7, 20, tzinfo=SHANGHAI)
        if on_time:
            jobs.expire_lapsed_points(now=later)
        redeem(account, 20, now=later)
        ledger.reverse_posting(actor=None, now=later, posting_id=first.posting_id)
        jobs.expire_lapsed_points(now=later)
        ends.append(
            (
                balances(account),
                list(Lot.objects.filter(account=account).order_by("id").values_list("remaining", flat=True)),
            )
        )
    assert ends[0] == ends[1]


def test_refunding_everything_is_as_if_never_stayed():
    stayed, never = open_account(), open_account()
    for account in (stayed, never):
        earn(account, 70)
    posting = earn(stayed, 55)
    for part in (10, 20, 55):
        ledger.refund_earning(
            actor=None, now=NOW, posting_id=posting.posting_id, refunded_to_date=Decimal(part), base=Decimal(55)
        )
    assert balances(stayed) == balances(never)


def test_one_call_of_many_and_many_calls_of_one_end_alike():
    ends = []
    for together in (True, False):
        account = open_account()
        movements = [
            Movement(verb=verb, now=NOW, account_id=account, points=points, expires_on=None)
            for verb, points in ((Verb.EARN, 50), (Verb.REDEEM, 20), (Verb.EARN, 5), (Verb.REDEEM, 35))
        ]
        results = ledger.post_movements(movements) if together else [ledger.post_movements([m])[0] for m in movements]
        ends.append([(result.seq, result.points, result.available) for result in results])
    assert ends[0] == ends[1]


# Many at once


def test_a_batch_posts_what_it_can_and_says_what_it_could_not():
    account = open_account()
    earn(account, 10, source=SourceLine("pms", "1"))
    movements = [
        Movement(verb=Verb.EARN, now=NOW, account_id=account, points=10, source=SourceLine("pms", reference))
        for reference in ("1", "2", "2")
    ] + [Movement(verb=Verb.REDEEM, now=NOW, account_id=account, points=500)]
    results = ledger.post_movements(movements, strict=False)
    assert [result.error and result.error.code for result in results] == [
        "already_posted",
        None,
        "already_posted",
        "insufficient_points",
    ]
    assert balances(account)[0] == 20


def test_a_strict_batch_posts_all_or_nothing():
    account = open_account()
    movements = [
        Movement(verb=verb, now=NOW, account_id=account, points=9) for verb in (Verb.EARN, Verb.REDEEM, Verb.REDEEM)
    ]
    with pytest.raises(InsufficientPoints) as refusal:
        ledger.post_movements(movements)
    assert refusal.value.needed == 9


def test_a_batch_is_one_statement_and_touches_rows_by_key_only():
    programme = make_programme()
    accounts = list(
        ledger.open_accounts(membership_ids=[make_membership(programme, make_guest()).pk for _ in range(200)]).values()
    )
    read = "SELECT sum(seq_tup_read) + sum(idx_tup_fetch) FROM pg_stat_xact_user_tables WHERE relname LIKE 'loyalty_%'"
    # The first call makes the plans while the tables are empty; they must stay right for the second.
    ledger.post_movements([Movement(verb=Verb.EARN, now=NOW, account_id=accounts[0], points=1)])
    with connection.cursor() as cursor:
        cursor.execute(read)
        before = cursor.fetchone()[0]
        with CaptureQueriesContext(connection) as queries:
            ledger.post_movements(
                [
                    Movement(verb=Verb.EARN, now=NOW, account_id=pk, points=1, source=SourceLine("pms", str(pk)))
                    for pk in accounts
                ]
            )
        cursor.execute(read)
        assert (cursor.fetchone()[0] - before) / len(accounts) < 40
    assert len(queries) == 1


# Holds


def test_a_hold_is_captured_in_part_and_the_rest_returns():
    account = open_account()
    earn(account, 100)
    hold = ledger.place_hold(actor=None, now=NOW, account_id=account, points=80, hold_until=NOW + dt.timedelta(hours=1))
    assert balances(account) == (20, 0, 80, 0)
    ledger.capture_hold(actor=None, now=NOW, hold_id=hold.hold_id, points=50)
    assert balances(account) == (50, 0, 0, 0)
    with pytest.raises(HoldClosed):
        ledger.void_hold(actor=None, now=NOW, hold_id=hold.hold_id)


def test_a_hold_times_out_even_when_the_job_is_late():
    account = open_account()
    earn(account, 100)
    hold = ledger.place_hold(actor=None, now=NOW, account_id=account, points=80, hold_until=NOW + dt.timedelta(hours=1))
    later = NOW + dt.timedelta(hours=1)
    with pytest.raises(HoldClosed):
        ledger.capture_hold(actor=None, now=later, hold_id=hold.hold_id)
    assert jobs.time_out_holds(now=later) == jobs.JobReport(done=1, points=80)
    assert Hold.objects.get().state == "timed_out"
    assert balances(account) == (100, 0, 0, 0)


# Jobs


def test_release_repays_a_debt_first_and_running_it_twice_changes_nothing():
    account = open_account()
    earn(account, 30, pending_until=dt.date(2026, 6, 20))
    earn(account, 30, pending_until=dt.date(2026, 6, 25))
    spent = earn(account, 10)
    redeem(account, 10)
    ledger.reverse_posting(actor=None, now=NOW, posting_id=spent.posting_id)
    assert balances(account) == (0, 60, 0, 10)
    day = dt.datetime(2026, 6, 20, 0, 0, tzinfo=SHANGHAI)
    assert jobs.release_due_points(now=day) == jobs.JobReport(done=1, points=30)
    assert jobs.release_due_points(now=day) == jobs.JobReport()
    assert balances(account) == (20, 30, 0, 0)
    with pytest.raises(NothingDue):
        ledger.expire_lots(now=NOW, account_id=account)


def test_jobs_refuse_a_date_ahead():
    make_programme()
    with pytest.raises(ValueError, match="ahead"):
        jobs.expire_lapsed_points(now=NOW, as_of=dt.date(2026, 6, 16))
    with pytest.raises(CommandError, match="ahead"):
        call_command("release_points", "--date", "2999-01-01")


def test_commands_and_tasks_run_the_jobs(capsys):
    account = open_account()
    earn(account, 10, expires_on=dt.date(2020, 1, 1))
    earn(account, 20, pending_until=dt.date(2020, 1, 1))
    call_command("release_points")
    call_command("expire_points")
    out = capsys.readouterr().out
    assert "released 20 points of 1 accounts" in out
    assert "expired 10 points of 1 accounts" in out
    tasks.release_points()
    tasks.expire_points()
    tasks.time_out_holds()
    assert balances(account) == (20, 0, 0, 0)


# Trail


def test_a_movement_by_a_person_leaves_its_audit_entry_and_one_by_the_system_none():
    account = open_account()
    actor, place = make_staff(), make_property()
    result = ledger.adjust_points(
        actor=actor, now=NOW, account_id=account, points=15, reason="Lost luggage", property_id=place.pk
    )
    earn(account, 5)
    entry = AuditEntry.objects.get(action="points.adjust")
    assert (entry.actor, entry.property, entry.object_id, entry.reason) == (actor, place, str(account), "Lost luggage")
    assert (entry.before, entry.after) == (
        {"available": 0},
        {"available": 15, "points": 15, "posting": result.posting_id},
    )
    assert AuditEntry.objects.filter(action__startswith="points.").count() == 1


def test_a_posting_keeps_its_explanation_and_rule_version():
    account = open_account()
    explanation = {"rule": 7, "lines": [{"net": "100.00", "points": 100}]}
    result = earn(account, 100, explanation=explanation, rule_version="2026-06", business_date=dt.date(2026, 6, 14))
    posting = Posting.objects.get(pk=result.posting_id)
    assert (posting.explanation, posting.rule_version, posting.business_date) == (
        explanation,
        "2026-06",
        dt.date(2026, 6, 14),
    )
