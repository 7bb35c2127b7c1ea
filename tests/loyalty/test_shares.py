"""Social shares: handed in within limits, decided by somebody else, undone."""

import datetime as dt

import pytest
from django.test import Client
from django.urls import reverse

from hotels.models import Role, User
from loyalty.models import Posting, Referral, SharePolicy, SocialShare
from loyalty.services.shares import (
    LinkClaimed,
    NothingShown,
    OwnShare,
    ReasonMissing,
    ShareDecided,
    ShareLimitReached,
    SharesNotTaken,
    approve_share,
    reject_share,
    submit_share,
    undo_decision,
)
from members.models import Guest
from tests.factories import NOW, make_guest, make_property, make_staff
from tests.friends import TODAY, balance, code_of, friendly_programme, member_of, stay

pytestmark = pytest.mark.django_db

LINK = "https://www.xiaohongshu.com/explore/65f0a1"


@pytest.fixture
def programme():
    return friendly_programme()


@pytest.fixture
def member(programme):
    return member_of(programme)


@pytest.fixture
def manager():
    return make_staff(Role.GROUP_MANAGER)


def hand_in(member, link=LINK, *, now=NOW, note="", **fields):
    return submit_share(
        actor=None, now=now, membership_id=member.pk, platform="xiaohongshu", link=link, note=note, **fields
    )


def test_an_approved_share_brings_points_once(member, manager):
    share = hand_in(member)
    assert balance(member) == 0

    assert approve_share(actor=manager, now=NOW, share_id=share.pk) == 100
    with pytest.raises(ShareDecided):
        approve_share(actor=manager, now=NOW, share_id=share.pk)

    share.refresh_from_db()
    assert (share.state, share.decided_by, balance(member)) == ("approved", manager, 100)


def test_an_approval_taken_back_takes_the_points_back_and_can_be_given_again(member, manager):
    share = hand_in(member)
    approve_share(actor=manager, now=NOW, share_id=share.pk)

    undo_decision(actor=manager, now=NOW, share_id=share.pk, reason="点错了")
    share.refresh_from_db()
    assert (share.state, share.decided_by, balance(member)) == ("submitted", None, 0)
    assert Posting.objects.filter(account__membership=member).latest("pk").kind == "clawback"

    approve_share(actor=manager, now=NOW, share_id=share.pk)
    assert balance(member) == 100


def test_a_refusal_says_why_and_frees_link_and_limit(member, manager):
    share = hand_in(member)
    with pytest.raises(ReasonMissing):
        reject_share(actor=manager, now=NOW, share_id=share.pk, reason=" ")
    reject_share(actor=manager, now=NOW, share_id=share.pk, reason="未提及酒店")

    share.refresh_from_db()
    assert (share.state, share.reason) == ("rejected", "未提及酒店")
    again = hand_in(member)
    with pytest.raises(LinkClaimed):
        undo_decision(actor=manager, now=NOW, share_id=share.pk, reason="点错了")
    assert again.state == "submitted"


def test_nobody_decides_about_their_own_share(member, manager):
    Guest.objects.filter(pk=member.guest_id).update(user=manager)
    share = hand_in(member)

    for decide in (
        lambda: approve_share(actor=manager, now=NOW, share_id=share.pk),
        lambda: reject_share(actor=manager, now=NOW, share_id=share.pk, reason="否"),
    ):
        with pytest.raises(OwnShare):
            decide()
    assert balance(member) == 0


def test_one_post_is_claimed_once_by_anybody(programme, member):
    hand_in(member)

    with pytest.raises(LinkClaimed):
        hand_in(member_of(programme, "周明"), "xiaohongshu.com/explore/65f0a1/?xsec_token=1")


def test_so_many_shares_count_in_a_month_of_the_programme(member):
    last = dt.datetime(2026, 6, 30, 15, 59, tzinfo=dt.UTC)
    hand_in(member, f"{LINK}1")
    hand_in(member, f"{LINK}2", now=last)
    with pytest.raises(ShareLimitReached):
        hand_in(member, f"{LINK}3", now=last)

    # Midnight in Shanghai.
    assert hand_in(member, f"{LINK}3", now=last + dt.timedelta(minutes=1)).submitted_on == dt.date(2026, 7, 1)


def test_a_note_is_enough_unless_the_policy_wants_a_link(programme, member):
    with pytest.raises(NothingShown):
        hand_in(member, "")
    assert hand_in(member, "", note="朋友圈截图见前台微信").link_key == ""
    SharePolicy.objects.create(programme=programme, effective_from=TODAY, needs_link=True)
    with pytest.raises(NothingShown):
        hand_in(member, "", note="朋友圈")


def test_no_policy_takes_no_share(member):
    with pytest.raises(SharesNotTaken):
        hand_in(member, now=dt.datetime(2019, 1, 1, tzinfo=dt.UTC))


# Pages.


@pytest.fixture
def place():
    return make_property()


@pytest.fixture
def desk(place):
    client = Client()
    client.force_login(make_staff(Role.GUEST_SERVICE, place=place))
    return client


