"""Trying a stay: what each rule of a version would do, and what keeps the others from applying."""

import datetime as dt
import re
from decimal import Decimal

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from hotels.models import Role
from loyalty.models import EarningRule, Posting
from loyalty.selectors.simulation import entered_stay, known_stay, simulate
from loyalty.services.earning import settle_stays
from loyalty.services.rules import create_draft
from members.models import Stay
from members.services.stays import FolioLineInput, post_stay
from tests.factories import NOW, make_guest, make_member, make_programme, make_property, make_staff, publish_rules

ARRIVAL, DEPARTURE = dt.date(2026, 6, 12), dt.date(2026, 6, 14)
LONG = {"all": [{"field": "stay.nights", "op": "gte", "value": 3}]}
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _now():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def place():
    return make_property("SH1")


@pytest.fixture
def programme():
    return make_programme()


@pytest.fixture
def draft(programme):
    """1 point per yuan for the lowest tier; a double, a triple for long stays, and more."""
    draft = create_draft(actor=None, now=NOW, programme=programme)
    for terms in (
        {"code": "double", "result": "multiplier", "value": 2, "charge_weekdays": [6], "cap_stay": 5000},
        {"code": "long", "result": "multiplier", "value": 3, "condition": LONG, "cap_stay": 5000},
        {"code": "dinner", "value": 2, "categories": ["spa"]},
        {"code": "dollar", "value": 2, "currency": "USD"},
        {"code": "gift", "basis": "event", "event": "birthday", "result": "fixed", "value": 500},
        {"code": "base-low", "value": 5, "currency": "CNY", "is_base": True, "group": "base", "stacking": "exclusive", "priority": -1},
        {"code": "night", "basis": "nights", "value": 10, "priority": 5, "stops": True},
        {"code": "night-low", "basis": "nights", "value": 5},
    ):  # fmt: skip
        EarningRule.objects.create(**{"rule_set": draft, "name": terms["code"], "name_en": "", **terms})
    return draft


def post(member, place, reference="8821", **facts):
    lines = [
        FolioLineInput(line_reference=f"{n}", business_date=day, category="room", net_amount=Decimal(amount))
        for n, (day, amount) in enumerate([(ARRIVAL, "500.50"), (ARRIVAL + dt.timedelta(days=1), "300")])
    ]
    return post_stay(
        **{
            "actor": None,
            "now": NOW,
            "place": place,
            "source_system": "desk",
            "source_reference": reference,
            "guest_id": member.guest_id,
            "arrival_date": ARRIVAL,
            "departure_date": DEPARTURE,
            "lines": lines,
            "currency": "CNY",
            **facts,
        }
    )


def staff(role=Role.GROUP_MANAGER, **scope):
    client = Client()
    client.force_login(make_staff(role, **scope))
    return client


def try_it(client, rule_set, **values):
    return client.get(reverse("admin:loyalty_earningruleset_simulate", args=[rule_set.pk]), values)


def rows(answer):
    """Code of each rule → its points and what is said of it."""
    assert answer.status_code == 200
    found = re.findall(
        r'<tr data-rule="(.*?)">.*?<td class="num">(.*?)</td>\s*<td>(.*?)</td>', answer.content.decode(), re.DOTALL
    )
    return {code: (points.strip(), " ".join(re.sub(r"<.*?>", " ", said).split())) for code, points, said in found}  # fmt: skip


def test_each_rule_tells_what_it_gives_or_what_kept_it(draft, programme, place):
    member = make_member(programme)
    post(member, place)
    before = Posting.objects.count()

    answer = try_it(staff(), draft, how="pick", reference="8821")

    told = rows(answer)
    assert list(told.items()) == list(
        {
            "night": ("20", "2 晚 × 10（night） = 20 分"),
            "base-base": ("800", "¥800.50 × 1（普通 1，每元 1 分），取整得 800 分"),
            "base-diamond": ("–", "不满足：等级为钻石（实际：普通）"),
            "base-gold": ("–", "不满足：等级为金卡（实际：普通）"),
            "base-silver": ("–", "不满足：等级为银卡（实际：普通）"),
            "dinner": ("–", "这次入住没有它所针对的消费或间夜。"),
            "dollar": ("–", "只针对以 USD 结算的账单。"),
            "double": ("300", "double（300 的 2 倍）+300 分"),
            "gift": ("–", "它针对事件，不针对入住。"),
            "long": ("–", "不满足：入住晚数不少于 3 晚（实际：2）"),
            "night-low": ("–", "被“night”截止。"),
            "base-low": ("–", "已由同组的“普通 1”占用。"),
        }.items()
    )
    assert (answer.context["result"].points, answer.context["result"].qualifying_points) == (1120, 800)
    assert Posting.objects.count() == before


