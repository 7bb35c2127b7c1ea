"""What these tests do over and over."""

import datetime as dt

from feedback import services
from feedback.models import (
    SLAPolicy,
    TicketClock,
)
from tests.factories import (
    NOW,
    make_guest,
)

HOUR = dt.timedelta(hours=1)
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40


def promise(**fields):
    return SLAPolicy.objects.create(
        **{
            "name": "约定",
            "first_response_minutes": 60,
            "next_response_minutes": 60,
            "resolution_minutes": 240,
            "effective_from": dt.date(2020, 1, 1),
            **fields,
        }
    )


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


def clock_of(ticket, metric="resolution"):
    return TicketClock.objects.filter(ticket=ticket, metric=metric).order_by("-number").first()


def leaf(field, value, op="in"):
    return {"all": [{"field": field, "op": op, "value": value}]}
