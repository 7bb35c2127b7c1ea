"""Enrolling, stays, redemption and adjustment through the desk's pages."""

import datetime as dt
import re
import uuid
from decimal import Decimal

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from hotels.models import AuditEntry, Property, Role
from loyalty.models import Account, Membership, Posting, Redemption
from loyalty.services.walk_ins import enrol_walk_in
from members.models import Consent, Guest, Reservation, Stay
from members.services.guests import IdentityTaken, create_guest
from tests.factories import NOW, make_guest, make_member, make_programme, make_property, make_reward, make_staff

pytestmark = pytest.mark.django_db

PHONE = "13817756621"
UNMASKED = re.compile(r"(?<![\w-])1[3-9]\d{9}(?![\w-])")
IN_DIALOG = {"HX-Request": "true", "HX-Target": "dialog-body", "HX-Current-URL": "http://testserver/"}


@pytest.fixture(autouse=True)
def _balances_hold():
    yield
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.fixture
def place():
    return make_property()


@pytest.fixture
def programme():
    return make_programme()


@pytest.fixture
def receptionist(client, place):
    user = make_staff(place=place)
    client.force_login(user)
    return user


def key():
    return str(uuid.uuid4())


def url(name, guest):
    return reverse(f"loyalty:{name}", args=[guest.public_id])


def undo(client):
    """Follow the undo that the last action offers on the guest card."""
    page = client.get("/").content.decode()
    return client.post(
        re.search(r'<form method="post" action="([^"]+)" hx-post="[^"]+" hx-target="#guest"', page).group(1)
    )


def available(membership):
    return Account.objects.get(membership=membership).available


# Enrolment


def walk_in(**data):
    return {"request_key": key(), "name": "周晓明", "phone": "138 1775 6621", "consent_programme": "on", **data}


def test_a_walk_in_becomes_a_member(client, receptionist, place, programme):
    response = client.post(reverse("loyalty:enrol"), walk_in())

    membership = Membership.objects.select_related("guest").get()
    assert response["Location"] == reverse("members:guest", args=[membership.guest.public_id])
    assert (membership.enrolled_by, membership.enrolled_property) == (receptionist, place)
    assert Consent.objects.filter(guest=membership.guest, purpose="programme", granted=True).count() == 1
    assert set(Consent.objects.filter(purpose="marketing").values_list("granted", flat=True)) == {False}


def test_the_same_form_sent_twice_makes_one_member(client, receptionist, programme):
    data = walk_in()

    responses = [client.post(reverse("loyalty:enrol"), data) for _ in range(2)]

    assert [response.status_code for response in responses] == [302, 302]
    assert Guest.objects.count() == Membership.objects.count() == 1


def test_a_known_phone_shows_the_guest_instead(client, receptionist, programme):
    known = make_member(programme, name="陈思远", phone=PHONE).guest

    response = client.post(reverse("loyalty:enrol"), walk_in(), headers=IN_DIALOG)

    html = response.content.decode()
    assert response.status_code == 422
    assert reverse("members:guest", args=[known.public_id]) in html
    assert 'value="周晓明"' in html
    assert Guest.objects.count() == 1


def test_a_known_phone_of_a_guest_without_membership_leads_to_it(client, receptionist, programme):
    known = create_guest(actor=None, now=NOW, name="陈思远", phone=PHONE, source="test")

    html = client.post(reverse("loyalty:enrol"), walk_in()).content.decode()
    client.post(url("enrol_guest", known), {"request_key": key(), "consent_programme": "on"})

    assert url("enrol_guest", known) in html
    assert Membership.objects.get().guest == known


@pytest.mark.parametrize(
    ("field", "value"), [("name", ""), ("phone", "12345"), ("consent_programme", ""), ("email", "nonsense")]
)
def test_a_wrong_field_is_said_beside_it(client, receptionist, programme, field, value):
    response = client.post(reverse("loyalty:enrol"), walk_in(**{field: value}), headers=IN_DIALOG)

    assert response.status_code == 422
    assert f'id="id_{field}_error"' in response.content.decode()
    assert not Guest.objects.exists()