def test_a_stay_gives_here_what_it_gives_in_earnest(programme, place):
    member = make_member(programme)
    publish_rules(
        programme,
        EarningRule(code="base", name="b", value=Decimal("1.3"), is_base=True, is_qualifying=True),
        EarningRule(code="late", name="l", result="multiplier", value=2, charge_weekdays=[6], condition={"not": LONG}),
        start=dt.date(2026, 1, 1),
    )
    post(member, place)
    stay = Stay.objects.get()
    settle_stays(actor=None, now=NOW, stay_ids=[stay.pk])
    given = sum(Posting.objects.filter(account__membership=member).values_list("points", flat=True))

    result = simulate(
        programme.earning_rule_sets.get(number=2),
        known_stay(stay, member, programme.earning_rule_sets.get(number=2), today=NOW.date()),
        today=NOW.date(),
    )

    assert result.points == given == 1040 + 390


def test_the_last_stays_of_a_member_are_to_choose_from(draft, programme, place):
    member = make_member(programme)
    post(member, place, "A/1")
    post(member, place, "A2")

    answer = try_it(staff(), draft, how="pick", number=member.number)

    html = answer.content.decode()
    assert 'reference=A%2F1"' in html
    assert 'reference=A2"' in html
    assert answer.context["result"] is None
    assert rows(try_it(staff(), draft, how="pick", place=place.pk, reference="A/1"))["base-base"][0] == "800"


@pytest.mark.parametrize(
    ("values", "field", "code"),
    [
        ({}, None, "nothing_entered"),
        ({"reference": "no such"}, "reference", "not_found"),
        ({"number": "GK0"}, "number", "not_found"),
        ({"reference": "walk-in"}, "reference", "no_member"),
    ],
)
def test_what_is_not_found_is_said_at_its_field(draft, programme, place, values, field, code):
    post(make_member(programme), place, "walk-in", guest_id=make_guest("王芳").pk)

    answer = try_it(staff(), draft, how="pick", **values)

    assert answer.status_code == 422
    assert [error.code for error in answer.context["pick"].errors.as_data()[field or "__all__"]] == [code]


def test_only_stays_of_the_readers_own_properties_are_found(draft, programme, place):
    post(make_member(programme), place)
    manager = staff(Role.PROPERTY_MANAGER, place=make_property("BJ1"))

    assert try_it(manager, draft, how="pick", reference="8821").status_code == 422
    assert rows(try_it(staff(Role.PROPERTY_MANAGER, place=place), draft, how="pick", reference="8821"))
    assert try_it(staff(Role.RECEPTIONIST, place=place), draft).status_code in {302, 403}


def entered(programme, place, **values):
    return {
        "how": "enter",
        "place": place.pk,
        "tier": programme.tiers.get(code="gold").pk,
        "arrival": "2026-06-12",
        "departure": "2026-06-15",
        "amount_room": "1000",
        **values,
    }


def test_a_stay_that_nobody_had_is_judged_as_entered(draft, programme, place):
    answer = try_it(staff(Role.AUDITOR), draft, **entered(programme, place))

    told = rows(answer)
    assert told["base-gold"][0] == "1500"
    assert told["base-base"] == ("–", "不满足：等级为普通（实际：金卡）")
    # A third of the room is Saturday's: 333.33 × 1.5.
    assert told["double"][0] == "499"
    assert told["long"][0] == "3000"
    assert try_it(staff(), programme.earning_rule_sets.get(number=1), **entered(programme, place)).context["result"].points == 1500  # fmt: skip


@pytest.mark.parametrize("changes", [{"departure": "2026-06-11"}, {"departure": "2028-06-11"}, {"amount_room": "-1"}])
def test_an_impossible_stay_is_refused_at_its_field(draft, programme, place, changes):
    answer = try_it(staff(), draft, **entered(programme, place, **changes))

    assert answer.status_code == 422
    assert list(answer.context["enter"].errors) == list(changes)


def test_what_is_entered_is_charged_to_the_cent(programme, place):
    for amount in (Decimal("0.01"), Decimal(100), Decimal("999.99")):
        stay = entered_stay(
            programme=programme,
            place=place,
            tier=programme.tiers.first(),
            arrival=ARRIVAL,
            departure=ARRIVAL + dt.timedelta(days=7),
            amounts={"room": amount, "food": amount},
        )
        assert sum(charge.net_amount for charge in stay.bill.charges) == 2 * amount


def test_what_guests_told_about_themselves_is_not_shown(draft, programme, place):
    EarningRule.objects.filter(rule_set=draft, code="long").update(
        condition={"all": [{"field": "guest.age", "op": "gte", "value": 60}]}
    )
    member = make_member(programme)
    member.guest.birthday = dt.date(1990, 1, 1)
    member.guest.save()
    post(member, place)

    said = rows(try_it(staff(), draft, how="pick", reference="8821"))["long"][1]

    assert said.startswith("不满足：")
    assert "36" not in said
