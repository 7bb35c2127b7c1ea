"""A friend's way: invited, joined, granted after the first paid stay, taken back, refused with a reason."""

import datetime as dt
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from hotels.models import AuditEntry, ExchangeRate
from loyalty.models import Membership, Posting, Referral, ReferralCode, ReferralPolicy
from loyalty.rules.referrals import is_code, show_code
from loyalty.services.memberships import enrol_members
from loyalty.services.referrals import (
    ReferralsNotTaken,
    UnknownCode,
    WrongState,
    assign_referral_codes,
    enter_referral,
    settle_referrals,
    withdraw_referral,
)
from members.models import Guest
from members.services.guests import add_identity, create_guest
from members.services.stays import add_folio_lines, claim_stay, post_stays, void_stay
from tests.factories import NOW, make_guest, make_property, make_staff
from tests.friends import TODAY, balance, code_of, friendly_programme, member_of, refer, stay, stay_input

pytestmark = pytest.mark.django_db

LAST_YEAR = NOW - dt.timedelta(days=400)
STAY_POINTS = 800


@pytest.fixture(autouse=True)
def _balances_hold():
    yield
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.fixture
def place():
    return make_property()


@pytest.fixture
def programme():
    return friendly_programme()


@pytest.fixture
def referrer(programme):
    return member_of(programme, "林芳", at=LAST_YEAR)


@pytest.fixture
def friend(programme):
    return member_of(programme, "周明")


def state_of(referral):
    referral.refresh_from_db()
    return referral.state, referral.reason


# Codes.


def test_every_new_member_gets_a_code_of_their_own(programme):
    memberships = enrol_members(
        actor=None, now=NOW, programme=programme, guest_ids=[make_guest(f"客{n}").pk for n in range(20)]
    )
    codes = set(ReferralCode.objects.filter(membership__in=memberships).values_list("code", flat=True))

    assert len(codes) == 20
    assert all(is_code(code) for code in codes)


def test_a_member_keeps_the_code(referrer):
    code = code_of(referrer)
    assign_referral_codes(membership_ids=[referrer.pk])

    assert code_of(referrer) == code


def test_a_code_that_is_taken_is_drawn_again(referrer, friend, monkeypatch):
    ReferralCode.objects.filter(membership=friend).delete()
    drawn = iter([code_of(referrer), code_of(referrer), "3333333Q"])
    monkeypatch.setattr("loyalty.services.referrals.codes.make_code", lambda _choose: next(drawn))

    assign_referral_codes(membership_ids=[friend.pk])

    assert code_of(friend) == "3333333Q"


@pytest.mark.parametrize("code", ["", "3333", "ABCDEFGH", "0OIL5SZ2"])
def test_what_is_nobodys_code_is_told(programme, friend, code):
    with pytest.raises(UnknownCode):
        enter_referral(actor=None, now=NOW, programme=programme, guest_id=friend.guest_id, code=code)
    assert not Referral.objects.exists()


# The usual way.


def test_both_sides_get_their_points_after_the_first_paid_stay(referrer, friend, place):
    referral = refer(referrer, friend.guest, place=place)
    assert state_of(referral) == ("joined", "")
    assert balance(referrer) == balance(friend) == 0

    counting = stay(place, friend.guest)

    assert state_of(referral) == ("qualified", "")
    assert referral.stay == counting
    assert referral.qualified_on == TODAY
    assert (balance(referrer), balance(friend)) == (500, 300 + STAY_POINTS)


def test_a_code_is_taken_in_any_spelling(programme, referrer, friend):
    text = f" {show_code(code_of(referrer)).lower()} "

    referral = enter_referral(actor=None, now=NOW, programme=programme, guest_id=friend.guest_id, code=text)

    assert referral.code == code_of(referrer)


