"""Two profiles become one, with everything they have, and two again."""

import datetime as dt
from decimal import Decimal

import pytest
from django.apps import apps
from django.db.models import ForeignKey
from django.utils import translation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loyalty.models import Lot, Membership, Posting, QualificationEntry, Redemption, Voucher
from loyalty.rules.explain import explain
from loyalty.selectors.verification import verify_ledger
from loyalty.services.ledger import earn_points, place_hold, redeem_points
from loyalty.services.memberships import enrol_member
from loyalty.services.redemptions import cancel_redemption, redeem_reward
from loyalty.services.referrals import find_referrer
from loyalty.services.vouchers import issue_voucher
from members.models import Consent, Guest, GuestIdentity, GuestMerge, NotSamePerson, Stay
from members.selectors.search import search_guests
from members.services.guests import ConsentInput, create_guest, record_consent
from members.services.merges import (
    MergeRefused,
    handler_name,
    mark_two_people,
    merge_guests,
    merge_handlers,
    survivor_of,
    undo_merge,
)
from members.services.preferences import add_preference
from members.services.stays import FolioLineInput, post_stay, void_stay
from tests.factories import (
    NOW,
    make_member,
    make_programme,
    make_property,
    make_reward,
    make_voucher_type,
)

pytestmark = pytest.mark.django_db

LATER = NOW + dt.timedelta(days=1)


@pytest.fixture
def place():
    return make_property("HZ")


@pytest.fixture
def programme():
    return make_programme()


def pair(programme, place, *, points=(0, 0)):
    """The memberships of two profiles of one person: the one to keep, the one that goes."""
    kept = make_member(programme, name="陈思远", phone="13800000001", points=points[0], place=place)
    gone = make_member(programme, name="陈思源", phone="13800000002", points=points[1], place=place)
    return kept, gone


def merge(kept, gone, now=NOW):
    return merge_guests(actor=None, now=now, survivor_id=kept.guest_id, merged_id=gone.guest_id, reason="same phone")


def undo(row, now=LATER):
    return undo_merge(actor=None, now=now, merge_id=row.pk, reason="two people after all")


def earn(membership, points, **fields):
    return earn_points(
        actor=None, now=NOW, membership_id=membership.pk, points=points, **{"pending_until": None, **fields}
    )


def lots_of(membership):
    """What the lots of a member hold: (class, remaining, expiry, state, day of release, property, cost)."""
    lots = Lot.objects.filter(account__membership=membership, state__in=["open", "pending"])
    return sorted(
        (
            lot.lot_class,
            lot.remaining,
            str(lot.expires_on),
            lot.state,
            str(lot.release_on if lot.state == "pending" else None),
            lot.funding_property_id,
            lot.unit_cost,
        )
        for lot in lots
    )


def stay_of(guest_id, place, reference="S1", amount=1000):
    return post_stay(
        actor=None,
        now=NOW,
        place=place,
        source_system="pms",
        source_reference=reference,
        guest_id=guest_id,
        arrival_date=dt.date(2026, 6, 10),
        departure_date=dt.date(2026, 6, 12),
        lines=[FolioLineInput("1", dt.date(2026, 6, 11), "room", Decimal(amount))],
        currency="CNY",
    )


def test_every_column_that_points_at_a_guest_or_membership_takes_part():
    owners = (Guest, Membership, apps.get_model("loyalty", "Account"))
    inside_the_ledger = {"posting", "lot", "lotmove", "hold", "sourcekey"}
    wanted = {
        handler_name(model, field.name)
        for model in apps.get_models()
        for field in model._meta.concrete_fields
        if isinstance(field, ForeignKey)
        and field.related_model in owners
        and not (field.name == "account" and model._meta.model_name in inside_the_ledger)
    }
    assert wanted - merge_handlers().keys() == set()


