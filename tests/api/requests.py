"""Clients of the API."""

import datetime as dt
import json
from decimal import Decimal

from django.test import Client

from hotels.models import User
from hotels.services.tokens import issue_token
from loyalty.services.memberships import enrol_member
from members.services.guests import create_guest
from members.services.stays import FolioLineInput, post_stay
from tests.factories import NOW


def client_with_token(user, **headers):
    token = issue_token(actor=None, now=NOW, user=user)
    return Client(headers={"authorization": f"Token {token}", **headers})


def make_guest_account(name, phone, *, programme=None):
    """A guest with an account, and with a membership if a programme is given."""
    guest = create_guest(actor=None, now=NOW, name=name, phone=phone, source="test")
    guest.user = User.objects.create_user(username=f"guest-{guest.pk}")
    guest.save(update_fields=["user"])
    if programme:
        enrol_member(actor=None, now=NOW, programme=programme, guest_id=guest.pk)
    return guest


def add_stay(place, guest, *, reference, nights=1, net="680.00", departure=dt.date(2026, 6, 10)):
    """A finished stay of one line."""
    return post_stay(
        actor=None,
        now=NOW,
        place=place,
        source_system="test",
        source_reference=reference,
        guest_id=guest.pk,
        arrival_date=departure - dt.timedelta(days=nights),
        departure_date=departure,
        currency="CNY",
        lines=[
            FolioLineInput(
                line_reference="1",
                business_date=departure - dt.timedelta(days=1),
                category="room",
                net_amount=Decimal(net),
            )
        ],
    )


def stay_body(place, **changes):
    """A request that is right."""
    return {
        "property": place.code,
        "source_system": "opera",
        "source_reference": "S-1001",
        "arrival_date": "2026-06-08",
        "departure_date": "2026-06-10",
        "room_number": "1208",
        "lines": [
            {"reference": "1", "business_date": "2026-06-08", "category": "room", "net_amount": "680.00"},
            {"reference": "2", "business_date": "2026-06-09", "category": "food", "net_amount": "120.50"},
        ],
        **changes,
    }


def post(client, body, key="k-1", **headers):
    all_headers = {"idempotency-key": key, **headers} if key is not None else headers
    return client.post(
        "/api/v1/integration/stays", json.dumps(body), content_type="application/json", headers=all_headers
    )