def test_who_is_invited_joins_by_enrolling(programme, referrer, place):
    guest = make_guest("周明")
    referral = refer(referrer, guest)
    assert state_of(referral) == ("invited", "")

    friend = member_of(programme, guest=guest)

    assert state_of(referral) == ("joined", "")
    assert (referral.friend, referral.joined_on) == (friend, TODAY)
    stay(place, guest)
    assert state_of(referral) == ("qualified", "")


def test_a_stay_finished_before_the_code_was_entered_counts(referrer, friend, place):
    stay(place, friend.guest)

    referral = refer(referrer, friend.guest, now=NOW + dt.timedelta(days=3))

    assert state_of(referral) == ("qualified", "")
    assert balance(referrer) == 500


def test_only_one_stay_brings_points(referrer, friend, place):
    refer(referrer, friend.guest)
    stay(place, friend.guest)
    stay(place, friend.guest)

    assert (balance(referrer), balance(friend)) == (500, 300 + 2 * STAY_POINTS)


def test_the_same_folio_again_brings_nothing(referrer, friend, place):
    refer(referrer, friend.guest)
    stay(place, friend.guest, number="F-1")
    stay(place, friend.guest, number="F-1")
    settle_referrals(actor=None, now=NOW, guest_ids=[friend.guest_id])

    assert (balance(referrer), balance(friend)) == (500, 300 + STAY_POINTS)


def test_a_claimed_stay_counts(referrer, friend, place):
    referral = refer(referrer, friend.guest)
    unclaimed = post_stays(actor=None, now=NOW, rows=[stay_input(place, Guest(pk=None))])[0]

    claim_stay(actor=None, now=NOW, stay_id=unclaimed.stay_id, guest_id=friend.guest_id)

    assert state_of(referral) == ("qualified", "")


def test_the_same_code_again_is_the_same_referral(referrer, friend):
    assert refer(referrer, friend.guest) == refer(referrer, friend.guest)
    assert Referral.objects.count() == 1


# What is not enough.


@pytest.mark.parametrize(("amount", "state"), [("0", "joined"), ("199.99", "joined"), ("200.00", "qualified")])
def test_a_stay_has_to_be_paid_and_to_cost_enough(place, amount, state):
    programme = friendly_programme(min_amount=Decimal(200))
    friend = member_of(programme)
    referral = refer(member_of(programme, at=LAST_YEAR), friend.guest)

    stay(place, friend.guest, amount)

    assert state_of(referral) == (state, "")


def test_a_late_charge_can_make_a_stay_cost_enough_and_a_rebate_undo_it(place):
    programme = friendly_programme(min_amount=Decimal(1000))
    referrer, friend = member_of(programme, at=LAST_YEAR), member_of(programme)
    referral = refer(referrer, friend.guest)
    posted = stay(place, friend.guest, "800")
    line = stay_input(place, friend.guest).lines[0].__class__

    add_folio_lines(actor=None, now=NOW, stay_id=posted.pk, lines=[line("2", TODAY, "food", Decimal(300))])
    assert state_of(referral) == ("qualified", "")
    assert balance(referrer) == 500

    add_folio_lines(actor=None, now=NOW, stay_id=posted.pk, lines=[line("3", TODAY, "room", Decimal(-200))])
    assert state_of(referral) == ("joined", "")
    assert (referral.stay, balance(referrer)) == (None, 0)


def test_an_amount_in_another_currency_is_converted(place):
    programme = friendly_programme(min_amount=Decimal(500))
    friend = member_of(programme)
    referral = refer(member_of(programme, at=LAST_YEAR), friend.guest)
    ExchangeRate.objects.create(currency="USD", to_currency="CNY", effective_from=dt.date(2020, 1, 1), rate=7)
    row = stay_input(place, friend.guest, "100")

    post_stays(actor=None, now=NOW, rows=[type(row)(**{**_fields(row), "currency": "USD"})])

    assert state_of(referral) == ("qualified", "")


def _fields(row):
    return {name: getattr(row, name) for name in row.__slots__}


