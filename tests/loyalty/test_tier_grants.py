"""Tiers by hand, by match, by challenge and for money: floors with an end, a reason and a way back."""

import datetime as dt
from decimal import Decimal

import pytest

from hotels.models import AuditEntry, Role
from loyalty.models import ChallengeEntry, Membership, TierChallenge, TierChange, TierPolicy
from loyalty.services.memberships import enrol_member
from loyalty.services.tier_grants import (
    AlreadyRevoked,
    ChallengeClosed,
    EndsTooEarly,
    NoHigherTier,
    NotPurchasable,
    ReasonRequired,
    evaluate_challenges,
    grant_tier,
    match_status,
    purchase_tier,
    revoke_grant,
    start_challenge,
)
from members.services.stays import FolioLineInput, post_stay
from tests.factories import NOW, at_least, make_guest, make_programme, make_property, make_staff

pytestmark = pytest.mark.django_db

DAY = dt.timedelta(days=1)
TODAY = NOW.date()
END = TODAY + 90 * DAY


@pytest.fixture
def programme():
    programme = make_programme()
    TierPolicy.objects.create(
        programme=programme, effective_from=dt.date(2020, 1, 1), validity="months", validity_months=12
    )
    return programme


@pytest.fixture
def membership(programme):
    return enrol_member(actor=None, now=NOW, programme=programme, guest_id=make_guest().pk)


@pytest.fixture
def manager():
    return make_staff(Role.GROUP_MANAGER)


@pytest.fixture
def grant(programme, membership, manager):
    def give(tier="gold", until_date=END, **facts):
        return grant_tier(
            actor=manager,
            now=NOW,
            membership_id=membership.pk,
            tier_id=programme.tiers.get(code=tier).pk,
            until_date=until_date,
            **{"reason": "赔礼", **facts},
        )

    return give


def standing(membership):
    member = Membership.objects.select_related("tier").get(pk=membership.pk)
    return member.tier.code, member.tier_until_date, member.tier_source


def stay(membership, place, number, amount="100", day=TODAY, now=NOW):
    return post_stay(
        actor=None,
        now=now,
        place=place,
        source_system="pms",
        source_reference=number,
        guest_id=membership.guest_id,
        arrival_date=day - DAY,
        departure_date=day,
        lines=[FolioLineInput("1", day - DAY, "room", Decimal(amount))],
        currency="CNY",
    )


def test_a_grant_has_an_end_a_reason_and_history(grant, membership, manager):
    given = grant()

    assert standing(membership) == ("gold", END, "manual")
    change = TierChange.objects.get()
    assert (change.kind, change.source, change.reason, change.grant, change.actor) == (
        "grant",
        "manual",
        "赔礼",
        given,
        manager,
    )
    assert AuditEntry.objects.get(action="tier.granted").after["until_date"] == str(END)


@pytest.mark.parametrize(
    ("facts", "error"),
    [
        ({"reason": " "}, ReasonRequired),
        ({"until_date": TODAY - DAY}, EndsTooEarly),
        ({"tier": "base"}, NoHigherTier),
    ],
)
def test_a_grant_that_says_or_gives_nothing_is_refused(grant, membership, facts, error):
    with pytest.raises(error):
        grant(**facts)

    assert standing(membership) == ("base", None, "earned")


def test_a_grant_taken_back_gives_back_what_was_before(grant, membership, manager):
    given = grant("gold")
    with pytest.raises(ReasonRequired):
        revoke_grant(actor=manager, now=NOW, grant_id=given.pk, reason="")

    revoke_grant(actor=manager, now=NOW, grant_id=given.pk, reason="误操作")

    assert standing(membership) == ("base", None, "earned")
    assert list(TierChange.objects.order_by("pk").values_list("kind", flat=True)) == ["grant", "undo"]
    with pytest.raises(AlreadyRevoked):
        revoke_grant(actor=manager, now=NOW, grant_id=given.pk, reason="误操作")


def test_the_way_back_leads_to_the_other_grant_or_to_what_was_earned(grant, membership, manager):
    silver = grant("silver", END + DAY)
    gold = grant("gold")
    stay(membership, make_property(), "1", "6000")
    assert standing(membership)[0] == "gold"

    revoke_grant(actor=manager, now=NOW, grant_id=gold.pk, reason="误操作")
    assert standing(membership) == ("silver", dt.date(2027, 6, 14), "earned")
    revoke_grant(actor=manager, now=NOW, grant_id=silver.pk, reason="误操作")

    assert standing(membership) == ("silver", dt.date(2027, 6, 14), "earned")


