"""Lapse by inactivity and notices: the ledger's predicate against one in plain Python, and what follows from it."""

import calendar
import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hotels.models import AuditEntry
from loyalty.models import Account, ExpiryNotice, JobError, JobRun, Lot, Membership, Posting
from loyalty.selectors.lots import expiring_points, inactivity_of
from loyalty.selectors.members import member_summary
from loyalty.selectors.postings import sentence_of
from loyalty.services import jobs, ledger
from loyalty.services.ledger import InsufficientPoints, Movement, Verb
from members.models import Stay
from tests.factories import SHANGHAI, make_guest, make_membership, make_programme, make_property, make_staff

pytestmark = pytest.mark.django_db
ENROLLED = dt.date(2020, 1, 1)


def at(day, hour=12, zone=SHANGHAI):
    return dt.datetime.combine(day, dt.time(hour), tzinfo=zone)


def make_account(programme, *, tier="base", enrolled=ENROLLED):
    membership = make_membership(programme, make_guest(), tier=tier)
    Membership.objects.filter(pk=membership.pk).update(enrolled_at=at(enrolled))
    return ledger.open_account(membership_id=membership.pk)


def inactive_programme(months=12, **fields):
    return make_programme(inactivity_months=months, expiry_months=None, **fields)


def earn(account, day, points=100, **fields):
    fields = {"expires_on": None, "pending_until": None, **fields}
    return ledger.earn_points(actor=None, now=at(day), account_id=account, points=points, **fields)


def redeem(account, day, points=1, **fields):
    return ledger.redeem_points(actor=None, now=at(day), account_id=account, points=points, **fields)


def available(account):
    return Account.objects.get(pk=account).available


def run_expiry(day):
    return jobs.expire_lapsed_points(now=at(day, 1))


# The predicate


