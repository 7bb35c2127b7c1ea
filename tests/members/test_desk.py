"""The desk through HTTP: list, search, guest card, reveal, notes, guest list, registration card."""

import datetime as dt
import re
import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from hotels.models import AuditEntry, Role
from members.models import Guest, GuestTag, Preference, Tag
from members.services.guests import create_guest, update_guest
from members.services.preferences import add_preference
from members.services.reservations import ReservationInput, store_reservation
from tests.factories import make_guest, make_member, make_programme, make_property, make_staff

pytestmark = pytest.mark.django_db

PHONE = "13817756621"
# Session, user, rights, properties; then the guest and every panel.
CARD_QUERIES = 38
UNMASKED = re.compile(r"(?<![\w-])1[3-9]\d{9}(?![\w-])")
INTO_CARD = {"HX-Request": "true", "HX-Target": "guest", "HX-Current-URL": "http://testserver/"}


@pytest.fixture
def place():
    return make_property()


@pytest.fixture
def receptionist(client, place):
    user = make_staff(place=place)
    client.force_login(user)
    return user


def enrol(name="陈思远", phone=PHONE, **facts):
    return create_guest(actor=None, now=timezone.now(), name=name, phone=phone, source="test", **facts)


def card(guest):
    return reverse("members:guest", args=[guest.public_id])


def book(place, guest, number, status="in_house", nights=2, room=""):
    today = place.local_date(timezone.now())
    store_reservation(
        actor=None,
        now=timezone.now(),
        row=ReservationInput(
            place_id=place.pk,
            source_system="pms",
            source_reference=f"R{number}",
            guest_id=guest.pk,
            arrival_date=today,
            departure_date=today + dt.timedelta(days=nights),
            status=status,
            currency="CNY",
            room_number=room,
        ),
    )


def count_queries(client, url, **headers):
    with CaptureQueriesContext(connection) as captured:
        response = client.get(url, headers=headers)
    assert response.status_code == 200
    return len(captured)


# Who may come in


@pytest.mark.parametrize("url", ["/", "/desk/search/", "/guests/"])
def test_the_desk_asks_for_a_login(client, url):
    assert client.get(url)["Location"].startswith(reverse("account_login"))


def test_an_integration_does_not_see_the_desk(client, place):
    client.force_login(make_staff(Role.INTEGRATION, place=place))

    assert client.get("/").status_code == 403


def test_staff_without_a_property_are_told_so(client):
    user = make_staff()
    client.force_login(user)

    assert client.get("/").status_code == 403


def test_a_lost_session_sends_htmx_to_the_login_and_back(client, place):
    url = card(enrol())

    response = client.get(url, headers=INTO_CARD)

    assert response.status_code == 401
    assert response["HX-Redirect"] == f"{reverse('account_login')}?next=/"


# The list


def test_todays_guests_are_counted_and_listed(client, receptionist, place):
    book(place, enrol("陈思远", "13817756621"), 1, room="1208")
    book(place, enrol("王雨桐", "13601198834"), 2, status="reserved")
    book(place, enrol("赵子涵", "18616620093"), 3, nights=0, room="0612")

    html = client.get("/").content.decode()

    assert [html.count(name) for name in ("陈思远", "王雨桐", "赵子涵")] == [1, 1, 1]
    assert re.findall(r"<b>(\d+)</b></a>", html) == ["3", "1", "2", "1"]
    assert not UNMASKED.search(html)
    assert "138 **** 6621" in html


@pytest.mark.parametrize(("section", "name"), [("due_in", "王雨桐"), ("due_out", "赵子涵")])
def test_a_section_narrows_the_list(client, receptionist, place, section, name):
    book(place, enrol("王雨桐", "13601198834"), 2, status="reserved")
    book(place, enrol("赵子涵", "18616620093"), 3, nights=0, room="0612")

    response = client.get(f"/?section={section}", headers={"HX-Request": "true", "HX-Target": "queue-list"})

    assert re.findall(r'class="clip">(.*?)<', response.content.decode()) == [name]


def test_guests_of_another_property_are_not_in_the_list(client, receptionist, place):
    book(make_property(), enrol(), 1)

    assert "陈思远" not in client.get("/").content.decode()