def test_somebody_else_with_the_number_is_not_the_same_form(place, programme):
    first, second = make_staff(place=place), make_staff(place=place)
    facts = {"now": timezone.now(), "programme": programme, "place": place, "name": "周晓明", "phone": PHONE}
    enrol_walk_in(actor=first, **facts)

    with pytest.raises(IdentityTaken):
        enrol_walk_in(actor=second, **facts)


def test_the_number_searched_for_is_filled_in(client, receptionist):
    answer = client.post(reverse("loyalty:enrol"), {"q": PHONE}, headers=IN_DIALOG)
    html = answer.content.decode()

    assert answer.status_code == 200

    assert re.search(rf'name="phone"[^>]*value="{PHONE}"|value="{PHONE}"[^>]*name="phone"', html)


# Stays


def stay(place, **data):
    today = place.local_date(timezone.now())
    return {
        "request_key": key(),
        "arrival_date": str(today - dt.timedelta(days=2)),
        "departure_date": str(today),
        "room_number": "1208",
        "amount_room": "1088.00",
        "amount_food": "100.00",
        **data,
    }


def test_a_stay_brings_points_and_says_why(client, receptionist, place, programme):
    member = make_member(programme, phone=PHONE)

    response = client.post(url("post_stay", member.guest), stay(place))
    page = client.get(response["Location"]).content.decode()

    assert available(member) == 1188
    assert Stay.objects.get().net_total == 1188
    assert "1,188" in page
    assert not UNMASKED.search(page)


def test_a_stay_sent_twice_counts_once(client, receptionist, place, programme):
    member = make_member(programme)
    data = stay(place)

    for _ in range(2):
        client.post(url("post_stay", member.guest), data)

    assert Stay.objects.count() == 1
    assert available(member) == 1188


def test_a_stay_sent_again_with_other_amounts_is_refused(client, receptionist, place, programme):
    member = make_member(programme)
    data = stay(place)
    client.post(url("post_stay", member.guest), data)

    response = client.post(url("post_stay", member.guest), {**data, "amount_room": "9999"})

    assert response.status_code == 422
    assert available(member) == 1188


def test_undoing_a_stay_leaves_both_entries(client, receptionist, place, programme):
    member = make_member(programme)
    client.post(url("post_stay", member.guest), stay(place))

    undo(client)

    assert Stay.objects.get().status == Stay.Status.VOIDED
    assert list(Posting.objects.order_by("seq").values_list("kind", "points")) == [("earn", 1188), ("clawback", -1188)]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount_room": "", "amount_food": ""}, "amount_room"),
        ({"amount_room": "-5"}, "amount_room"),
        ({"arrival_date": "2999-01-01", "departure_date": "2999-01-02"}, "departure_date"),
        ({"departure_date": "2020-01-01"}, "departure_date"),
        ({"arrival_date": "yesterday"}, "arrival_date"),
    ],
)
def test_an_impossible_stay_is_redrawn(client, receptionist, place, programme, changes, field):
    member = make_member(programme)

    response = client.post(url("post_stay", member.guest), stay(place, **changes), headers=IN_DIALOG)

    assert response.status_code == 422
    assert f'id="id_{field}_error"' in response.content.decode()
    assert not Stay.objects.exists()


def test_a_stay_of_a_guest_who_is_no_member_brings_nothing(client, receptionist, place, programme):
    guest = make_guest()

    client.post(url("post_stay", guest), stay(place))

    assert Stay.objects.count() == 1
    assert not Posting.objects.exists()


# The largest amount


