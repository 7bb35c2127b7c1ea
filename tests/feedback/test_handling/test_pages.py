"""Pages."""

import uuid

import pytest
from django.urls import reverse

from feedback import services
from feedback.models import (
    Notification,
)
from hotels.models import Role
from tests.factories import (
    NOW,
    make_staff,
)
from tests.feedback.test_handling.acts import log

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("name", "data", "check"),
    [
        ("take", {}, lambda t: t.status == "in_progress"),
        ("wait", {}, lambda t: t.status == "waiting"),
        ("reply", {"text": "好的", "channel": "phone"}, lambda t: t.events.filter(kind="reply").exists()),
        (
            "reply",
            {"text": "好", "channel": "phone", "message": "1"},
            lambda t: t.events.filter(kind="message").exists(),
        ),
        ("classify", {"category": "food", "severity": "low"}, lambda t: t.category == "food"),
        ("recover", {"kind": "call", "text": "已致电"}, lambda t: t.recoveries.exists()),
    ],
)
def test_the_page_does_what_the_services_do(client, place, name, data, check):
    client.force_login(make_staff(Role.GUEST_SERVICE, place=place))
    ticket = log(place)

    answer = client.post(reverse(f"feedback:{name}", args=[ticket.public_id]), {"request_key": uuid.uuid4(), **data})

    ticket.refresh_from_db()
    assert answer.status_code == 302
    assert check(ticket)
    assert client.get(reverse("feedback:ticket", args=[ticket.public_id])).status_code == 200


def test_the_bell_counts_what_is_unread(client, place):
    agent, colleague = (make_staff(Role.GUEST_SERVICE, place=place) for _ in range(2))
    ticket = log(place)
    services.assign_ticket(actor=colleague, now=NOW, ticket_id=ticket.pk, user=agent)
    client.force_login(agent)

    page = client.get(reverse("feedback:notifications")).content.decode()
    bell = client.get(reverse("feedback:notifications"), headers={"HX-Request": "true"}).content.decode()
    client.post(reverse("feedback:read_notifications"), {"newest": Notification.objects.get().pk})

    assert ticket.subject in page
    assert ">1<" in bell
    assert Notification.objects.filter(read_at=None).count() == 0
