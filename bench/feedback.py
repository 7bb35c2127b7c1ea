"""What 100,000 open tickets cost: `python -m bench.feedback [--tickets 100000] [--due 2000] [--rounds 5]`.

Starts a PostgreSQL of its own with fsync on (data in var/bench-feedback, kept for the next run). Measures:
  a) a tick that finds, claims and tells the reminders that are due, among five for each open ticket;
  b) two worker processes at once on as many, one of them killed with SIGKILL meanwhile: none is told twice, none is lost;
  c) the list (open, mine, unassigned, overdue; one department) and the page of a ticket through the test client.
Targets: a) at most 1 s; c) p95 under 200 ms. Prints a table and writes var/bench-feedback/feedback.json.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "var" / "bench-feedback"

FILL = """
WITH made AS (
    INSERT INTO feedback_case (public_id, guest_id, property_id, owner_id, opened_at)
    SELECT gen_random_uuid(), %(guest)s, %(place)s, %(agent)s, %(now)s - n * interval '1 second'
    FROM generate_series(1, %(count)s) n RETURNING id, opened_at
), tickets AS (
    INSERT INTO feedback_ticket (public_id, case_id, property_id, department_id, guest_id, category, severity, status,
        subject, description, assignee_id, opened_at, due_at)
    SELECT gen_random_uuid(), id, %(place)s, (%(departments)s)[1 + id %% array_length(%(departments)s, 1)], %(guest)s,
        'noise', 'high', 'open', 'T' || id, '', CASE WHEN id %% 10 = 0 THEN NULL ELSE %(agent)s END, opened_at,
        %(now)s + (id %% 5000) * interval '1 minute'
    FROM made RETURNING id, opened_at, due_at
), clocks AS (
    INSERT INTO feedback_ticketclock (ticket_id, metric, number, target_minutes, started_at, counted_seconds,
        running_since, due_at, outcome)
    SELECT id, 'resolution', 1, 240, opened_at, 0, opened_at, due_at, 'running' FROM tickets RETURNING id
)
INSERT INTO feedback_ticketreminder (clock_id, percent, audience, due_at, state)
SELECT id, percent, audience, %(now)s + interval '30 days', 'pending'
FROM clocks, (VALUES (50, 'assignee'), (80, 'supervisor'), (100, 'department_head'), (150, 'duty_manager'),
    (200, 'group')) ladder (percent, audience)
"""
DUE = """
UPDATE feedback_ticketreminder SET due_at = %(now)s - interval '1 second'
WHERE id IN (SELECT r.id FROM feedback_ticketreminder r JOIN feedback_ticketclock c ON c.id = r.clock_id
    JOIN feedback_ticket t ON t.id = c.ticket_id
    WHERE r.state = 'pending' AND r.audience = 'assignee' AND t.assignee_id IS NOT NULL LIMIT %(due)s)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tickets", type=int, default=100_000)
    parser.add_argument("--due", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work()
        return
    from config.embedded import start_postgres  # noqa: PLC0415 – settings are chosen below

    FOLDER.mkdir(parents=True, exist_ok=True)
    server = start_postgres(FOLDER)
    try:
        os.environ["DATABASE_URL"] = server.url
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.development"
        os.environ.setdefault("CELERY_BROKER_URL", "redis://127.0.0.1:1/0")
        os.environ.setdefault("CACHE_URL", "locmem://")
        subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], cwd=ROOT, check=True)
        measure(options)
    finally:
        server.stop()


def work() -> None:
    """One worker: a tick after the other until nothing is due."""
    import django  # noqa: PLC0415

    django.setup()
    from django.utils import timezone  # noqa: PLC0415

    from feedback.services import send_reminders  # noqa: PLC0415

    while send_reminders(now=timezone.now(), limit=1).sent:
        pass


def measure(options: argparse.Namespace) -> None:
    import django  # noqa: PLC0415

    django.setup()
    from django.db import connection  # noqa: PLC0415
    from django.utils import timezone  # noqa: PLC0415

    from feedback.models import Notification, TicketReminder  # noqa: PLC0415
    from feedback.services import send_reminders  # noqa: PLC0415
    from tests import factories  # noqa: PLC0415

    stamp = time.time_ns() % 10**12
    place = factories.make_property(f"B{stamp}")
    departments = [factories.make_department(place, code) for code in ("FO", "HK", "ENG", "FB")]
    agent = factories.make_staff("guest_service", place=place, username=f"bench{stamp}")
    now = timezone.now()
    factories.make_shift(agent, departments[0], start=now)
    facts = {
        "guest": factories.make_guest().pk, "place": place.pk, "agent": agent.pk, "now": now,
        "departments": [department.pk for department in departments], "count": options.tickets, "due": options.due,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(FILL, facts)
        cursor.execute("ANALYZE")
    ticks = []
    for _ in range(options.rounds):
        with connection.cursor() as cursor:
            cursor.execute(DUE, facts)
        begin = time.perf_counter()
        sent = send_reminders(now=timezone.now()).sent
        ticks.append(time.perf_counter() - begin)
        assert sent == options.due, sent
    with connection.cursor() as cursor:
        cursor.execute(DUE, {**facts, "due": 5 * options.due})
    workers = [
        subprocess.Popen([sys.executable, "-m", "bench.feedback", "--worker"], cwd=ROOT, env=os.environ)
        for _ in range(2)
    ]
    time.sleep(2.5)
    os.kill(workers[0].pid, signal.SIGKILL)
    for worker in workers:
        worker.wait()
    send_reminders(now=timezone.now())
    told = Notification.objects.filter(user=agent).exclude(reminder=None)
    lost = TicketReminder.objects.filter(state="pending", due_at__lte=timezone.now()).count()
    assert lost == 0, lost
    assert told.count() == told.values("reminder").distinct().count() == (options.rounds + 5) * options.due
    result = {
        "at": dt.datetime.now(dt.UTC).isoformat(), "tickets": options.tickets, "due": options.due,
        "tick_seconds": [round(seconds, 3) for seconds in ticks], "p95_ms": pages(agent, place),
    }  # fmt: skip
    (FOLDER / "feedback.json").write_text(json.dumps(result, indent=2))
    print(json.dumps(result, indent=2))


def pages(agent: object, place: object) -> dict[str, float]:
    """p95 of each page in milliseconds, after a first visit."""
    from django.conf import settings  # noqa: PLC0415
    from django.test import Client  # noqa: PLC0415

    from feedback.models import Ticket  # noqa: PLC0415

    # Pages name their static files without a manifest that `collectstatic` would have made.
    settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
    client = Client()
    client.force_login(agent)
    page = f"/tickets/{Ticket.objects.filter(property=place).latest('pk').public_id}/"
    shows = ("open", "mine", "unassigned", "overdue", "waiting", "open&department=HK")
    p95 = {}
    for address in (*(f"/tickets/?show={show}" for show in shows), page):
        times = []
        for _ in range(30):
            begin = time.perf_counter()
            assert client.get(address, SERVER_NAME="localhost").status_code == 200
            times.append(time.perf_counter() - begin)
        p95["ticket" if address == page else address] = round(statistics.quantiles(times[1:], n=20)[-1] * 1000, 1)
    return p95


if __name__ == "__main__":
    main()
