"""The runs in the admin: who starts and stops them, what the pages show, what leaves a trace."""

import csv
import datetime as dt
import io

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from hotels.models import AuditEntry, Role
from loyalty import tasks
from loyalty.models import Account, JobError, JobRun
from loyalty.services import jobs, ledger
from tests.factories import NOW, make_guest, make_membership, make_programme, make_property, make_staff

pytestmark = pytest.mark.django_db
State = JobRun.State
LIST = "admin:loyalty_jobrun_changelist"
START = "admin:loyalty_jobrun_start"


def client_of(user):
    client = Client(headers={"Accept-Language": "en"})
    client.force_login(user)
    return client


@pytest.fixture
def manager():
    return make_staff(Role.GROUP_MANAGER)


@pytest.fixture
def kicked(monkeypatch):
    """Ids of the runs that a worker was sent for."""
    sent = []
    monkeypatch.setattr(tasks.work_run, "delay", lambda *, run_id: sent.append(run_id))
    return sent


@pytest.fixture
def programme():
    return make_programme()


@pytest.fixture
def lapsed(programme):
    account = ledger.open_account(membership_id=make_membership(programme).pk)
    ledger.earn_points(actor=None, now=NOW, account_id=account, points=1234, expires_on=dt.date(2020, 1, 1))
    return account


def run_of(programme, **fields):
    fields = {"job": JobRun.Job.EXPIRE_POINTS, "run_date": NOW.date(), "created_at": NOW, **fields}
    return JobRun.objects.create(programme=programme, **fields)


def page(run):
    return reverse("admin:loyalty_jobrun_change", args=[run.pk])


def press(client, run, verb):
    return client.post(reverse(f"admin:loyalty_jobrun_{verb}", args=[run.pk]))


def test_a_manager_looks_what_a_run_would_do_and_starts_it(
    manager, programme, lapsed, kicked, django_capture_on_commit_callbacks
):
    client = client_of(manager)
    asked = {"job": "expire_points", "programme": programme.pk, "run_date": "2020-01-02"}

    seen = client.post(reverse(START), {**asked, "_preview": ""})

    assert seen.context["preview"] == jobs.RunPreview(dt.date(2020, 1, 2), 1, 1234)
    assert "1,234" in seen.content.decode()
    assert not JobRun.objects.exists()

    with django_capture_on_commit_callbacks(execute=True):
        answer = client.post(reverse(START), {**asked, "_start": ""})

    run = JobRun.objects.get()
    assert answer["Location"] == page(run)
    assert (run.state, run.started_by, kicked) == (State.QUEUED, manager, [run.pk])
    entry = AuditEntry.objects.get(action="jobrun.started")
    assert (entry.actor, entry.after["run_date"]) == (manager, "2020-01-02")
    assert 'hx-trigger="every 3s"' in client.get(page(run)).content.decode()

    tasks.work_run(run_id=run.pk)

    assert Account.objects.get(pk=lapsed).available == 0
    shown = client.get(page(run)).content.decode()
    assert "every 3s" not in shown
    assert "100%" in shown
    assert "1,234" in shown
    assert client.get(reverse(LIST)).status_code == 200


def test_a_date_ahead_is_told_at_its_field(manager, programme):
    ahead = (timezone.now() + dt.timedelta(days=3)).date()
    answer = client_of(manager).post(
        reverse(START), {"job": "expire_points", "programme": programme.pk, "run_date": ahead, "_start": ""}
    )

    assert answer.status_code == 422
    assert set(answer.context["form"].errors) == {"run_date"}
    assert not JobRun.objects.exists()


def test_a_second_date_while_one_waits_is_refused_with_the_reason(manager, programme):
    run_of(programme, run_date=dt.date(2020, 1, 1))
    answer = client_of(manager).post(
        reverse(START), {"job": "expire_points", "programme": programme.pk, "run_date": "", "_start": ""}
    )

    assert answer.status_code == 422
    assert answer.context["form"].non_field_errors() == [str(jobs.AnotherRunGoesOn.message)]


