"""Stays from a property's own system: once each, explained, and inside the client's scope."""

import threading
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import connections

from hotels.models import ApiRequest, Role
from loyalty.models import Posting
from members.models import Stay
from tests.api.requests import client_with_token, make_guest_account, post, stay_body
from tests.factories import NOW, make_programme, make_property, make_room_type, make_staff

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _today():
    with time_machine.travel(NOW.astimezone(ZoneInfo("UTC")), tick=False):
        yield


@pytest.fixture
def place():
    return make_property("SHA")


@pytest.fixture
def client(place):
    return client_with_token(make_staff(Role.INTEGRATION, place=place))


@pytest.fixture
def member():
    return make_guest_account("陈思远", "13800138000", programme=make_programme("CLUB"))


def number_of(member):
    return member.memberships.get().number


def test_a_stay_brings_its_points_and_says_why(client, place, member):
    make_room_type(place, "KING")
    body = stay_body(place, guest={"membership_number": number_of(member)}, room_type="KING", channel="ctrip")

    response = post(client, body)

    assert response.status_code == 201
    told = response.json()
    stay = Stay.objects.get()
    assert (told["id"], told["net_total"], told["nights"]) == (str(stay.public_id), "800.50", 2)
    assert (stay.channel, stay.room_type.code, stay.guest_id) == ("ctrip", "KING", member.pk)
    (award,) = told["awards"]
    assert (award["programme"], award["membership_number"], award["points"]) == ("CLUB", number_of(member), 800)
    assert award["parts"][0]["lines"] == ["1", "2"]
    assert award["parts"][0]["points"] == 800
    assert "800" in award["explanation"]


def test_a_guest_is_also_found_by_phone(client, place, member):
    response = post(client, stay_body(place, guest={"phone": "138-0013-8000"}))

    assert response.json()["awards"][0]["points"] == 800


@pytest.mark.parametrize("guest", [{}, {"guest": None}])
def test_a_stay_without_a_guest_waits_to_be_claimed(client, place, guest):
    response = post(client, stay_body(place, **guest))

    assert (response.status_code, response.json()["is_claimed"], response.json()["awards"]) == (201, False, [])


def test_a_retry_gets_the_first_answer(client, place, member):
    body = stay_body(place, guest={"phone": "13800138000"})
    first = post(client, body)

    again = post(client, dict(reversed(body.items())))

    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert (Stay.objects.count(), Posting.objects.count(), ApiRequest.objects.count()) == (1, 1, 1)


def test_the_same_key_with_other_data_is_a_conflict(client, place, member):
    post(client, stay_body(place, guest={"phone": "13800138000"}))

    response = post(client, stay_body(place, guest={"phone": "13800138000"}, room_number="1209"))

    assert (response.status_code, response.json()["code"]) == (409, "idempotency_conflict")
    assert Stay.objects.get().room_number == "1208"


def test_another_key_for_the_same_stay_makes_no_second_one(client, place, member):
    first = post(client, stay_body(place, guest={"phone": "13800138000"}))

    again = post(client, stay_body(place, guest={"phone": "13800138000"}), key="k-2")

    assert (again.status_code, again.json()) == (201, first.json())
    assert (Stay.objects.count(), Posting.objects.count()) == (1, 1)


def test_the_same_stay_with_other_content_is_a_conflict(client, place):
    post(client, stay_body(place))

    response = post(client, stay_body(place, departure_date="2026-06-11"), key="k-2")

    assert (response.status_code, response.json()["code"]) == (409, "stay_conflict")


def test_keys_of_two_clients_never_meet(place, client):
    other = client_with_token(make_staff(Role.INTEGRATION, place=place))
    post(client, stay_body(place))

    response = post(other, stay_body(place, source_reference="S-2"))

    assert response.status_code == 201
    assert Stay.objects.count() == 2


