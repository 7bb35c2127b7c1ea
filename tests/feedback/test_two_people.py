"""Two people on one ticket: who else is there, and what happened while somebody was writing."""

import datetime as dt
import re
import uuid

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from feedback import services
from feedback.models import Ticket
from hotels.models import Presence, Role
from hotels.selectors import PRESENT_FOR, others_present
from hotels.services.presence import delete_old_presences, note_presence
from tests.factories import NOW, make_guest, make_property, make_staff

pytestmark = pytest.mark.django_db


@pytest.fixture
def place():
    return make_property()


@pytest.fixture
def lin(place):
    return make_staff(Role.GUEST_SERVICE, place=place, display_name="林芳")


@pytest.fixture
def zhao(client, place):
    user = make_staff(Role.GUEST_SERVICE, place=place, display_name="赵伟")
    client.force_login(user)
    return user


@pytest.fixture
def ticket(place, lin):
    return services.open_ticket(
        actor=lin, now=NOW, guest_id=make_guest().pk, place=place, category="noise", severity="high", subject="空调"
    )


def url(name, ticket):
    return reverse(f"feedback:{name}", args=[ticket.public_id])


def opened_form(client, ticket, **data):
    """The close form as it stands on the page the user has open."""
    html = client.get(url("ticket", ticket)).content.decode()
    seen = re.search(r'name="seen" value="(\d+)"', html).group(1)
    return {"request_key": str(uuid.uuid4()), "seen": seen, "root_cause": "staff", "resolution": "道歉", **data}


# What happened meanwhile


def test_closing_what_a_colleague_closed_shows_both_who_and_when(client, zhao, lin, ticket):
    data = opened_form(client, ticket)
    with time_machine.travel(dt.datetime(2026, 6, 15, 2, 32, tzinfo=dt.UTC), tick=False):
        services.close_ticket(root_cause="staff", actor=lin, now=timezone.now(), ticket_id=ticket.pk, resolution="换房")

        answer = client.post(url("close", ticket), data)

    html = answer.content.decode()
    alert = re.search(r'class="problems".*?</div>', html, re.DOTALL).group()
    assert answer.status_code == 409
    assert all(text in alert for text in ("林芳", "换房", "道歉", "今天 06-15 10:32"))
    # The words are not lost: they wait in the form for a note.
    assert re.search(r'<textarea name="text"[^>]*>\s*道歉</textarea>', html)
    assert list(ticket.events.filter(kind="closed").values_list("text", flat=True)) == ["换房"]


def test_closing_past_an_unread_note_asks_once_more(client, zhao, lin, ticket):
    data = opened_form(client, ticket)
    services.add_note(actor=lin, now=NOW, ticket_id=ticket.pk, text="客人要求退款")

    refused = client.post(url("close", ticket), data)
    html = refused.content.decode()
    again = {
        **data,
        "seen": re.search(r'name="seen" value="(\d+)"', html).group(1),
        "request_key": re.search(r'name="request_key" value="([^"]+)"', html).group(1),
    }
    ticket.refresh_from_db()
    status_between = ticket.status
    taken = client.post(url("close", ticket), again)

    ticket.refresh_from_db()
    assert (refused.status_code, taken.status_code) == (409, 302)
    assert "客人要求退款" in html
    assert re.search(r'<textarea name="resolution"[^>]*>\s*道歉</textarea>', html)
    assert (status_between, ticket.status) == (Ticket.Status.OPEN, Ticket.Status.CLOSED)


def test_ones_own_doings_in_another_window_are_no_news(client, zhao, ticket):
    data = opened_form(client, ticket)
    services.add_note(actor=zhao, now=NOW, ticket_id=ticket.pk, text="我自己写的")

    assert client.post(url("close", ticket), data).status_code == 302


# Who else is there


def test_others_are_named_and_oneself_is_not(client, zhao, lin, ticket):
    note_presence(actor=lin, now=timezone.now(), target=ticket)

    answer = client.post(url("presence", ticket)).content.decode()

    assert "林芳 正在处理" in answer
    assert "赵伟" not in answer
    assert "林芳 正在处理" in client.get(url("ticket", ticket)).content.decode()


def test_looking_at_a_ticket_by_a_link_alone_notes_nobody(client, zhao, ticket):
    client.get(url("ticket", ticket))

    assert not Presence.objects.exists()


def test_who_may_only_read_is_not_said_to_work_on_it(client, lin, ticket):
    client.force_login(make_staff(Role.AUDITOR))
    note_presence(actor=lin, now=timezone.now(), target=ticket)

    answer = client.post(url("presence", ticket)).content.decode()

    assert "林芳" in answer
    assert list(Presence.objects.values_list("user", flat=True)) == [lin.pk]


def test_presence_ends_a_minute_after_the_last_sign(zhao, lin, ticket):
    note_presence(actor=lin, now=NOW, target=ticket)
    note_presence(actor=lin, now=NOW + dt.timedelta(seconds=15), target=ticket)
    last = NOW + dt.timedelta(seconds=15) + PRESENT_FOR

    just_before = others_present(user=zhao, now=last - dt.timedelta(seconds=1), target=ticket)

    assert just_before == [lin]
    assert others_present(user=zhao, now=last, target=ticket) == []
    assert Presence.objects.count() == 1


def test_leaving_ends_it_at_once(client, zhao, lin, ticket):
    client.post(url("presence", ticket))

    answer = client.post(url("presence", ticket), {"leave": "1"})

    assert answer.status_code == 204
    assert others_present(user=lin, now=timezone.now(), target=ticket) == []


def test_presence_keeps_nobody_out(client, zhao, lin, ticket):
    note_presence(actor=lin, now=timezone.now(), target=ticket)

    assert client.post(url("close", ticket), opened_form(client, ticket)).status_code == 302


def test_another_ticket_has_other_people(zhao, lin, ticket, place):
    other = services.open_ticket(
        actor=lin, now=NOW, guest_id=make_guest().pk, place=place, category="food", severity="low", subject="早餐"
    )
    note_presence(actor=lin, now=NOW, target=other)

    assert others_present(user=zhao, now=NOW, target=ticket) == []


def test_a_ticket_of_another_property_does_not_tell_who_is_there(client, zhao, lin):
    elsewhere = services.open_ticket(
        actor=lin,
        now=NOW,
        guest_id=make_guest().pk,
        place=make_property(),
        category="food",
        severity="low",
        subject="早餐",
    )

    assert client.post(url("presence", elsewhere)).status_code == 404


def test_old_signs_are_deleted(lin, zhao, ticket):
    note_presence(actor=lin, now=NOW - dt.timedelta(hours=2), target=ticket)
    note_presence(actor=zhao, now=NOW, target=ticket)

    assert delete_old_presences(now=NOW) == 1
    assert Presence.objects.get().user == zhao
