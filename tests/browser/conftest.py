"""A signed-in browser on a live server with a small hotel behind it."""

import datetime as dt
import os
from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from campaigns.models import Campaign
from feedback.services import open_ticket
from hotels.models import Role
from loyalty.models import Membership, TierBenefit
from members.models import Tag
from members.services.preferences import add_preference, add_tag
from members.services.reservations import ReservationInput, store_reservation
from members.services.stays import FolioLineInput, post_stay
from tests.factories import (
    make_department,
    make_member,
    make_programme,
    make_property,
    make_reward,
    make_room_type,
    make_staff,
)

# Playwright runs its loop in the thread that also reads the database.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZES = {"desktop": {"width": 1440, "height": 900}, "tablet": {"width": 820, "height": 1180}}


@pytest.fixture(scope="session")
def browser_type_launch_args(chromium):
    return {"executable_path": chromium, "args": ARGUMENTS}


@pytest.fixture(scope="session")
def browser_context_args():
    return {"viewport": SIZES["desktop"], "locale": "zh-CN"}


@pytest.fixture
def hotel(transactional_db):
    """One property with a receptionist, guests in house and due in, points, rewards and a ticket."""
    now = timezone.now()
    place = make_property(name="云栖上海外滩酒店", name_en="Yunqi Shanghai Bund")
    today = place.local_date(now)
    room_type = make_room_type(place)
    department = make_department(place)
    programme = make_programme(point_value="0.02")
    user = make_staff(place=place, display_name="林芳", username="reception")
    manager = make_staff(Role.PROPERTY_MANAGER, place=place, display_name="赵伟", username="manager")
    make_reward(programme, points=2000)
    make_reward(programme, points=800, code="late")
    gold = programme.tiers.get(code="gold")
    for name, name_en in [("双人早餐", "Breakfast for two"), ("延迟退房至 14:00", "Late check-out until 14:00")]:
        TierBenefit.objects.create(tier=gold, name=name, name_en=name_en, effective_from=today)
    Campaign.objects.create(
        name="秋冬温泉季",
        name_en="Winter spa season",
        offer="水疗八折，积分双倍",
        offer_en="20% off the spa, double points",
        status=Campaign.Status.ACTIVE,
        starts_on=today,
        ends_on=today + dt.timedelta(days=30),
    )
    chen = make_member(programme, name="陈思远", phone="13817756621", points=48260, place=place)
    Membership.objects.filter(pk=chen.pk).update(tier=gold)
    wang = make_member(programme, name="王雨桐", phone="13601198834", points=1860, place=place)
    facts = {"actor": user, "now": now, "guest_id": chen.guest_id, "place": place, "source": "desk"}
    add_preference(category="allergy", text="花生及坚果过敏", **facts)
    add_preference(category="room", text="高楼层，远离电梯", **facts)
    tag = Tag.objects.create(code="vip", name="贵宾", name_en="VIP")
    add_tag(actor=user, now=now, guest_id=chen.guest_id, tag_id=tag.pk, place=place)
    for number, member, status, nights, room in [
        (1, chen, "in_house", 2, "1208"),
        (2, wang, "reserved", 1, ""),
    ]:
        store_reservation(
            actor=None,
            now=now,
            row=ReservationInput(
                place_id=place.pk,
                source_system="pms",
                source_reference=f"R{number}",
                guest_id=member.guest_id,
                arrival_date=today,
                departure_date=today + dt.timedelta(days=nights),
                status=status,
                currency="CNY",
                room_number=room,
                room_type_id=room_type.pk,
            ),
        )
    post_stay(
        actor=None,
        now=now,
        place=place,
        source_system="pms",
        source_reference="S1",
        guest_id=chen.guest_id,
        arrival_date=today - dt.timedelta(days=30),
        departure_date=today - dt.timedelta(days=28),
        lines=[FolioLineInput("1", today - dt.timedelta(days=28), "room", net_amount=Decimal(2310))],
        currency="CNY",
        room_number="1210",
        room_type=room_type,
        channel="官网直订",
    )
    open_ticket(
        actor=user,
        now=now - dt.timedelta(hours=3),
        guest_id=chen.guest_id,
        place=place,
        category="noise",
        severity="high",
        subject="空调夜间噪音大",
        department=department,
    )
    return SimpleNamespace(
        place=place, user=user, manager=manager, programme=programme, chen=chen, wang=wang, today=today, now=now
    )


@pytest.fixture
def sign_in(live_server, hotel):
    """Signs a browser context in, as the receptionist if nobody else is named."""

    def sign_in(context, user=None):
        client = Client()
        client.force_login(user or hotel.user)
        cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])
        return cookie

    return sign_in


@pytest.fixture
def desk(page, live_server, sign_in):
    """The receptionist's desk, open in the browser; any console error fails the test."""
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_default_timeout(8000)
    sign_in(page.context)
    page.goto(f"{live_server.url}/")
    page.console_errors = errors
    yield page
    assert errors == []