def test_a_stay_after_the_last_day_ends_the_referral(place):
    programme = friendly_programme(stay_days=30)
    friends = [member_of(programme, f"友{n}") for n in range(2)]
    referrer = member_of(programme, at=LAST_YEAR)
    in_time, late = [refer(referrer, friend.guest) for friend in friends]
    day = NOW + dt.timedelta(days=31)

    stay(place, friends[0].guest, departure=TODAY + dt.timedelta(days=30), now=day)
    stay(place, friends[1].guest, departure=TODAY + dt.timedelta(days=31), now=day)

    assert state_of(in_time) == ("qualified", "")
    assert state_of(late) == ("rejected", "stay_too_late")
    assert balance(referrer) == 500


def test_the_terms_of_the_day_of_joining_hold(place):
    programme = friendly_programme(min_amount=Decimal(100))
    friend = member_of(programme)
    referral = refer(member_of(programme, at=LAST_YEAR), friend.guest)
    ReferralPolicy.objects.create(
        programme=programme, effective_from=TODAY + dt.timedelta(days=1), min_amount=Decimal(5000)
    )

    stay(place, friend.guest, departure=TODAY + dt.timedelta(days=2), now=NOW + dt.timedelta(days=2))

    assert state_of(referral) == ("qualified", "")


def test_no_policy_or_a_closed_one_takes_no_friend(programme, referrer, friend):
    with pytest.raises(ReferralsNotTaken):
        refer(referrer, friend.guest, now=dt.datetime(2019, 5, 1, tzinfo=dt.UTC))
    ReferralPolicy.objects.create(programme=programme, effective_from=TODAY, is_open=False)
    with pytest.raises(ReferralsNotTaken):
        refer(referrer, friend.guest)


def test_a_policy_can_ask_more_of_the_stay(place):
    condition = {"all": [{"field": "stay.nights", "op": "gte", "value": 2}]}
    programme = friendly_programme(condition=condition)
    friend = member_of(programme)
    referral = refer(member_of(programme, at=LAST_YEAR), friend.guest)

    stay(place, friend.guest, nights=1)
    assert state_of(referral) == ("joined", "")

    stay(place, friend.guest, nights=2)
    assert state_of(referral) == ("qualified", "")


# Who is refused, with the row that says why.


def refused(referral, reason):
    assert state_of(referral) == ("rejected", reason)
    assert referral.get_reason_display()
    assert AuditEntry.objects.filter(action="referral.refused", object_id=str(referral.pk)).count() == 1


def test_members_cannot_refer_themselves(referrer):
    refused(refer(referrer, referrer.guest), "self_referral")


def test_the_same_document_under_another_kind_is_the_same_person(programme, place):
    one = create_guest(
        actor=None, now=NOW, name="陈思远", document_type="passport", document_number="E12345678", source="test"
    )
    other = create_guest(actor=None, now=NOW, name="陈思源", phone="13800003333", source="test")
    add_identity(actor=None, now=NOW, guest_id=other.pk, kind="document", value="E12345678", issuer="hk_macao_permit")
    referrer = member_of(programme, at=LAST_YEAR, guest=one)

    refused(refer(referrer, member_of(programme, guest=other).guest), "shared_identity")


def test_who_shared_a_room_is_of_one_household(referrer, friend, place):
    stay(place, referrer.guest, room="808", nights=2)
    stay(place, friend.guest, room="808", nights=1)

    refused(refer(referrer, friend.guest), "shared_room")


def test_a_stay_in_the_referrers_room_ends_the_referral(referrer, friend, place):
    referral = refer(referrer, friend.guest)
    stay(place, referrer.guest, room="808", nights=2)
    before = balance(referrer)

    stay(place, friend.guest, room="808", nights=1)

    assert state_of(referral) == ("rejected", "shared_room")
    assert balance(referrer) == before


def test_an_inactive_member_refers_nobody(referrer, friend):
    Membership.objects.filter(pk=referrer.pk).update(status="suspended")

    refused(refer(referrer, friend.guest), "referrer_inactive")


