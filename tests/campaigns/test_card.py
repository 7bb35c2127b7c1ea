"""Running offers on the guest card."""

import datetime as dt

import pytest

from campaigns.models import Campaign
from campaigns.selectors import card_context
from tests.factories import NOW, make_guest, make_membership, make_programme, make_property, make_staff

pytestmark = pytest.mark.django_db

TODAY = NOW.date()


def offer(name, **facts):
    return Campaign.objects.create(
        **{
            "name": name,
            "offer": "双人早餐",
            "status": Campaign.Status.ACTIVE,
            "starts_on": TODAY,
            "ends_on": TODAY,
            **facts,
        }
    )


def names(guest, place):
    context = card_context(guest, make_staff(place=place), place, NOW)
    return {campaign.name for campaign in context["offers"]}


def test_only_running_offers_of_the_place_are_shown():
    place, tomorrow = make_property(), TODAY + dt.timedelta(days=1)
    offer("everywhere")
    offer("here", property=place)
    offer("elsewhere", property=make_property())
    offer("draft", status=Campaign.Status.DRAFT)
    offer("tomorrow", starts_on=tomorrow, ends_on=tomorrow)

    assert names(make_guest(), place) == {"everywhere", "here"}


def test_an_offer_from_a_tier_up_needs_the_tier():
    place, programme = make_property(), make_programme()
    offer("gold", minimum_tier=programme.tiers.get(code="gold"))

    shown = [
        names(make_membership(programme, make_guest(tier), tier=tier).guest, place)
        for tier in ("silver", "gold", "diamond")
    ]

    assert shown == [set(), {"gold"}, {"gold"}]
