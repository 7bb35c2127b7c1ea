"""Published programmes loaded as data alone, and the scenarios of programmes.json told through their stays."""

import copy
import datetime as dt
import json
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db.models import Sum
from django.utils.translation import override

from hotels.models import AuditEntry, Role
from loyalty.models import (
    Account,
    EarningRule,
    EarningRuleSet,
    Membership,
    Posting,
    Programme,
    Tier,
    TierBenefit,
    TierCriteria,
    TierPolicy,
)
from loyalty.rules.programme_documents import InvalidProgramme, parse_programme
from loyalty.rules.tiers import Figures
from loyalty.selectors.standing import Span, figures_between
from loyalty.services import jobs
from loyalty.services.memberships import enrol_member
from loyalty.services.programmes import ProgrammeDiffers, load_programme
from loyalty.services.tier_credits import add_qualification, carry_over_excess
from loyalty.services.tier_reviews import apply_review, approve_review, build_review
from members.services.stays import FolioLineInput, StayInput, post_stay, post_stays
from tests.factories import NOW, make_brand, make_guest, make_property, make_staff

pytestmark = pytest.mark.django_db

FOLDER = Path(__file__).resolve().parent.parent.parent / "docs" / "programmes"
NAMES = ["marriott_bonvoy", "hyatt", "ihg", "accor_all", "gujing_2019"]
BRANDS = [
    "RESIDENCE-INN",
    "TOWNEPLACE",
    "ELEMENT",
    "HOMES-VILLAS",
    "PROTEA",
    "CITY-EXPRESS",
    "FOUR-POINTS-EXPRESS",
    "EXEC-APARTMENTS",
]
TABLES = [Programme, Tier, TierPolicy, TierCriteria, TierBenefit, EarningRuleSet, EarningRule, AuditEntry]
DAY = dt.timedelta(days=1)
TODAY = NOW.date()


@pytest.fixture(autouse=True)
def _brands():
    for code in BRANDS:
        make_brand(code)


def document_of(name):
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"), parse_float=Decimal)


def load(document, **facts):
    return load_programme(actor=None, now=NOW, document=document, **facts)


def everything():
    return {model.__name__: list(model.objects.order_by("pk").values()) for model in TABLES}


def refused(document, error=InvalidProgramme):
    """Paths and codes; nothing is written."""
    before = everything()
    with pytest.raises(error) as caught:
        load(document)
    assert everything() == before
    return [(path, code) for path, code, _message in caught.value.errors]


class Member:
    """A member of a loaded programme at a hotel that charges in its currency."""

    def __init__(self, name, *, enrolled=NOW - 800 * DAY):
        self.programme = load(document_of(name)).programme
        self.membership = enrol_member(actor=None, now=enrolled, programme=self.programme, guest_id=make_guest().pk)
        self.places = {}
        self.number = 0

    def place(self, brand):
        if brand not in self.places:
            self.places[brand] = make_property(brand=make_brand(brand), currency=self.programme.currency)
        return self.places[brand]

    def stay(self, amount, *, nights=1, brand="YQ", departure=TODAY, now=None, **facts):
        """Post a stay; what it brought in points."""
        before = self.points()
        self.number += 1
        arrival = departure - nights * DAY
        post_stay(
            actor=None,
            now=now or NOW,
            place=self.place(brand),
            source_system="pms",
            source_reference=f"S{self.number}",
            guest_id=self.membership.guest_id,
            arrival_date=arrival,
            departure_date=departure,
            lines=[FolioLineInput("1", arrival, "room", Decimal(amount))] if Decimal(amount) else [],
            currency=self.programme.currency,
            **facts,
        )
        return self.points() - before

    def points(self):
        found = Posting.objects.filter(account__membership=self.membership).aggregate(Sum("points"))
        return found["points__sum"] or 0

    def figures(self, start=dt.date.min, end=dt.date.max):
        return figures_between([Span(1, self.membership.pk, start, end)]).get(1, (Figures(), Figures()))[0]

    @property
    def tier(self):
        return Membership.objects.get(pk=self.membership.pk).tier.code