def test_a_referrer_suspended_meanwhile_gets_nothing(referrer, friend, place):
    referral = refer(referrer, friend.guest)
    Membership.objects.filter(pk=referrer.pk).update(status="suspended")

    stay(place, friend.guest)

    assert state_of(referral) == ("rejected", "referrer_inactive")
    assert (balance(referrer), balance(friend)) == (0, STAY_POINTS)


def test_a_friend_comes_by_one_member_only(programme, referrer, friend):
    refer(referrer, friend.guest)

    refused(refer(member_of(programme, "王五", at=LAST_YEAR), friend.guest), "already_referred")


def test_an_older_member_is_nobodys_friend(programme, referrer):
    newer = member_of(programme, "周明", at=LAST_YEAR + dt.timedelta(days=1))

    refused(refer(newer, referrer.guest), "joined_before_referrer")


def test_a_code_comes_too_late_after_the_days_of_entry(referrer, friend):
    assert state_of(refer(referrer, friend.guest, now=NOW + dt.timedelta(days=31))) == ("rejected", "entered_too_late")
    assert state_of(refer(referrer, friend.guest, now=NOW + dt.timedelta(days=30))) == ("joined", "")


def test_who_stayed_before_is_not_new(programme, referrer, place):
    guest = make_guest("周明")
    stay(place, guest, departure=TODAY - dt.timedelta(days=1))

    refused(refer(referrer, guest), "stayed_before")
    refused(refer(referrer, member_of(programme, guest=guest).guest, now=NOW + dt.timedelta(hours=1)), "stayed_before")


def test_a_voided_stay_is_no_stay_before(referrer, place):
    guest = make_guest("周明")
    posted = stay(place, guest, departure=TODAY - dt.timedelta(days=1))
    void_stay(actor=None, now=NOW, stay_id=posted.pk, reason="误录")

    assert state_of(refer(referrer, guest)) == ("invited", "")


def test_a_refused_form_sent_twice_leaves_one_row(referrer):
    refer(referrer, referrer.guest)
    refer(referrer, referrer.guest, now=NOW + dt.timedelta(seconds=20))

    assert Referral.objects.count() == 1


# Limits.


@pytest.mark.parametrize(("policy", "reason"), [({"month_limit": 2}, "month_limit"), ({"year_limit": 2}, "year_limit")])
def test_more_friends_than_the_limit_do_not_count(place, policy, reason):
    programme = friendly_programme(**policy)
    referrer = member_of(programme, at=LAST_YEAR)
    friends = [member_of(programme, f"友{n}") for n in range(3)]
    referrals = [refer(referrer, friend.guest) for friend in friends]

    for friend in friends:
        stay(place, friend.guest)

    assert [state_of(referral) for referral in referrals] == [("qualified", "")] * 2 + [("rejected", reason)]
    assert balance(referrer) == 1000


def test_a_limit_holds_within_one_night_audit_and_begins_anew_each_month(place):
    programme = friendly_programme(month_limit=1)
    referrer = member_of(programme, at=LAST_YEAR)
    friends = [member_of(programme, f"友{n}", at=NOW - dt.timedelta(days=40)) for n in range(3)]
    referrals = [refer(referrer, friend.guest, now=NOW - dt.timedelta(days=39)) for friend in friends]
    days = [TODAY, TODAY - dt.timedelta(days=1), TODAY - dt.timedelta(days=16)]

    post_stays(
        actor=None,
        now=NOW,
        rows=[stay_input(place, friend.guest, departure=day) for friend, day in zip(friends, days, strict=True)],
    )

    assert [state_of(referral)[0] for referral in referrals] == ["rejected", "qualified", "qualified"]
    assert balance(referrer) == 1000


# Back again.


