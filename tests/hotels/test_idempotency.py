"""Answers kept for retries of API clients, and forgotten."""

import datetime as dt
from importlib import import_module

import pytest

from config.celery import app
from hotels.models import ApiRequest
from hotels.services import idempotency
from hotels.services.idempotency import Answer, answer_once, delete_old_answers
from tests.factories import NOW, make_staff

pytestmark = pytest.mark.django_db


def answered(client, key, at):
    return answer_once(
        actor=client, now=at, key=key, operation="POST /x", data={}, perform=lambda: Answer(status=201, body={})
    )


def test_answers_are_forgotten_after_thirty_days_in_batches(monkeypatch):
    monkeypatch.setattr(idempotency, "_BATCH", 2)
    client = make_staff()
    for number in range(5):
        answered(client, f"old-{number}", NOW - dt.timedelta(days=31))
    answered(client, "young", NOW - dt.timedelta(days=29))

    assert delete_old_answers(now=NOW) == 5
    assert list(ApiRequest.objects.values_list("key", flat=True)) == ["young"]


def test_every_task_of_the_schedule_exists():
    # From the migrations: tests with transactions of their own empty the tables.
    migrations = ("0001_periodic_tasks", "0002_daily_tasks", "0003_draft_tasks")
    made = [import_module(f"config.migrations.{name}").TASKS for name in migrations]
    app.loader.import_default_modules()

    assert {facts[0] for tasks in made for facts in tasks.values()} <= set(app.tasks)