def test_lots_keep_class_expiry_release_property_and_cost(programme, place):
    kept, gone = pair(programme, place)
    earn(
        gone, 300, lot_class="earned", expires_on=dt.date(2027, 1, 31), property_id=place.pk, unit_cost=Decimal("0.02")
    )
    earn(gone, 200, lot_class="purchased", expires_on=None)
    earn(gone, 100, kind="bonus", lot_class="bonus", expires_on=dt.date(2028, 1, 1), pending_until=dt.date(2026, 7, 1))
    earn(kept, 50, expires_on=dt.date(2027, 5, 5))
    of_gone, of_kept = lots_of(gone), lots_of(kept)
    row = merge(kept, gone)
    assert lots_of(gone) == []
    assert lots_of(kept) == sorted(of_gone + of_kept)
    undo(row)
    assert (lots_of(gone), lots_of(kept)) == (of_gone, of_kept)
    assert [finding for finding in verify_ledger() if finding.differences] == []


def test_every_posting_of_a_merge_says_so_in_a_sentence(programme, place):
    kept, gone = pair(programme, place, points=(0, 700))
    undo(merge(kept, gone))
    with translation.override("en"):
        said = [
            explain(posting.explanation, kind=posting.kind, points=posting.points)
            for posting in Posting.objects.filter(explanation__has_key="merge").order_by("pk")
        ]
    assert said == [
        f"Profiles merged: 700 points go to {kept.number}.",
        f"Profiles merged: 700 points come from {gone.number}.",
        f"Merge of profiles undone: 700 points go back to {gone.number}.",
        f"Merge of profiles undone: 700 points are back from {kept.number}.",
    ]


def test_points_spent_since_the_merge_come_from_the_survivors_others(programme, place):
    kept, gone = pair(programme, place, points=(500, 300))
    row = merge(kept, gone)
    redeem_points(actor=None, now=NOW, membership_id=kept.pk, points=400)
    undo(row)
    account = kept.accounts.get()
    assert (account.available, account.debt) == (100, 0)
    assert gone.accounts.get().available == 300
    assert [finding for finding in verify_ledger() if finding.differences] == []


def test_what_is_earned_since_the_merge_stays_with_the_survivor(programme, place):
    kept, gone = pair(programme, place)
    row = merge(kept, gone)
    stay = stay_of(kept.guest_id, place)
    undo(row)
    stay.refresh_from_db()
    assert stay.guest_id == kept.guest_id
    assert kept.accounts.get().available + kept.accounts.get().pending == 1000
    assert gone.accounts.get().available + gone.accounts.get().pending == 0


def test_a_stay_voided_after_the_merge_is_taken_from_the_survivor(programme, place):
    kept, gone = pair(programme, place)
    stay = stay_of(gone.guest_id, place)
    merge(kept, gone)
    void_stay(actor=None, now=LATER, stay_id=stay.pk, reason="wrong room")
    assert [(a.available, a.pending, a.debt) for a in (kept.accounts.get(), gone.accounts.get())] == [(0, 0, 0)] * 2
    assert [finding for finding in verify_ledger() if finding.differences] == []


def test_a_redemption_canceled_after_the_merge_goes_to_the_survivor(programme, place):
    kept, gone = pair(programme, place, points=(0, 2000))
    redemption = redeem_reward(
        actor=None,
        now=NOW,
        membership_id=gone.pk,
        reward_id=make_reward(programme).pk,
        place=place,
        idempotency_key="1",
    )
    row = merge(kept, gone)
    cancel_redemption(actor=None, now=LATER, redemption_id=redemption.pk, reason="closed")
    assert (kept.accounts.get().available, gone.accounts.get().available) == (2000, 0)
    undo(row)
    assert (kept.accounts.get().available, gone.accounts.get().available) == (0, 2000)
    assert Redemption.objects.get().membership == gone
    assert [finding for finding in verify_ledger() if finding.differences] == []


def test_points_that_are_set_aside_or_owed_hold_a_merge_up(programme, place):
    kept, gone = pair(programme, place, points=(0, 100))
    place_hold(actor=None, now=NOW, points=10, membership_id=gone.pk, hold_until=LATER)
    with pytest.raises(MergeRefused) as refused:
        merge(kept, gone)
    assert refused.value.code == "points_held"
    assert GuestMerge.objects.count() == 0