# Loading


@pytest.mark.parametrize("name", NAMES)
def test_a_document_makes_a_programme_and_again_changes_nothing(name, capsys):
    call_command("load_programme", str(FOLDER / f"{name}.json"))
    before = everything()
    document = document_of(name)
    programme = Programme.objects.get(code=document["programme"]["code"])
    rule_set = programme.earning_rule_sets.get()

    call_command("load_programme", str(FOLDER / f"{name}.json"))

    assert everything() == before
    assert "created" in capsys.readouterr().out
    assert (rule_set.status, rule_set.effective_from.isoformat()) == ("published", document["effective_from"])
    assert {rule.code: rule.value for rule in rule_set.rules.all()} == {
        rule["code"]: Decimal(rule["value"]) for rule in document["rules"]
    }
    assert [tier.code for tier in programme.tiers.order_by("rank")] == [tier["code"] for tier in document["tiers"]]


def test_under_another_code_it_is_another_programme():
    for code in ("", "OTHER"):
        call_command("load_programme", str(FOLDER / "ihg.json"), "--code", code)

    assert set(Programme.objects.values_list("code", flat=True)) == {"IHG", "OTHER"}
    assert {p.inactivity_exempt_tier.programme_id for p in Programme.objects.all()} == {
        p.pk for p in Programme.objects.all()
    }


def test_other_rules_become_a_draft_once_and_history_stays():
    published = load(document_of("ihg")).rule_set
    document = document_of("ihg")
    document["rules"][0]["value"] = "12"

    first, second = load(document), load(document)

    assert (first.outcome, second.outcome) == ("drafted", "unchanged")
    assert first.rule_set == second.rule_set
    assert (first.rule_set.number, first.rule_set.status, first.rule_set.effective_from) == (2, "draft", None)
    assert first.rule_set.rules.get(code="base").value == 12
    assert first.rule_set.rules.count() == len(document["rules"])
    assert published.rules.get(code="base").value == 10
    # The file that made the programme still says what is in force.
    assert load(document_of("ihg")).rule_set == published


def test_order_and_form_make_no_difference():
    """Multiples before their base points, numbers as numbers: the same programme."""
    document = document_of("hyatt")
    document["tier_policy"]["stay_conditions"] = {"field": "stay.net_total", "op": "gte", "value": 100}
    document["rules"][0]["condition"] = {"field": "stay.net_total", "op": "gte", "value": 100}
    document["rules"][0]["value"] = Decimal("5.0")
    document["rules"].reverse()
    document["tiers"].reverse()

    assert load(document).outcome == "created"
    before = everything()
    assert load(document).outcome == "unchanged"
    document["rules"].reverse()
    document["rules"][0]["value"] = 5
    assert load(document).outcome == "unchanged"
    assert everything() == before
    document["tier_policy"]["stay_conditions"]["op"] = "near"
    assert refused(document) == [("tier_policy.stay_conditions.op", "unknown_operator")]


def test_what_else_differs_is_refused_at_its_place():
    load(document_of("ihg"))
    document = document_of("ihg")
    document["programme"]["inactivity_months"] = 6
    document["programme"]["inactivity_exempt_tier"] = "gold"
    document["tier_policy"]["free_nights"] = "paid"
    document["tiers"][1]["conditions"]["all"][0]["value"] = 11
    document["tiers"][2]["name"] = "金"
    document["tiers"][3]["benefits"] = [{"name": "早餐"}]
    del document["tiers"][4]
    document["rules"][0]["value"] = "12"
    document["rules"] = document["rules"][:4]

    assert refused(document, ProgrammeDiffers) == [
        (path, "differs")
        for path in (
            "programme.inactivity_months",
            "programme.inactivity_exempt_tier",
            "tier_policy.free_nights",
            "tiers[1].conditions",
            "tiers[2].name",
            "tiers[3].benefits[0]",
            "tiers",
        )
    ]


