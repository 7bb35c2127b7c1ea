"""The broker, a real worker, and the schedule."""

import importlib
import json
import time

import pytest
from celery import current_app
from django_celery_beat.models import PeriodicTask

from loyalty.models import Account
from loyalty.services.jobs import registered_jobs
from loyalty.services.ledger import earn_points, open_account
from loyalty.tasks import expire_points
from tests.factories import NOW, make_membership, make_programme

MIGRATIONS = ("0001_periodic_tasks", "0002_daily_tasks", "0003_draft_tasks", "0004_job_runs", "0005_birthday_grants")
NAMES = {name for module in MIGRATIONS for name in importlib.import_module(f"config.migrations.{module}").TASKS}


@pytest.mark.django_db
def test_schedule_names_tasks_that_exist_and_jobs_that_are_registered():
    current_app.loader.import_default_modules()
    scheduled = {task.name: task for task in PeriodicTask.objects.all()}

    assert scheduled.keys() >= NAMES
    assert {task.task for name, task in scheduled.items() if name in NAMES} <= set(current_app.tasks)
    assert (
        {json.loads(task.kwargs)["job"] for task in scheduled.values() if task.task == "loyalty.start_job_runs"}
        == {"notify_expiry", "grant_birthdays", "review_tiers", "settle"}
        <= set(registered_jobs())
    )


def test_each_task_is_warned_before_it_is_killed():
    """Otherwise the broker refuses it: a task without a soft limit of its own gets the one of the settings."""
    current_app.loader.import_default_modules()
    tasks = [task for name, task in current_app.tasks.items() if not name.startswith("celery.")]
    soft, hard = current_app.conf.task_soft_time_limit, current_app.conf.task_time_limit

    assert tasks
    assert [t.name for t in tasks if (t.soft_time_limit or soft) > (t.time_limit or hard)] == []


@pytest.mark.slow
def test_worker_takes_a_task_from_the_broker_and_commits(running_worker):
    membership = make_membership(make_programme())
    account_id = open_account(membership_id=membership.pk)
    earn_points(actor=None, now=NOW, points=500, account_id=account_id, expires_on=NOW.date())

    expire_points.delay()

    deadline = time.monotonic() + 20
    while Account.objects.get(pk=account_id).available and time.monotonic() < deadline:
        time.sleep(0.1)
    assert Account.objects.get(pk=account_id).available == 0
