"""Grants and reviews in the administration, and benefits on the guest's card, as people use them."""

import datetime as dt

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from hotels.models import Role
from loyalty.models import (
    Entitlement,
    Membership,
    QualificationEntry,
    TierBenefit,
    TierChallenge,
    TierGrant,
    TierPolicy,
    TierReview,
    TierReviewRow,
)
from loyalty.services.memberships import enrol_member
from tests.factories import NOW, make_guest, make_programme, make_property, make_staff

pytestmark = pytest.mark.django_db

TODAY = NOW.date()


@pytest.fixture(autouse=True)
def _today():
    with time_machine.travel(NOW, tick=False):
        yield


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


def client_of(role, **facts):
    client = Client()
    client.force_login(make_staff(role, **facts))
    return client


def standing(membership):
    return Membership.objects.get(pk=membership.pk).tier.code


def test_a_manager_grants_a_tier_and_takes_it_back(programme, membership):
    client = client_of(Role.GROUP_MANAGER)
    facts = {
        "number": membership.number,
        "tier": programme.tiers.get(code="gold").pk,
        "source": "manual",
        "until_date": "2026-12-31",
        "reason": "赔礼",
    }
    add = reverse("admin:loyalty_tiergrant_add")

    refused = client.post(add, {**facts, "number": "none"})
    client.post(add, facts)
    assert "number" in refused.context["adminform"].form.errors
    assert standing(membership) == "gold"

    grant = TierGrant.objects.get()
    client.post(reverse("admin:loyalty_tiergrant_take_back", args=[grant.pk]), {"reason": "误操作"})
    assert standing(membership) == "base"


def test_a_manager_builds_decides_approves_and_applies_a_review(programme, membership):
    Membership.objects.filter(pk=membership.pk).update(
        tier=programme.tiers.get(code="gold"), tier_until_date=TODAY - dt.timedelta(days=1)
    )
    client = client_of(Role.GROUP_MANAGER)
    client.post(reverse("admin:loyalty_tierreview_add"), {"programme": programme.pk, "run_date": str(TODAY)})
    review, row = TierReview.objects.get(), TierReviewRow.objects.get()
    change = reverse("admin:loyalty_tierreviewrow_change", args=[row.pk])

    unexplained = client.post(change, {"decision": "exclude", "decision_reason": ""})
    assert unexplained.status_code == 200
    listed = client.get(reverse("admin:loyalty_tierreviewrow_changelist")).content.decode()
    assert "等级已于 2026-06-14 到期且未再达标" in listed
    for step in ("approve", "apply"):
        assert client.get(reverse(f"admin:loyalty_tierreview_{step}", args=[review.pk])).status_code == 200
        client.post(reverse(f"admin:loyalty_tierreview_{step}", args=[review.pk]))

    assert standing(membership) == "base"
    nobody = client_of(Role.MARKETER)
    assert nobody.post(reverse("admin:loyalty_tierreview_apply", args=[review.pk])).status_code == 403


def act_url(membership, name):
    return reverse(f"admin:loyalty_membership_{name}", args=[membership.pk])


def test_whoever_is_left_out_of_a_review_is_skipped_in_words(programme, membership):
    Membership.objects.filter(pk=membership.pk).update(
        tier=programme.tiers.get(code="gold"), tier_until_date=TODAY - dt.timedelta(days=1)
    )
    client = client_of(Role.GROUP_MANAGER)
    client.post(reverse("admin:loyalty_tierreview_add"), {"programme": programme.pk, "run_date": str(TODAY)})
    review, row = TierReview.objects.get(), TierReviewRow.objects.get()
    change = reverse("admin:loyalty_tierreviewrow_change", args=[row.pk])
    client.post(change, {"decision": "exclude", "decision_reason": "长住客"})
    for step in ("approve", "apply"):
        client.post(reverse(f"admin:loyalty_tierreview_{step}", args=[review.pk]))

    assert "经理已排除" in client.get(change).content.decode()


