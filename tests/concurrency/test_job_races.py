"""Runs among real transactions: killed workers, two workers, a person at the desk, a manager who pauses."""

import datetime as dt
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import close_old_connections, connection, connections, transaction

from loyalty.models import Account, JobRun, Lot, Posting
from loyalty.services import jobs, ledger
from loyalty.services.ledger import InsufficientPoints, Movement, Verb
from tests.factories import NOW, make_guest, make_membership, make_programme

pytestmark = pytest.mark.django_db(transaction=True)
PROJECT = Path(__file__).resolve().parents[2]
State = JobRun.State
LATER = NOW + dt.timedelta(days=1)


def make_accounts(programme, count):
    ids = [make_membership(programme, make_guest()).pk for _ in range(count)]
    return sorted(ledger.open_accounts(membership_ids=ids).values())


def earn_lapsing(accounts, points=10):
    ledger.post_movements(
        [Movement(verb=Verb.EARN, now=NOW, account_id=pk, points=points, expires_on=NOW.date()) for pk in accounts]
    )


def in_thread(call):
    def run():
        try:
            return call()
        finally:
            connections.close_all()

    return run


def wait_until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.02)


def somebody_waits_for_a_lock():
    with connection.cursor() as cursor:
        # Within a transaction the view stands still otherwise.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return cursor.fetchone() != (0,)


def test_a_killed_run_is_taken_over_at_once_and_its_figures_add_up():
    accounts = make_accounts(make_programme(), 120)
    earn_lapsing(accounts)
    command = [sys.executable, "manage.py", "expire_points", "--batch-size", "20"]
    environment = {
        **os.environ,
        "DATABASE_URL": "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**connection.settings_dict),
        "DJANGO_SETTINGS_MODULE": "config.settings.test",
    }
    with transaction.atomic():
        # The lock lets three batches through and stops the process inside the fourth.
        with connection.cursor() as cursor:
            cursor.execute("SELECT FROM loyalty_lot WHERE account_id = %s FOR UPDATE", [accounts[70]])
        process = subprocess.Popen(command, cwd=PROJECT, env=environment)
        try:
            wait_until(somebody_waits_for_a_lock, 120)
        finally:
            os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    close_old_connections()
    run = JobRun.objects.get()
    assert (run.state, run.due_count, run.done_count, run.points, run.cursor) == (
        State.RUNNING,
        120,
        60,
        600,
        accounts[59],
    )
    assert run.claim is not None
    wait_until(lambda: jobs.waiting_runs() == [run.pk])

    out = subprocess.run(command, cwd=PROJECT, env=environment, check=True, capture_output=True, text=True).stdout

    assert "done, 120 due, 120 done, 0 no longer due, 0 busy, 0 failed, 1200 points" in out
    run = JobRun.objects.get()
    assert (run.state, run.attempts, run.due_count, run.done_count, run.points) == (State.DONE, 2, 120, 120, 1200)
    assert Posting.objects.filter(kind="expire").count() == 120


def test_two_workers_at_one_run_do_its_work_once():
    programme = make_programme()
    earn_lapsing(make_accounts(programme, 60))
    run = jobs.start_run(actor=None, now=LATER, job=JobRun.Job.EXPIRE_POINTS, programme=programme)
    start = threading.Barrier(4)

    def work():
        connection.ensure_connection()
        start.wait()
        return jobs.work_run(run_id=run.pk, now=LATER, batch_size=5)

    with ThreadPoolExecutor(4) as pool:
        reports = [future.result() for future in [pool.submit(in_thread(work)) for _ in range(4)]]

    assert [report.done for report in reports if report] == [60]
    run = JobRun.objects.get()
    assert (run.done_count, run.attempts, run.state) == (60, 1, State.DONE)
    assert Posting.objects.filter(kind="expire").count() == 60


def test_many_starts_of_a_date_make_one_run():
    programme = make_programme()
    start = threading.Barrier(6)

    def begin():
        connection.ensure_connection()
        start.wait()
        return jobs.start_run(actor=None, now=LATER, job=JobRun.Job.EXPIRE_POINTS, programme=programme).pk

    with ThreadPoolExecutor(6) as pool:
        found = {future.result() for future in [pool.submit(in_thread(begin)) for _ in range(6)]}

    assert len(found) == 1
    assert JobRun.objects.count() == 1


