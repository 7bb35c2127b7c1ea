"""A guest's own data, and nobody else's."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from knox.models import AuthToken

from hotels.models import AuditEntry, User
from hotels.services.tokens import issue_token
from tests.api.requests import add_stay, client_with_token, make_guest_account
from tests.factories import NOW, make_programme, make_property, make_staff

ADDRESSES = ["/api/v1/me", "/api/v1/me/points", "/api/v1/me/postings", "/api/v1/me/stays"]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _today():
    with time_machine.travel(NOW.astimezone(ZoneInfo("UTC")), tick=False):
        yield


@pytest.fixture
def place():
    return make_property()


@pytest.fixture
def programme():
    return make_programme()


@pytest.fixture
def guest(programme):
    return make_guest_account("陈思远", "13800138000", programme=programme)


def test_the_profile_shows_own_data_masked_and_the_way_to_the_next_tier(guest, place):
    add_stay(place, guest, reference="A", net="1000.00")

    body = client_with_token(guest.user).get("/api/v1/me").json()

    assert (body["id"], body["name"]) == (str(guest.public_id), "陈思远")
    assert {"kind": "phone", "masked": "138 **** 8000", "is_primary": True, "is_verified": False} in body["identities"]
    (membership,) = body["memberships"]
    assert (membership["tier"], membership["available"]) == ({"code": "base", "name": "普通"}, 1000)
    assert membership["next_tier"]["tier"]["code"] == "silver"
    assert membership["next_tier"]["percent"] == 20
    assert membership["next_tier"]["sentence"]
    assert "13800138000" not in str(body)


def test_points_are_listed_by_the_day_they_lapse(guest, place):
    add_stay(place, guest, reference="A", net="680.00")
    add_stay(place, guest, reference="B", net="320.00", departure=dt.date(2026, 6, 12))

    body = client_with_token(guest.user).get("/api/v1/me/points").json()

    assert (body["available"], body["pending"], body["held"], body["debt"]) == (1000, 0, 0, 0)
    assert sum(lot["points"] for lot in body["expiring"]) == 1000
    assert [lot["expires_on"] for lot in body["expiring"]] == sorted(lot["expires_on"] for lot in body["expiring"])


def test_each_movement_is_explained_in_the_language_asked_for(guest, place):
    add_stay(place, guest, reference="A")
    client = client_with_token(guest.user)

    chinese = client.get("/api/v1/me/postings").json()["results"][0]
    english = client.get("/api/v1/me/postings", headers={"accept-language": "en"}).json()["results"][0]

    assert (chinese["kind"], chinese["points"], chinese["available_after"]) == ("earn", 680, 680)
    assert english["property"] == {"code": place.code, "name": place.name_en}
    assert chinese["property"]["name"] == place.name
    assert "680" in chinese["explanation"]
    assert "680" in english["explanation"]
    assert english["explanation"].isascii() or "×" in english["explanation"]
    assert chinese["explanation"] != english["explanation"]


def test_pages_follow_one_another_without_gap_or_repetition(guest, place):
    for number in range(7):
        add_stay(place, guest, reference=f"S{number}", departure=dt.date(2026, 6, 1 + number // 3))
    client = client_with_token(guest.user)

    for address, name in (("/api/v1/me/postings?limit=3", "seq"), ("/api/v1/me/stays?limit=3", "id")):
        seen, url = [], address
        while url:
            page = client.get(url).json()
            seen += [row[name] for row in page["results"]]
            url = page["next"]
        assert len(seen) == len(set(seen)) == 7


def test_a_stay_shows_where_and_when(guest, place):
    add_stay(place, guest, reference="A", nights=2)

    (stay,) = client_with_token(guest.user).get("/api/v1/me/stays").json()["results"]

    assert (stay["arrival_date"], stay["departure_date"], stay["nights"]) == ("2026-06-08", "2026-06-10", 2)
    assert (stay["net_total"], stay["currency"], stay["property"]["code"]) == ("680.00", "CNY", place.code)
    assert "guest" not in stay


@pytest.mark.parametrize("address", ADDRESSES)
def test_two_guests_never_see_a_byte_of_each_other(address, programme, place, guest):
    other = make_guest_account("欧阳修远", "13900139111", programme=programme)
    add_stay(place, guest, reference="MINE-1", net="111.00")
    add_stay(place, other, reference="THEIRS-1", net="222.00")
    traces = {
        account.pk: [account.name, account.identities.get(kind="phone").masked, account.memberships.get().number]
        for account in (guest, other)
    }
    amounts = {guest.pk: "222", other.pk: "111"}

    for account, foreign in ((guest, other), (other, guest)):
        client = client_with_token(account.user)
        for query in ("", "?limit=100", f"?guest={foreign.pk}", f"?guest={foreign.public_id}", "?programme="):
            text = client.get(address + query).content.decode()
            assert not any(trace in text for trace in [*traces[foreign.pk], str(foreign.public_id)])
            assert f'"{amounts[account.pk]}.00"' not in text
            assert f'"points":{amounts[account.pk]}' not in text


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_number_of_queries_does_not_grow_with_the_rows(address, guest, place):
    client = client_with_token(guest.user)

    def queries():
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert client.get(address, {"limit": 100}).status_code == 200
        return len(captured)

    add_stay(place, guest, reference="S0")
    at_one = queries()
    for number in range(29):
        add_stay(place, guest, reference=f"S{number + 1}", departure=dt.date(2026, 5, 1 + number))

    assert queries() == at_one
    assert at_one <= 13


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(
    "header", ["", "Token", "Token nonsense", "Token gk_" + "0" * 64, "Bearer x", "Token \xff\xfe", "Token a b"]
)
def test_without_a_valid_token_nothing_is_told(address, header):
    response = Client(headers={"authorization": header} if header else {}).get(address)

    assert response.status_code == 401
    assert set(response.json()) == {"detail", "code"}
    assert response.json()["code"] in {"not_authenticated", "authentication_failed"}
    assert response["WWW-Authenticate"] == "Token"


@pytest.mark.parametrize("address", ADDRESSES)
def test_staff_are_not_guests(address):
    response = client_with_token(make_staff("group_manager")).get(address)

    assert (response.status_code, response.json()["code"]) in {(403, "guest_required"), (404, "membership_not_found")}


def test_staff_who_are_guests_see_their_own_data_only(programme, place, guest):
    add_stay(place, guest, reference="S0")
    user = make_staff("group_manager")
    own = make_guest_account("林芳", "13700137222", programme=programme)
    own.user = user
    own.save(update_fields=["user"])
    client = client_with_token(user)

    assert client.get("/api/v1/me/stays").json()["results"] == []
    assert client.get("/api/v1/me/postings").json()["results"] == []
    assert client.get("/api/v1/me").json()["name"] == "林芳"


def test_a_guest_without_membership_is_told_so():
    client = client_with_token(make_guest_account("王芳", "13600136333").user)

    assert client.get("/api/v1/me").json()["memberships"] == []
    assert client.get("/api/v1/me/points").json()["code"] == "membership_not_found"


def test_answers_are_kept_out_of_caches_and_speak_json_even_when_they_fail(guest):
    client = client_with_token(guest.user)

    assert "no-store" in client.get("/api/v1/me")["Cache-Control"]
    for response, code in (
        (client.delete("/api/v1/me"), "method_not_allowed"),
        (client.get("/api/v1/nothing"), "not_found"),
        (client.get("/api/v1/me/postings?cursor=nonsense"), "not_found"),
    ):
        assert (set(response.json()), response.json()["code"]) == ({"detail", "code"}, code)


def test_too_many_requests_are_slowed_down(guest, monkeypatch):
    monkeypatch.setattr("rest_framework.throttling.UserRateThrottle.get_rate", lambda _self: "2/min")
    client = client_with_token(guest.user)

    statuses = [client.get("/api/v1/me").status_code for _ in range(3)]

    assert statuses == [200, 200, 429]


def test_tokens_are_stored_hashed_printed_once_and_audited(capsys):
    user = User.objects.create_user(username="pms")

    call_command("issue_token", "--user", "pms", "--expires", "30")

    token = capsys.readouterr().out.strip()
    row = AuthToken.objects.get(user=user)
    assert token.startswith("gk_")
    assert token not in row.digest
    assert len(token) > len(row.token_key) + 20
    assert AuditEntry.objects.get(action="token.issued").object_label == "pms"


def test_a_token_ends_with_its_time_its_replacement_and_its_account(guest):
    client = client_with_token(guest.user)
    short = issue_token(actor=None, now=NOW, user=guest.user, lifetime=dt.timedelta(days=1))
    assert client.get("/api/v1/me").status_code == 200

    with time_machine.travel(NOW.astimezone(ZoneInfo("UTC")) + dt.timedelta(days=2)):
        assert Client(headers={"authorization": f"Token {short}"}).get("/api/v1/me").status_code == 401
    issue_token(actor=None, now=NOW, user=guest.user, replace=True)
    assert client.get("/api/v1/me").status_code == 401
    again = client_with_token(guest.user)
    User.objects.filter(pk=guest.user_id).update(is_active=False)
    assert again.get("/api/v1/me").status_code == 401
    with pytest.raises(CommandError):
        call_command("issue_token", "--user", guest.user.username)


@pytest.mark.parametrize("options", [["--user", "nobody"], ["--user", "pms", "--expires", "0"]])
def test_the_token_command_says_why_it_cannot(options):
    User.objects.create_user(username="pms")

    with pytest.raises(CommandError):
        call_command("issue_token", *options)


def test_the_document_and_its_pages_are_served_here():
    client = Client()

    assert "openapi: 3.1" in client.get("/api/schema/").content.decode()
    page = client.get("/api/docs/")
    assert page.status_code == 200
    html = page.content.decode()
    assert "<script>" not in html
    assert "<style" not in html
    assert "http" not in html.replace("http-equiv", "")
    assert client.get("/api/docs/?script=").status_code == 200


@pytest.mark.parametrize(
    ("address", "status"),
    [
        # Well-formed cursors at a position that no row can have.
        ("/api/v1/me/postings?cursor=cD1hYmM%3D", 404),
        ("/api/v1/me/stays?cursor=cD1hYmM%3D", 404),
        ("/api/v1/me/postings?cursor=garbage", 404),
        ("/api/v1/me/points?programme=%00", 400),
        ("/api/v1/me/points?%00=1", 400),
    ],
)
def test_nonsense_in_the_address_is_the_clients_mistake(programme, address, status):
    guest = make_guest_account("陈思远", "13800138000", programme=programme)

    assert client_with_token(guest.user).get(address).status_code == status