@pytest.mark.parametrize(
    ("currency", "largest", "over"),
    [("CNY", "1000000.00", "1000000.01"), ("JPY", "20000000", "20000001"), ("CHF", "1000000", "99999999.99")],
)
def test_an_amount_above_the_limit_of_the_currency_is_refused_at_its_field(
    client, receptionist, place, programme, currency, largest, over
):
    Property.objects.filter(pk=place.pk).update(currency=currency)
    member = make_member(programme)

    refused = client.post(url("post_stay", member.guest), stay(place, amount_food=over))
    taken = client.post(url("post_stay", member.guest), stay(place, amount_food=largest))

    html = refused.content.decode()
    assert (refused.status_code, taken.status_code) == (422, 302)
    assert 'id="id_amount_food_error"' in html
    assert 'id="id_amount_room_error"' not in html
    assert f"{Decimal(largest):,.2f}" in html
    assert "检查小数点" in html
    assert f'value="{over}"' in html


def test_the_limit_is_a_setting(client, receptionist, place, programme, settings):
    settings.GUIKE_MAX_LINE_AMOUNT = {"*": 50}
    member = make_member(programme)

    assert client.post(url("post_stay", member.guest), stay(place)).status_code == 422
    assert not Stay.objects.exists()


# The booking of a stay


def book(place, guest, *, arrives=-2, leaves=0, number="R1", status="in_house", **facts):
    today = place.local_date(timezone.now())
    return Reservation.objects.create(
        **{
            "property": place,
            "guest": guest,
            "source_system": "pms",
            "source_reference": number,
            "arrival_date": today + dt.timedelta(days=arrives),
            "departure_date": today + dt.timedelta(days=leaves),
            "status": status,
            "status_date": today + dt.timedelta(days=arrives),
            "currency": "CNY",
            "channel": "ctrip",
            **facts,
        }
    )


def standing(*bookings):
    return [Reservation.objects.get(pk=booking.pk).status for booking in bookings]


@pytest.mark.parametrize(
    ("arrives", "leaves", "status"),
    [
        (-2, 0, "in_house"),
        (-2, 3, "in_house"),  # leaves early
        (-3, -1, "in_house"),  # stayed on
        (-2, 0, "reserved"),  # nobody checked them in
        (-3, 1, "reserved"),
    ],
)
def test_a_stay_checks_its_booking_out(client, receptionist, place, programme, arrives, leaves, status):
    member = make_member(programme)
    booking = book(place, member.guest, arrives=arrives, leaves=leaves, status=status)

    response = client.post(url("post_stay", member.guest), stay(place))

    posted = Stay.objects.get()
    assert (posted.reservation, posted.channel) == (booking, "ctrip")
    assert standing(booking) == ["checked_out"]
    assert AuditEntry.objects.filter(action="reservation.checked_out", before__status=status).count() == 1
    assert "预订 R1 已办理退房" in client.get(response["Location"]).content.decode()


@pytest.mark.parametrize(
    ("arrives", "leaves", "status"),
    [
        (-9, -2, "in_house"),  # shares no night
        (0, 2, "reserved"),  # the next one
        (-1, 0, "reserved"),  # holds only a part
        (-2, 0, "canceled"),
        (-2, 0, "no_show"),
        (-2, 0, "checked_out"),
    ],
)
def test_a_stay_leaves_other_bookings_alone(client, receptionist, place, programme, arrives, leaves, status):
    member = make_member(programme)
    booking = book(place, member.guest, arrives=arrives, leaves=leaves, status=status)

    client.post(url("post_stay", member.guest), stay(place))

    assert Stay.objects.get().reservation is None
    assert standing(booking) == [status]


def test_bookings_of_others_and_elsewhere_are_left_alone(client, receptionist, place, programme):
    member = make_member(programme)
    bookings = [book(place, make_guest(), number="R1"), book(make_property(), member.guest, number="R2")]

    client.post(url("post_stay", member.guest), stay(place))

    assert Stay.objects.get().reservation is None
    assert standing(*bookings) == ["in_house", "in_house"]


