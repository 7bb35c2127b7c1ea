"""A stay is decided once; whatever is corrected, what was given is what is taken back."""

import datetime as dt
from decimal import Decimal

import pytest
from django.db import connection
from django.utils import translation

from hotels.models import ExchangeRate
from loyalty.models import Account, EarningRule, Lot, Membership, Posting, RuleUse
from loyalty.selectors.postings import stay_lines
from loyalty.services.earning import settle_stays
from loyalty.services.ledger import SourceLine, earn_points
from members.services.stays import FolioLineInput, add_folio_lines, move_stay, post_stay, void_stay
from tests.factories import NOW, base_rule, make_member, make_programme, make_property, publish_rules

ARRIVAL, DEPARTURE = dt.date(2026, 6, 13), dt.date(2026, 6, 15)
MAY = dt.date(2026, 5, 1)
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _balances_hold():
    """Whatever a test did, the ledger's own checks pass."""
    yield
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.fixture
def place():
    return make_property()


@pytest.fixture
def programme():
    return make_programme()


@pytest.fixture
def member(programme):
    return make_member(programme)


def rule(code, **terms):
    return EarningRule(**{"code": code, "name": code, "name_en": code.title(), "value": Decimal(2), **terms})


def double(**terms):
    return rule("weekend", result="multiplier", name="周末双倍", **terms)


def line(reference, amount, **facts):
    facts = {"business_date": ARRIVAL, "category": "room", **facts}
    return FolioLineInput(line_reference=reference, net_amount=Decimal(amount), **facts)


def post(member, place, *lines, reference="8821", **facts):
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


def correct(stay, *lines):
    add_folio_lines(actor=None, now=NOW, stay_id=stay.pk, lines=lines)


def available(member):
    return Account.objects.get(membership=member).available


def used():
    return {(use.rule_code, use.scope): int(use.used) for use in RuleUse.objects.order_by("pk")}


def test_the_sentence_tells_rate_and_bonus_of_one_line(programme, member, place):
    publish_rules(programme, base_rule(rate="1.5", name="金卡"), double(), start=MAY)

    post(member, place, line("1", "680.00"))

    (row,) = stay_lines(membership=member)
    assert row.points == 2040
    assert row.sentence == (
        f"入住 8821（{place.name}，按普通计算）：¥680.00 × 1.5（金卡，每元 1.5 分） = 1,020 分；"
        "周末双倍（1,020 的 2 倍）+1,020 分；合计 2,040 分。"
    )
    with translation.override("en"):
        assert stay_lines(membership=member)[0].sentence == (
            f"Stay 8821 at {place.name_en} as Member: CNY 680.00 × 1.5 (金卡: 1.5 points per CNY) = 1,020 points;"
            " Weekend (2 times 1,020) +1,020 points; 2,040 points in all."
        )


def test_the_rules_that_matched_are_kept_when_the_facts_change(programme, member, place):
    asked = {"all": [{"field": "guest.company", "op": "is", "value": "ACME"}]}
    publish_rules(programme, base_rule(), double(condition=asked), start=MAY)
    stay = post(member, place, line("1", "100.00"))
    assert available(member) == 100

    member.guest.company = "ACME"
    member.guest.save()
    correct(stay, line("2", "50.00"))
    assert available(member) == 150

    post(member, place, line("1", "100.00"), reference="next")
    assert available(member) == 350


def test_bonus_points_with_a_life_of_their_own_are_corrected_by_themselves(programme, member, place):
    programme.bonus_expiry_months = 6
    programme.save()
    publish_rules(programme, base_rule(), double(), start=MAY)
    stay = post(member, place, line("1", "100.00"))
    # What the programme says later does not tear apart what was given together, nor the other way round.
    programme.bonus_expiry_months = None
    programme.save()

    correct(stay, line("2", "-40.00"))

    assert list(Posting.objects.order_by("seq").values_list("kind", "points")) == [
        ("earn", 100),
        ("bonus", 100),
        ("clawback", -40),
        ("clawback", -40),
    ]
    lots = {lot.lot_class: (lot.remaining, lot.expires_on) for lot in Lot.objects.all()}
    assert lots == {"earned": (60, dt.date(2028, 6, 15)), "bonus": (60, dt.date(2026, 12, 15))}
    (row,) = stay_lines(membership=member)
    assert (row.points, len(row.postings)) == (120, 4)
    assert "合计 120 分" in row.sentence
    settle_stays(actor=None, now=NOW, stay_ids=[stay.pk])
    assert Posting.objects.count() == 4