def test_a_refused_request_is_not_remembered(client, place):
    wrong = stay_body(place, guest={"membership_number": "GK-NOBODY"})
    assert post(client, wrong).status_code == 404

    response = post(client, stay_body(place))

    assert response.status_code == 201
    assert ApiRequest.objects.count() == 1


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, "idempotency_key_missing"),
        ("  ", "idempotency_key_missing"),
        ("k" * 121, "idempotency_key_invalid"),
        ("schlüssel", "idempotency_key_invalid"),
    ],
)
def test_a_key_is_required(client, place, key, code):
    response = post(client, stay_body(place), key=key)

    assert (response.status_code, response.json()["code"]) == (400, code)
    assert not Stay.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"departure_date": "2026-06-01"}, "departure_date"),
        ({"departure_date": "2026-06-16"}, "departure_date"),
        ({"departure_date": "9999-12-31"}, "departure_date"),
        ({"arrival_date": "08.06.2026"}, "arrival_date"),
        ({"currency": "yuan"}, "currency"),
        ({"room_type": "CASTLE"}, "room_type"),
        ({"lines": "none"}, "lines"),
        ({"lines": [{"reference": "1", "business_date": "2026-06-08", "category": "room"}]}, "lines"),
        (
            {"lines": [{"reference": "1", "business_date": "2026-06-08", "category": "golf", "net_amount": "1"}]},
            "lines",
        ),
        (
            {"lines": [{"reference": "1", "business_date": "2026-06-08", "category": "room", "net_amount": "NaN"}]},
            "lines",
        ),
        (
            {"lines": [{"reference": "1", "business_date": "2026-06-08", "category": "room", "net_amount": "1.005"}]},
            "lines",
        ),
        ({"source_reference": ""}, "source_reference"),
        ({"source_reference": "a\u0000b"}, "source_reference"),
        ({"source_system": "o p"}, "source_system"),
        ({"guest": {"phone": "1380013800"}}, "guest"),
        ({"guest": {}}, "guest"),
        ({"guest": {"phone": "13800138000", "membership_number": "1"}}, "guest"),
        ({"roomnumber": "1208"}, "roomnumber"),
    ],
)
def test_what_is_wrong_is_told_by_field(client, place, changes, field):
    response = post(client, stay_body(place, **changes))

    assert response.status_code == 400
    assert (response.json()["code"], list(response.json()["errors"])) == ("invalid", [field])
    assert not Stay.objects.exists()


@pytest.mark.parametrize(
    ("text", "status", "code"), [("{", 400, "parse_error"), ("[]", 400, "invalid"), ('"x"', 400, "invalid")]
)
def test_a_body_that_is_no_object_is_refused(client, text, status, code):
    response = client.post(
        "/api/v1/integration/stays", text, content_type="application/json", headers={"idempotency-key": "k"}
    )

    assert (response.status_code, response.json()["code"]) == (status, code)


def test_a_form_is_not_taken_for_json(client, place):
    response = client.post("/api/v1/integration/stays", {"property": "SHA"}, headers={"idempotency-key": "k"})

    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


def test_another_property_does_not_exist_for_the_client(client, member):
    elsewhere = make_property("BJS")

    for code in (elsewhere.code, "NOWHERE"):
        response = post(client, stay_body(elsewhere, property=code))
        assert (response.status_code, response.json()["code"]) == (404, "property_not_found")
    assert not Stay.objects.exists()


@pytest.mark.parametrize("guest", [{"membership_number": "GK99999999"}, {"phone": "13900139000"}])
def test_an_unknown_guest_is_not_found(client, place, guest):
    response = post(client, stay_body(place, guest=guest))

    assert (response.status_code, response.json()["code"]) == (404, "guest_not_found")
    assert not Stay.objects.exists()


def test_a_guest_cannot_post_stays(place, member):
    response = post(client_with_token(member.user), stay_body(place))

    assert (response.status_code, response.json()["code"]) == (403, "permission_denied")


def test_a_role_without_the_right_cannot_post_stays(place):
    response = post(client_with_token(make_staff(Role.MARKETER, place=place)), stay_body(place))

    assert response.status_code == 403


@pytest.mark.django_db(transaction=True)
def test_ten_parallel_retries_have_one_effect(client, place, member):
    body = stay_body(place, guest={"phone": "13800138000"})
    barrier = threading.Barrier(10)
    answers = []

    def send():
        barrier.wait()
        response = post(client, body)
        answers.append((response.status_code, response.json()))
        connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert len(answers) == 10
    assert all(answer == answers[0] for answer in answers)
    assert answers[0][0] == 201
    assert (Stay.objects.count(), Posting.objects.count(), ApiRequest.objects.count()) == (1, 1, 1)


@pytest.mark.django_db(transaction=True)
def test_parallel_requests_with_keys_of_their_own_make_one_stay(client, place, member):
    body = stay_body(place, guest={"phone": "13800138000"})
    barrier = threading.Barrier(6)
    statuses = []

    def send(number):
        barrier.wait()
        statuses.append(post(client, body, key=f"k-{number}").status_code)
        connections.close_all()

    threads = [threading.Thread(target=send, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert statuses == [201] * 6
    assert (Stay.objects.count(), Posting.objects.count()) == (1, 1)


def test_a_body_of_endless_nesting_is_the_clients_mistake(client):
    response = client.post(
        "/api/v1/integration/stays",
        "[" * 100_000 + "]" * 100_000,
        content_type="application/json",
        headers={"idempotency-key": "k-1"},
    )

    assert (response.status_code, response.json()["code"]) == (400, "parse_error")


@pytest.mark.parametrize("field", ["net_amount", "tax_amount"])
@pytest.mark.parametrize("amount", ["1000000.01", "-1000000.01"])
def test_a_charge_above_the_limit_is_refused_and_named(client, place, field, amount):
    body = stay_body(place)
    body["lines"][1][field] = amount

    response = post(client, body)

    assert response.status_code == 400
    (problem,) = response.json()["errors"]["lines"]
    assert problem["message"].startswith("明细 2")
    assert "1,000,000.00" in problem["message"]
    assert not Stay.objects.exists()