@pytest.mark.parametrize("status", ["in_house", "reserved"])
def test_undoing_a_stay_restores_its_booking_and_frees_it(client, receptionist, place, programme, status):
    member = make_member(programme)
    booking = book(place, member.guest, status=status)
    since = booking.status_date
    client.post(url("post_stay", member.guest), stay(place))

    undo(client)
    booking.refresh_from_db()
    client.post(url("post_stay", member.guest), stay(place))

    assert (booking.status, booking.status_date) == (status, since)
    assert [one.reservation for one in Stay.objects.order_by("pk")] == [None, booking]
    assert standing(booking) == ["checked_out"]


def test_a_stay_of_a_booking_sent_twice_counts_once(client, receptionist, place, programme):
    member = make_member(programme)
    bookings = [book(place, member.guest), book(place, member.guest, number="R2")]
    data = stay(place, booking=str(bookings[1].public_id), room_number="")

    statuses = [client.post(url("post_stay", member.guest), data).status_code for _ in range(2)]

    assert statuses == [302, 302]
    assert Stay.objects.get().reservation == bookings[1]
    assert standing(*bookings) == ["in_house", "checked_out"]


def test_of_two_bookings_the_room_decides(client, receptionist, place, programme):
    member = make_member(programme)
    bookings = [
        book(place, member.guest, room_number="1207"),
        book(place, member.guest, number="R2", room_number="1208"),
    ]

    client.post(url("post_stay", member.guest), stay(place, room_number="1208"))

    assert Stay.objects.get().reservation == bookings[1]
    assert standing(*bookings) == ["in_house", "checked_out"]


def test_of_two_bookings_without_a_room_the_receptionist_chooses(client, receptionist, place, programme):
    member = make_member(programme)
    bookings = [book(place, member.guest), book(place, member.guest, number="R2")]
    data = stay(place)

    asked = client.post(url("post_stay", member.guest), data)
    html = asked.content.decode()
    chosen = client.post(url("post_stay", member.guest), {**data, "booking": str(bookings[0].public_id)})

    assert (asked.status_code, chosen.status_code) == (422, 302)
    assert all(text in html for text in ("R1", "R2", 'id="id_booking_error"', 'value="1088.00"'))
    assert Stay.objects.get().reservation == bookings[0]
    assert standing(*bookings) == ["checked_out", "in_house"]


def test_none_of_the_bookings_is_an_answer(client, receptionist, place, programme):
    member = make_member(programme)
    bookings = [book(place, member.guest), book(place, member.guest, number="R2")]

    client.post(url("post_stay", member.guest), stay(place, booking="none"))

    assert Stay.objects.get().reservation is None
    assert standing(*bookings) == ["in_house", "in_house"]


def test_a_stay_of_another_property_cannot_be_voided(client, receptionist, place, programme):
    member = make_member(programme)
    client.post(url("post_stay", member.guest), stay(place))
    client.force_login(make_staff(place=make_property()))

    response = client.post(reverse("loyalty:void_stay", args=[Stay.objects.get().public_id]))

    assert response.status_code == 404


def test_a_manager_moves_a_stay_to_the_right_member_and_back(client, place, programme):
    wrong, right = make_member(programme), make_member(programme)
    client.force_login(make_staff(Role.PROPERTY_MANAGER, place=place))
    client.post(url("post_stay", wrong.guest), stay(place))
    posted = Stay.objects.get()
    brought = Posting.objects.get(account__membership=wrong).points
    move = reverse("loyalty:move_stay", args=[posted.public_id])
    assert move in client.get(reverse("members:guest", args=[wrong.guest.public_id])).content.decode()
    assert client.post(move, {"request_key": key(), "number": "none", "reason": "同名"}).status_code == 422
    assert client.post(move, {"request_key": key(), "number": right.number, "reason": ""}).status_code == 422

    assert client.post(move, {"request_key": key(), "number": right.number, "reason": "同名"}).status_code == 302

    earned = Account.objects.get(membership=right)
    assert earned.available + earned.pending == brought
    assert available(wrong) == 0
    assert client.post(move, {"request_key": key(), "number": wrong.number, "reason": "弄错"}).status_code == 302
    assert Stay.objects.get().guest == wrong.guest
    client.force_login(make_staff(place=place))
    assert client.get(move).status_code == 403