def test_the_better_tier_and_the_figures_of_both(programme, place):
    kept, gone = pair(programme, place)
    Membership.objects.filter(pk=gone.pk).update(
        tier=programme.tiers.get(code="gold"), tier_until_date=dt.date(2027, 3, 31)
    )
    stay_of(gone.guest_id, place)
    row = merge(kept, gone)
    kept.refresh_from_db()
    assert (kept.tier.code, kept.tier_until_date) == ("gold", dt.date(2027, 3, 31))
    entries = QualificationEntry.objects.filter(membership=kept)
    assert sum(entry.nights for entry in entries) == 2
    undo(row)
    kept.refresh_from_db()
    gone.refresh_from_db()
    assert (kept.tier.code, kept.tier_until_date, gone.tier.code) == ("base", None, "gold")
    assert sum(entry.nights for entry in QualificationEntry.objects.filter(membership=kept)) == 0
    assert sum(entry.nights for entry in QualificationEntry.objects.filter(membership=gone)) == 2


def test_the_stricter_consent_wins(programme, place):
    kept, gone = pair(programme, place)
    sms = {"purpose": Consent.Purpose.MARKETING, "text_version": "1", "channel": Consent.Channel.SMS}
    record_consent(
        actor=None, now=NOW, guest_id=gone.guest_id, consent=ConsentInput(granted=False, **sms), source="desk"
    )
    record_consent(
        actor=None, now=LATER, guest_id=kept.guest_id, consent=ConsentInput(granted=True, **sms), source="desk"
    )
    row = merge(kept, gone, now=LATER)
    answers = Consent.objects.filter(guest=kept.guest_id).order_by("-recorded_at", "-pk")
    assert [answer.granted for answer in answers] == [False, True, False]
    undo(row, now=LATER)
    assert [answer.granted for answer in Consent.objects.filter(guest=kept.guest_id)] == [True]
    assert [answer.granted for answer in Consent.objects.filter(guest=gone.guest_id)] == [False]


def test_identities_notes_and_vouchers_move_and_come_back(programme, place):
    kept, gone = pair(programme, place)
    note = {"actor": None, "now": NOW, "category": "allergy", "source": "desk", "place": place}
    add_preference(guest_id=kept.guest_id, text="花生", **note)
    add_preference(guest_id=gone.guest_id, text="花生", **note)
    add_preference(guest_id=gone.guest_id, text="虾", **note)
    voucher = issue_voucher(
        actor=None, now=NOW, type_id=make_voucher_type(programme).pk, membership_id=gone.pk, place=place
    )
    stay = stay_of(gone.guest_id, place)
    code = gone.referral_code.code
    row = merge(kept, gone)
    assert {text for (text,) in kept.guest.preferences.values_list("text")} == {"花生", "虾"}
    assert [identity.masked for identity in kept.guest.identities.filter(kind="phone", is_primary=True)] == [
        "138 **** 0001"
    ]
    assert kept.guest.identities.filter(kind="phone").count() == 2
    assert Voucher.objects.get(pk=voucher.pk).membership == kept
    assert Stay.objects.get(pk=stay.pk).guest_id == kept.guest_id
    assert survivor_of(Guest.objects.get(pk=gone.guest_id)) == kept.guest
    assert [hit.guest_id for hit in search_guests(query=gone.number, place=place, today=NOW.date(), limit=5)] == [
        kept.guest_id
    ]
    assert [hit.guest_id for hit in search_guests(query="陈思", place=place, today=NOW.date(), limit=5)] == [
        kept.guest_id
    ]
    assert find_referrer(programme=programme, code=code) == kept
    undo(row)
    assert Voucher.objects.get(pk=voucher.pk).membership == gone
    assert Stay.objects.get(pk=stay.pk).guest_id == gone.guest_id
    primaries = GuestIdentity.objects.filter(kind="phone", is_primary=True).order_by("guest")
    assert [identity.guest_id for identity in primaries] == [kept.guest_id, gone.guest_id]
    assert gone.guest.preferences.count() == 2
    assert find_referrer(programme=programme, code=code) == gone


