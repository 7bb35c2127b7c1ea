"""Back-tests as a manager uses them: asked for on a version's page, run by a worker, read and exported."""

import csv
import datetime as dt
import io
from decimal import Decimal

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from hotels.models import AuditEntry, Role
from loyalty import tasks
from loyalty.models import BackTest, EarningRule, EarningRuleSet, TierCriteria
from loyalty.services import backtests
from loyalty.services.backtests import request_back_test, run_back_test
from loyalty.services.memberships import enrol_member
from loyalty.services.rules import create_draft, discard_draft
from members.services.stays import FolioLineInput, StayInput, post_stays
from tests.factories import NOW, make_guest, make_programme, make_property, make_staff

pytestmark = pytest.mark.django_db
State = BackTest.State


@pytest.fixture(autouse=True)
def _now():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def programme():
    """One member with two stays in the last year, 800 and 1,234 yuan, and one long ago."""
    programme = make_programme(point_value=Decimal("0.05"))
    place = make_property("SH1")
    member = enrol_member(
        actor=None, now=NOW - dt.timedelta(days=900), programme=programme, guest_id=make_guest("陈思远").pk
    )
    rows = [
        StayInput(
            place_id=place.pk,
            source_system="pms",
            source_reference=reference,
            guest_id=member.guest_id,
            arrival_date=departure - dt.timedelta(days=1),
            departure_date=departure,
            lines=[FolioLineInput("1", departure - dt.timedelta(days=1), "room", Decimal(amount))],
            currency="CNY",
        )
        for reference, departure, amount in (
            ("=F1", dt.date(2026, 3, 1), 800),
            ("F2", dt.date(2025, 6, 15), 1234),
            ("F3", dt.date(2025, 6, 14), 50),
        )
    ]
    post_stays(actor=None, now=NOW, rows=rows)
    return programme


@pytest.fixture
def draft(programme):
    """Every rule of the version in force twice as generous."""
    draft = create_draft(actor=None, now=NOW, programme=programme, based_on=programme.earning_rule_sets.get())
    for rule in draft.rules.all():
        EarningRule.objects.filter(pk=rule.pk).update(value=rule.value * 2)
    return draft


@pytest.fixture
def kicked(monkeypatch):
    """Ids of the back-tests that a worker was sent for."""
    sent = []
    monkeypatch.setattr(tasks.run_back_test, "delay", lambda *, back_test_id: sent.append(back_test_id))
    return sent


def client_of(role, language="en"):
    client = Client(headers={"Accept-Language": language})
    client.force_login(make_staff(role))
    return client


def start_url(rule_set):
    return reverse("admin:loyalty_earningruleset_back_test", args=[rule_set.pk])


def page_url(back_test):
    return reverse("admin:loyalty_backtest_change", args=[back_test.pk])


def sheet_url(back_test, name):
    return reverse(f"admin:loyalty_backtest_{name}", args=[back_test.pk])


def ask(draft, now=NOW):
    return request_back_test(actor=None, now=now, rule_set_id=draft.pk)


def done(draft):
    back_test = ask(draft)
    assert run_back_test(now=NOW, back_test_id=back_test.pk)
    back_test.refresh_from_db()
    return back_test


def sheet_of(answer):
    return list(csv.reader(io.StringIO(answer.content.decode().removeprefix("\ufeff"))))


def test_a_manager_asks_for_a_back_test_and_reads_what_it_says(
    draft, programme, kicked, django_capture_on_commit_callbacks
):
    client = client_of(Role.GROUP_MANAGER)
    version = reverse("admin:loyalty_earningruleset_change", args=[draft.pk])
    assert start_url(draft) in client.get(version).content.decode()
    assert "Start a back-test" in client.get(start_url(draft)).content.decode()

    with django_capture_on_commit_callbacks(execute=True):
        answer = client.post(start_url(draft), {"months": "12"})

    back_test = BackTest.objects.get()
    assert answer["Location"] == page_url(back_test)
    assert kicked == [back_test.pk]
    assert (back_test.since, back_test.until) == (dt.date(2025, 6, 15), NOW.date())
    assert back_test.compared_with == programme.earning_rule_sets.get(number=1)
    waiting = client.get(page_url(back_test)).content.decode()
    assert 'hx-trigger="every 3s"' in waiting
    assert "Waiting for a worker" in waiting
    tasks.run_back_test(back_test_id=back_test.pk)

    answer = client.get(start_url(draft), follow=True)
    assert answer.context["back_test"] == back_test
    context, page = answer.context, answer.content.decode()
    assert context["totals"] == {
        "stays": 2, "before": 2034, "after": 4068, "difference": 2034, "members": 1, "members_more": 1,
        "members_fewer": 0,
    }  # fmt: skip
    assert (context["liability"]["before"], context["liability"]["after"]) == (Decimal("101.70"), Decimal("203.40"))
    assert "+2,034" in page
    assert "¥101.70" in page
    assert 'hx-trigger="every 3s"' not in page
    assert "No tier of this programme asks for points." in page
    by_property, by_tier = (section["rows"] for section in context["sections"])
    assert [(row["label"], row["stays"], row["difference"]) for row in by_property] == [("Hotel SH1", 2, 2034)]
    assert [(row["code"], row["after"]) for row in by_tier] == [("base", 4068)]
    assert [(row["before"], row["after"], row["stays_after"]) for row in context["by_rule"]] == [(2034, 4068, 2)]
    assert [(row["number"], row["difference"]) for row in context["largest"]] == [("F2", 1234), ("=F1", 800)]
    assert all(row["url"] in page for row in context["largest"])
    assert "陈思远" not in page
    assert AuditEntry.objects.get(action="backtest.requested").object_id == str(back_test.pk)


