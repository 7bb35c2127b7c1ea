"""The pages of finance: what each role sees, what they take away, what stands behind a figure, closing a month."""

import datetime as dt
import io
from decimal import Decimal

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from openpyxl import load_workbook
from pypdf import PdfReader

from hotels.models import AuditEntry, Role
from loyalty import tasks
from loyalty.models import JobRun, SettlementRun
from loyalty.selectors.finance.returns import rule_returns
from loyalty.services import jobs
from members.models import RevenueCategory
from members.services.stays import FolioLineInput, post_stay, void_stay
from tests.factories import (
    NOW,
    base_rule,
    make_member,
    make_programme,
    make_property,
    make_staff,
    publish_rules,
)
from tests.loyalty.test_money import JULY, JUNE, earn, open_account, redeem

pytestmark = pytest.mark.django_db
LATER = dt.datetime(2026, 7, 6, 10, tzinfo=NOW.tzinfo)
REPORTS = ["liability", "roll-forward", "settlement", "returns"]


@pytest.fixture(autouse=True)
def _july():
    with time_machine.travel(LATER, tick=False):
        yield


@pytest.fixture
def programme():
    return make_programme(point_value="0.02", code="CLUB")


@pytest.fixture
def places(programme):
    return [make_property("AAA", name="云栖上海"), make_property("BBB", name="云栖杭州")]


@pytest.fixture
def points(programme, places):
    """1,000 points of the first property, 400 of them redeemed at the second."""
    account = open_account(programme)
    earn(account, 1000, places[0])
    redeem(account, 400, places[1])
    return account


@pytest.fixture
def manager():
    return make_staff(Role.GROUP_MANAGER)


def client_of(user, language="en"):
    client = Client(headers={"Accept-Language": language})
    client.force_login(user)
    return client


def settle(programme):
    return jobs.run_job(now=LATER, job=JobRun.Job.SETTLE, run_date=JULY, programme_id=programme.pk)


def text_of(response):
    """The text of a PDF, without spaces and the zero bytes that pypdf takes two-byte codes for."""
    reader = PdfReader(io.BytesIO(response.content))
    return "".join("".join(page.extract_text().replace("\0", "").split()) for page in reader.pages)


def report(client, code, **query):
    return client.get(reverse("loyalty:finance_report", args=[code]), {"month": "2026-06", **query})


def test_a_month_is_closed_on_its_page(programme, points, manager, monkeypatch, django_capture_on_commit_callbacks):
    sent = []
    monkeypatch.setattr(tasks.work_run, "delay", lambda *, run_id: sent.append(run_id))
    client = client_of(manager)
    page = client.get(reverse("loyalty:finance"))
    assert page.context["scope"].start == JUNE
    assert "Close 2026-06" in page.text

    with django_capture_on_commit_callbacks(execute=True):
        answer = client.post(reverse("loyalty:close_month"), {"month": "2026-06"}, follow=True)
    assert "is being closed" in answer.text
    jobs.work_run(run_id=sent[0], now=LATER)

    page = client.get(reverse("loyalty:finance"), {"month": "2026-06"})
    assert SettlementRun.objects.get().closed_by == manager
    assert "nothing of it changes any more" in page.text
    assert "Close 2026-06" not in page.text
    assert "4.00" in page.text


def test_a_month_that_goes_on_cannot_be_closed(programme, points, manager):
    client = client_of(manager)

    page = client.get(reverse("loyalty:finance"), {"month": "2026-07"})
    answer = client.post(reverse("loyalty:close_month"), {"month": "2026-07"}, follow=True)

    assert "The month is not over" in page.text
    assert "lies ahead" in answer.text
    assert not JobRun.objects.exists()


def test_only_the_group_closes_a_month(programme, points, places):
    for role in (Role.PROPERTY_MANAGER, Role.AUDITOR):
        client = client_of(make_staff(role, place=places[0] if role == Role.PROPERTY_MANAGER else None))
        assert client.get(reverse("loyalty:finance")).status_code == 200
        assert "Close 2026-06" not in client.get(reverse("loyalty:finance")).text
        assert client.post(reverse("loyalty:close_month"), {"month": "2026-06"}).status_code == 403