# Redemption


def test_a_reward_is_redeemed_once_however_often_it_is_sent(client, receptionist, programme):
    member, reward = make_member(programme, points=5000), make_reward(programme, points=2000)
    data = {"request_key": key(), "reward": reward.pk}

    for _ in range(3):
        assert client.post(url("redeem", member.guest), data).status_code == 302

    assert Redemption.objects.count() == 1
    assert available(member) == 3000


def test_too_few_points_are_refused_with_both_figures(client, receptionist, programme):
    member, reward = make_member(programme, points=1860), make_reward(programme, points=2000)

    response = client.post(url("redeem", member.guest), {"request_key": key(), "reward": reward.pk}, headers=IN_DIALOG)

    html = response.content.decode()
    assert response.status_code == 422
    assert re.search(r"2,?000\b.*1,?860", html)
    assert available(member) == 1860


def test_undoing_a_redemption_leaves_both_entries(client, receptionist, programme):
    member, reward = make_member(programme, points=5000), make_reward(programme, points=2000)
    client.post(url("redeem", member.guest), {"request_key": key(), "reward": reward.pk})

    undo(client)

    assert available(member) == 5000
    assert list(Posting.objects.order_by("seq").values_list("kind", "points")) == [
        ("earn", 5000),
        ("redeem", -2000),
        ("refund", 2000),
    ]


def test_a_guest_without_membership_has_nothing_to_redeem(client, receptionist, programme):
    assert client.get(url("redeem", make_guest())).status_code == 404


def test_a_marketer_may_not_redeem(client, place, programme):
    client.force_login(make_staff(Role.MARKETER))
    member, reward = make_member(programme, points=5000), make_reward(programme)

    response = client.post(url("redeem", member.guest), {"request_key": key(), "reward": reward.pk})

    assert response.status_code == 403
    assert available(member) == 5000


# Adjustment


def test_a_manager_adjusts_points_and_takes_it_back(client, place, programme):
    client.force_login(make_staff(Role.PROPERTY_MANAGER, place=place))
    member = make_member(programme, points=1000)
    data = {"request_key": key(), "points": "-300", "reason": "重复入账"}

    for _ in range(2):
        client.post(url("adjust", member.guest), data)
    assert available(member) == 700
    undo(client)

    assert available(member) == 1000


@pytest.mark.parametrize(("points", "reason"), [("0", "x"), ("abc", "x"), ("100", ""), ("-5000", "too many")])
def test_a_wrong_adjustment_is_redrawn(client, place, programme, points, reason):
    client.force_login(make_staff(Role.PROPERTY_MANAGER, place=place))
    member = make_member(programme, points=1000)

    response = client.post(
        url("adjust", member.guest), {"request_key": key(), "points": points, "reason": reason}, headers=IN_DIALOG
    )

    assert response.status_code == 422
    assert available(member) == 1000


def test_a_receptionist_may_not_adjust(client, receptionist, programme):
    member = make_member(programme)

    assert client.get(url("adjust", member.guest)).status_code == 403
    assert (
        url("adjust", member.guest)
        not in client.get(reverse("members:guest", args=[member.guest.public_id])).content.decode()
    )


# Statement


def test_the_statement_lists_every_movement(client, receptionist, programme):
    member, reward = make_member(programme, phone=PHONE, points=5000), make_reward(programme, points=2000)
    client.post(url("redeem", member.guest), {"request_key": key(), "reward": reward.pk})

    html = client.get(url("statement", member.guest)).content.decode()

    assert ["+5,000" in html, "−2,000" in html, "3,000" in html] == [True, True, True]
    assert not UNMASKED.search(html)


@pytest.mark.parametrize("name", ["enrol_guest", "post_stay", "redeem", "adjust", "statement"])
def test_actions_on_an_unknown_guest_are_404(client, place, programme, name):
    client.force_login(make_staff(Role.GROUP_MANAGER))

    assert client.get(reverse(f"loyalty:{name}", args=[uuid.uuid4()])).status_code == 404