def test_it_tells_whose_figures_would_reach_another_tier(draft, programme):
    """The 800 points of the stay in the window count; the draft makes 1,600 of them."""
    for code, points in (("silver", 800), ("gold", 1600), ("diamond", 1601)):
        TierCriteria.objects.filter(tier__programme=programme, tier__code=code).update(
            conditions={"all": [{"field": "points", "op": "gte", "value": points}]}
        )
    back_test = done(draft)

    assert back_test.figures["tier_moves"] == [
        {"from": "银卡", "from_en": "Silver", "to": "金卡", "to_en": "Gold", "members": 1}
    ]
    page = client_of(Role.GROUP_MANAGER, "zh-hans").get(page_url(back_test)).content.decode()
    assert "等级变动" in page
    assert '<th scope="row">银卡</th><td>金卡</td><td class="num">1</td>' in page


def test_the_page_is_chinese_for_a_chinese_reader(draft):
    page = client_of(Role.GROUP_MANAGER, "zh-hans").get(page_url(done(draft))).content.decode()

    assert "按酒店" in page
    assert "酒店SH1" in page
    assert "负债差额" in page


def test_an_auditor_reads_and_starts_nothing(draft):
    client = client_of(Role.AUDITOR)
    assert "Start a back-test" not in client.get(start_url(draft)).content.decode()
    back_test = done(draft)

    page = client.get(page_url(back_test))
    refused = client.post(start_url(draft), {"months": "12"})

    assert page.context["totals"]["difference"] == 2034
    assert "Start a back-test" not in page.content.decode()
    assert refused.status_code == 403
    assert client.get(sheet_url(back_test, "properties")).status_code == 200
    assert client.get(sheet_url(back_test, "largest")).status_code == 403
    assert client_of(Role.RECEPTIONIST).get(sheet_url(back_test, "properties")).status_code in {302, 403}
    assert BackTest.objects.count() == 1


def test_sheets_hold_the_figures_and_no_formula(draft):
    client = client_of(Role.GROUP_MANAGER)
    back_test = done(draft)

    largest = sheet_of(client.get(sheet_url(back_test, "largest")))
    properties = sheet_of(client.get(sheet_url(back_test, "properties")))

    number = draft.programme.memberships.get().number
    assert largest[1:] == [
        ["F2", "2025-06-15", "SH1", number, "1234", "2468", "1234"],
        ["'=F1", "2026-03-01", "SH1", number, "800", "1600", "800"],
    ]
    assert properties[1:] == [["SH1", "Hotel SH1", "2", "2034", "4068", "2034"]]
    assert AuditEntry.objects.filter(action="backtest.exported").count() == 2


def test_there_is_no_sheet_before_there_are_figures(draft):
    answer = client_of(Role.GROUP_MANAGER).get(sheet_url(ask(draft), "largest"))

    assert answer.status_code == 404


def test_a_second_request_finds_the_one_that_is_going_on(draft):
    first = ask(draft)
    again = ask(draft)

    assert first == again
    assert AuditEntry.objects.filter(action__startswith="backtest.").count() == 1
    with pytest.raises(IntegrityError), transaction.atomic():
        BackTest.objects.create(rule_set=draft, since=first.since, until=first.until, created_at=NOW, progress_at=NOW)


def test_a_second_worker_leaves_it_to_the_first(draft, monkeypatch):
    back_test = ask(draft)
    calls = []
    compare = backtests.compare_rule_sets

    def compare_and_meet_the_other(**asked):
        calls.append(run_back_test(now=NOW, back_test_id=back_test.pk))
        return compare(**asked)

    monkeypatch.setattr(backtests, "compare_rule_sets", compare_and_meet_the_other)

    assert run_back_test(now=NOW, back_test_id=back_test.pk)
    assert calls == [False]
    assert not run_back_test(now=NOW, back_test_id=back_test.pk)