def test_what_another_property_pays_for_is_its_own_lot(programme, member, place):
    sponsor = make_property()
    publish_rules(programme, base_rule(), double(funded_by=sponsor), start=MAY)

    stay = post(member, place, line("1", "100.00"))
    assert set(Lot.objects.values_list("funding_property", "original")) == {(place.pk, 100), (sponsor.pk, 100)}

    void_stay(actor=None, now=NOW, stay_id=stay.pk, reason="重复入账")
    assert available(member) == 0
    (row,) = stay_lines(membership=member)
    assert (row.points, row.sentence) == (0, f"入住 8821（{place.name}）已作废（重复入账）：收回 200 分。")


def test_a_stay_in_another_currency_is_converted_at_the_rate_it_was_decided_by(programme, member, place):
    publish_rules(programme, base_rule(currency=""), start=MAY)
    rate = ExchangeRate.objects.create(currency="THB", to_currency="CNY", effective_from=MAY, rate=Decimal("0.2"))
    stay = post(member, place, line("1", "1000.00"), currency="THB")
    assert available(member) == 200

    rate.rate = Decimal("0.5")
    rate.save()
    correct(stay, line("2", "500.00"))

    assert available(member) == 300
    (row,) = stay_lines(membership=member)
    assert "฿1,500.00 × ¥0.20 × 1" in row.sentence


def test_a_stay_awarded_before_there_were_versions_is_corrected_at_the_rate_of_each_line(programme, member, place):
    Membership.objects.update(status="suspended")
    stay = post(member, place, line("1", "100.00"))
    Membership.objects.update(status="active")
    old = {
        "kind": "earn",
        "stay": {"id": stay.pk, "reference": "8821", "arrival": "2026-06-13", "departure": "2026-06-15"},
        "property": {"id": place.pk, "zh": place.name, "en": place.name_en},
        "tier": {"id": member.tier_id, "zh": "普通", "en": "Member"},
        "currency": "CNY",
        "parts": [
            {
                "rule": 77,
                "name": "普通",
                "rate": "1",
                "lines": ["1"],
                "amounts": {"room": "100.00"},
                "amount": "100.00",
                "points": 100,
            }
        ],
        "total": 100,
        "before": 0,
    }
    publish_rules(programme, base_rule(rate="3"), start=DEPARTURE)
    earn_points(
        actor=None,
        now=NOW,
        points=100,
        membership_id=member.pk,
        source=SourceLine("desk", f"{place.pk}/8821"),
        explanation=old,
    )

    correct(stay, line("2", "-30.00"))
    assert available(member) == 70
    # Lines that came later look for a rule of the version in force on the stay's date.
    correct(stay, line("3", "10.00", business_date=ARRIVAL - dt.timedelta(1)))
    assert available(member) == 70 + 30
    correct(stay, line("4", "-80.00"))

    assert available(member) == 0
    (row,) = stay_lines(membership=member)
    assert row.points == 0
    assert row.sentence == f"入住 8821（{place.name}）已全额退款：收回已发放 100 分中的 100 分。"


