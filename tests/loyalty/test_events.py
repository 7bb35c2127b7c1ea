"""Points for joining and the like: once for each reference, by the version of the day, within caps."""

import datetime as dt
from decimal import Decimal

import pytest
from django.utils import translation

from loyalty.models import Account, EarningRule, Lot, Posting
from loyalty.selectors.postings import sentence_of
from loyalty.services.events import award_event
from loyalty.services.memberships import enrol_member, enrol_members
from members.models import Guest
from members.services.guests import add_identity, update_guest
from tests.factories import NOW, base_rule, make_guest, make_member, make_programme, make_property, publish_rules

MAY = dt.date(2026, 5, 1)
pytestmark = pytest.mark.django_db


def gift(code, event, points, **terms):
    return EarningRule(
        **{
            "code": code,
            "name": "注册礼",
            "name_en": "Welcome gift",
            "basis": "event",
            "event": event,
            "result": "fixed",
            "value": Decimal(points),
            **terms,
        }
    )


@pytest.fixture
def programme():
    return make_programme()


def available(member):
    return Account.objects.get(membership=member).available


def birthday(programme, *members, reference="2026", **facts):
    return award_event(
        **{
            "actor": None,
            "now": NOW,
            "programme": programme,
            "membership_ids": [member.pk for member in members],
            "event": "birthday",
            "reference": reference,
            **facts,
        }
    )


def test_joining_brings_its_points_at_once_and_says_why(programme):
    publish_rules(programme, base_rule(), gift("welcome", "enrolment", 1000), start=MAY)

    member = enrol_member(actor=None, now=NOW, programme=programme, guest_id=make_guest().pk, place=make_property())

    assert available(member) == 1000
    posting = Posting.objects.get()
    assert (posting.kind, posting.rule_version, posting.property) == ("bonus", "2", member.enrolled_property)
    assert Lot.objects.get().lot_class == "bonus"
    with translation.override("zh-hans"):
        assert sentence_of(posting) == "入会：注册礼 +1,000 分。"
    with translation.override("en"):
        assert sentence_of(posting) == "Enrollment: Welcome gift +1,000 points."


def test_members_brought_in_from_the_past_join_by_the_version_of_their_day(programme):
    publish_rules(programme, base_rule(), gift("welcome", "enrolment", 1000), start=MAY)
    old, new = make_guest("甲"), make_guest("乙")
    since = {old.pk: dt.datetime(2024, 3, 1, 9, tzinfo=dt.UTC), new.pk: NOW}

    first, second = enrol_members(
        actor=None, now=NOW, programme=programme, guest_ids=[old.pk, new.pk], enrolled_at=since
    )

    assert (available(first), available(second)) == (0, 1000)


def test_an_event_counts_once_for_its_reference(programme):
    publish_rules(programme, gift("birthday", "birthday", 500), start=MAY)
    member, other = make_member(programme, name="甲"), make_member(programme, name="乙")

    assert birthday(programme, member) == {member.pk: 500}
    assert birthday(programme, member, other) == {other.pk: 500}
    assert birthday(programme, member, reference="2027") == {member.pk: 500}

    assert (available(member), available(other)) == (1000, 500)


def test_a_condition_over_the_guest_and_the_tier_decides(programme):
    asked = {
        "all": [
            {"field": "guest.gender", "op": "is", "value": "female"},
            {"field": "member.tier_rank", "op": "gte", "value": 2},
        ]
    }
    publish_rules(programme, gift("birthday", "birthday", 500, condition=asked), start=MAY)
    members = [make_member(programme, name=name) for name in "甲乙丙"]
    for member, gender, tier in zip(members, ["female", "female", "male"], ["gold", "base", "gold"], strict=True):
        Guest.objects.filter(pk=member.guest_id).update(gender=gender)
        type(member).objects.filter(pk=member.pk).update(tier=programme.tiers.get(code=tier))

    assert birthday(programme, *members) == {members[0].pk: 500}


def test_caps_and_who_pays_hold_for_events_too(programme):
    sponsor = make_property()
    publish_rules(
        programme,
        gift("birthday", "birthday", 500, budget_points=700),
        gift("cake", "birthday", 50, funded_by=sponsor),
        start=MAY,
    )
    members = [make_member(programme, name=name) for name in "甲乙丙"]

    given = birthday(programme, *members, reference="all")

    assert list(given.values()) == [550, 250, 50]
    assert set(Lot.objects.values_list("funding_property", flat=True)) == {None, sponsor.pk}
    assert birthday(programme, *members, reference="all") == {}
    assert "预算" in sentence_of(Posting.objects.get(points=200))


def test_many_members_take_as_many_statements_as_few(programme, django_assert_max_num_queries):
    asked = {"all": [{"field": "guest.gender", "op": "is_not", "value": "male"}]}
    publish_rules(programme, gift("birthday", "birthday", 500, condition=asked, budget_points=9000), start=MAY)
    members = [make_member(programme, name=f"客{number}") for number in range(20)]

    with django_assert_max_num_queries(16):
        given = birthday(programme, *members)

    assert sum(given.values()) == 9000


def test_a_completed_profile_brings_its_points_once(programme):
    programme.profile_fields = ["gender", "birthday", "email"]
    programme.save()
    publish_rules(programme, gift("profile", "profile_completed", 200), start=MAY)
    member = make_member(programme)
    facts = {"actor": None, "now": NOW, "guest_id": member.guest_id}

    update_guest(**facts, expected_version=1, changes={"gender": "female", "birthday": dt.date(1990, 5, 1)})
    assert available(member) == 0
    add_identity(**facts, kind="email", value="lin@example.com")
    assert available(member) == 200

    guest = Guest.objects.get(pk=member.guest_id)
    update_guest(**facts, expected_version=guest.version, changes={"gender": "male"})
    assert available(member) == 200


def test_who_joins_with_a_complete_profile_has_its_points_at_once(programme):
    programme.profile_fields = ["gender"]
    programme.save()
    publish_rules(programme, gift("profile", "profile_completed", 200), start=MAY)

    member = enrol_member(actor=None, now=NOW, programme=programme, guest_id=make_guest(gender="male").pk)

    assert available(member) == 200
