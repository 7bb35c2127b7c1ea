"""Each change that an agent or a manager makes through a page stands in the audit trail, with who and where."""

import datetime as dt
from uuid import uuid4

import pytest

from campaigns.models import Campaign
from feedback.models import Ticket
from hotels.models import AuditEntry, Role
from tests.factories import make_guest, make_property, make_staff

pytestmark = pytest.mark.django_db


@pytest.fixture
def place():
    return make_property()


def trail(user, object_type):
    entries = AuditEntry.objects.filter(actor=user, object_type=object_type).order_by("id")
    return list(entries.values_list("action", "property__code", "before__status", "after__status"))


def test_every_step_of_a_ticket_leaves_an_entry(client, place):
    agent = make_staff(Role.GUEST_SERVICE, place=place)
    client.force_login(agent)
    sheet = f"/guests/{make_guest().public_id}/ticket/"
    client.post(sheet, {"request_key": uuid4(), "category": "noise", "severity": "high", "subject": "空调噪音"})
    page = f"/tickets/{Ticket.objects.get().public_id}/"

    for step, data in [
        ("note", {"text": "工程部已到场"}),
        ("close", {"root_cause": "equipment", "resolution": "更换风机"}),
        ("reopen", {"reason": "再次投诉"}),
        ("withdraw", {}),
    ]:
        assert client.post(f"{page}{step}/", {"request_key": uuid4(), **data}).status_code == 302

    assert trail(agent, "feedback.ticket") == [
        ("ticket.opened", place.code, None, None),
        ("ticket.noted", place.code, None, None),
        ("ticket.closed", place.code, "open", "closed"),
        ("ticket.reopened", place.code, "closed", "open"),
        ("ticket.withdrawn", place.code, "open", "withdrawn"),
    ]


def test_every_change_of_a_campaign_leaves_an_entry(client, place):
    manager = make_staff(Role.GROUP_MANAGER)
    client.force_login(manager)
    facts = {
        "name": "暑期双倍",
        "name_en": "Double summer",
        "status": "draft",
        "offer": "双倍积分",
        "offer_en": "",
        "starts_on": dt.date(2026, 7, 1),
        "ends_on": dt.date(2026, 8, 31),
        "property": place.pk,
        "minimum_tier": "",
    }

    client.post("/admin/campaigns/campaign/add/", facts)
    pk = Campaign.objects.get().pk
    client.post(f"/admin/campaigns/campaign/{pk}/change/", {**facts, "status": "active"})
    client.post(f"/admin/campaigns/campaign/{pk}/delete/", {"post": "yes"})

    assert not Campaign.objects.exists()
    assert trail(manager, "campaigns.campaign") == [
        ("campaign.added", place.code, None, "draft"),
        ("campaign.changed", place.code, "draft", "active"),
        ("campaign.deleted", place.code, "active", None),
    ]
