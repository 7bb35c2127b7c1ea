"""The broker, a real worker, and the schedule."""

import importlib
import time

import pytest
from celery import current_app

from loyalty.models import Account
from loyalty.services.ledger import earn_points, open_account
from loyalty.tasks import expire_points
from tests.factories import NOW, make_membership, make_programme

TASKS = importlib.import_module("config.migrations.0001_periodic_tasks").TASKS


def test_schedule_names_tasks_that_exist():
    current_app.loader.import_default_modules()

    assert {task for task, _minute, _description in TASKS.values()} <= set(current_app.tasks)


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