def test_a_stay_moved_to_another_member_takes_its_points_along(programme, member, place):
    publish_rules(programme, base_rule(), double(cap_month=150), start=MAY)
    other = make_member(programme, name="周丽")
    stay = post(member, place, line("1", "100.00"))
    publish_rules(programme, base_rule(rate="9"), start=DEPARTURE)

    move_stay(actor=None, now=NOW, stay_id=stay.pk, guest_id=other.guest_id, reason="同名")
    move_stay(actor=None, now=NOW, stay_id=stay.pk, guest_id=other.guest_id, reason="同名")

    assert (available(member), available(other)) == (0, 200)
    uses = dict(RuleUse.objects.values_list("membership", "used"))
    assert uses == {member.pk: 0, other.pk: 100}
    assert [row.points for row in stay_lines(membership=other)] == [200]
    correct(stay, line("2", "-100.00"))
    assert (available(member), available(other)) == (0, 0)
    assert sum(other.qualification_entries.values_list("stays", flat=True)) == 0
    assert sum(member.qualification_entries.values_list("stays", flat=True)) == 0


@pytest.mark.parametrize(
    ("caps", "given", "scope"),
    [
        ({"cap_stay": 70}, [70, 70], "70 分"),
        ({"cap_day": 150}, [100, 50], "每天"),
        ({"cap_month": 150}, [100, 50], "每月"),
        ({"cap_member": 150}, [100, 50], "每位会员"),
        ({"budget_points": 150}, [100, 50], "预算"),
        ({"budget_money": 3, "point_cost": Decimal("0.02")}, [100, 50], "预算 ¥3.00"),
    ],
)
def test_a_cap_cuts_the_points_and_says_so(programme, member, place, caps, given, scope):
    publish_rules(programme, rule("bonus", value=Decimal(1), name="加赠", **caps), start=MAY)

    first = post(member, place, line("1", "100.00"))
    post(member, place, line("1", "100.00"), reference="second")

    assert list(Posting.objects.order_by("seq").values_list("points", flat=True)) == given
    assert scope in stay_lines(membership=member)[0].sentence
    # What is taken back may be given again.
    void_stay(actor=None, now=NOW, stay_id=first.pk, reason="x")
    post(member, place, line("1", "100.00"), reference="third")
    assert available(member) == sum(given)


def test_a_late_charge_within_a_cap_gives_what_one_folio_would_have(programme, member, place):
    publish_rules(programme, rule("bonus", value=Decimal(1), cap_member=150), start=MAY)
    stay = post(member, place, line("1", "100.00"))

    correct(stay, line("2", "100.00"))
    assert (available(member), used()) == (150, {("bonus", "member"): 150})
    correct(stay, line("3", "-100.00"))
    assert (available(member), used()) == (100, {("bonus", "member"): 100})


def test_a_newer_version_with_a_smaller_cap_gives_nothing_more_and_breaks_nothing(programme, member, place):
    publish_rules(programme, rule("bonus", value=Decimal(1), cap_member=150), start=MAY)
    stay = post(member, place, line("1", "120.00"))
    publish_rules(programme, rule("bonus", value=Decimal(1), cap_member=50), start=DEPARTURE)

    post(member, place, line("1", "100.00"), reference="second")
    assert available(member) == 120
    correct(stay, line("2", "-20.00"))
    assert (available(member), used()) == (100, {("bonus", "member"): 100})


def test_a_suspended_member_uses_up_no_budget(programme, member, place):
    publish_rules(programme, rule("bonus", value=Decimal(1), budget_points=150), start=MAY)
    Membership.objects.filter(pk=member.pk).update(status="suspended")

    post(member, place, line("1", "100.00"))

    assert not Posting.objects.exists()
    assert sum(used().values()) == 0


def test_facts_of_the_stay_are_asked_once_for_many_stays(programme, member, place, django_assert_max_num_queries):
    asked = {"all": [{"field": "stay.nights", "op": "gte", "value": 2}]}
    publish_rules(programme, base_rule(), double(condition=asked, budget_points=10_000), start=MAY)
    stays = [post(member, place, reference=str(number)) for number in range(20)]
    for stay in stays:
        stay.folio_lines.create(
            line_reference="1", business_date=ARRIVAL, category="room", net_amount=100, currency="CNY"
        )

    with django_assert_max_num_queries(33):
        settle_stays(actor=None, now=NOW, stay_ids=[stay.pk for stay in stays])

    assert available(member) == 20 * 200