def with_change(name, *path, value):
    document = copy.deepcopy(document_of(name))
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        (["rules", 2, "value"], "ten", "rules[2].value"),
        (["rules", 2, "value"], True, "rules[2].value"),
        (["rules", 2, "value"], "-1", "rules[2].value"),
        (["rules", 2, "basis"], "smiles", "rules[2].basis"),
        (["rules", 2, "rate"], "10", "rules[2].rate"),
        (["rules", 2, "code"], "base-half", "rules[2].code"),
        (["rules", 2, "funded_by"], "NOWHERE", "rules[2].funded_by"),
        (["rules", 3, "value"], "1", "rules[3].value"),
        (["rules", 1, "condition", "all", 0, "value"], ["NO-BRAND"], "rules[1].condition.all.0.value"),
        (["rules", 3, "condition", "all", 0, "value"], ["tin"], "rules[3].condition.all.0.value"),
        (["tiers", 5, "conditions", "all", 1, "field"], "smiles", "tiers[5].conditions.all.1.field"),
        (["tiers", 5, "conditions", "all", 1, "value"], "much", "tiers[5].conditions.all.1.value"),
        (["tiers", 1, "rank"], 2, "tiers[2].rank"),
        (["tiers", 0, "rank"], 9, "tiers"),
        (["tiers", 0, "conditions"], {"all": []}, "tiers[0].conditions"),
        (["tiers", 1, "benefits"], [{"name": "早餐", "period": "stay"}], "tiers[1].benefits[0].quantity"),
        (["tier_policy", "window"], "decade", "tier_policy.window"),
        (["tier_policy", "carry_over"], ["smiles"], "tier_policy.carry_over[0]"),
        (["tier_policy", "carry_over_tier"], "tin", "tier_policy.carry_over_tier"),
        (
            ["tier_policy", "stay_conditions"],
            {"all": [{"field": "stay.nights", "op": "gte", "value": "x"}]},
            "tier_policy.stay_conditions.all.0.value",
        ),
        (["programme", "currency"], "dollars", "programme.currency"),
        (["programme", "time_zone"], "Mars/Olympus", "programme.time_zone"),
        (["programme", "inactivity_exempt_tier"], "tin", "programme.inactivity_exempt_tier"),
        (["programme", "pending_days"], 1.5, "programme.pending_days"),
        (["effective_from"], "soon", "effective_from"),
        (["rules"], {}, "rules"),
        (["programme"], [], "programme"),
    ],
)
def test_what_is_wrong_is_told_at_its_place_and_nothing_is_written(path, value, place):
    assert place in [found for found, _code in refused(with_change("marriott_bonvoy", *path, value=value))]


def test_a_document_that_is_none_is_refused_by_the_command(tmp_path):
    file = tmp_path / "programme.json"
    for text, message in (
        ("{", "cannot be read"),
        ("[]", "^An object with named values is needed.$"),
        ("{}", "programme: This is needed"),
    ):
        file.write_text(text)
        with override("en"), pytest.raises(CommandError, match=message):
            call_command("load_programme", str(file))
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("load_programme", str(tmp_path / "none.json"))


def test_everything_wrong_is_told_at_once():
    document = with_change("marriott_bonvoy", "rules", 3, "condition", "all", 0, "value", value=["tin"])
    document["rules"][1]["condition"]["all"][0]["value"] = ["NO-BRAND"]
    document["rules"][4]["value"] = "1"

    assert [path for path, _code in refused(document)] == [
        "rules[1].condition.all.0.value",
        "rules[3].condition.all.0.value",
        "rules[4].value",
    ]


# Scenarios of programmes.json


