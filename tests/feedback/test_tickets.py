"""Tickets: logged, listed, closed, reopened, withdrawn; by service and by page."""

import datetime as dt
import re
import uuid

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from feedback import services
from feedback.models import Ticket, TicketEvent
from feedback.selectors.tickets import ticket_clock
from hotels.models import AuditEntry, Role
from tests.factories import NOW, make_department, make_guest, make_property, make_staff

pytestmark = pytest.mark.django_db


@pytest.fixture
def place():
    return make_property()


@pytest.fixture
def agent(client, place):
    user = make_staff(Role.GUEST_SERVICE, place=place)
    client.force_login(user)
    return user


def log(place, actor=None, **facts):
    return services.open_ticket(
        **{
            "actor": actor,
            "now": NOW,
            "guest_id": facts.pop("guest_id", None) or make_guest().pk,
            "place": place,
            "category": "noise",
            "severity": "high",
            "subject": "空调噪音",
            **facts,
        }
    )


# Services


@pytest.mark.parametrize(
    ("severity", "due"),
    [("critical", {"minutes": 30}), ("high", {"hours": 2}), ("medium", {"hours": 8}), ("low", {"hours": 24})],
)
def test_the_severity_sets_the_clock_and_the_logger_owns_it(place, severity, due):
    user = make_staff(place=place)

    ticket = log(place, user, severity=severity)

    assert ticket.due_at - ticket.opened_at == dt.timedelta(**due)
    assert ticket.assignee == user
    assert ticket.events.get().kind == TicketEvent.Kind.OPENED


def test_the_same_key_makes_one_ticket(place):
    guest, key = make_guest(), uuid.uuid4()

    first, second = (log(place, guest_id=guest.pk, key=key) for _ in range(2))

    assert first == second
    assert TicketEvent.objects.count() == 1


def test_the_same_key_with_other_content_is_refused(place):
    guest, key = make_guest(), uuid.uuid4()
    log(place, guest_id=guest.pk, key=key)

    with pytest.raises(services.TicketConflict):
        log(place, guest_id=guest.pk, key=key, subject="另一件事")


def test_closing_and_reopening_leave_events_and_a_new_clock(place):
    user, ticket = make_staff(place=place), log(place)
    later = NOW + dt.timedelta(days=1)

    services.close_ticket(root_cause="staff", actor=user, now=NOW, ticket_id=ticket.pk, resolution="换房")
    reopened = services.reopen_ticket(actor=user, now=later, ticket_id=ticket.pk)

    assert (reopened.status, reopened.closed_at) == (Ticket.Status.OPEN, None)
    assert reopened.due_at == later + dt.timedelta(hours=2)
    assert list(ticket.events.order_by("pk").values_list("kind", "text")) == [
        ("opened", ""),
        ("closed", "换房"),
        ("reopened", ""),
    ]
    assert AuditEntry.objects.filter(action="ticket.closed", reason="换房").exists()


def test_a_closed_ticket_is_not_closed_again(place):
    ticket = log(place)
    services.withdraw_ticket(actor=None, now=NOW, ticket_id=ticket.pk)

    with pytest.raises(services.TicketIsClosed):
        services.close_ticket(root_cause="staff", actor=None, now=NOW, ticket_id=ticket.pk)


def test_an_open_ticket_is_not_reopened(place):
    ticket = log(place)

    with pytest.raises(services.TicketIsOpen):
        services.reopen_ticket(actor=None, now=NOW, ticket_id=ticket.pk)


@pytest.mark.parametrize(
    ("late", "level", "text"),
    [
        (dt.timedelta(minutes=1), "overdue", "已超时 1 分"),
        (dt.timedelta(hours=-1), "soon", "剩 1 小时 0 分"),
        (dt.timedelta(hours=-3), "calm", "剩 3 小时 0 分"),
        (dt.timedelta(days=2), "overdue", "已超时 2 天"),
    ],
)
def test_the_clock_tells_how_late_it_is(place, late, level, text):
    ticket = log(place)

    clock = ticket_clock(ticket, ticket.due_at + late)

    assert (clock.level, clock.text) == (level, text)


# Pages


