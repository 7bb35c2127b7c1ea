"""The frame of the jobs: what any job gets for free, shown on a small one."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from hotels.models import AuditEntry
from loyalty import tasks
from loyalty.models import Account, JobError, JobRun, Membership
from loyalty.services import jobs, ledger
from loyalty.services.jobs import BatchReport, DueSet, Job, RowError, contract
from tests.factories import NOW, SHANGHAI, make_guest, make_membership, make_programme, make_staff

pytestmark = pytest.mark.django_db
State = JobRun.State
TOY = JobRun.Job.GRANT_BIRTHDAYS


class Toy(Job):
    """Suspends every active membership."""

    code = TOY
    subject = "membership"
    batch_size = 4

    def __init__(self):
        self.batches = []
        self.broken = set()
        self.refused = set()
        self.busy = 0
        self.before_batch = lambda: None

    def due(self, context):
        sql = """SELECT id, 7::bigint AS points FROM loyalty_membership
                 WHERE status = 'active' AND programme_id = %(programme)s"""
        return DueSet(sql, {"programme": context.programme.pk})

    def work(self, context, ids):
        self.before_batch()
        self.batches.append(list(ids))
        if self.busy:
            self.busy -= 1
            return BatchReport(busy=len(ids))
        good = [pk for pk in ids if pk not in self.refused]
        done = Membership.objects.filter(pk__in=good).update(status="suspended")
        if self.broken & set(ids):
            message = "no birthday\nwith a second line"
            raise ValueError(message)
        errors = [RowError(pk, "not_today", "later") for pk in ids if pk in self.refused]
        return BatchReport(done=done, points=7 * done, errors=errors, figures={"cakes": done})

    def finish(self, context):
        return BatchReport(figures={"ends": 1})


@pytest.fixture
def toy(monkeypatch):
    job = Toy()
    monkeypatch.setitem(contract._jobs, TOY, job)
    return job


@pytest.fixture
def programme():
    return make_programme()


def members(programme, count):
    return [make_membership(programme, make_guest()).pk for _ in range(count)]


def start(programme, **fields):
    return jobs.start_run(**{"actor": None, "now": NOW, "job": TOY, "programme": programme, **fields})


def work(run, **fields):
    return jobs.work_run(run_id=run.pk, now=NOW, **fields)


def stored(run):
    return JobRun.objects.get(pk=run.pk)


def test_a_run_works_through_everything_due_in_batches_and_adds_up(toy, programme):
    ids = members(programme, 10)
    members(make_programme(), 3)

    report = work(run := start(programme))

    assert toy.batches == [ids[:4], ids[4:8], ids[8:]]
    assert report == jobs.JobReport(done=10, points=70)
    run = stored(run)
    assert (run.state, run.due_count, run.done_count, run.points, run.percent) == (State.DONE, 10, 10, 70, 100)
    assert run.figures == {"cakes": 10, "ends": 1}
    assert run.run_date == NOW.date()
    assert run.finished_at is not None
    assert run.claim is None


def test_a_second_start_for_a_date_is_the_same_run_and_does_nothing_twice(toy, programme):
    members(programme, 3)
    work(first := start(programme))

    second = start(programme)

    assert second.pk == first.pk
    assert second.state == State.DONE
    assert work(second) is None
    assert len(toy.batches) == 1
    assert start(programme, run_date=NOW.date() - dt.timedelta(days=1)).pk != first.pk


def test_a_run_that_is_done_goes_on_with_what_became_due_since(toy, programme):
    members(programme, 3)
    work(run := start(programme))
    members(programme, 2)

    assert start(programme).state == State.QUEUED
    work(run)

    run = stored(run)
    assert (run.state, run.due_count, run.done_count) == (State.DONE, 5, 5)
    assert run.figures == {"cakes": 5, "ends": 1}


def test_a_record_at_fault_stands_alone_and_is_not_done_by_half(toy, programme):
    ids = members(programme, 11)
    toy.broken = {ids[2], ids[9]}
    toy.refused = {ids[5]}

    report = work(run := start(programme))

    run = stored(run)
    assert (run.state, run.due_count, run.done_count, run.failed_count) == (State.DONE, 11, 8, 3)
    assert report.failed == 3
    assert dict(JobError.objects.filter(run=run).values_list("subject_id", "message")) == {
        ids[2]: "no birthday",
        ids[9]: "no birthday",
        ids[5]: "later",
    }
    error = JobError.objects.get(subject_id=ids[2])
    assert (error.code, error.membership_id, error.outcome) == ("ValueError", ids[2], "failed")
    assert set(Membership.objects.filter(status="active").values_list("pk", flat=True)) == {ids[2], ids[9], ids[5]}


def test_failed_records_wait_for_a_person_and_not_for_the_schedule(toy, programme):
    ids = members(programme, 5)
    toy.broken = {ids[0]}
    work(run := start(programme))
    assert start(programme).state == State.DONE

    toy.broken = set()
    jobs.resume_run(actor=make_staff(), now=NOW, run_id=run.pk)
    work(run)

    run = stored(run)
    assert (run.state, run.done_count, run.failed_count) == (State.DONE, 5, 0)
    assert not JobError.objects.exists()


def test_a_failure_in_the_database_tells_its_state_and_no_values(toy, programme):
    (pk,) = members(programme, 1)
    toy.before_batch = lambda: Membership.objects.filter(pk=pk).update(status="nonsense")

    work(start(programme))

    error = JobError.objects.get()
    assert error.code == "23514"
    assert "loyalty_membership_status_known" in error.message
    assert "GK0" not in error.message


def test_busy_records_are_tried_once_more_and_then_left_for_the_next_start(toy, programme):
    members(programme, 6)
    toy.busy = 1
    work(run := start(programme))
    run = stored(run)
    assert (run.state, run.done_count, run.busy_count, run.passes) == (State.DONE, 6, 0, 2)

    members(programme, 3)
    toy.busy = 2
    start(programme)
    assert work(run) == jobs.JobReport(busy=3)
    run = stored(run)
    assert (run.state, run.done_count, run.busy_count) == (State.DONE, 6, 3)

    assert jobs.start_scheduled_runs(now=NOW, job=TOY) == [run.pk]
    work(run)
    run = stored(run)
    assert (run.done_count, run.busy_count) == (9, 0)


def test_pausing_stops_after_the_batch_and_resuming_goes_on_there(toy, programme, monkeypatch):
    ids = members(programme, 10)
    manager = make_staff()
    run = start(programme)

    def pause_between(_seconds):
        if len(toy.batches) == 2:
            jobs.pause_run(actor=manager, now=NOW, run_id=run.pk)

    with monkeypatch.context() as patch:
        patch.setattr("loyalty.services.jobs.working.time.sleep", pause_between)
        assert work(run).done == 8
    run = stored(run)
    assert (run.state, run.done_count, run.cursor, run.percent) == (State.PAUSED, 8, ids[7], 80)
    assert work(run) is None
    assert jobs.start_scheduled_runs(now=NOW + dt.timedelta(days=1), job=TOY) == []

    jobs.resume_run(actor=manager, now=NOW, run_id=run.pk)
    assert work(run).done == 2

    run = stored(run)
    assert (run.state, run.done_count, run.due_count) == (State.DONE, 10, 10)
    assert toy.batches == [ids[:4], ids[4:8], ids[8:]]
    entries = AuditEntry.objects.filter(action__startswith="jobrun").order_by("id")
    assert [(entry.action, entry.actor) for entry in entries] == [
        ("jobrun.paused", manager),
        ("jobrun.resumed", manager),
    ]


def test_a_canceled_date_is_left_alone_by_the_schedule_and_free_for_a_person(toy, programme):
    members(programme, 2)
    run = start(programme)
    jobs.cancel_run(actor=make_staff(), now=NOW, run_id=run.pk)

    assert work(run) is None
    assert jobs.start_scheduled_runs(now=NOW, job=TOY) == []
    with pytest.raises(jobs.RunEnded):
        jobs.resume_run(actor=None, now=NOW, run_id=run.pk)
    with pytest.raises(jobs.RunEnded):
        jobs.cancel_run(actor=None, now=NOW, run_id=run.pk)
    with pytest.raises(jobs.RunEnded):
        jobs.pause_run(actor=None, now=NOW, run_id=run.pk)
    assert start(programme, actor=make_staff()).pk != run.pk


def test_a_fault_of_the_job_itself_stops_the_run_and_the_schedule_takes_it_up(toy, programme, monkeypatch):
    members(programme, 2)
    run = start(programme)
    with monkeypatch.context() as patch:
        patch.setattr(toy, "finish", lambda _context: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            work(run)
    run = stored(run)
    assert (run.state, run.failure) == (State.FAILED, "ZeroDivisionError: division by zero")
    assert run.done_count == 2

    assert jobs.start_scheduled_runs(now=NOW, job=TOY) == [run.pk]
    work(run)
    assert stored(run).state == State.DONE

    JobRun.objects.filter(pk=run.pk).update(state=State.FAILED, failure="again", attempts=5)
    assert jobs.start_scheduled_runs(now=NOW, job=TOY) == []


def test_time_runs_out_after_a_batch_and_the_next_tick_goes_on(toy, programme):
    members(programme, 10)
    run = start(programme)
    work(run, time_limit=dt.timedelta(0))
    assert stored(run).state == State.RUNNING
    assert stored(run).claim is None

    assert jobs.waiting_runs() == [run.pk]
    work(run)
    assert (stored(run).state, stored(run).done_count) == (State.DONE, 10)


def test_one_run_of_a_job_at_a_time(toy, programme):
    members(programme, 2)
    start(programme)
    with pytest.raises(jobs.AnotherRunGoesOn):
        start(programme, run_date=NOW.date() - dt.timedelta(days=1))
    start(make_programme())


def test_the_schedule_ends_what_is_unfinished_before_it_begins_a_day(toy, programme):
    members(programme, 2)
    old = start(programme)
    tomorrow = NOW + dt.timedelta(days=1)

    assert jobs.start_scheduled_runs(now=tomorrow, job=TOY) == [old.pk]
    jobs.work_run(run_id=old.pk, now=tomorrow)
    (new,) = jobs.start_scheduled_runs(now=tomorrow, job=TOY)
    assert JobRun.objects.get(pk=new).run_date == tomorrow.date()


@pytest.mark.parametrize(
    ("instant", "dates"),
    [
        # Midnight in Shanghai is noon of the day before in New York, where the clocks go back this night.
        (dt.datetime(2026, 11, 1, 0, 5, tzinfo=SHANGHAI), {"S": "2026-11-01", "N": "2026-10-31", "K": "2026-10-31"}),
        (
            dt.datetime(2026, 11, 1, 0, 5, tzinfo=ZoneInfo("America/New_York")),
            {"S": "2026-11-01", "N": "2026-11-01", "K": "2026-11-01"},
        ),
        # Kathmandu is 5:45 ahead: at 18:20 UTC its day has begun five minutes ago.
        (dt.datetime(2026, 2, 28, 18, 20, tzinfo=dt.UTC), {"S": "2026-03-01", "N": "2026-02-28", "K": "2026-03-01"}),
    ],
)
def test_each_programme_begins_its_day_at_its_own_midnight(toy, instant, dates):
    for code, zone in (("S", "Asia/Shanghai"), ("N", "America/New_York"), ("K", "Asia/Kathmandu")):
        make_programme(code, time_zone=zone)

    assert len(jobs.start_scheduled_runs(now=instant, job=TOY)) == 3

    assert {run.programme.code: str(run.run_date) for run in JobRun.objects.all()} == dates
    assert len(jobs.start_scheduled_runs(now=instant, job=TOY)) == 3
    assert JobRun.objects.count() == 3


def test_a_preview_counts_and_writes_nothing(toy, programme):
    members(programme, 3)

    preview = jobs.preview_run(now=NOW, job=TOY, programme=programme)

    assert (preview.due, preview.points, preview.run_date) == (3, 21, NOW.date())
    assert not JobRun.objects.exists()
    assert toy.batches == []
    with pytest.raises(jobs.RunDateAhead):
        jobs.preview_run(now=NOW, job=TOY, programme=programme, run_date=NOW.date() + dt.timedelta(days=1))


def test_another_workers_run_is_left_to_it_until_its_claim_ends(toy, programme):
    members(programme, 2)
    run = start(programme)
    mine = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
    with connection.cursor() as cursor:
        cursor.execute(mine)
        pid, session = cursor.fetchone()
    held = {
        "state": State.RUNNING,
        "started_at": NOW,
        "claim": "00000000-0000-0000-0000-000000000001",
        "claimed_until": dt.datetime(2999, 1, 1, tzinfo=dt.UTC),
        "claimed_pid": pid,
        "claimed_session": session,
    }
    JobRun.objects.filter(pk=run.pk).update(**held)
    assert work(run) is None
    assert jobs.waiting_runs() == []

    for gone in (
        {"claimed_until": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)},
        {"claimed_session": session - dt.timedelta(days=1)},
        {"claimed_pid": 999_999_999},
    ):
        JobRun.objects.filter(pk=run.pk).update(**held | gone)
        assert jobs.waiting_runs() == [run.pk], gone
    work(run)
    assert stored(run).state == State.DONE


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "resting"},
        {"job": "dance"},
        {"state": State.RUNNING},
        {"state": State.DONE},
        {"state": State.QUEUED, "finished_at": NOW},
        {"state": State.FAILED, "finished_at": NOW},
        {"state": State.DONE, "finished_at": NOW, "failure": "why"},
        {"state": State.QUEUED, "claim": "00000000-0000-0000-0000-000000000001", "claimed_until": NOW},
        {"state": State.RUNNING, "started_at": NOW, "claim": "00000000-0000-0000-0000-000000000001"},
        {"done_count": -1},
    ],
)
def test_the_database_refuses_a_run_in_no_legal_state(programme, fields):
    run = JobRun.objects.create(job=TOY, programme=programme, run_date=NOW.date(), created_at=NOW)
    with pytest.raises(IntegrityError), transaction.atomic():
        JobRun.objects.filter(pk=run.pk).update(**fields)


def test_the_database_knows_one_run_of_a_date_and_one_at_work(programme):
    def create(day, **fields):
        with transaction.atomic():
            return JobRun.objects.create(
                job=TOY, programme=programme, run_date=dt.date(2026, 6, day), created_at=NOW, **fields
            )

    create(1, state=State.CANCELED, finished_at=NOW)
    create(1)
    with pytest.raises(IntegrityError, match="loyalty_jobrun_once_a_date"):
        create(1)
    create(2, state=State.RUNNING, started_at=NOW)
    with pytest.raises(IntegrityError, match="loyalty_jobrun_one_at_a_time"):
        create(3, state=State.RUNNING, started_at=NOW)


def test_a_job_nobody_registered_is_no_job(programme, monkeypatch):
    monkeypatch.delitem(contract._jobs, TOY)
    with pytest.raises(LookupError, match="grant_birthdays"):
        start(programme)


# The commands


@pytest.fixture
def lapsed(programme):
    """An account with 10 points that lapsed in 2020."""
    account = ledger.open_account(membership_id=make_membership(programme).pk)
    ledger.earn_points(actor=None, now=NOW, account_id=account, points=10, expires_on=dt.date(2020, 1, 1))
    return account


def test_a_dry_run_says_what_it_would_do_and_writes_nothing(programme, lapsed, capsys):
    call_command("expire_points", "--dry-run", "--run-date", "2020-01-02")

    assert capsys.readouterr().out == f"{programme.code} 2020-01-02: 1 due, 10 points\n"
    assert Account.objects.get(pk=lapsed).available == 10
    assert not JobRun.objects.exists()


def test_the_command_prints_the_runs_figures(programme, lapsed, capsys):
    make_programme("OTHER")
    call_command("expire_points", "--programme", programme.code, "--run-date", "2020-01-02")

    out = capsys.readouterr().out
    assert f"{programme.code} 2020-01-02: done, 1 due, 1 done, 0 no longer due, 0 busy, 0 failed, 10 points" in out
    assert "OTHER" not in out
    assert JobRun.objects.get().started_by is None
    with pytest.raises(CommandError, match="no programme"):
        call_command("expire_points", "--programme", "NONE")
    with pytest.raises(CommandError, match="ahead"):
        call_command("expire_points", "--date", "2999-01-01")


def test_a_lot_is_usable_on_its_last_day_of_the_run_date(programme, lapsed, capsys):
    call_command("expire_points", "--run-date", "2020-01-01")
    assert "expired 0 points" in capsys.readouterr().out


def test_the_tick_and_the_sweep_bring_a_waiting_run_to_its_end(toy, programme):
    members(programme, 2)
    tasks.start_job_runs(job=TOY)
    run = JobRun.objects.get()
    assert (run.state, run.done_count) == (State.DONE, 2)

    members(programme, 2)
    jobs.resume_run(actor=None, now=timezone.now(), run_id=run.pk)
    tasks.work_run(run_id=run.pk)
    assert (stored(run).state, stored(run).done_count) == (State.DONE, 4)