def test_progress_is_written_while_it_runs(draft, monkeypatch):
    back_test = ask(draft)
    seen = []

    def compare_slowly(*, on_progress, **_asked):
        on_progress(10_000, 25_000)
        back_test.refresh_from_db()
        seen.append((back_test.state, back_test.done, back_test.total, back_test.percent))
        raise RuntimeError(make_guest("陈思远").name)

    monkeypatch.setattr(backtests, "compare_rule_sets", compare_slowly)

    assert run_back_test(now=NOW, back_test_id=back_test.pk)
    assert seen == [(State.RUNNING, 10_000, 25_000, 40)]
    back_test.refresh_from_db()
    assert (back_test.state, back_test.failure) == (State.FAILED, "RuntimeError")
    assert ask(draft).pk != back_test.pk


def test_a_lost_message_can_be_sent_again(draft, kicked, django_capture_on_commit_callbacks):
    client = client_of(Role.GROUP_MANAGER)
    back_test = ask(draft, NOW - dt.timedelta(seconds=50))
    assert "Start again" not in client.get(page_url(back_test)).content.decode()
    BackTest.objects.update(progress_at=NOW - dt.timedelta(seconds=61))
    assert "Start again" in client.get(page_url(back_test)).content.decode()

    with django_capture_on_commit_callbacks(execute=True):
        client.post(start_url(draft), {"months": "12"})

    assert kicked == [back_test.pk]
    assert "Start again" not in client.get(page_url(back_test)).content.decode()
    assert AuditEntry.objects.filter(action="backtest.restarted").count() == 1


def test_a_worker_that_was_given_up_writes_nothing_any_more(draft, monkeypatch):
    back_test = ask(draft)
    later = NOW + BackTest.SILENCE + dt.timedelta(seconds=1)

    def compare_forever(*, on_progress, **_asked):
        BackTest.objects.update(progress_at=NOW)
        assert ask(draft, later).pk == back_test.pk
        on_progress(1, 2)
        pytest.fail("it went on")

    monkeypatch.setattr(backtests, "compare_rule_sets", compare_forever)

    assert not run_back_test(now=NOW, back_test_id=back_test.pk)
    monkeypatch.undo()
    back_test.refresh_from_db()
    assert (back_test.state, back_test.done, back_test.claim) == (State.QUEUED, 0, None)
    assert run_back_test(now=later, back_test_id=back_test.pk)
    back_test.refresh_from_db()
    assert back_test.figures["totals"]["after"] == 4068


def test_a_draft_that_was_changed_after_its_back_test_says_so(draft):
    client = client_of(Role.GROUP_MANAGER)
    back_test = done(draft)
    assert not client.get(page_url(back_test)).context["has_changed"]

    EarningRule.objects.filter(rule_set=draft).update(value=3)

    page = client.get(page_url(back_test))
    assert page.context["has_changed"]
    assert "were changed after this back-test" in page.content.decode()


def test_the_version_in_force_is_compared_with_the_one_before_it_or_with_nothing(programme):
    first = programme.earning_rule_sets.get()

    back_test = done(first)

    assert back_test.compared_with is None
    assert back_test.figures["totals"]["before"] == 0
    assert back_test.figures["totals"]["after"] == 2034


def test_a_discarded_draft_takes_its_back_tests_along(draft):
    back_test = done(draft)

    discard_draft(actor=None, now=NOW, rule_set_id=draft.pk)

    assert not EarningRuleSet.objects.filter(pk=draft.pk).exists()
    assert not run_back_test(now=NOW, back_test_id=back_test.pk)


def test_a_period_that_is_not_offered_is_refused(draft):
    client = client_of(Role.GROUP_MANAGER)

    assert client.post(start_url(draft), {"months": "7"}).status_code == 422
    with pytest.raises(ValueError, match="7"):
        request_back_test(actor=None, now=NOW, rule_set_id=draft.pk, months=7)


@pytest.mark.django_db(transaction=True)
def test_it_runs_outside_a_transaction_with_progress_for_all_to_see(draft, monkeypatch):
    """As a worker runs it: the cursors of the comparison outlive the statements between them."""
    monkeypatch.setattr("loyalty.selectors.backtest.PAGE", 1)
    back_test = ask(draft)
    steps = []
    compare = backtests.compare_rule_sets

    def compare_and_watch(*, on_progress, **asked):
        def watched(done, total):
            on_progress(done, total)
            assert not transaction.get_connection().in_atomic_block
            steps.append(BackTest.objects.values_list("done", "total").get())

        return compare(on_progress=watched, **asked)

    monkeypatch.setattr(backtests, "compare_rule_sets", compare_and_watch)

    assert run_back_test(now=NOW, back_test_id=back_test.pk)
    assert steps == [(1, 2), (2, 2)]
    assert BackTest.objects.get().figures["totals"]["after"] == 4068
