"""Points in the birthday's month: once per member and year, in the programme's time zone."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from loyalty.models import JobRun, Membership, Posting
from loyalty.services.jobs import preview_run, run_job, start_scheduled_runs, work_run
from members.models import Guest
from tests.factories import SHANGHAI, base_rule, make_guest, make_programme, publish_rules
from tests.friends import balance, event_rule, friendly_programme, member_of

pytestmark = pytest.mark.django_db

JOB = JobRun.Job.GRANT_BIRTHDAYS


def at(year, month, day, hour=12, zone=SHANGHAI):
    return dt.datetime(year, month, day, hour, tzinfo=zone)


@pytest.fixture
def programme():
    return friendly_programme()


def born(programme, birthday, *, since=None):
    return member_of(programme, guest=make_guest("寿星", birthday=birthday), at=since or at(2024, 1, 5))


def run(programme, now, run_date=None):
    return run_job(now=now, job=JOB, programme_id=programme.pk, run_date=run_date)


def test_members_with_a_birthday_in_the_month_get_their_points_once_a_year(programme):
    june, july = born(programme, dt.date(1990, 6, 30)), born(programme, dt.date(1990, 7, 1))
    unknown = born(programme, None)

    for day in (1, 2, 30):
        run(programme, at(2025, 6, day))
    assert [balance(member) for member in (june, july, unknown)] == [500, 0, 0]

    run(programme, at(2025, 7, 1))
    run(programme, at(2026, 6, 15))
    assert [balance(member) for member in (june, july, unknown)] == [1000, 500, 0]


def test_a_run_of_a_date_again_gives_nothing(programme):
    member = born(programme, dt.date(1990, 6, 30))
    assert run(programme, at(2025, 6, 1)).done == 1
    assert run(programme, at(2025, 6, 1)).done == 0
    assert balance(member) == 500


def test_who_joins_in_the_month_gets_the_points_too(programme):
    member = born(programme, dt.date(1990, 6, 2), since=at(2025, 6, 20))
    run(programme, at(2025, 6, 30, 23))

    assert balance(member) == 500


def test_who_joins_after_the_run_of_the_last_day_is_taken_up_the_same_day(programme):
    run(programme, at(2025, 6, 30, 9))
    member = born(programme, dt.date(1990, 6, 2), since=at(2025, 6, 30, 10))

    for run_id in start_scheduled_runs(now=at(2025, 6, 30, 11), job=JOB, programme_ids=[programme.pk]):
        work_run(run_id=run_id, now=at(2025, 6, 30, 11))

    assert balance(member) == 500


def test_a_birthday_told_later_counts_and_a_correction_gives_nothing_more(programme):
    member = born(programme, None)
    run(programme, at(2025, 6, 10))
    Guest.objects.filter(pk=member.guest_id).update(birthday=dt.date(1990, 6, 3))
    run(programme, at(2025, 6, 11))
    assert balance(member) == 500

    Guest.objects.filter(pk=member.guest_id).update(birthday=dt.date(1990, 7, 3))
    run(programme, at(2025, 7, 10))
    assert balance(member) == 500

    run(programme, at(2026, 7, 10))
    assert balance(member) == 1000


@pytest.mark.parametrize("year", [2024, 2025])
def test_29_february_is_in_every_february(programme, year):
    member = born(programme, dt.date(1992, 2, 29), since=at(2023, 5, 5))

    run(programme, at(year, 3, 1))
    assert balance(member) == 0
    run(programme, at(year, 2, 28), run_date=dt.date(year, 2, 28))
    assert balance(member) == 500


@pytest.mark.parametrize(
    ("zone", "moment", "months"),
    [
        ("Asia/Shanghai", dt.datetime(2025, 5, 31, 15, 59, tzinfo=dt.UTC), [5]),
        ("Asia/Shanghai", dt.datetime(2025, 5, 31, 16, 0, tzinfo=dt.UTC), [6]),
        ("America/Los_Angeles", dt.datetime(2025, 6, 1, 6, 59, tzinfo=dt.UTC), [5]),
        ("America/Los_Angeles", dt.datetime(2025, 6, 1, 7, 0, tzinfo=dt.UTC), [6]),
        # The clocks go forward in this night: 8 March is the day of 23 hours.
        ("America/New_York", dt.datetime(2026, 3, 1, 4, 59, tzinfo=dt.UTC), [2]),
        ("America/New_York", dt.datetime(2026, 3, 1, 5, 0, tzinfo=dt.UTC), [3]),
    ],
)
def test_the_month_begins_at_midnight_of_the_programme(programme, zone, moment, months):
    programme.time_zone = zone
    programme.save(update_fields=["time_zone"])
    members = {month: born(programme, dt.date(1990, month, 10)) for month in (2, 3, 5, 6)}

    run(programme, moment)

    assert [month for month, member in members.items() if balance(member)] == months
    posting = Posting.objects.get(kind="bonus")
    assert posting.business_date == moment.astimezone(ZoneInfo(zone)).date()


def test_a_run_made_up_for_later_is_booked_on_its_own_date(programme):
    member = born(programme, dt.date(1990, 12, 30))

    run(programme, at(2026, 1, 2), run_date=dt.date(2025, 12, 31))

    assert Posting.objects.get(account__membership=member).business_date == dt.date(2025, 12, 31)
    run(programme, at(2025, 12, 31))
    assert balance(member) == 500


def test_inactive_members_and_later_ones_are_not_due(programme):
    suspended = born(programme, dt.date(1990, 6, 1))
    Membership.objects.filter(pk=suspended.pk).update(status="suspended")
    later = born(programme, dt.date(1990, 6, 1), since=at(2025, 6, 20))

    run(programme, at(2025, 6, 21), run_date=dt.date(2025, 6, 19))

    assert (balance(suspended), balance(later)) == (0, 0)


def test_the_rule_decides_who_gets_how_much():
    programme = make_programme()
    gold = {"all": [{"field": "member.tier", "op": "in", "value": ["gold"]}]}
    publish_rules(programme, base_rule(), event_rule("birthday", 800, condition=gold), start=dt.date(2020, 2, 1))
    base, member = born(programme, dt.date(1990, 6, 1)), born(programme, dt.date(1990, 6, 1))
    Membership.objects.filter(pk=member.pk).update(tier=programme.tiers.get(code="gold"))

    report = run(programme, at(2025, 6, 21))

    assert (balance(base), balance(member)) == (0, 800)
    assert (report.done, report.points) == (1, 800)


def test_a_programme_without_a_birthday_rule_gets_no_run():
    programme = make_programme()
    born(programme, dt.date(1990, 6, 1))

    assert start_scheduled_runs(now=at(2025, 6, 1), job=JOB, programme_ids=[programme.pk]) == []


def test_the_preview_and_the_command_say_what_is_due_and_a_dry_run_writes_nothing(programme, capsys):
    member = born(programme, dt.date(1990, 6, 1))
    preview = preview_run(now=at(2025, 6, 1), job=JOB, programme=programme, run_date=dt.date(2025, 6, 1))
    assert (preview.due, preview.points) == (1, 500)

    call_command("grant_birthdays", "--programme", programme.code, "--run-date", "2025-06-01", "--dry-run")
    assert "1 due, 500 points" in capsys.readouterr().out
    assert balance(member) == 0

    call_command("grant_birthdays", "--programme", programme.code, "--run-date", "2025-06-01")
    assert "granted 500 points of 1 accounts" in capsys.readouterr().out
    assert balance(member) == 500


def test_a_batch_asks_as_often_for_thirty_members_as_for_one(programme):
    born(programme, dt.date(1990, 5, 1))
    for _ in range(30):
        born(programme, dt.date(1990, 6, 1))
    counts = []
    for month in (5, 6):
        with CaptureQueriesContext(connection) as queries:
            run(programme, at(2025, month, 1))
        counts.append(len(queries))

    assert counts[0] == counts[1]
