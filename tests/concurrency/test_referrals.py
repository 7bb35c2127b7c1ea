"""Several desks at once: a friend has one referral, and it brings points once."""

import datetime as dt
import itertools

import pytest

from loyalty.models import Posting, Referral, SocialShare
from loyalty.services.shares import LinkClaimed, ShareLimitReached, approve_share, submit_share
from tests.concurrency.test_earning import at_once
from tests.factories import NOW, make_guest, make_property, make_staff
from tests.friends import balance, friendly_programme, member_of, refer, stay

pytestmark = pytest.mark.django_db(transaction=True)

LAST_YEAR = NOW - dt.timedelta(days=400)


def raised(outcomes):
    return [outcome for outcome in outcomes if isinstance(outcome, Exception)]


def test_two_stays_that_end_at_once_bring_points_once():
    programme, place = friendly_programme(), make_property()
    referrer, friend = member_of(programme, at=LAST_YEAR), member_of(programme)
    refer(referrer, friend.guest)

    assert raised(at_once(4, lambda n: stay(place, friend.guest, number=f"F-{n % 2}"))) == []

    assert Referral.objects.get().grants == 1
    assert (balance(referrer), balance(friend)) == (500, 300 + 2 * 800)


def test_friends_of_one_member_at_once_do_not_pass_the_limit():
    programme, place = friendly_programme(month_limit=1), make_property()
    referrer = member_of(programme, at=LAST_YEAR)
    friends = [member_of(programme, f"友{n}") for n in range(4)]
    for friend in friends:
        refer(referrer, friend.guest)

    assert raised(at_once(4, lambda n: stay(place, friends[n].guest))) == []

    assert Referral.objects.filter(state="qualified").count() == 1
    assert Referral.objects.filter(state="rejected", reason="month_limit").count() == 3
    assert balance(referrer) == 500


def test_two_members_claim_one_friend_at_once():
    programme = friendly_programme()
    referrers = [member_of(programme, f"荐{n}", at=LAST_YEAR) for n in range(4)]
    guest = make_guest("周明")

    assert raised(at_once(4, lambda n: refer(referrers[n], guest))) == []

    assert Referral.objects.exclude(state="rejected").count() == 1
    assert Referral.objects.filter(reason="already_referred").count() == 3


def test_a_code_entered_while_the_stay_ends_counts():
    programme, place = friendly_programme(), make_property()
    referrer, friend = member_of(programme, at=LAST_YEAR), member_of(programme)

    works = [lambda: refer(referrer, friend.guest), lambda: stay(place, friend.guest)]
    assert raised(at_once(2, lambda n: works[n]())) == []

    assert Referral.objects.get().state == "qualified"
    assert balance(referrer) == 500


def test_chains_of_friends_do_not_block_each_other():
    """Everybody's friend is somebody's referrer, and all leave at once."""
    programme, place = friendly_programme(), make_property()
    chain = [member_of(programme, f"链{n}", at=LAST_YEAR + dt.timedelta(hours=n)) for n in range(5)]
    for older, newer in itertools.pairwise(chain):
        refer(older, newer.guest, now=LAST_YEAR + dt.timedelta(days=1))

    assert raised(at_once(5, lambda n: stay(place, chain[n].guest))) == []

    assert Referral.objects.filter(state="qualified").count() == 4


def test_an_invited_guest_who_enrolls_at_that_moment_is_not_lost():
    programme = friendly_programme()
    referrer, guest = member_of(programme, at=LAST_YEAR), make_guest("周明")

    works = [lambda: refer(referrer, guest), lambda: member_of(programme, guest=guest)]
    assert raised(at_once(2, lambda n: works[n]())) == []

    assert Referral.objects.get().state == "joined"


def test_a_share_is_approved_once_and_the_limit_holds():
    programme, managers = friendly_programme(), [make_staff() for _ in range(3)]
    member = member_of(programme)

    def hand_in(n):
        return submit_share(
            actor=None, now=NOW, membership_id=member.pk, platform="weibo", link=f"https://weibo.com/1/{n}"
        )

    refused = raised(at_once(4, hand_in))
    assert [type(error) for error in refused] == [ShareLimitReached] * 2
    assert not any(isinstance(error, LinkClaimed) for error in refused)
    share = SocialShare.objects.order_by("pk").first()
    at_once(3, lambda n: approve_share(actor=managers[n], now=NOW, share_id=share.pk))
    assert Posting.objects.filter(account__membership=member, kind="bonus").count() == 1
    assert balance(member) == 100