def test_the_list_costs_the_same_for_one_and_thirty_guests(client, receptionist, place):
    book(place, enrol("陈思远", "13800000100"), 1)
    client.get("/")
    one = count_queries(client, "/")
    for number in range(2, 31):
        book(place, enrol("陈思远", f"138000001{number:02d}"), number)

    assert count_queries(client, "/") == one


# Search


def test_the_search_answers_with_rows_alone(client, receptionist):
    enrol()

    response = client.post("/desk/search/", {"q": "6621"}, headers={"HX-Request": "true", "HX-Target": "queue"})
    html = response.content.decode()

    assert "<html" not in html
    assert 'class="hit cursor"' in html
    assert response["Cache-Control"].find("no-store") >= 0
    assert not UNMASKED.search(html)


def test_the_search_works_as_a_plain_page(client, receptionist):
    enrol()

    html = client.post("/desk/search/", {"q": "csy"}).content.decode()

    assert "<html" in html
    assert "陈思远" in html


def test_an_unknown_number_offers_to_enroll_with_it(client, receptionist):
    html = client.post("/desk/search/", {"q": "13912345678"}, headers={"HX-Target": "queue"}).content.decode()

    assert re.search(rf'<form[^>]* action="{reverse("loyalty:enrol")}".*name="q" value="13912345678"', html, re.DOTALL)


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true", "HX-Target": "queue"}])
def test_no_address_and_no_log_line_holds_what_was_searched_for(client, receptionist, caplog, headers):
    answer = client.post("/desk/search/", {"q": "13912345678"}, headers=headers)

    addresses = re.findall(r'(?:href|action|hx-get|hx-post)="([^"]*)"', answer.content.decode())
    assert "13912345678" in answer.content.decode()
    assert [address for address in addresses if "139" in address] == []
    assert "13912345678" not in caplog.text
    assert "/desk/search/" in caplog.text


def test_an_address_with_a_number_searches_for_nothing(client, receptionist):
    enrol()

    html = client.get(f"/?q={PHONE}").content.decode()

    assert 'class="hit' not in html
    assert f'name="q" value="{PHONE}"' not in html


def test_what_was_typed_is_escaped(client, receptionist):
    html = client.post("/desk/search/", {"q": "<script>alert(1)</script>"}).content.decode()

    assert "<script>alert" not in html


# The card


def test_an_unknown_guest_is_a_404(client, receptionist):
    assert client.get(reverse("members:guest", args=[uuid.uuid4()])).status_code == 404


def test_safety_alerts_come_first_and_are_announced(client, receptionist, place):
    guest = enrol()
    add_preference(
        actor=None, now=timezone.now(), guest_id=guest.pk, category="allergy", text="花生", source="t", place=place
    )

    html = client.get(card(guest)).content.decode()

    assert html.index('role="alert"') < html.index('class="columns"')
    assert "花生" in html


def test_the_card_hides_the_numbers(client, receptionist):
    guest = enrol(email="chen@example.com", document_number="11010519491231002X")

    html = client.get(card(guest)).content.decode()

    assert not UNMASKED.search(html)
    assert "chen@example.com" not in html
    assert "11010519491231002X" not in html


def test_htmx_gets_the_card_alone(client, receptionist):
    guest = enrol()

    response = client.get(card(guest), headers=INTO_CARD)

    assert response["HX-Retarget"] == "#guest"
    assert "<html" not in response.content.decode()


def test_a_page_without_a_desk_goes_to_the_card(client, receptionist):
    guest = enrol()
    headers = {**INTO_CARD, "HX-Target": "dialog-body", "HX-Current-URL": "http://testserver/tickets/"}

    assert client.get(card(guest), headers=headers)["HX-Redirect"] == card(guest)


def test_the_card_costs_the_same_for_every_member(client, receptionist, place):
    programme = make_programme()
    poor = make_member(programme, name="陈思远", phone=PHONE).guest
    rich = make_member(programme, name="王雨桐", phone="13601198834", points=5000).guest
    book(place, rich, 1, room="1208")
    for number in range(30):
        add_preference(
            actor=receptionist,
            now=timezone.now(),
            guest_id=rich.pk,
            category="room",
            text=f"愿望 {number}",
            source="t",
            place=place,
        )
    client.get(card(poor), headers=INTO_CARD)

    counts = [count_queries(client, card(guest), **INTO_CARD) for guest in (poor, rich)]

    assert counts == [CARD_QUERIES, CARD_QUERIES]