def test_s01_marriott_gold_at_a_brand_of_ten_points():
    """USD 1,000: 10,000 base + 25 % = 12,500."""
    member = Member("marriott_bonvoy")
    assert member.stay("25", nights=25) == 250
    assert member.tier == "gold"

    assert member.stay("1000") == 12_500


def test_s02_marriott_titanium_at_a_brand_of_five_points():
    """USD 400 at Residence Inn: 2,000 + 75 % = 3,500; at apartments of 2.5 points half of it."""
    member = Member("marriott_bonvoy")
    member.stay("75", nights=75)
    assert member.tier == "titanium"

    assert member.stay("400", brand="RESIDENCE-INN") == 3_500
    assert member.stay("400", brand="EXEC-APARTMENTS") == 1_750


def test_s03_marriott_ambassador_needs_nights_and_spend():
    """100 nights, USD 22,999: Titanium; one dollar more: Ambassador."""
    member = Member("marriott_bonvoy")
    member.stay("22999", nights=100)
    assert (member.figures().nights, member.figures().amount) == (100, 22_999)
    assert member.tier == "titanium"

    member.stay("1", nights=0)

    assert member.tier == "ambassador"


def test_s07_hyatt_bonus_does_not_count_towards_the_tier():
    """Globalist, USD 2,000: 10,000 base + 30 % = 13,000, of which 10,000 count."""
    member = Member("hyatt")
    member.stay("60", nights=60)
    assert member.tier == "globalist"
    before = member.figures().points

    assert member.stay("2000") == 13_000
    assert member.figures().points - before == 10_000
    # Rest of the year, the next, to the end of February after.
    assert Membership.objects.get(pk=member.membership.pk).tier_until_date == dt.date(2028, 2, 29)


def test_hyatt_third_parties_bring_nothing_and_free_nights_count():
    member = Member("hyatt")

    assert member.stay("2000", nights=3, channel="expedia") == 0
    assert member.figures() == Figures()
    assert member.stay("0", nights=3) == 0
    assert member.figures().nights == 3


def test_hyatt_meetings_and_base_points_are_other_ways_and_a_million_is_for_life():
    member = Member("hyatt")
    add_qualification(
        actor=make_staff(),
        now=NOW,
        membership_id=member.membership.pk,
        figures=Figures(meetings=3),
        reason="三场会议",
    )
    assert member.tier == "discoverist"

    member.stay("10000")
    assert member.tier == "explorist"

    member.stay("190000")
    assert member.tier == "lifetime-globalist"


def expire(day):
    return jobs.expire_lapsed_points(now=dt.datetime.combine(day, dt.time(20), tzinfo=dt.UTC))


def test_s08_ihg_points_lapse_when_the_elite_tier_does():
    """Silver earned in 2024 is valid to the end of 2025; last activity 13 months before that."""
    start = dt.datetime(2024, 1, 2, 12, tzinfo=dt.UTC)
    member = Member("ihg", enrolled=start)
    left = dt.date(2024, 11, 30)
    member.stay("1000", nights=10, departure=left, now=dt.datetime(2024, 11, 30, 20, tzinfo=dt.UTC))
    assert (member.tier, member.points()) == ("silver", 10_000)

    # 13 months after the last activity, and still elite.
    expire(dt.date(2025, 12, 31))
    assert member.points() == 10_000

    manager, now = make_staff(Role.GROUP_MANAGER), dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)
    review = build_review(actor=manager, now=now, programme=member.programme)
    approve_review(actor=manager, now=now, review_id=review.pk)
    apply_review(actor=manager, now=now, review_id=review.pk)
    assert member.tier == "club"
    expire(dt.date(2026, 1, 3))

    account = Account.objects.get(membership=member.membership)
    assert (member.points(), account.available) == (0, 0)


def test_ihg_diamond_doubles_and_only_base_points_qualify():
    member = Member("ihg")
    member.stay("12000")
    assert member.tier == "diamond"

    assert member.stay("100") == 2_000
    assert member.figures().points == 121_000