def test_a_guest_without_membership_takes_the_others_along(programme, place):
    guest = create_guest(actor=None, now=NOW, name="陈思远", phone="13800000003", source="desk")
    gone = make_member(programme, phone="13800000004", points=100)
    row = merge_guests(actor=None, now=NOW, survivor_id=guest.pk, merged_id=gone.guest_id)
    assert Membership.objects.get(pk=gone.pk).guest == guest
    undo(row)
    assert Membership.objects.get(pk=gone.pk).guest_id == gone.guest_id


def test_merging_and_undoing_twice_changes_nothing(programme, place):
    kept, gone = pair(programme, place, points=(10, 20))
    row = merge(kept, gone)
    assert merge(kept, gone) == row
    undo(row)
    undo(row)
    assert gone.accounts.get().available == 20


def test_a_chain_is_undone_from_its_end(programme, place):
    kept, gone = pair(programme, place)
    third = make_member(programme, phone="13800000005", points=5)
    first = merge(kept, gone)
    second = merge(third, kept)
    assert survivor_of(Guest.objects.get(pk=gone.guest_id)) == third.guest
    with pytest.raises(MergeRefused):
        undo(first)
    undo(second)
    undo(first)
    assert Guest.objects.filter(merged_into=None).count() == 3


def test_two_people_are_never_merged_by_the_system(programme, place):
    kept, gone = pair(programme, place)
    mark_two_people(actor=None, now=NOW, guest_ids=(kept.guest_id, gone.guest_id))
    mark_two_people(actor=None, now=NOW, guest_ids=(gone.guest_id, kept.guest_id))
    assert NotSamePerson.objects.count() == 1
    with pytest.raises(MergeRefused) as refused:
        merge(kept, gone)
    assert refused.value.code == "not_same_person"


LOT = st.tuples(
    st.integers(1, 500),
    st.sampled_from(["earned", "bonus", "purchased", "compensation"]),
    st.sampled_from([None, dt.date(2026, 6, 20), dt.date(2027, 1, 1)]),
    st.sampled_from([None, dt.date(2026, 6, 30)]),
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LOT, max_size=4), st.lists(LOT, max_size=4), st.booleans(), st.integers(0, 3))
def test_undoing_restores_everything(programme, place, of_kept, of_gone, refuses, rank):
    kept = enrol_member(actor=None, now=NOW, programme=programme, guest_id=Guest.objects.create(name="甲").pk)
    gone = enrol_member(actor=None, now=NOW, programme=programme, guest_id=Guest.objects.create(name="乙").pk)
    for membership, lots in ((kept, of_kept), (gone, of_gone)):
        for points, lot_class, expires_on, pending_until in lots:
            earn(membership, points, lot_class=lot_class, expires_on=expires_on, pending_until=pending_until)
    Membership.objects.filter(pk=gone.pk).update(tier=programme.tiers.get(rank=rank))
    Consent.objects.create(
        guest=gone.guest, purpose="marketing", channel="sms", granted=not refuses, text_version="1", source="x",
        recorded_at=NOW,
    )  # fmt: skip

    def state():
        return [
            (
                lots_of(membership),
                Membership.objects.values_list("tier__code", "tier_until_date", "status", "tier_source").get(
                    pk=membership.pk
                ),
                list(Consent.objects.filter(guest=membership.guest_id).values_list("purpose", "channel", "granted")),
                list(membership.accounts.values_list("available", "pending", "held", "debt")),
            )
            for membership in (kept, gone)
        ]

    before = state()
    row = merge(kept, gone)
    undo(row, now=NOW)
    assert state() == before
    assert [finding for finding in verify_ledger() if finding.differences] == []