# Reveal


def test_revealing_needs_the_right_and_leaves_a_trace(client, receptionist, place):
    guest = enrol()
    identity = guest.identities.get(kind="phone")
    url = reverse("members:reveal", args=[guest.public_id])

    response = client.post(url, {"identity": identity.pk}, headers={"HX-Request": "true"})

    assert "138 1775 6621" in response.content.decode() or PHONE in response.content.decode()
    entry = AuditEntry.objects.filter(actor=receptionist).latest("pk")
    assert (entry.object_id, entry.after["kind"], entry.after["page"]) == (str(guest.pk), "phone", card(guest))


def test_revealing_without_the_right_is_refused(client, place):
    client.force_login(make_staff(Role.AUDITOR))
    guest = enrol()

    response = client.post(reverse("members:reveal", args=[guest.public_id]), {"identity": "1"})

    assert response.status_code == 403


def test_a_number_of_another_guest_cannot_be_revealed(client, receptionist):
    guest, other = enrol(), enrol("王雨桐", "13601198834")

    response = client.post(
        reverse("members:reveal", args=[guest.public_id]), {"identity": other.identities.get(kind="phone").pk}
    )

    assert response.status_code == 404


def test_the_daily_limit_stops_revealing(client, receptionist, settings):
    settings.GUIKE_REVEAL_DAILY_LIMIT = 1
    guest = enrol()
    url, data = reverse("members:reveal", args=[guest.public_id]), {"identity": guest.identities.get(kind="phone").pk}

    statuses = [client.post(url, data, headers={"HX-Request": "true"}).status_code for _ in range(2)]

    assert statuses == [200, 429]


# Notes


def key():
    return str(uuid.uuid4())


def test_a_preference_is_added_and_undone(client, receptionist):
    guest = enrol()
    data = {"request_key": key(), "category": "room", "severity": "wish", "text": "高楼层"}

    response = client.post(reverse("members:add_preference", args=[guest.public_id]), data)
    page = client.get(response["Location"]).content.decode()
    undo = re.search(r'action="([^"]+/remove/\?undo=1)"', page).group(1)
    client.post(undo)

    assert not Preference.objects.exists()
    assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))[-2:] == [
        "preference.added",
        "preference.removed",
    ]


def test_a_removed_preference_comes_back_whole(client, receptionist, place):
    guest = enrol()
    note = add_preference(
        actor=None, now=timezone.now(), guest_id=guest.pk, category="allergy", text="花生", source="pms", place=place
    )

    client.post(reverse("members:remove_preference", args=[guest.public_id, note.pk]))
    assert not Preference.objects.exists()
    client.post(reverse("members:restore_preference", args=[guest.public_id]))

    back = Preference.objects.get()
    assert (back.category, back.severity, back.text, back.source) == ("allergy", "alert", "花生", "pms")


def test_an_empty_preference_is_redrawn_with_what_was_chosen(client, receptionist):
    guest = enrol()
    data = {"request_key": key(), "category": "food", "severity": "notice", "text": ""}

    response = client.post(reverse("members:add_preference", args=[guest.public_id]), data)

    assert response.status_code == 422
    html = response.content.decode()
    assert re.search(r'value="food"[^>]*checked', html)
    assert 'aria-invalid="true"' in html


def test_a_tag_is_put_on_taken_off_and_restored(client, receptionist):
    guest, tag = enrol(), Tag.objects.create(code="vip", name="贵宾", name_en="VIP")

    client.post(reverse("members:add_tag", args=[guest.public_id]), {"request_key": key(), "tag": tag.pk})
    assert GuestTag.objects.count() == 1
    client.post(reverse("members:remove_tag", args=[guest.public_id, "vip"]))
    assert GuestTag.objects.count() == 0
    client.post(reverse("members:restore_tag", args=[guest.public_id, "vip"]))
    assert GuestTag.objects.count() == 1


