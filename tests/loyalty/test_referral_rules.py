"""Codes of referrals, what speaks against a friend, and which stay counts."""

import datetime as dt
import random
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from loyalty.models import Referral
from loyalty.rules.referrals import (
    ALPHABET,
    Entry,
    FriendStay,
    Missing,
    Occupied,
    Reason,
    Terms,
    Verdict,
    by_room_of,
    entry_refusal,
    first_paid_stay,
    is_code,
    limit_refusal,
    make_code,
    normalize_code,
    rooms_shared,
    show_code,
)
from loyalty.rules.shares import link_key, link_of

JOINED = dt.date(2026, 3, 1)
AT = dt.datetime(2026, 3, 1, 9, tzinfo=dt.UTC)
codes = st.integers().map(lambda seed: make_code(random.Random(seed).choice))
days = st.integers(-60, 200).map(lambda n: JOINED + dt.timedelta(days=n))
stays = st.lists(
    st.builds(
        FriendStay,
        id=st.integers(1, 10_000),
        departure=days,
        amount=st.none() | st.decimals(-100, 2000, places=2),
        shares_room=st.booleans(),
        meets_condition=st.booleans(),
    ),
    max_size=8,
    unique_by=lambda stay: stay.id,
)
terms = st.builds(
    Terms,
    entry_days=st.integers(0, 60),
    stay_days=st.none() | st.integers(0, 120),
    min_amount=st.decimals(0, 1500, places=2),
    month_limit=st.none() | st.integers(0, 3),
    year_limit=st.none() | st.integers(0, 5),
)


def test_the_alphabet_has_no_look_alikes_and_a_prime_number_of_characters():
    assert not set("0OQ1IL2Z5S6G8BUY") & set(ALPHABET)
    assert len(set(ALPHABET)) == len(ALPHABET) == 19


@given(codes, st.integers(0, 7), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_no_code(code, place, character):
    assume(code[place] != character)

    assert is_code(code)
    assert not is_code(code[:place] + character + code[place + 1 :])


@given(codes, st.integers(0, 6))
def test_two_neighbors_swapped_are_no_code(code, place):
    assume(code[place] != code[place + 1])

    assert not is_code(code[:place] + code[place + 1] + code[place] + code[place + 2 :])


@given(codes)
def test_a_code_is_read_in_every_spelling(code):
    full_width = "".join(chr(ord(character) + 0xFEE0) for character in code)

    assert {
        normalize_code(text)
        for text in (
            show_code(code),
            f" {code.lower()}\n",
            f"{code[:2]} {code[2:]}",
            full_width,
            f"{code[:4]}—{code[4:]}",
        )
    } == {code}


def test_every_reason_of_the_rules_has_words_in_the_model():
    assert set(Referral.Reason.values) == set(Reason)


def entry(**facts):
    return Entry(
        **{
            "referrer_joined_at": AT - dt.timedelta(days=400),
            "friend_joined_at": AT,
            "joined_on": JOINED,
            "today": JOINED,
            **facts,
        }
    )


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({}, None),
        ({"friend_joined_at": None, "joined_on": None}, None),
        ({"is_self": True}, Reason.SELF_REFERRAL),
        ({"shares_identity": True}, Reason.SHARED_IDENTITY),
        ({"referrer_active": False}, Reason.REFERRER_INACTIVE),
        ({"friend_active": False}, Reason.FRIEND_INACTIVE),
        ({"is_referred": True}, Reason.ALREADY_REFERRED),
        ({"referrer_joined_at": AT}, Reason.JOINED_BEFORE_REFERRER),
        ({"today": JOINED + dt.timedelta(days=30)}, None),
        ({"today": JOINED + dt.timedelta(days=31)}, Reason.ENTERED_TOO_LATE),
        ({"first_departure": JOINED - dt.timedelta(days=1)}, Reason.STAYED_BEFORE),
        ({"first_departure": JOINED}, None),
        ({"joined_on": None, "friend_joined_at": None, "first_departure": JOINED}, None),
        (
            {"joined_on": None, "friend_joined_at": None, "first_departure": JOINED - dt.timedelta(days=1)},
            Reason.STAYED_BEFORE,
        ),
        ({"shared_room": True}, Reason.SHARED_ROOM),
        ({"is_self": True, "shares_identity": True, "shared_room": True}, Reason.SELF_REFERRAL),
    ],
)
def test_what_speaks_against_a_friend(facts, reason):
    assert entry_refusal(entry(**facts), Terms(entry_days=30)) == reason


def paid(number, day, amount="500", **facts):
    return FriendStay(id=number, departure=JOINED + dt.timedelta(days=day), amount=Decimal(amount), **facts)


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ([], Verdict(missing=Missing.STAY)),
        ([paid(1, -1)], Verdict(missing=Missing.STAY)),
        ([paid(1, 0)], Verdict(1, JOINED)),
        ([paid(2, 5), paid(1, 9)], Verdict(2, JOINED + dt.timedelta(days=5))),
        ([paid(1, 3, "0")], Verdict(missing=Missing.PAYMENT)),
        ([FriendStay(id=1, departure=JOINED, amount=None)], Verdict(missing=Missing.PAYMENT)),
        ([paid(1, 3, "199.99")], Verdict(missing=Missing.AMOUNT)),
        ([paid(1, 3, "200.00")], Verdict(1, JOINED + dt.timedelta(days=3))),
        ([paid(1, 3, meets_condition=False)], Verdict(missing=Missing.CONDITION)),
        ([paid(1, 3, "10"), paid(2, 60)], Verdict(2, JOINED + dt.timedelta(days=60))),
        ([paid(1, 61)], Verdict(reason=Reason.STAY_TOO_LATE)),
        ([paid(1, 3, shares_room=True), paid(2, 9)], Verdict(reason=Reason.SHARED_ROOM)),
    ],
)
def test_which_stay_counts(found, verdict):
    assert first_paid_stay(found, Terms(stay_days=60, min_amount=Decimal(200)), joined_on=JOINED) == verdict