def form(**data):
    return {
        "request_key": str(uuid.uuid4()),
        "subject": "空调噪音",
        "category": "noise",
        "severity": "high",
        "department": "",
        "description": "",
        **data,
    }


def test_a_complaint_is_logged_once_and_withdrawn(client, agent, place):
    guest, data = make_guest(), form(department=make_department(place).pk)

    for _ in range(2):
        client.post(reverse("feedback:open_ticket", args=[guest.public_id]), data)
    ticket = Ticket.objects.get()
    card = client.get(reverse("members:guest", args=[guest.public_id])).content.decode()
    client.post(reverse("feedback:withdraw", args=[ticket.public_id]))
    ticket.refresh_from_db()

    assert "空调噪音" in card
    assert ticket.status == Ticket.Status.WITHDRAWN
    assert "空调噪音" not in client.get("/tickets/").content.decode()


def test_a_ticket_without_subject_is_redrawn_with_the_rest(client, agent):
    guest = make_guest()

    response = client.post(
        reverse("feedback:open_ticket", args=[guest.public_id]), form(subject="", description="很吵")
    )

    assert response.status_code == 422
    assert "很吵" in response.content.decode()


def test_only_who_logged_it_withdraws_it(client, agent, place):
    ticket = log(place, make_staff(place=place))

    assert client.post(reverse("feedback:withdraw", args=[ticket.public_id])).status_code == 404


def test_a_ticket_is_closed_and_reopened_on_its_page(client, agent, place):
    ticket = log(place, agent)
    data = {"request_key": str(uuid.uuid4()), "root_cause": "staff", "resolution": "换房并致歉"}

    client.post(reverse("feedback:close", args=[ticket.public_id]), data)
    ticket.refresh_from_db()
    assert ticket.status == Ticket.Status.CLOSED
    client.post(reverse("feedback:reopen", args=[ticket.public_id]))
    ticket.refresh_from_db()

    assert ticket.status == Ticket.Status.OPEN
    assert "换房并致歉" in client.get(reverse("feedback:ticket", args=[ticket.public_id])).content.decode()


def test_closing_asks_what_was_done(client, agent, place):
    ticket = log(place, agent)

    response = client.post(
        reverse("feedback:close", args=[ticket.public_id]),
        {"request_key": str(uuid.uuid4()), "root_cause": "staff", "resolution": ""},
    )

    assert response.status_code == 422


def test_a_reader_may_not_change_a_ticket(client, place):
    client.force_login(make_staff(Role.MARKETER))
    ticket = log(place)

    client.post(
        reverse("feedback:close", args=[ticket.public_id]),
        {"request_key": str(uuid.uuid4()), "root_cause": "staff", "resolution": "x"},
    )

    ticket.refresh_from_db()
    assert ticket.status == Ticket.Status.OPEN


def test_tickets_of_other_properties_do_not_exist(client, agent):
    ticket = log(make_property())

    assert client.get(reverse("feedback:ticket", args=[ticket.public_id])).status_code == 404
    assert ticket.subject not in client.get("/tickets/").content.decode()


@pytest.mark.parametrize(
    ("show", "subjects"), [("mine", ["A"]), ("open", ["A", "B"]), ("overdue", ["A"]), ("closed", ["C"])]
)
def test_the_list_is_filtered_and_sorted_by_urgency(client, agent, place, show, subjects):
    now = timezone.now()
    log(place, subject="B", now=now, severity="low")
    log(place, agent, subject="A", now=now - dt.timedelta(hours=3))
    services.close_ticket(root_cause="staff", actor=agent, now=now, ticket_id=log(place, subject="C").pk)

    html = client.get(f"/tickets/?show={show}").content.decode()

    assert re.findall(r'class="row-link"[^>]*>([ABC])<', html) == subjects