def test_pause_resume_and_cancel_change_the_run_and_leave_their_entries(
    manager, programme, kicked, django_capture_on_commit_callbacks
):
    client = client_of(manager)
    run = run_of(programme)
    states = []
    for verb in ("pause", "resume", "cancel"):
        with django_capture_on_commit_callbacks(execute=True):
            assert press(client, run, verb)["Location"] == page(run)
        run.refresh_from_db()
        states.append(run.state)

    assert states == [State.PAUSED, State.QUEUED, State.CANCELED]
    assert kicked == [run.pk]
    trail = AuditEntry.objects.filter(action__startswith="jobrun").order_by("id").values_list("action", "actor")
    assert list(trail) == [(f"jobrun.{verb}", manager.pk) for verb in ("paused", "resumed", "canceled")]
    # A button pressed on an old page says why it does nothing.
    answer = client.post(reverse("admin:loyalty_jobrun_pause", args=[run.pk]), follow=True)
    assert str(jobs.RunEnded.message) in [str(message) for message in answer.context["messages"]]


@pytest.mark.parametrize("role", [Role.MARKETER, Role.PROPERTY_MANAGER, Role.AUDITOR])
def test_who_may_only_look_finds_no_buttons_and_no_way_round(role, programme):
    client = client_of(make_staff(role, place=make_property() if role == Role.PROPERTY_MANAGER else None))
    run = run_of(programme)

    shown = client.get(page(run)).content.decode()

    assert f"/{run.pk}/pause/" not in shown
    assert f"/{run.pk}/cancel/" not in shown
    assert [press(client, run, verb).status_code for verb in ("pause", "resume", "cancel")] == [403, 403, 403]
    assert client.post(reverse(START), {"job": "expire_points", "programme": programme.pk}).status_code == 403
    run.refresh_from_db()
    assert run.state == State.QUEUED


def test_looking_changes_nothing(manager, programme):
    run = run_of(programme)
    answers = [
        client_of(manager).get(reverse(f"admin:loyalty_jobrun_{verb}", args=[run.pk])).status_code
        for verb in ("pause", "resume", "cancel")
    ]
    assert answers == [403, 403, 403]


def test_errors_are_paged_and_leave_the_house_as_a_sheet_with_an_entry(manager, programme):
    run = run_of(programme)
    member = make_membership(programme, make_guest())
    JobError.objects.bulk_create(
        [
            JobError(run=run, subject_id=n, membership=member, code="23514", message="=1+1", at=NOW)
            for n in range(1, 121)
        ]
    )
    JobError.objects.create(
        run=run, subject_id=500, membership=member, outcome="held_back", code="not_notified", points=70, at=NOW
    )
    client = client_of(manager)

    last = client.get(page(run), {"p": 3})
    answer = client.get(reverse("admin:loyalty_jobrun_errors", args=[run.pk]))
    rows = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode("utf-8-sig"))))

    assert len(last.context["errors"].object_list) == 21
    assert len(rows) == 1 + 121
    assert rows[1][:5] == [member.number, "1", "failed", "23514", "'=1+1"]
    assert rows[-1][2:6] == ["held_back", "not_notified", "", "70"]
    assert AuditEntry.objects.get(action="jobrun.exported").actor == manager
    nobody = client_of(make_staff(Role.MARKETER))
    assert nobody.get(reverse("admin:loyalty_jobrun_errors", args=[run.pk])).status_code == 403


def test_the_page_of_a_run_costs_the_same_whatever_failed(manager, programme):
    client = client_of(manager)

    def queries(errors):
        run = run_of(programme, run_date=NOW.date() - dt.timedelta(errors))
        JobError.objects.bulk_create(
            [
                JobError(run=run, subject_id=n, membership=make_membership(programme, make_guest()), code="x", at=NOW)
                for n in range(errors)
            ]
        )
        client.get(page(run))
        with CaptureQueriesContext(connection) as captured:
            assert client.get(page(run)).status_code == 200
        return len(captured)

    assert queries(1) == queries(40)


def test_only_the_programmes_own_tiers_can_exempt(manager, programme):
    make_programme()
    form = (
        client_of(manager).get(reverse("admin:loyalty_programme_change", args=[programme.pk])).context["adminform"].form
    )

    assert set(form.fields["inactivity_exempt_tier"].queryset) == set(programme.tiers.all())