def test_voiding_the_stay_takes_both_bonuses_back_and_the_next_stay_counts(referrer, friend, place):
    referral = refer(referrer, friend.guest)
    first = stay(place, friend.guest)

    void_stay(actor=None, now=NOW, stay_id=first.pk, reason="录错客人")
    assert state_of(referral) == ("joined", "")
    assert (balance(referrer), balance(friend)) == (0, 0)
    taken = Posting.objects.filter(account__membership=referrer).latest("pk")
    assert (taken.kind, taken.points, taken.reason) == ("clawback", -500, "录错客人")

    stay(place, friend.guest)
    assert state_of(referral) == ("qualified", "")
    assert (balance(referrer), balance(friend)) == (500, 300 + STAY_POINTS)
    assert referral.grants == 2


def test_when_the_stay_is_voided_a_later_one_steps_in_at_once(referrer, friend, place):
    referral = refer(referrer, friend.guest)
    first, second = stay(place, friend.guest), stay(place, friend.guest)

    void_stay(actor=None, now=NOW, stay_id=first.pk, reason="误录")

    assert state_of(referral) == ("qualified", "")
    assert referral.stay == second
    assert (balance(referrer), balance(friend)) == (500, 300 + STAY_POINTS)


def test_points_that_were_spent_become_a_debt(programme, referrer, friend, place):
    refer(referrer, friend.guest)
    first = stay(place, friend.guest)
    manager = make_staff()
    _spend(referrer, manager)

    void_stay(actor=None, now=NOW, stay_id=first.pk, reason="误录")

    assert balance(referrer) == -500


def _spend(membership, actor):
    from loyalty.services.ledger import redeem_points  # noqa: PLC0415

    redeem_points(actor=actor, now=NOW, points=500, membership_id=membership.pk)


def test_a_withdrawn_referral_gives_its_points_back_and_lets_another_in(programme, referrer, friend, place):
    manager = make_staff()
    referral = refer(referrer, friend.guest)
    stay(place, friend.guest)

    withdraw_referral(actor=manager, now=NOW, referral_id=referral.pk, reason="录错推荐人")

    assert state_of(referral) == ("rejected", "withdrawn")
    assert (referral.note, balance(referrer), balance(friend)) == ("录错推荐人", 0, STAY_POINTS)
    with pytest.raises(WrongState):
        withdraw_referral(actor=manager, now=NOW, referral_id=referral.pk, reason="再来")
    other = member_of(programme, "王五", at=LAST_YEAR)
    assert state_of(refer(other, friend.guest)) == ("qualified", "")


# The database's own say.


def test_the_database_refuses_a_second_standing_referral(programme, referrer, friend):
    first = refer(referrer, friend.guest)

    with pytest.raises(IntegrityError, match="loyalty_referral_one_standing"), transaction.atomic():
        Referral.objects.bulk_create([Referral(**{**_values(first), "referrer_id": referrer.pk})])


def _values(referral):
    names = ("programme_id", "code", "guest_id", "friend_id", "policy_id", "state", "entered_at", "joined_on")
    return {name: getattr(referral, name) for name in names}


# Costs.


def queries_of_audit(programme, referrer, place, count):
    friends = [member_of(programme, f"友{n}") for n in range(count)]
    for friend in friends:
        refer(referrer, friend.guest)
    rows = [stay_input(place, friend.guest) for friend in friends]
    with CaptureQueriesContext(
        connection,
    ) as queries:
        post_stays(actor=None, now=NOW, rows=rows)
    assert Referral.objects.filter(guest__in=[f.guest_id for f in friends], state="qualified").count() == count
    return len(queries)


def test_a_night_audit_asks_as_often_for_thirty_friends_as_for_one(programme, referrer, place):
    queries_of_audit(programme, referrer, place, 1)

    assert queries_of_audit(programme, referrer, place, 1) == queries_of_audit(programme, referrer, place, 30)


def test_stays_of_guests_whom_nobody_referred_cost_two_queries_more(programme, place):
    friend = member_of(programme)
    with CaptureQueriesContext(connection) as queries:
        stay(place, friend.guest)

    assert sum("loyalty_referral" in query["sql"] for query in queries) == 2
