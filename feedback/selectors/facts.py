"""What conditions may ask of a ticket, for routing and for service levels, and how it is found out."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from feedback.models import RoutingRule, SLAPolicy, Ticket
from hotels.models import Property
from loyalty.models import Membership, Tier
from members.models import GuestTag, Stay, Tag
from members.rules.conditions import Field, Kind, Target, matches, read, register_fields, register_target

TARGET = "ticket"
# The tag of guests of note.
VIP = "vip"

Rule = TypeVar("Rule", RoutingRule, SLAPolicy)


def _names(records: Callable[[], Iterable[Any]]) -> Callable[[], list[tuple[str, str]]]:
    def choices() -> list[tuple[str, str]]:
        found: dict[str, str] = {}
        for record in records():
            found.setdefault(record.code, record.local_name)
        return list(found.items())

    return choices


def register_ticket_fields() -> None:
    """Tell the conditions what may be asked of a ticket."""
    register_target(Target(TARGET, _("ticket")))
    own, guest, time = _("Ticket"), _("Guest"), _("Time")
    register_fields(
        Field("ticket.category", TARGET, Kind.CHOICE, _("category"), choices=Ticket.Category.choices, nullable=False, group=own),
        Field("ticket.severity", TARGET, Kind.CHOICE, _("severity"), choices=Ticket.Severity.choices, nullable=False, group=own),
        Field("ticket.source", TARGET, Kind.CHOICE, _("source"), choices=Ticket.Source.choices, nullable=False, group=own),
        Field("ticket.text", TARGET, Kind.TEXT, _("subject and details"), operators=("contains",), nullable=False, group=own),
        Field(
            "ticket.property",
            TARGET,
            Kind.CHOICE,
            _("property"),
            choices=_names(lambda: Property.objects.order_by("code")),
            nullable=False,
            group=own,
        ),
        Field("ticket.room", TARGET, Kind.TEXT, _("room"), group=own),
        Field(
            "ticket.tier",
            TARGET,
            Kind.CHOICE,
            _("tier"),
            choices=_names(lambda: Tier.objects.order_by("rank", "pk")),
            group=guest,
        ),
        Field(
            "ticket.tags",
            TARGET,
            Kind.CHOICES,
            _("tags"),
            choices=_names(lambda: Tag.objects.order_by("code")),
            nullable=False,
            group=guest,
        ),
        Field(
            "ticket.in_house",
            TARGET,
            Kind.BOOLEAN,
            _("in the house"),
            nullable=False,
            group=guest,
            when_true=_("the guest is in the house"),
            when_false=_("the guest is not in the house"),
        ),
        Field(
            "ticket.hour",
            TARGET,
            Kind.NUMBER,
            _("hour of the day"),
            nullable=False,
            group=time,
            unit=pgettext_lazy("unit", "o’clock"),
        ),
        Field("ticket.weekday", TARGET, Kind.WEEKDAY, _("day of the week"), nullable=False, group=time),
    )  # fmt: skip


def facts_of(
    *,
    place: Property,
    guest_id: int,
    stay: Stay | None,
    category: str,
    severity: str,
    source: str,
    text: str,
    now: dt.datetime,
) -> dict[str, Any]:
    """The facts of a ticket that is about to be opened, or is; two queries."""
    local = now.astimezone(zoneinfo.ZoneInfo(place.time_zone))
    tier = (
        Membership.objects.filter(guest=guest_id, status=Membership.Status.ACTIVE)
        .order_by("pk")
        .values_list("tier__code", flat=True)
        .first()
    )
    return {
        "ticket.category": category,
        "ticket.severity": severity,
        "ticket.source": source,
        "ticket.text": text,
        "ticket.property": place.code,
        "ticket.room": stay.room_number if stay else "",
        "ticket.tier": tier,
        "ticket.tags": set(GuestTag.objects.filter(guest=guest_id).values_list("tag__code", flat=True)),
        "ticket.in_house": stay is not None and stay.status == Stay.Status.IN_HOUSE,
        "ticket.hour": local.hour,
        "ticket.weekday": local.isoweekday(),
    }


def facts_of_ticket(ticket: Ticket, now: dt.datetime) -> dict[str, Any]:
    """The facts of a ticket whose property and stay are loaded."""
    return facts_of(
        place=ticket.property,
        guest_id=ticket.guest_id,
        stay=ticket.stay,
        category=ticket.category,
        severity=ticket.severity,
        source=ticket.source,
        text=f"{ticket.subject}\n{ticket.description}",
        now=now,
    )


def _ordered(rules: models.QuerySet[Rule], place: Property) -> list[Rule]:
    found = rules.filter(Q(property=place) | Q(property=None))
    return sorted(found, key=lambda rule: (rule.property_id is None, rule.position, rule.pk))


def _first(rules: Iterable[Rule], facts: dict[str, Any], today: dt.date) -> list[Rule]:
    return [rule for rule in rules if matches(read(rule.condition or {"all": []}, TARGET), facts, today=today)]


def policy_for(place: Property, facts: dict[str, Any], now: dt.datetime) -> SLAPolicy | None:
    """The service level of a ticket, by the property's date; one query."""
    today = place.local_date(now)
    in_force: models.QuerySet[SLAPolicy] = SLAPolicy.objects.filter(effective_from__lte=today).filter(
        Q(effective_until=None) | Q(effective_until__gt=today)
    )
    return next(iter(_first(_ordered(in_force, place), facts, today)), None)


def departments_for(place: Property, facts: dict[str, Any], now: dt.datetime) -> list[str]:
    """Codes of the departments that the rules name for a ticket, the first rule first; one query."""
    active: models.QuerySet[RoutingRule] = RoutingRule.objects.filter(is_active=True)
    rules = _ordered(active, place)
    return [rule.department_code for rule in _first(rules, facts, place.local_date(now))]