def test_an_auditor_changes_nothing(client, place):
    client.force_login(make_staff(Role.AUDITOR))
    guest = enrol()

    response = client.post(
        reverse("members:add_preference", args=[guest.public_id]),
        {"request_key": key(), "category": "room", "severity": "wish", "text": "x"},
    )

    assert response.status_code == 403


# All guests


def test_guests_are_paged_from_the_last_one_seen(client, receptionist):
    for number in range(35):
        make_guest(f"宾客{number:02d}")

    first = client.get("/guests/").content.decode()
    following = client.get(re.search(r'href="(\?[^"]*before=\d+)"', first).group(1).replace("?", "/guests/?"))

    names = re.findall(r"宾客\d\d", first) + re.findall(r"宾客\d\d", following.content.decode())
    assert names == [f"宾客{number:02d}" for number in reversed(range(35))]


def test_guests_are_filtered(client, receptionist, place):
    wanted = make_guest("陈思远")
    make_guest("陈静")
    add_preference(
        actor=None, now=timezone.now(), guest_id=wanted.pk, category="medical", text="起搏器", source="t", place=place
    )

    html = client.get("/guests/?name=陈&alert=on").content.decode()

    assert "陈思远" in html
    assert "陈静" not in html


def test_the_guest_list_costs_the_same_for_one_and_thirty(client, receptionist):
    make_guest()
    client.get("/guests/")
    one = count_queries(client, "/guests/")
    Guest.objects.bulk_create(Guest(name=f"宾客{number}") for number in range(29))

    assert count_queries(client, "/guests/") == one


def test_an_empty_filter_says_why(client, receptionist):
    make_guest()

    assert '/guests/">' in client.get("/guests/?name=没有").content.decode()


# Paper


def test_the_registration_card_is_masked(client, receptionist, place):
    guest = enrol(document_number="11010519491231002X")
    book(place, guest, 1, room="1208")

    html = client.get(reverse("members:registration_card", args=[guest.public_id])).content.decode()

    assert "1208" in html
    assert not UNMASKED.search(html)
    assert "11010519491231002X" not in html


# The profile


def profile(guest, **data):
    return {"request_key": key(), "version": guest.version, "name": guest.name, "company": "", **data}


def test_a_profile_is_changed(client, receptionist):
    guest = enrol()

    client.post(
        reverse("members:edit_guest", args=[guest.public_id]), profile(guest, company="星河软件", phone="13601198834")
    )

    guest.refresh_from_db()
    assert guest.company == "星河软件"
    assert guest.identities.get(kind="phone", is_primary=True).masked == "136 **** 8834"


def test_an_outdated_profile_shows_both_values_and_who_was_faster(client, receptionist, place):
    guest = enrol()
    colleague = make_staff(place=place, display_name="周敏")
    update_guest(
        actor=colleague,
        now=timezone.now(),
        guest_id=guest.pk,
        expected_version=guest.version,
        changes={"company": "旧公司"},
        place=place,
    )
    url, data = reverse("members:edit_guest", args=[guest.public_id]), profile(guest, company="新公司")

    refused = client.post(url, data)
    html = refused.content.decode()

    assert refused.status_code == 409
    assert ["周敏" in html, "旧公司" in html, "新公司" in html] == [True, True, True]
    version = re.search(r'name="version" value="(\d+)"', html).group(1)
    assert client.post(url, {**data, "version": version}).status_code == 302
    guest.refresh_from_db()
    assert guest.company == "新公司"


def test_a_profile_form_does_not_carry_the_numbers(client, receptionist):
    guest = enrol(email="chen@example.com")

    html = client.get(reverse("members:edit_guest", args=[guest.public_id])).content.decode()

    assert not UNMASKED.search(html)
    assert "chen@example.com" not in html


def test_somebody_elses_phone_is_refused_in_the_profile(client, receptionist):
    guest, other = enrol(), enrol("王雨桐", "13601198834")

    response = client.post(reverse("members:edit_guest", args=[guest.public_id]), profile(guest, phone="13601198834"))

    assert response.status_code == 422
    assert card(other) in response.content.decode()