def test_tickets_are_paged_without_gaps(client, agent, place):
    for number in range(35):
        log(place, subject=f"N{number:02d}", now=NOW + dt.timedelta(minutes=number // 2))

    first = client.get("/tickets/").content.decode()
    following = client.get(
        "/tickets/" + re.search(r'href="(\?show=open&amp;after=[^"]+)"', first).group(1).replace("&amp;", "&")
    )

    seen = re.findall(r">(N\d\d)<", first) + re.findall(r">(N\d\d)<", following.content.decode())
    assert seen == [f"N{number:02d}" for number in range(35)]


def test_pages_and_tabs_keep_the_department(client, agent, place):
    department = make_department(place)
    for number in range(31):
        log(place, department=department, subject=f"工单 {number}")

    page = client.get("/tickets/", {"show": "open", "department": department.code}).content.decode()
    following = re.search(r'href="(\?show=open&amp;department=[^"&]+&amp;after=[^"]+)"', page).group(1)
    later = client.get("/tickets/" + following.replace("&amp;", "&")).content.decode()

    assert f'href="?show=open&amp;department={department.code}"' in later
    assert f'href="?show=mine&amp;department={department.code}"' in later


def test_the_list_costs_the_same_for_one_and_thirty(client, agent, place):
    log(place, agent)
    client.get("/tickets/")
    counts = []
    for more in (0, 29):
        for _ in range(more):
            log(place, agent)
        with CaptureQueriesContext(connection) as captured:
            client.get("/tickets/")
        counts.append(len(captured))

    assert counts[0] == counts[1]


# Twice the same form


def pressed_twice(client, address, data):
    """What the reader is told after each press."""
    return [
        [(message.level_tag, str(message)) for message in get_messages(client.post(address, data).wsgi_request)]
        for _ in range(2)
    ]


def test_a_note_sent_twice_is_one_note(client, agent, place):
    ticket = log(place, agent)
    data = {"request_key": str(uuid.uuid4()), "text": "已致电客人"}

    pressed_twice(client, reverse("feedback:note", args=[ticket.public_id]), data)

    assert ticket.events.filter(kind="note").count() == 1
    assert AuditEntry.objects.filter(action="ticket.noted").count() == 1


def test_the_same_words_from_two_openings_of_the_form_are_two_notes(client, agent, place):
    ticket = log(place, agent)

    for _ in range(2):
        data = {"request_key": str(uuid.uuid4()), "text": "已致电客人"}
        client.post(reverse("feedback:note", args=[ticket.public_id]), data)

    assert ticket.events.filter(kind="note").count() == 2


def test_a_note_under_a_used_key_with_other_words_is_refused_and_kept_in_the_form(client, agent, place):
    ticket, key = log(place, agent), str(uuid.uuid4())
    address = reverse("feedback:note", args=[ticket.public_id])
    client.post(address, {"request_key": key, "text": "第一次"})

    answer = client.post(address, {"request_key": key, "text": "第二次"})

    assert answer.status_code == 422
    assert "第二次" in answer.content.decode()
    assert "已用其他内容提交过" in answer.content.decode()
    assert ticket.events.filter(kind="note").count() == 1


def test_closing_twice_by_one_form_is_one_closing_without_a_complaint(client, agent, place):
    ticket = log(place, agent)
    data = {"request_key": str(uuid.uuid4()), "root_cause": "staff", "resolution": "换房"}

    told = pressed_twice(client, reverse("feedback:close", args=[ticket.public_id]), data)

    assert ticket.events.filter(kind="closed").count() == 1
    assert {level for messages in told for level, _text in messages} == {"success"}


def test_reopening_twice_by_one_form_is_one_reopening_without_a_complaint(client, agent, place):
    ticket = log(place, agent)
    services.close_ticket(root_cause="staff", actor=agent, now=NOW, ticket_id=ticket.pk)
    data = {"request_key": str(uuid.uuid4())}

    told = pressed_twice(client, reverse("feedback:reopen", args=[ticket.public_id]), data)

    assert ticket.events.filter(kind="reopened").count() == 1
    assert {level for messages in told for level, _text in messages} == {"success"}


def test_a_late_repeat_of_a_closing_does_not_close_what_was_reopened(client, agent, place):
    ticket, key = log(place, agent), uuid.uuid4()
    services.close_ticket(root_cause="staff", actor=agent, now=NOW, ticket_id=ticket.pk, resolution="换房", key=key)
    services.reopen_ticket(actor=agent, now=NOW, ticket_id=ticket.pk)

    services.close_ticket(root_cause="staff", actor=agent, now=NOW, ticket_id=ticket.pk, resolution="换房", key=key)

    ticket.refresh_from_db()
    assert ticket.status == Ticket.Status.OPEN