def test_the_stay_that_counts_stays_so_when_an_earlier_one_comes_late():
    found = [paid(1, 2), paid(2, 9)]

    assert first_paid_stay(found, Terms(), joined_on=JOINED, kept=2).stay_id == 2
    assert first_paid_stay(found, Terms(), joined_on=JOINED, kept=7).stay_id == 1


@given(stays, terms, st.randoms())
def test_the_order_of_the_stays_does_not_matter(found, asked, chance):
    shuffled = list(found)
    chance.shuffle(shuffled)

    assert first_paid_stay(found, asked, joined_on=JOINED) == first_paid_stay(shuffled, asked, joined_on=JOINED)


@given(stays, terms)
def test_a_stay_that_counts_meets_every_term_and_none_earlier_does(found, asked):
    verdict = first_paid_stay(found, asked, joined_on=JOINED)

    def counts(stay):
        return (
            stay.departure >= JOINED
            and stay.amount is not None
            and stay.amount > 0
            and stay.amount >= asked.min_amount
            and stay.meets_condition
        )

    def in_time(stay):
        return asked.stay_days is None or (stay.departure - JOINED).days <= asked.stay_days

    good = sorted((stay.departure, stay.id, stay.shares_room) for stay in found if counts(stay) and in_time(stay))
    late = [stay for stay in found if counts(stay) and not in_time(stay)]
    if good and not good[0][2]:
        assert verdict == Verdict(good[0][1], good[0][0])
    elif good:
        assert verdict == Verdict(reason=Reason.SHARED_ROOM)
    elif late:
        assert verdict == Verdict(reason=Reason.STAY_TOO_LATE)
    else:
        assert verdict.stay_id is None
        assert verdict.reason is None
        assert verdict.missing is not None


@given(stays, terms)
def test_asking_again_with_what_counts_changes_nothing(found, asked):
    verdict = first_paid_stay(found, asked, joined_on=JOINED)

    assert first_paid_stay(found, asked, joined_on=JOINED, kept=verdict.stay_id) == verdict


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(days, max_size=8), days, terms)
def test_a_limit_is_reached_exactly_when_so_many_count(counted, day, asked):
    in_year = [other for other in counted if other.year == day.year]
    in_month = [other for other in in_year if other.month == day.month]
    reason = limit_refusal(counted, day, asked)

    month_full = asked.month_limit is not None and len(in_month) >= asked.month_limit
    year_full = asked.year_limit is not None and len(in_year) >= asked.year_limit
    assert (reason is not None) == (month_full or year_full)
    assert (reason == Reason.MONTH_LIMIT) == month_full


@pytest.mark.parametrize(
    ("room", "arrival", "departure", "shared"),
    [
        ("808", 1, 3, True),
        ("808", 3, 5, False),
        ("808", 0, 1, False),
        ("808", 2, 2, True),
        ("809", 1, 3, False),
        ("", 1, 3, False),
    ],
)
def test_a_room_is_shared_by_night(room, arrival, departure, shared):
    def occupied(number, first, last):
        return Occupied(1, number, JOINED + dt.timedelta(days=first), JOINED + dt.timedelta(days=last))

    mine, others = [occupied(room, arrival, departure)], by_room_of([occupied("808" if room else "", 1, 3)])

    assert rooms_shared(mine, others) is shared


@pytest.mark.parametrize(
    "link",
    [
        "https://www.xiaohongshu.com/explore/65f0a1?xsec_token=AB12&xsec_source=app_share",
        "http://xiaohongshu.com/explore/65f0a1/",
        "XIAOHONGSHU.com/explore/65f0a1#comments",
        "https://m.xiaohongshu.com/explore/65f0a1?utm_source=wechat",
    ],
)
def test_one_post_has_one_key_however_it_is_linked(link):
    assert link_key(link) == "xiaohongshu.com/explore/65f0a1"


def test_what_names_the_post_stays_in_the_key():
    assert link_key("https://mp.weixin.qq.com/s?mid=2&__biz=1") == link_key("https://mp.weixin.qq.com/s?__biz=1&mid=2")
    assert link_key("https://weibo.com/1/A") != link_key("https://weibo.com/1/a")
    assert link_key("  ") == ""


@given(st.text(max_size=600))
def test_any_text_has_a_key_that_fits(text):
    assert len(link_key(text)) <= 300


def test_the_address_is_found_in_what_an_app_copies():
    pasted = "【云栖酒店的清晨】https://xhslink.com/a/Ab12， 复制本条信息，打开小红书查看"

    assert link_of(pasted) == "https://xhslink.com/a/Ab12"
    assert link_of(" xhslink.com/a/Ab12 ") == "xhslink.com/a/Ab12"


def test_long_links_that_differ_at_the_end_are_two():
    assert link_key(f"https://a.cn/{'x' * 400}1") != link_key(f"https://a.cn/{'x' * 400}2")