@pytest.mark.parametrize("code", REPORTS)
def test_each_report_is_taken_away_as_pdf_and_as_workbook(programme, points, manager, code):
    settle(programme)
    client = client_of(manager, "zh-hans")

    pdf, book = report(client, code, **{"as": "pdf"}), report(client, code, **{"as": "xlsx"})

    assert "归客会" in text_of(pdf)
    assert "2026-06" in text_of(pdf)
    sheets = load_workbook(io.BytesIO(book.content)).worksheets if code != "returns" else []
    values = {cell.value for sheet in sheets for row in sheet.iter_rows() for cell in row}
    assert values >= {"liability": {"云栖上海", 600, 6}, "roll-forward": {-400, 600}, "settlement": {400, 4}}.get(
        code, set()
    )
    assert AuditEntry.objects.filter(action="finance.exported", object_id__contains=code).count() == 2


def test_the_month_is_one_paper(programme, points, manager):
    settle(programme)

    answer = client_of(manager).get(reverse("loyalty:finance"), {"month": "2026-06", "as": "pdf"})

    text = text_of(answer)
    assert answer["Content-Disposition"] == 'attachment; filename="CLUB-2026-06-month.pdf"'
    for word in ("Pointsliability", "Roll-forward", "Netposition", "Page1of"):
        assert word in text


@pytest.mark.parametrize(
    ("of", "asked", "found"),
    [
        ("moves", {"start": "2026-06-01", "end": "2026-07-01", "part": "issued"}, [1000]),
        ("moves", {"start": "2026-06-01", "end": "2026-07-01", "part": "redeemed", "property": "AAA"}, [-400]),
        ("moves", {"start": "2026-06-01", "end": "2026-07-01", "part": "redeemed", "property": "BBB"}, []),
        ("moves", {"start": "2026-06-01", "end": "2026-07-01", "part": "issued", "property": "-"}, []),
        ("lots", {"on": "2026-06-30"}, [600]),
        ("lots", {"on": "2026-06-14"}, []),
        ("lots", {"on": "2026-06-30", "month": "2026-06-01", "property": "AAA"}, [600]),
        ("lots", {"on": "2026-06-30", "month": "2026-05-01"}, []),
        ("settled", {"start": "2026-06-01", "payer": "AAA", "payee": "BBB"}, [400]),
        ("settled", {"start": "2026-06-01", "payer": "BBB", "payee": "AAA"}, []),
    ],
)
def test_a_figure_leads_to_its_rows(programme, points, manager, of, asked, found):
    settle(programme)

    page = client_of(manager).get(reverse("loyalty:finance_rows"), {"of": of, **asked})

    assert [row.points for row in page.context["rows"]] == found


@pytest.mark.parametrize(("query", "least"), [({}, 8), ({"property": "AAA"}, 7)])
def test_every_link_of_a_report_has_the_rows_that_make_its_figure(programme, places, points, manager, query, least):
    earn(points, 77, places[1])
    settle(programme)
    client = client_of(manager)
    checked = 0
    for code in REPORTS:
        for table in report(client, code, **query).context["paper"].tables:
            for row in table.shown_rows:
                for cell in row.cells:
                    if cell.query:
                        page = client.get(f"{reverse('loyalty:finance_rows')}?{cell.query}")
                        total = sum(found.points for found in page.context["rows"])
                        assert f"{total:,}".replace("-", "−") == cell.text
                        checked += 1
    assert checked >= least


def test_a_property_sees_its_own_rows_only(programme, points, places):
    settle(programme)
    other = make_property("CCC")
    earn(points, 77, other, now=NOW)
    client = client_of(make_staff(Role.PROPERTY_MANAGER, place=places[0]))
    foreign = client_of(make_staff(Role.PROPERTY_MANAGER, place=other))

    mine = report(client, "roll-forward").text
    assert "−400" in mine
    assert "77" not in mine
    assert "Total of the postings" not in mine
    assert "4.00" in report(client, "settlement").text
    assert "4.00" not in report(foreign, "settlement").text
    query = {"of": "moves", "start": "2026-06-01", "end": "2026-07-01", "part": "issued"}
    rows = client.get(reverse("loyalty:finance_rows"), query).context["rows"]
    assert [row.points for row in rows] == [1000]
    assert not client.get(reverse("loyalty:finance_rows"), {**query, "property": "CCC"}).context["rows"]