def months_later(day, months):
    """The same day so many months later, or the last one of a shorter month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return dt.date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


DAYS = st.dates(dt.date(2019, 1, 1), dt.date(2029, 12, 31)) | st.sampled_from(
    [dt.date(2024, 2, 29), dt.date(2028, 2, 29), dt.date(2023, 2, 28), dt.date(2023, 8, 31), dt.date(2023, 12, 31)]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    enrolled=DAYS,
    counts_from=st.none() | DAYS,
    earned=st.lists(DAYS, max_size=2),
    redeemed=st.lists(DAYS, max_size=1),
    stayed=st.lists(DAYS, max_size=2),
    months=st.integers(1, 48),
    counted=st.tuples(st.booleans(), st.booleans(), st.booleans()).filter(any),
    notice=st.none() | st.tuples(st.integers(1, 60), st.none() | DAYS),
)
def test_the_ledger_judges_inactivity_as_plain_python_does(
    db, enrolled, counts_from, earned, redeemed, stayed, months, counted, notice
):
    with transaction.atomic():
        programme = inactive_programme(
            months,
            inactivity_from_date=counts_from,
            inactivity_counts_earning=counted[0],
            inactivity_counts_redeeming=counted[1],
            inactivity_counts_stays=counted[2],
            expiry_needs_notice=notice is not None,
            expiry_notice_days=notice and notice[0],
        )
        account = make_account(programme, enrolled=enrolled)
        membership = Membership.objects.get(accounts=account)
        place = make_property()
        # All on one early day of posting, so that nothing lapses while the dates are put in place.
        for day in earned:
            earn(account, enrolled, business_date=day)
        if redeemed:
            ledger.adjust_points(
                actor=None, now=at(enrolled), account_id=account, points=50, reason="start", expires_on=None
            )
        for day in redeemed:
            redeem(account, enrolled, business_date=day)
        for number, day in enumerate(stayed):
            Stay.objects.create(
                property=place,
                source_system="t",
                source_reference=f"{number}",
                guest_id=membership.guest_id,
                arrival_date=day,
                departure_date=day,
                currency="CNY",
            )
        activity = [enrolled, *filter(None, [counts_from])]
        for is_counted, days in zip(counted, (earned, redeemed, stayed), strict=True):
            activity += days if is_counted else []
        lapses_on = months_later(max(activity), months)
        usable_until = lapses_on
        if notice is not None:
            usable_until = None
            if notice[1] is not None:
                ExpiryNotice.objects.create(
                    membership=membership,
                    cause="inactivity",
                    expires_on=lapses_on,
                    points=1,
                    state="given",
                    due_on=notice[1],
                    given_at=at(notice[1]),
                    given_date=notice[1],
                    channel="sms",
                )
                usable_until = max(lapses_on, notice[1] + dt.timedelta(days=notice[0]))

        found = inactivity_of([account])[account]

        assert (found.last_activity, found.lapses_on, found.usable_until) == (max(activity), lapses_on, usable_until)
        transaction.set_rollback(True)


@pytest.mark.parametrize(
    ("active", "months", "last_day"),
    [
        (dt.date(2024, 2, 29), 12, dt.date(2025, 2, 28)),
        (dt.date(2024, 2, 29), 24, dt.date(2026, 2, 28)),
        (dt.date(2024, 2, 29), 48, dt.date(2028, 2, 29)),
        (dt.date(2023, 2, 28), 12, dt.date(2024, 2, 28)),
        (dt.date(2023, 8, 31), 6, dt.date(2024, 2, 29)),
        (dt.date(2023, 12, 31), 1, dt.date(2024, 1, 31)),
    ],
)
def test_points_are_usable_on_the_last_day_and_not_on_the_next(active, months, last_day):
    programme = inactive_programme(months)
    account = make_account(programme)
    earn(account, active, 100)
    spender = make_account(programme)
    earn(spender, active, 100)

    assert run_expiry(last_day).points == 0
    redeem(spender, last_day)
    assert run_expiry(last_day + dt.timedelta(days=1)).points == 100
    assert (available(account), available(spender)) == (0, 99)


def test_the_day_ends_at_midnight_of_the_programme_also_when_the_clocks_change():
    zone = ZoneInfo("America/New_York")
    account = make_account(inactive_programme(12, time_zone="America/New_York"))
    earn(account, dt.date(2025, 11, 1), 100, business_date=dt.date(2025, 11, 1))
    # 1 November 2026 has 25 hours in New York; 3:30 of the day after in Shanghai is still that day.
    last = dt.datetime(2026, 11, 1, 23, 59, 59, tzinfo=zone)
    ledger.place_hold(actor=None, now=last, account_id=account, points=1, hold_until=last + dt.timedelta(days=9))
    with pytest.raises(InsufficientPoints):
        ledger.redeem_points(actor=None, now=dt.datetime(2026, 11, 2, 0, 0, tzinfo=zone), account_id=account, points=1)
    assert available(account) == 0


# Spending agrees with the predicate


def test_points_that_lapsed_cannot_be_spent_though_the_job_is_late():
    account = make_account(inactive_programme(12))
    earn(account, dt.date(2024, 3, 1), 500)

    with pytest.raises(InsufficientPoints) as refusal:
        redeem(account, dt.date(2025, 3, 2))

    assert refusal.value.available == 0
    posting = Posting.objects.get(account=account, kind="expire")
    assert (posting.points, posting.explanation) == (-500, {"inactive_since": "2024-03-01"})
    assert "2024-03-01" in sentence_of(posting)
    assert Lot.objects.get(account=account).state == "expired"


@pytest.mark.parametrize("verb", ["earn", "adjust", "reverse"])
def test_no_late_activity_wakes_up_what_lapsed(verb):
    account = make_account(inactive_programme(12))
    first = earn(account, dt.date(2024, 3, 1), 500)
    late = dt.date(2025, 3, 2)
    if verb == "earn":
        earn(account, late, 70)
    elif verb == "adjust":
        ledger.adjust_points(actor=None, now=at(late), account_id=account, points=70, reason="sorry")
    else:
        ledger.reverse_posting(actor=None, now=at(late), posting_id=first.posting_id)

    assert available(account) == (0 if verb == "reverse" else 70)
    assert Account.objects.get(pk=account).debt == 0


def test_a_batch_books_the_lapse_of_those_concerned_only():
    programme = inactive_programme(12)
    lapsed, active = make_account(programme), make_account(programme)
    earn(lapsed, dt.date(2024, 3, 1), 500)
    earn(active, dt.date(2024, 3, 3), 500)
    now = at(dt.date(2025, 3, 2))

    ledger.post_movements([Movement(verb=Verb.EARN, now=now, account_id=pk, points=9) for pk in (active, lapsed)])

    assert (available(lapsed), available(active)) == (9, 509)


def test_a_late_job_makes_no_difference():
    ends = []
    for on_time in (True, False):
        account = make_account(inactive_programme(12))
        earn(account, dt.date(2024, 3, 1), 500)
        if on_time:
            run_expiry(dt.date(2025, 3, 2))
        earn(account, dt.date(2025, 5, 1), 40)
        run_expiry(dt.date(2025, 5, 2))
        ends.append((available(account), [lot.remaining for lot in Lot.objects.filter(account=account).order_by("id")]))
    assert ends[0] == ends[1] == (40, [0, 40])


# What inactivity takes, and from whom


def test_purchased_points_stay_and_compensation_goes_by_its_own_date():
    account = make_account(inactive_programme(12))
    day = dt.date(2024, 3, 1)
    for lot_class, points, expires in (
        ("earned", 1, None),
        ("bonus", 2, dt.date(2030, 1, 1)),
        ("purchased", 4, None),
        ("compensation", 8, dt.date(2030, 1, 1)),
        ("compensation", 16, dt.date(2025, 3, 1)),
    ):
        earn(account, day, points, lot_class=lot_class, expires_on=expires)

    assert run_expiry(dt.date(2025, 3, 2)).points == 1 + 2 + 16
    assert available(account) == 12
    # Spending the purchased ones is activity like any other.
    redeem(account, dt.date(2025, 6, 1), 4)
    assert available(account) == 8


def test_an_elite_keeps_points_and_loses_them_with_the_tier():
    """S08: Silver lapses to Club, last activity 13 months ago."""
    programme = inactive_programme(12)
    programme.inactivity_exempt_tier = programme.tiers.get(code="silver")
    programme.save()
    account = make_account(programme, tier="silver")
    gold = make_account(programme, tier="gold")
    for pk in (account, gold):
        earn(pk, dt.date(2024, 3, 1), 500)
    today = dt.date(2025, 4, 1)
    assert run_expiry(today).points == 0
    assert inactivity_of([account, gold]) == {}

    Membership.objects.filter(accounts=account).update(tier=programme.tiers.get(code="base"))

    with pytest.raises(InsufficientPoints):
        redeem(account, today)
    run_expiry(today + dt.timedelta(days=1))
    assert (available(account), available(gold)) == (0, 500)
    redeem(gold, today, 500)


def test_a_voided_stay_is_no_activity_and_a_kept_one_is():
    programme = inactive_programme(12)
    place = make_property()
    accounts = {}
    for status in ("checked_out", "voided"):
        account = accounts[status] = make_account(programme)
        earn(account, dt.date(2024, 3, 1), 500)
        Stay.objects.create(
            property=place,
            source_system="t",
            source_reference=status,
            guest_id=Membership.objects.get(accounts=account).guest_id,
            arrival_date=dt.date(2024, 9, 1),
            departure_date=dt.date(2024, 9, 2),
            status=status,
            currency="CNY",
        )
    run_expiry(dt.date(2025, 3, 2))
    assert {status: available(pk) for status, pk in accounts.items()} == {"checked_out": 500, "voided": 0}


@pytest.mark.parametrize(("taken_back", "left"), [(300, 0), (299, 501)])
def test_an_earning_that_was_reversed_whole_is_no_activity(taken_back, left):
    programme = inactive_programme(12)
    account = make_account(programme)
    earn(account, dt.date(2024, 3, 1), 500)
    late = earn(account, dt.date(2024, 9, 1), 300)
    ledger.reverse_posting(
        actor=None, now=at(dt.date(2024, 9, 3)), posting_id=late.posting_id, points=taken_back, reason="refunded"
    )

    run_expiry(dt.date(2025, 3, 2))

    assert available(account) == left


def test_a_rule_made_today_takes_nobodys_points_tonight():
    account = make_account(inactive_programme(12, inactivity_from_date=dt.date(2025, 1, 1)))
    earn(account, dt.date(2021, 3, 1), 500, expires_on=None)
    # Posted before the rule, by the rule of its day.
    assert run_expiry(dt.date(2026, 1, 1)).points == 0
    assert run_expiry(dt.date(2026, 1, 2)).points == 500


def test_preview_and_run_agree_and_count_inactive_members():
    programme = inactive_programme(12)
    account = make_account(programme)
    earn(account, dt.date(2024, 3, 1), 500)
    earn(account, dt.date(2024, 3, 1), 30, expires_on=dt.date(2025, 1, 1))
    other = make_account(programme)
    earn(other, dt.date(2025, 2, 1), 7, expires_on=dt.date(2025, 2, 3))
    earn(other, dt.date(2025, 2, 1), 9)
    today = dt.date(2025, 3, 2)

    preview = jobs.preview_run(now=at(today), job=JobRun.Job.EXPIRE_POINTS, programme=programme)
    report = run_expiry(today)

    assert (preview.due, preview.points, preview.figures) == (2, 537, {"inactive": 1, "held_back": 0})
    assert (report.done, report.points) == (2, 537)
    run = JobRun.objects.get()
    assert (run.points, run.figures) == (537, {"inactive": 1})
    assert available(other) == 9


# Notices


@pytest.fixture
def noticed():
    """A programme that lets points lapse after 12 months, and only with 30 days of notice."""
    return inactive_programme(12, expiry_notice_days=30, expiry_needs_notice=True)


def notify(day):
    return jobs.run_job(now=at(day, 1), job=JobRun.Job.NOTIFY_EXPIRY)


def give(day, **fields):
    ids = list(ExpiryNotice.objects.filter(state="due").values_list("pk", flat=True))
    return jobs.record_notice_given(
        **{"actor": None, "now": at(day), "notice_ids": ids, "channel": "sms", "proof": "id-1", **fields}
    )


def test_whoever_was_not_told_keeps_the_points_and_is_listed(noticed):
    account = make_account(noticed)
    earn(account, dt.date(2024, 3, 1), 500)
    today = dt.date(2025, 3, 2)

    assert run_expiry(today).points == 0

    run = JobRun.objects.get()
    assert run.figures == {"held_back": 1}
    held = JobError.objects.get(run=run)
    assert (held.outcome, held.code, held.points, held.membership_id) == (
        "held_back",
        "not_notified",
        500,
        Membership.objects.get().pk,
    )
    assert run.failed_count == 0
    preview = jobs.preview_run(now=at(today), job=JobRun.Job.EXPIRE_POINTS, programme=noticed)
    assert (preview.due, preview.figures) == (0, {"inactive": 0, "held_back": 1})
    redeem(account, today, 500)


def test_points_lapse_once_the_days_of_notice_are_over(noticed):
    account = make_account(noticed)
    earn(account, dt.date(2024, 3, 1), 500)
    # Told in time, the date stands; told late, the days count from then.
    notify(dt.date(2025, 2, 10))
    notice = ExpiryNotice.objects.get()
    assert (notice.cause, notice.expires_on, notice.points, notice.state, notice.due_on) == (
        "inactivity",
        dt.date(2025, 3, 1),
        500,
        "due",
        dt.date(2025, 2, 10),
    )
    assert give(dt.date(2025, 2, 20)) == 1
    last = dt.date(2025, 3, 22)
    assert run_expiry(last).points == 0
    assert inactivity_of([account])[account].usable_until == last
    assert run_expiry(last + dt.timedelta(days=1)).points == 500


def test_notices_are_written_once_for_each_day_on_which_something_lapses():
    programme = make_programme(expiry_notice_days=30)
    account = make_account(programme)
    day = dt.date(2025, 1, 1)
    for points, expires in ((1, 30), (2, 30), (4, 20), (8, 31), (16, -1)):
        earn(account, day, points, expires_on=day + dt.timedelta(days=expires))

    report = notify(day)

    assert (report.done, report.points) == (1, 7)
    assert notify(day).done == 0
    assert set(ExpiryNotice.objects.values_list("cause", "expires_on", "points")) == {
        ("lot", day + dt.timedelta(days=30), 3),
        ("lot", day + dt.timedelta(days=20), 4),
    }
    assert JobRun.objects.get().figures == {"notices": 2, "withdrawn": 0}


def test_a_notice_that_was_not_given_is_withdrawn_when_it_no_longer_holds(noticed):
    account = make_account(noticed)
    earn(account, dt.date(2024, 3, 1), 500)
    notify(dt.date(2025, 2, 10))
    earn(account, dt.date(2025, 2, 11), 10)

    notify(dt.date(2025, 2, 12))

    assert not ExpiryNotice.objects.exists()
    assert JobRun.objects.latest("pk").figures["withdrawn"] == 1


def test_a_notice_given_is_proof_that_nobody_alters(noticed):
    earn(make_account(noticed), dt.date(2024, 3, 1), 500)
    notify(dt.date(2025, 2, 10))
    manager = make_staff()

    assert give(dt.date(2025, 2, 20), actor=manager, channel="letter", proof="RR123456785CN") == 1

    notice = ExpiryNotice.objects.get()
    assert (notice.state, notice.channel, notice.proof, notice.given_date) == (
        "given",
        "letter",
        "RR123456785CN",
        dt.date(2025, 2, 20),
    )
    assert AuditEntry.objects.get(action="expirynotice.given").actor == manager
    assert give(dt.date(2025, 2, 21)) == 0
    for change in (notice.delete, lambda: ExpiryNotice.objects.update(proof="other")):
        with pytest.raises(IntegrityError), transaction.atomic():
            change()
    with pytest.raises(ValueError, match="channel"):
        give(dt.date(2025, 2, 21), channel="")


def test_the_schedule_writes_notices_only_where_the_programme_asks_for_them(noticed):
    make_programme()
    (run_id,) = jobs.start_scheduled_runs(now=at(dt.date(2025, 2, 10)), job=JobRun.Job.NOTIFY_EXPIRY)
    assert JobRun.objects.get(pk=run_id).programme == noticed


# What the guest and the desk see


def test_the_card_shows_what_can_be_used_until_when():
    account = make_account(inactive_programme(12))
    membership = Membership.objects.get(accounts=account)
    earn(account, dt.date(2024, 3, 1), 500)
    earn(account, dt.date(2024, 3, 1), 40, expires_on=dt.date(2024, 12, 31))
    earn(account, dt.date(2024, 3, 1), 8, lot_class="purchased")

    def seen(day):
        summary = member_summary(membership=membership, today=day)
        expiring = [(row.expires_on, row.points) for row in expiring_points(membership_id=membership.pk, today=day)]
        return summary.available, summary.expiring_points, summary.expiring_on, expiring

    own, all_of_it = (dt.date(2024, 12, 31), 40), (dt.date(2025, 3, 1), 500)
    assert seen(dt.date(2024, 3, 2)) == (548, 40, own[0], [own, all_of_it])
    assert seen(dt.date(2025, 3, 1)) == (508, 500, all_of_it[0], [all_of_it])
    assert seen(dt.date(2025, 3, 2)) == (8, 0, None, [])


def test_a_policy_without_activity_or_without_days_of_notice_is_refused():
    for fields in (
        {
            "inactivity_months": 12,
            "inactivity_counts_earning": False,
            "inactivity_counts_redeeming": False,
            "inactivity_counts_stays": False,
        },
        {"expiry_needs_notice": True},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            make_programme(**fields)
        programme = make_programme()
        for name, value in fields.items():
            setattr(programme, name, value)
        with pytest.raises(ValidationError):
            programme.full_clean()


def test_a_programme_without_the_policy_pays_one_look_for_it():
    account = make_account(make_programme())
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM loyalty_inactivity(%s)", [account])
        assert cursor.fetchone() == (0,)