def test_an_account_that_the_desk_is_posting_to_waits_for_the_next_start():
    programme = make_programme()
    accounts = make_accounts(programme, 10)
    earn_lapsing(accounts)
    held, release = threading.Event(), threading.Event()

    def desk():
        with transaction.atomic():
            ledger.adjust_points(actor=None, now=LATER, account_id=accounts[4], points=3, reason="sorry")
            held.set()
            assert release.wait(30)

    with ThreadPoolExecutor(1) as pool:
        at_desk = pool.submit(in_thread(desk))
        assert held.wait(30)
        report = jobs.expire_lapsed_points(now=LATER)
        release.set()
        at_desk.result()

    assert (report.done, report.busy) == (9, 1)
    run = JobRun.objects.get()
    assert (run.state, run.busy_count, run.passes) == (State.DONE, 1, 2)
    (again,) = jobs.start_scheduled_runs(now=LATER, job=JobRun.Job.EXPIRE_POINTS)
    jobs.work_run(run_id=again, now=LATER)
    run = JobRun.objects.get()
    assert (run.done_count, run.busy_count, run.points) == (10, 0, 100)
    assert Account.objects.get(pk=accounts[4]).available == 3


@pytest.mark.parametrize("inactivity", [None, 12])
def test_job_and_desk_never_both_take_the_same_points(inactivity):
    """A member who spends while the job runs gets the points on their last day and not on the next."""
    programme = make_programme(inactivity_months=inactivity, expiry_months=None)
    accounts = make_accounts(programme, 40)
    last = NOW + dt.timedelta(days=366)
    expires = None if inactivity else NOW.date() + dt.timedelta(days=365)
    ledger.post_movements(
        [Movement(verb=Verb.EARN, now=NOW, account_id=pk, points=10, expires_on=expires) for pk in accounts]
    )
    spent = []

    def desk():
        connection.ensure_connection()
        for pk in accounts:
            try:
                ledger.redeem_points(actor=None, now=last, account_id=pk, points=10)
            except InsufficientPoints:
                continue
            spent.append(pk)

    with ThreadPoolExecutor(2) as pool:
        at_desk = pool.submit(in_thread(desk))
        job = pool.submit(in_thread(lambda: jobs.expire_lapsed_points(now=last, batch_size=3)))
        at_desk.result()
        job.result()
    jobs.expire_lapsed_points(now=last)

    # The day after the last: nobody may have spent, whoever came first.
    assert spent == []
    assert set(Account.objects.values_list("available", flat=True)) == {0}
    assert Posting.objects.filter(kind="expire").count() == 40
    assert set(Lot.objects.values_list("state", flat=True)) == {"expired"}


def test_a_manager_pauses_a_run_between_its_batches():
    programme = make_programme()
    earn_lapsing(make_accounts(programme, 200))
    run = jobs.start_run(actor=None, now=LATER, job=JobRun.Job.EXPIRE_POINTS, programme=programme)

    with ThreadPoolExecutor(1) as pool:
        worker = pool.submit(in_thread(lambda: jobs.work_run(run_id=run.pk, now=LATER, batch_size=1)))
        wait_until(lambda: JobRun.objects.get(pk=run.pk).done_count >= 3)
        jobs.pause_run(actor=None, now=LATER, run_id=run.pk)
        report = worker.result()

    paused = JobRun.objects.get(pk=run.pk)
    assert paused.state == State.PAUSED
    assert 3 <= paused.done_count < 200
    assert report.done == paused.done_count == Posting.objects.filter(kind="expire").count()
    jobs.resume_run(actor=None, now=LATER, run_id=run.pk)
    jobs.work_run(run_id=run.pk, now=LATER)
    assert JobRun.objects.get(pk=run.pk).done_count == 200


def test_a_worker_that_lost_its_run_writes_nothing_more(monkeypatch):
    programme = make_programme()
    earn_lapsing(make_accounts(programme, 30))
    run = jobs.start_run(actor=None, now=LATER, job=JobRun.Job.EXPIRE_POINTS, programme=programme)

    def take_over(_seconds):
        # Between two batches: the lease ended, and another worker claimed the run.
        JobRun.objects.filter(pk=run.pk).update(claim="00000000-0000-0000-0000-000000000001")

    monkeypatch.setattr("loyalty.services.jobs.working.time.sleep", take_over)
    report = jobs.work_run(run_id=run.pk, now=LATER, batch_size=10)

    run.refresh_from_db()
    assert (report.done, run.done_count, Posting.objects.filter(kind="expire").count()) == (10, 10, 10)
    assert (run.state, str(run.claim)) == (State.RUNNING, "00000000-0000-0000-0000-000000000001")