def test_ihg_nights_above_gold_roll_over_and_those_above_silver_do_not():
    gold, silver = Member("ihg"), Member("ihg")
    for member, nights in ((gold, 25), (silver, 15)):
        member.stay("100", nights=nights, departure=dt.date(2025, 12, 1), now=NOW - 190 * DAY)
    assert (gold.tier, silver.tier) == ("gold", "silver")

    carry_over_excess(now=NOW, programme=gold.programme)

    year = (dt.date(2026, 1, 1), dt.date(2026, 12, 31))
    assert (gold.figures(*year).nights, silver.figures(*year).nights) == (5, 0)


def test_s09_accor_counts_a_night_of_a_booking_once():
    """One booking, 3 rooms, 2 nights: 2 status nights."""
    member = Member("accor_all")
    rooms = [
        StayInput(
            place_id=member.place("YQ").pk,
            source_system="pms",
            source_reference=f"R{room}",
            guest_id=member.membership.guest_id,
            arrival_date=TODAY - 2 * DAY,
            departure_date=TODAY,
            currency="EUR",
            channel="website",
            booking_reference="B1",
            lines=[FolioLineInput("1", TODAY - 2 * DAY, "room", Decimal(100))],
        )
        for room in range(3)
    ]
    post_stays(actor=None, now=NOW, rows=rooms)

    assert member.figures().nights == 2
    assert member.points() == 750
    assert member.stay("100", nights=5, channel="ctrip") == 0
    assert member.figures().nights == 2


def test_s18_gujing_walk_in_counts_nights_and_earns_nothing():
    """A walk-in at the front desk, CNY 500: no points, one night."""
    member = Member("gujing_2019")

    assert member.stay("500", channel="front_desk") == 0
    assert (member.figures().nights, member.figures().points) == (1, 0)
    assert member.stay("400", channel="wechat") == 400
    # Two nights are one of the ways to the first card.
    assert member.tier == "standard"
    assert member.stay("1600", channel="phone") == 1_600
    # 2,000 points are one of the ways to the next, and what was earned before is kept.
    assert (member.tier, member.points()) == ("gold", 2_000)


# The documents and the facts they are taken from


def thresholds(conditions):
    (leaves,) = conditions.values()
    return {leaf["field"]: Decimal(leaf["value"]) for leaf in leaves}


@pytest.mark.real_inputs
def test_the_documents_say_what_the_published_rules_say():
    path = Path(settings.GUIKE_REAL_INPUTS) / "programmes" / "programmes.json"
    if not path.is_file():
        pytest.skip(f"the programmes are not at {path}; GUIKE_REAL_INPUTS may name their folder")
    measures = {
        "nights": "nights",
        "or_nights": "nights",
        "points": "points",
        "or_points": "points",
        "or_base_points": "points",
        "status_points": "points",
        "or_status_points": "points",
        "or_meetings": "meetings",
        "and_spend_usd": "amount",
        "lifetime_base_points": "lifetime_points",
    }
    published = json.loads(path.read_text("utf-8"), parse_float=Decimal)["programmes"]
    assert [programme["id"] for programme in published] == NAMES
    for told in published:
        document = parse_programme(document_of(told["id"]))
        bonuses = {
            code: rule["value"] - 1
            for rule in document.rules
            if rule.get("result") == "multiplier"
            for code in rule["condition"]["all"][0]["value"]
        }
        tiers = sorted(document.tiers, key=lambda tier: tier.fields["rank"])[1:]
        assert len(tiers) == len(told["tiers"])
        for tier, facts in zip(tiers, told["tiers"], strict=True):
            assert facts["tier"] in f"{tier.fields['name']} {tier.fields['name_en']}"
            assert thresholds(tier.conditions) == {
                measures[name]: value for name, value in facts.items() if name in measures
            }
            if "bonus" in facts:
                assert bonuses[tier.fields["code"]] == facts["bonus"]