def test_rows_come_in_pages(programme, places, manager):
    account = open_account(programme)
    for _ in range(51):
        earn(account, 1, places[0])
    client = client_of(manager)
    query = {"of": "moves", "start": "2026-06-01", "end": "2026-07-01", "part": "issued"}

    first = client.get(reverse("loyalty:finance_rows"), query)
    second = client.get(reverse("loyalty:finance_rows"), {**query, "after": first.context["next"]})

    assert [len(page.context["rows"]) for page in (first, second)] == [50, 1]


@pytest.mark.parametrize(
    "query",
    [{}, {"of": "moves"}, {"of": "lots"}, {"of": "secrets", "on": "2026-06-30"}, {"of": "lots", "on": "gestern"}],
)
def test_rows_that_nobody_asked_for_rightly_are_not_found(programme, manager, query):
    assert client_of(manager).get(reverse("loyalty:finance_rows"), query).status_code == 404


@pytest.mark.parametrize("members", [1, 30])
def test_a_page_asks_as_often_for_many_members_as_for_one(programme, places, manager, members):
    for _ in range(members):
        account = open_account(programme)
        earn(account, 100, places[0])
        redeem(account, 50, places[1])
    settle(programme)
    client = client_of(manager)
    client.get(reverse("loyalty:finance"))
    prices = {}
    for name, address in [
        ("month", reverse("loyalty:finance")),
        *((code, reverse("loyalty:finance_report", args=[code])) for code in REPORTS),
        ("rows", f"{reverse('loyalty:finance_rows')}?of=lots&on=2026-06-30"),
    ]:
        with CaptureQueriesContext(connection) as queries:
            client.get(address)
        prices[name] = len(queries)

    assert prices == {
        "month": 19,
        "liability": 9,
        "roll-forward": 7,
        "settlement": 9,
        "returns": 8,
        "rows": 9,
    }


# Return of rules


def stay(place, guest, number, day, amount):
    return post_stay(
        actor=None,
        now=NOW.replace(day=min(day.day, 28), month=day.month),
        place=place,
        source_system="pms",
        source_reference=f"S{number}",
        guest_id=guest,
        arrival_date=day - dt.timedelta(days=1),
        departure_date=day,
        lines=[FolioLineInput("1", day, RevenueCategory.ROOM, Decimal(amount))],
        currency="CNY",
    )


def test_a_rule_returns_what_its_members_brought_beyond_the_others(programme, places):
    hangzhou = {"field": "stay.property", "op": "in", "value": ["BBB"]}
    publish_rules(
        programme,
        base_rule("base", "1"),
        base_rule(
            code="hz",
            name="杭州加赠",
            value=Decimal("0.5"),
            condition={"all": [hangzhou]},
            is_base=False,
            group="hz",
            is_qualifying=False,
        ),
        start=dt.date(2026, 1, 2),
    )
    touched, other = make_member(programme), make_member(programme, name="周明")
    stay(places[0], touched.guest_id, 1, dt.date(2026, 5, 20), 1000)
    stay(places[0], other.guest_id, 2, dt.date(2026, 5, 20), 1000)
    stay(places[1], touched.guest_id, 3, dt.date(2026, 6, 10), 2000)
    stay(places[0], other.guest_id, 4, dt.date(2026, 6, 10), 1200)
    gone = stay(places[1], touched.guest_id, 5, dt.date(2026, 6, 20), 500)
    void_stay(actor=None, now=NOW.replace(day=25), stay_id=gone.pk, reason="重复")

    found = {row.rule: row for row in rule_returns(programme=programme, start=JUNE, end=JULY)}

    rule = found["hz"]
    # 1,000 points given for the stay that stands; the others grew by a fifth.
    assert (rule.points, rule.cost, rule.members) == (1000, Decimal("20.00"), 1)
    assert (rule.revenue, rule.baseline, rule.expected, rule.extra) == (2000, 1000, 1200, 800)
    assert rule.roi_pct == Decimal("3900.0")
    # Everybody is touched by the base rule: nobody is left to be compared with.
    assert found["base-base"].expected == found["base-base"].baseline == 2000