def test_a_manager_protects_a_tier_and_ends_it(membership):
    client = client_of(Role.GROUP_MANAGER)
    url = act_url(membership, "protect")
    assert client.post(url, {"until_date": "2026-12-31", "reason": ""}).status_code == 422

    assert client.post(url, {"until_date": "2026-12-31", "reason": "产假"}).status_code == 302
    kept = Membership.objects.get(pk=membership.pk)
    assert (kept.protected_until_date, kept.protected_reason) == (dt.date(2026, 12, 31), "产假")
    client.post(url, {"until_date": "", "reason": "已返回"})

    assert Membership.objects.get(pk=membership.pk).protected_until_date is None
    assert client_of(Role.MARKETER).post(url, {"until_date": "", "reason": "x"}).status_code == 403


def test_a_manager_counts_by_hand_and_takes_it_away_again(membership):
    client = client_of(Role.GROUP_MANAGER)
    url = act_url(membership, "count_by_hand")
    facts = {"business_date": str(TODAY), "reason": "合作酒店"}
    assert client.post(url, facts).status_code == 422
    assert client.post(url, {**facts, "amount": "1", "business_date": "2026-06-16"}).status_code == 422

    assert client.post(url, {**facts, "amount": "6000"}).status_code == 302
    assert standing(membership) == "silver"
    assert client.post(url, {**facts, "amount": "-6000", "reason": "录错"}).status_code == 302

    amounts = QualificationEntry.objects.filter(membership=membership).values_list("amount", flat=True)
    assert sorted(amounts) == [-6000, 6000]
    assert client_of(Role.MARKETER).get(url).status_code == 403


def test_a_manager_starts_a_challenge_once(programme, membership):
    challenge = TierChallenge.objects.create(
        programme=programme,
        code="gold-90",
        name="金卡挑战",
        tier=programme.tiers.get(code="gold"),
        conditions={"all": [{"field": "stays", "op": "gte", "value": 3}]},
        days=90,
        opens_on=TODAY,
    )
    client = client_of(Role.GROUP_MANAGER)
    url = act_url(membership, "begin_challenge")
    assert "金卡挑战" in client.get(url).content.decode()

    assert client.post(url, {"challenge": challenge.pk}).status_code == 302
    again = client.post(url, {"challenge": challenge.pk})

    assert again.status_code == 422
    assert "目前不能" in again.content.decode()
    assert membership.challenge_entries.get().until_date == dt.date(2026, 9, 12)
    assert client_of(Role.MARKETER).post(url, {"challenge": challenge.pk}).status_code == 403


def test_a_tier_is_sold_with_the_number_of_the_payment(programme, membership):
    gold = programme.tiers.get(code="gold")
    add = reverse("admin:loyalty_tiergrant_add")
    facts = {"number": membership.number, "tier": gold.pk, "source": "purchased", "reason": "付费升级"}
    client = client_of(Role.GROUP_MANAGER)
    assert "付款" in client.post(add, facts).content.decode()
    client.post(add, {**facts, "proof_reference": "PAY-1"})
    assert not TierGrant.objects.exists()
    type(gold).objects.filter(pk=gold.pk).update(is_purchasable=True)

    assert client.post(add, {**facts, "proof_reference": "PAY-1"}).status_code == 302

    assert (TierGrant.objects.get().source, TierGrant.objects.get().reference) == ("purchased", "PAY-1")
    assert standing(membership) == "gold"


def test_a_receptionist_uses_a_benefit_and_undoes_it(membership):
    place = make_property()
    benefit = TierBenefit.objects.create(
        tier=membership.tier, name="升级房型", period="year", quantity=1, effective_from=dt.date(2020, 1, 1)
    )
    client = client_of(Role.RECEPTIONIST, place=place)
    url = reverse("loyalty:use_benefit", args=[membership.guest.public_id])
    key = client.get(url).context["form"]["request_key"].value()

    client.post(url, {"benefit": benefit.pk, "request_key": key})
    assert Entitlement.objects.get().used == 1
    again = client.post(url, {"benefit": benefit.pk, "request_key": "8f14e45f-ceea-467f-a8f9-5f3b2b6f2d11"})
    assert "benefit" in again.context["form"].errors

    use = Entitlement.objects.get().uses.get()
    client.post(reverse("loyalty:undo_benefit", args=[use.public_id]))
    assert Entitlement.objects.get().used == 0