def test_what_was_earned_above_a_grant_stays(grant, membership, manager):
    given = grant("silver")
    stay(membership, make_property(), "1", "10000")

    revoke_grant(actor=manager, now=NOW, grant_id=given.pk, reason="误操作")

    assert standing(membership) == ("gold", dt.date(2027, 6, 14), "earned")


def test_a_match_needs_proof(programme, membership, manager):
    facts = {
        "actor": manager,
        "now": NOW,
        "membership_id": membership.pk,
        "tier_id": programme.tiers.get(code="gold").pk,
        "until_date": END,
    }
    with pytest.raises(ReasonRequired):
        match_status(**facts, proof=" ")

    given = match_status(**facts, proof="他程白金卡，会员号尾号 6621", proof_reference="scan-17.pdf")

    assert standing(membership) == ("gold", END, "matched")
    assert (given.proof, given.proof_reference) == ("他程白金卡，会员号尾号 6621", "scan-17.pdf")


def test_gujing_sells_every_tier_but_platinum(programme, membership, manager):
    # programmes.json, gujing_2019: self-service paid upgrade except platinum.
    programme.tiers.filter(code__in=["silver", "gold"]).update(is_purchasable=True)
    facts = {"actor": None, "now": NOW, "membership_id": membership.pk, "reference": "PAY-1"}
    gold, diamond = programme.tiers.get(code="gold"), programme.tiers.get(code="diamond")
    with pytest.raises(NotPurchasable):
        purchase_tier(**facts, tier_id=diamond.pk)

    given = purchase_tier(**facts, tier_id=gold.pk)
    again = purchase_tier(**facts, tier_id=gold.pk)

    assert given == again
    assert standing(membership) == ("gold", dt.date(2027, 6, 14), "purchased")
    assert TierChange.objects.count() == 1


# Challenges


@pytest.fixture
def challenge(programme):
    return TierChallenge.objects.create(
        programme=programme,
        code="gold-90",
        name="金卡挑战",
        name_en="Gold challenge",
        tier=programme.tiers.get(code="gold"),
        conditions=at_least(stays=3),
        days=90,
        valid_months=6,
        opens_on=TODAY,
    )


def test_three_stays_in_ninety_days_win_the_tier(challenge, membership, manager):
    place = make_property()
    stay(membership, place, "0", day=TODAY - DAY, now=NOW - DAY)
    entry = start_challenge(actor=manager, now=NOW, membership_id=membership.pk, challenge_id=challenge.pk)
    assert entry.until_date == TODAY + 89 * DAY

    for number in range(1, 4):
        assert standing(membership)[0] == "base"
        stay(membership, place, str(number), day=TODAY + number * DAY, now=NOW + number * DAY)

    entry.refresh_from_db()
    assert (entry.state, entry.figures["stays"]) == ("won", 3)
    assert standing(membership) == ("gold", dt.date(2026, 12, 17), "challenge")
    assert entry.grant.source == "challenge"


def test_a_challenge_ends_with_its_last_day(challenge, programme, membership, manager):
    entry = start_challenge(actor=manager, now=NOW, membership_id=membership.pk, challenge_id=challenge.pk)
    facts = {"actor": None, "programme": programme}

    assert evaluate_challenges(**facts, now=NOW + 89 * DAY) == 0
    assert evaluate_challenges(**facts, now=NOW + 90 * DAY) == 1

    entry.refresh_from_db()
    assert (entry.state, standing(membership)[0]) == ("failed", "base")


def test_a_challenge_is_taken_once_and_while_it_is_open(challenge, membership, manager):
    facts = {"actor": manager, "membership_id": membership.pk, "challenge_id": challenge.pk}
    with pytest.raises(ChallengeClosed):
        start_challenge(**facts, now=NOW - DAY)
    start_challenge(**facts, now=NOW)

    with pytest.raises(ChallengeClosed):
        start_challenge(**facts, now=NOW)

    assert ChallengeEntry.objects.count() == 1
