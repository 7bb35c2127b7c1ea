"""A member's statement: every movement with its sentence, balances that join, as page, PDF, CSV and data."""

import csv
import datetime as dt
import io

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from knox.models import AuthToken
from pypdf import PdfReader

from hotels.models import AuditEntry, User
from loyalty.services import ledger
from loyalty.services.redemptions import redeem_reward
from members.models import Guest
from tests.factories import NOW, make_member, make_programme, make_property, make_reward, make_staff

pytestmark = pytest.mark.django_db
LATER = dt.datetime(2026, 7, 6, 10, tzinfo=NOW.tzinfo)


@pytest.fixture(autouse=True)
def _july():
    with time_machine.travel(LATER, tick=False):
        yield


@pytest.fixture
def place():
    return make_property("AAA", name="云栖上海")


@pytest.fixture
def member(place):
    """5,000 points in May, 2,000 redeemed in June, 300 that lapse soon."""
    programme = make_programme()
    member = make_member(programme)
    earn = {"actor": None, "membership_id": member.pk, "pending_until": None, "property_id": place.pk}
    ledger.earn_points(**earn, now=NOW - dt.timedelta(days=30), points=5000, expires_on=None, reason="期初")
    redeem_reward(
        actor=None,
        now=NOW,
        membership_id=member.pk,
        reward_id=make_reward(programme).pk,
        place=place,
        idempotency_key="a",
    )
    ledger.earn_points(**earn, now=NOW, points=300, expires_on=dt.date(2026, 8, 1))
    return member


@pytest.fixture
def clerk(place):
    client = Client(headers={"Accept-Language": "zh-hans"})
    client.force_login(make_staff(place=place))
    return client


def page(client, member, **query):
    return client.get(reverse("loyalty:member_statement", args=[member.guest.public_id]), query)


def test_a_period_begins_and_ends_with_its_balances(clerk, member):
    june = page(clerk, member, start="2026-06-01", last="2026-06-30").context["statement"]
    july = page(clerk, member, start="2026-07-01", last="2026-07-06").context["statement"]
    year = page(clerk, member).context["statement"]

    assert (june.opening.available, june.closing.available) == (5000, 3300)
    assert [line.posting.points for line, _day in june.lines] == [-2000, 300]
    assert "下午茶" in june.lines[0][0].sentence
    assert (july.opening, july.closing, july.lines) == (june.closing, june.closing, [])
    assert [(lapse.expires_on, lapse.points) for lapse in july.expiring] == [(dt.date(2026, 8, 1), 300)]
    assert (year.start, year.opening.available, len(year.lines)) == (dt.date(2026, 1, 1), 0, 3)


def test_the_pdf_holds_the_sentences_in_the_readers_language(clerk, member):
    answer = page(clerk, member, start="2026-06-01", last="2026-06-30", **{"as": "pdf"})

    reader = PdfReader(io.BytesIO(answer.content))
    text = "".join("".join(sheet.extract_text().replace("\0", "").split()) for sheet in reader.pages)
    assert len(reader.pages) == 1
    for word in ("积分明细", "陈思远", member.number, "行政酒廊下午茶", "−2,000", "3,300", "2026-08-01", "第1/1页"):
        assert word in text
    assert AuditEntry.objects.get(action="statement.exported").object_label == f"{member.number} pdf"


def test_the_csv_is_a_sheet(clerk, member):
    answer = page(clerk, member, start="2026-06-01", last="2026-06-30", **{"as": "csv"})

    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row[3] for row in rows[1:]] == ["5000", "3000", "3300", "3300"]
    assert rows[2][2] == "-2000"


@pytest.mark.parametrize("query", [{"start": "2026-06-30", "last": "2026-06-01"}, {"start": "gestern"}])
def test_wrong_days_are_told_at_the_field(clerk, member, query):
    answer = page(clerk, member, **query)

    assert answer.status_code == 422
    assert 'class="problem"' in answer.text


def test_a_long_statement_costs_no_more_queries(clerk, member):
    page(clerk, member)
    with CaptureQueriesContext(connection) as few:
        page(clerk, member)
    for _ in range(30):
        ledger.earn_points(actor=None, now=LATER, membership_id=member.pk, points=1, expires_on=None)
    with CaptureQueriesContext(connection) as many:
        page(clerk, member)

    assert len(many) == len(few) == 14


# The member's own


@pytest.fixture
def own(member):
    user = User.objects.create_user("a-guest")
    Guest.objects.filter(pk=member.guest_id).update(user=user)
    return Client(headers={"Authorization": f"Token {AuthToken.objects.create(user=user)[1]}", "Accept-Language": "en"})


def test_a_member_reads_the_own_statement(own, member):
    told = own.get("/api/v1/me/statement", {"start": "2026-06-01", "last": "2026-06-30"}).json()

    assert told["membership_number"] == member.number
    assert told["opening"] == {"available": 5000, "pending": 0, "held": 0, "debt": 0}
    assert told["closing"]["available"] == 3300
    assert [(line["date"], line["points"], line["property"]) for line in told["lines"]] == [
        ("2026-06-15", -2000, "AAA"),
        ("2026-06-15", 300, "AAA"),
    ]
    assert told["expiring"] == [{"expires_on": "2026-08-01", "points": 300}]
    assert not told["is_cut"]


@pytest.mark.parametrize(
    ("suffix", "content_type", "begins"),
    [("pdf", "application/pdf", b"%PDF"), ("csv", "text/csv; charset=utf-8", b"\xef\xbb\xbfDate")],
)
def test_a_member_takes_the_statement_away(own, member, suffix, content_type, begins):
    answer = own.get("/api/v1/me/statement", {"as": suffix})

    assert (answer["Content-Type"], answer["Cache-Control"].partition(",")[0]) == (content_type, "max-age=0")
    assert answer.content.startswith(begins)
    assert member.number in answer["Content-Disposition"]


def test_wrong_days_are_refused(own):
    answer = own.get("/api/v1/me/statement", {"start": "2026-07-01", "last": "2026-06-01"})

    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid"
