"""What all tests share: a database made fast, a known language, real transactions, real workers."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import structlog
from celery.contrib.testing.worker import start_worker
from celery.signals import task_postrun
from django.conf import settings
from django.core.cache import cache
from django.db import connections
from django.db.backends.postgresql.operations import DatabaseOperations
from django.utils import translation
from psycopg import sql

from config.celery import app
from loyalty.selectors.verification import verify_ledger

PROJECT = Path(__file__).resolve().parent.parent
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def pytest_configure(config: pytest.Config) -> None:
    if not os.environ.get("DATABASE_URL"):
        message = "Tests need PostgreSQL and a broker: use `make test`, or set DATABASE_URL and CELERY_BROKER_URL."
        raise pytest.UsageError(message)


# Browser


def browser_is_required() -> bool:
    return os.environ.get("GUIKE_REQUIRE_BROWSER") == "1"


def chromium_path() -> str:
    """The Chromium to drive, or an empty text where there is none."""
    wanted = os.environ.get("GUIKE_CHROMIUM")
    return wanted or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None) or ""


def empties_the_database(item: pytest.Item) -> bool:
    """Whether a test commits, so that everything is emptied after it, what migrations wrote included."""
    marker = item.get_closest_marker("django_db")
    fixtures = getattr(item, "fixturenames", ())
    return bool(marker and marker.kwargs.get("transaction")) or not {"transactional_db", "live_server"}.isdisjoint(
        fixtures
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # pytest-django puts these last, too, but pytest-randomly mixes them again where it happens to be loaded after it.
    items.sort(key=empties_the_database)
    if chromium_path() or browser_is_required():
        return
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.skip(reason="Chromium is not installed; GUIKE_CHROMIUM may name one"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    if report.skipped and item.get_closest_marker("browser") and browser_is_required():
        report.outcome = "failed"
        report.longrepr = f"a browser test may not be skipped here: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the Chromium to drive."""
    assert chromium_path(), "GUIKE_REQUIRE_BROWSER is set and Chromium is not installed"
    return chromium_path()


# Database


def _template_name() -> str:
    digest = hashlib.sha256()
    for path in sorted(PROJECT.glob("*/migrations/**/*")):
        if path.is_file():
            digest.update(path.name.encode() + path.read_bytes())
    return f"guike_template_{digest.hexdigest()[:16]}"


def _make_template(name: str) -> None:
    """Migrate a database once for all parallel workers, which copy it."""
    address = os.environ["DATABASE_URL"].rsplit("/", 1)[0]
    with psycopg.connect(f"{address}/postgres", autocommit=True) as maintenance:
        maintenance.execute("SELECT pg_advisory_lock(hashtext('guike_template'))")
        if maintenance.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            return
        making = f"{name}_making"
        maintenance.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(making)))
        maintenance.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(making)))
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity", "0", "--settings", "config.settings.test"],
            cwd=PROJECT,
            env={**os.environ, "DATABASE_URL": f"{address}/{making}"},
            check=True,
        )
        maintenance.execute(
            sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(making), sql.Identifier(name))
        )


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Let each parallel worker copy one migrated database instead of migrating its own."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        name = _template_name()
        _make_template(name)
        settings.DATABASES["default"].setdefault("TEST", {})["TEMPLATE"] = name
        connections["default"].settings_dict["TEST"]["TEMPLATE"] = name


@pytest.fixture(scope="session", autouse=True)
def _flush_append_only_tables() -> Iterator[None]:
    """Let tests with real transactions empty the tables that refuse TRUNCATE."""
    plain = DatabaseOperations.sql_flush

    def sql_flush(self, *args, **kwargs):
        statements = plain(self, *args, **kwargs)
        return ["SET LOCAL session_replication_role = replica", *statements] if statements else statements

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "sql_flush", sql_flush)
        yield


@pytest.fixture(autouse=True)
def _ledger_adds_up(request: pytest.FixtureRequest) -> Iterator[None]:
    """Prove the ledger after each test that committed, before its rows are deleted."""
    marker = request.node.get_closest_marker("django_db")
    if not (marker and marker.kwargs.get("transaction")) and "transactional_db" not in request.fixturenames:
        yield
        return
    request.getfixturevalue("transactional_db")
    yield
    assert [finding for finding in verify_ledger() if finding.differences] == []


# Each test starts from the same state.


@pytest.fixture(autouse=True)
def _known_state() -> Iterator[None]:
    """Chinese, an empty cache, and no request's context in the log."""
    translation.activate(settings.LANGUAGE_CODE)
    cache.clear()
    structlog.contextvars.clear_contextvars()
    yield
    translation.activate(settings.LANGUAGE_CODE)


# Background work


@pytest.fixture(scope="session")
def broker_of_this_process(worker_id: str) -> str:
    """A broker database that no parallel test process shares."""
    number = 1 + int(worker_id.removeprefix("gw")) if worker_id.startswith("gw") else 0
    app.conf.broker_url = f"{settings.CELERY_BROKER_URL.rsplit('/', 1)[0]}/{number}"
    return app.conf.broker_url


@pytest.fixture
def running_worker(transactional_db: None, broker_of_this_process: str) -> Iterator[object]:
    """A real Celery worker in a thread, which takes tasks from the broker and commits."""

    def close(**_facts: object) -> None:
        # Each thread has its own connection, and this thread ends with the test.
        connections.close_all()

    task_postrun.connect(close)
    with start_worker(app, pool="solo", concurrency=1, perform_ping_check=False, shutdown_timeout=30) as worker:
        yield worker
    task_postrun.disconnect(close)