def test_the_queue_is_decided_with_undo(desk, place, member):
    share = hand_in(member, place=place)

    page = desk.get(reverse("loyalty:shares")).content.decode()
    assert 'data-key="A"' in page
    answer = desk.post(reverse("loyalty:approve_share", args=[share.public_id]), follow=True).content.decode()
    assert reverse("loyalty:undo_share", args=[share.public_id]) in answer
    assert balance(member) == 100

    desk.post(reverse("loyalty:undo_share", args=[share.public_id]))
    url = reverse("loyalty:reject_share", args=[share.public_id])
    form = desk.get(url).context["form"]
    data = {"request_key": str(form["request_key"].value())}
    assert desk.post(url, data).status_code == 422
    desk.post(url, {**data, "reason": "与酒店无关"})
    share.refresh_from_db()
    assert (share.state, share.reason, balance(member)) == ("rejected", "与酒店无关", 0)
    assert "与酒店无关" in desk.get(reverse("loyalty:shares"), {"show": "rejected"}).content.decode()


def test_the_queue_goes_on_below_the_page_and_narrows_by_platform(desk, programme):
    for number in range(31):
        hand_in(member_of(programme, f"客{number}"), f"{LINK}{number}")

    first = desk.get(reverse("loyalty:shares"))
    assert len(first.context["rows"]) == 30
    later = desk.get(reverse("loyalty:shares"), {"after": first.context["next"]})
    assert [row.membership.guest.name for row in later.context["rows"]] == ["客30"]
    assert desk.get(reverse("loyalty:shares"), {"platform": "weibo"}).context["rows"] == []


@pytest.mark.parametrize("count", [1, 30])
def test_the_queue_costs_the_same_for_one_share_as_for_thirty(desk, programme, count, django_assert_max_num_queries):
    for number in range(count):
        hand_in(member_of(programme, f"客{number}"), f"{LINK}{number}")

    with django_assert_max_num_queries(12):
        desk.get(reverse("loyalty:shares"))


def test_a_share_is_handed_in_on_the_card(desk, member):
    url = reverse("loyalty:submit_share", args=[member.guest.public_id])
    key = str(desk.get(url).context["form"]["request_key"].value())
    data = {"request_key": key, "platform": "weibo", "link": "https://weibo.com/1/A", "note": ""}

    assert desk.post(url, data).status_code == 302
    assert desk.post(url, data).status_code == 422
    assert SocialShare.objects.get().membership == member


# The desk's part of referrals.


def test_a_code_is_entered_while_enrolling(desk, programme):
    referrer = member_of(programme, "林芳", at=NOW - dt.timedelta(days=400))
    url = reverse("loyalty:enrol")
    data = {
        "request_key": str(desk.get(url).context["form"]["request_key"].value()),
        "name": "周明",
        "phone": "13800138000",
        "consent_programme": "on",
        "referral_code": "AAAA-AAAA",
    }
    wrong = desk.post(url, data)
    assert wrong.status_code == 422
    assert not Guest.objects.filter(name="周明").exists()

    desk.post(url, {**data, "referral_code": code_of(referrer).lower()})
    referral = Referral.objects.get()
    assert (referral.state, referral.referrer, referral.guest.name) == ("joined", referrer, "周明")


def test_the_card_says_what_is_missing_and_why_somebody_was_refused(desk, programme, place):
    referrer = member_of(programme, "林芳", at=NOW - dt.timedelta(days=400))
    friend = member_of(programme, "周明", at=dt.datetime.now(dt.UTC))
    url = reverse("loyalty:enter_referral", args=[friend.guest.public_id])
    key = str(desk.get(url).context["form"]["request_key"].value())
    desk.post(url, {"request_key": key, "code": code_of(referrer)})
    desk.post(
        reverse("loyalty:enter_referral", args=[referrer.guest.public_id]),
        {"request_key": key, "code": code_of(referrer)},
    )

    desk.cookies["django_language"] = "en"
    page = desk.get(reverse("members:guest", args=[referrer.guest.public_id])).content.decode()
    assert "waits for the friend&#x27;s first paid stay" in page
    assert "Members cannot refer themselves." in page
    desk.cookies["django_language"] = "zh-hans"
    page = desk.get(reverse("members:guest", args=[referrer.guest.public_id])).content.decode()
    assert "等待好友首次付费入住" in page
    assert "会员不能推荐自己" in page


def test_a_referral_entered_by_mistake_is_undone(desk, programme, place):
    referrer = member_of(programme, "林芳", at=NOW - dt.timedelta(days=400))
    guest = make_guest("周明")
    url = reverse("loyalty:enter_referral", args=[guest.public_id])
    key = str(desk.get(url).context["form"]["request_key"].value())
    desk.post(url, {"request_key": key, "code": code_of(referrer)})
    referral = Referral.objects.get()
    assert referral.state == "invited"

    desk.post(reverse("loyalty:withdraw_referral", args=[referral.public_id]))
    referral.refresh_from_db()
    assert (referral.state, referral.reason) == ("rejected", "withdrawn")
    member_of(programme, guest=guest)
    stay(place, guest)
    assert balance(referrer) == 0
    assert User.objects.filter(pk=referral.decided_by_id).exists()
