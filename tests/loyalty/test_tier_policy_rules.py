"""Periods, validity, ways to a tier and what a review decides, without a database."""

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.rules.qualification import CountedStay, counts, nights_of, shared_nights
from loyalty.rules.tiers import (
    MEASURES,
    Figures,
    PolicyTerms,
    Standing,
    Threshold,
    excess,
    highest_for_life,
    highest_reached,
    judge,
    later,
    percent_of,
    period_before,
    period_of,
    policy_in_force,
    valid_until,
    ways,
    year_start,
)
from members.rules.conditions import parse
from tests.factories import at_least

START = dt.date(2020, 1, 1)
DAY = dt.timedelta(days=1)
days = st.dates(dt.date(2019, 1, 1), dt.date(2032, 12, 31))
counts_of = st.integers(0, 30)
figures = st.builds(
    Figures,
    nights=counts_of,
    stays=counts_of,
    amount=st.decimals(0, 30000, places=2),
    points=st.integers(0, 100000),
    meetings=st.integers(0, 5),
)


def threshold(tree, *, rank=1):
    return Threshold(rank, rank, rank, START, parse(tree, "qualification"))


# Periods


@pytest.mark.parametrize(
    ("terms", "as_of", "enrolled", "start"),
    [
        (PolicyTerms(window_months=12), dt.date(2026, 6, 15), START, dt.date(2025, 6, 16)),
        (PolicyTerms(window_months=12), dt.date(2024, 2, 29), START, dt.date(2023, 3, 1)),
        (PolicyTerms(window_months=6), dt.date(2026, 8, 31), START, dt.date(2026, 3, 1)),
        (PolicyTerms(window="calendar_year"), dt.date(2026, 1, 1), START, dt.date(2026, 1, 1)),
        (PolicyTerms(window="calendar_year"), dt.date(2026, 12, 31), START, dt.date(2026, 1, 1)),
        (PolicyTerms(window="membership_year"), dt.date(2026, 5, 9), dt.date(2024, 5, 10), dt.date(2025, 5, 10)),
        (PolicyTerms(window="membership_year"), dt.date(2026, 5, 10), dt.date(2024, 5, 10), dt.date(2026, 5, 10)),
        # Who joined on 29 February has the anniversary on the 28th where there is no 29th.
        (PolicyTerms(window="membership_year"), dt.date(2025, 2, 28), dt.date(2024, 2, 29), dt.date(2025, 2, 28)),
        (PolicyTerms(window="membership_year"), dt.date(2028, 2, 28), dt.date(2024, 2, 29), dt.date(2027, 2, 28)),
        (PolicyTerms(window="membership_year"), dt.date(2028, 2, 29), dt.date(2024, 2, 29), dt.date(2028, 2, 29)),
        (PolicyTerms(window="lifetime"), dt.date(2026, 6, 15), START, dt.date.min),
    ],
)
def test_a_period_begins_where_the_policy_says(terms, as_of, enrolled, start):
    period = period_of(terms, as_of, enrolled)

    assert (period.start, period.end) == (start, as_of)


@given(enrolled=days, as_of=days)
def test_a_day_lies_in_exactly_one_year_of_membership(enrolled, as_of):
    terms = PolicyTerms(window="membership_year")

    start = year_start(terms, as_of, enrolled)
    following = year_start(terms, start + dt.timedelta(days=370), enrolled)

    assert start <= as_of < following
    assert 365 <= (following - start).days <= 366


def test_a_zeroing_cuts_the_period():
    since = dt.date(2026, 3, 2)

    assert period_of(PolicyTerms(), dt.date(2026, 6, 15), START, since).start == since
    assert period_of(PolicyTerms(), dt.date(2027, 6, 15), START, since).start == dt.date(2026, 6, 16)


@pytest.mark.parametrize(
    ("validity", "months", "until"),
    [
        ("unlimited", None, None),
        ("while_held", None, None),
        ("months", 12, dt.date(2027, 2, 27)),
        ("months", 1, dt.date(2026, 3, 27)),
        ("this_year", None, dt.date(2026, 12, 31)),
        ("next_year", None, dt.date(2027, 12, 31)),
        # World of Hyatt, “programme overview”: the rest of the year and the next, to the end of February after.
        ("next_february", None, dt.date(2028, 2, 29)),
    ],
)
def test_a_tier_lasts_as_long_as_the_policy_says(validity, months, until):
    terms = PolicyTerms(validity=validity, validity_months=months)

    assert valid_until(terms, dt.date(2026, 2, 28), START) == until


@given(reached=days, enrolled=days, window=st.sampled_from(["calendar_year", "membership_year"]))
def test_a_tier_of_this_and_the_next_year_ends_with_a_year(reached, enrolled, window):
    terms = PolicyTerms(window=window, validity="next_year")

    until = valid_until(terms, reached, enrolled)

    assert year_start(terms, until + DAY, enrolled) == until + DAY
    assert 365 <= (until - reached).days <= 731


def test_the_year_before_counts_as_long_as_what_it_reached_is_valid():
    terms = PolicyTerms(window="calendar_year", validity="next_year")
    day = dt.date(2027, 5, 1)

    before = period_before(terms, day, START)

    assert (before.start, before.end) == (dt.date(2026, 1, 1), dt.date(2026, 12, 31))
    assert period_before(PolicyTerms(window="calendar_year", validity="this_year"), day, START) is None
    assert period_before(PolicyTerms(validity="next_year"), day, START) is None


def test_a_policy_counts_from_its_date():
    first, second = PolicyTerms(START), PolicyTerms(dt.date(2026, 7, 1), window="calendar_year")

    assert policy_in_force([second, first], dt.date(2026, 6, 30)) is first
    assert policy_in_force([first, second], dt.date(2026, 7, 1)) is second
    assert policy_in_force([second], dt.date(2026, 6, 30)) == PolicyTerms()


# Thresholds

leaf = st.one_of(
    *(
        st.tuples(st.just(name), st.sampled_from(["gte", "gt", "lte", "lt"]), st.integers(0, 40)).map(
            lambda leaf: {"field": leaf[0], "op": leaf[1], "value": leaf[2]}
        )
        for name in ("nights", "stays", "amount", "points", "lifetime_nights", "meetings")
    )
)
trees = st.recursive(
    leaf,
    lambda parts: st.one_of(
        st.lists(parts, min_size=1, max_size=3).map(lambda found: {"all": found}),
        st.lists(parts, min_size=1, max_size=3).map(lambda found: {"any": found}),
        parts.map(lambda found: {"not": found}),
    ),
    max_leaves=6,
)


def slowly(tree, now, ever):
    """The reference: the tree as its words say."""
    ((word, rest), *_more) = tree.items()
    if word == "all":
        return all(slowly(part, now, ever) for part in rest)
    if word == "any":
        return any(slowly(part, now, ever) for part in rest)
    if word == "not":
        return not slowly(rest, now, ever)
    name = tree["field"]
    fact = getattr(ever if name.startswith("lifetime_") else now, name.removeprefix("lifetime_"))
    compare = {"gte": fact >= tree["value"], "gt": fact > tree["value"], "lte": fact <= tree["value"]}
    return compare.get(tree["op"], fact < tree["value"])


@given(tree=trees, now=figures, before=figures)
def test_a_threshold_is_reached_exactly_when_its_tree_says_so(tree, now, before):
    assert threshold(tree).is_reached(now, now + before) == slowly(tree, now, now + before)


def test_s03_ambassador_needs_both():
    # programmes.json, S03: 100 nights and USD 22,999 are Titanium.
    titanium = threshold(at_least(nights=75), rank=4)
    ambassador = threshold(at_least(every=True, nights=100, amount="23000"), rank=5)
    almost = Figures(nights=100, amount=Decimal(22999))

    assert highest_reached([titanium, ambassador], almost).rank == 4
    assert highest_reached([titanium, ambassador], almost + Figures(amount=Decimal(1))).rank == 5
    assert [[(m.kind, m.missing) for m in way] for way in ways(ambassador, almost)] == [
        [("amount", Decimal(1)), ("nights", Decimal(0))]
    ]


def test_hyatt_counts_nights_base_points_or_meetings_and_a_life():
    # programmes.json, hyatt.
    globalist = threshold(at_least(nights=60, points=100_000, meetings=20), rank=3)
    lifetime = threshold(at_least(lifetime_points=1_000_000), rank=4)

    assert globalist.is_reached(Figures(meetings=20))
    assert not globalist.is_reached(Figures(nights=59, points=99_999, meetings=19))
    assert highest_for_life([globalist, lifetime], Figures(points=999_999)) is None
    assert highest_for_life([globalist, lifetime], Figures(points=1_000_000)).rank == 4
    assert percent_of(ways(globalist, Figures(nights=30, points=60_000))) == 60


@given(tree=trees, now=figures)
def test_who_does_all_that_a_way_asks_for_lacks_nothing_of_it(tree, now):
    for way in ways(threshold(tree), now):
        needed = {m.kind: m.missing for m in way if not m.kind.startswith("lifetime_")}
        there = now + Figures(**{name: needed.get(name, 0) for name in MEASURES if name in needed})

        assert all(getattr(there, m.kind) >= m.needed for m in way if not m.kind.startswith("lifetime_"))


def test_the_excess_is_what_lies_above_the_least_that_serves():
    gold = threshold(at_least(nights=20, points=40_000))

    assert excess(gold, "nights", Figures(nights=33)) == 13
    assert excess(gold, "nights", Figures(nights=12, points=50_000)) == 0
    assert excess(threshold(at_least(amount="1")), "nights", Figures(nights=33)) == 0


# Nights


def room(number=1, *, arrival=dt.date(2026, 6, 10), nights=2, paid=1000, **facts):
    departure = arrival + nights * DAY
    facts.setdefault("paid_nights", frozenset(arrival + DAY * night for night in range(nights)))
    return CountedStay(number, arrival, departure, Decimal(paid), **facts)


def test_s09_three_rooms_of_a_booking_count_two_nights():
    # programmes.json, S09: one booking, 3 rooms, 2 nights.
    terms = PolicyTerms(night_counting="per_booking")

    assert shared_nights([room(1), room(2), room(3)], terms) == {1: 2, 2: 0, 3: 0}
    assert shared_nights([room(1, is_voided=True), room(2), room(3)], terms) == {1: 0, 2: 2, 3: 0}


@given(
    rooms=st.lists(st.tuples(st.integers(0, 10), st.integers(0, 5), st.booleans()), min_size=1, max_size=5),
    order=st.randoms(),
)
def test_a_booking_counts_each_night_once_in_whatever_order(rooms, order):
    found = [
        room(number, arrival=START + start * DAY, nights=nights, is_voided=voided)
        for number, (start, nights, voided) in enumerate(rooms)
    ]
    wanted = {night for one in found for night in nights_of(one, PolicyTerms())}
    mixed = list(found)
    order.shuffle(mixed)

    shares = shared_nights(mixed, PolicyTerms())

    assert sum(shares.values()) == len(wanted)
    assert shares == shared_nights(found, PolicyTerms())


@pytest.mark.parametrize(
    ("terms", "stay", "nights"),
    [
        ({}, {}, 2),
        ({}, {"paid": 0}, 0),
        ({"free_nights": "all"}, {"paid": 0}, 2),
        ({"free_nights": "paid"}, {"paid_nights": frozenset({dt.date(2026, 6, 11)})}, 1),
        ({"no_show_nights": 1}, {"is_no_show": True}, 1),
        ({"no_show_nights": 0}, {"is_no_show": True}, 0),
        ({}, {"is_no_show": True}, 2),
        ({}, {"is_voided": True}, 0),
        ({}, {"is_asked_for": False}, 0),
        ({}, {"nights": 0}, 0),
        ({"day_use": "night"}, {"nights": 0}, 1),
    ],
)
def test_which_nights_count_is_the_policys_choice(terms, stay, nights):
    assert len(nights_of(room(**stay), PolicyTerms(**terms))) == nights


def test_a_day_counts_a_stay_unless_the_policy_says_nothing():
    assert counts(room(nights=0), PolicyTerms())
    assert not counts(room(nights=0), PolicyTerms(day_use="none"))


# Verdicts

YEAR = PolicyTerms(window="calendar_year", validity="next_year", grace_days=10)
STEP = PolicyTerms(window="calendar_year", validity="next_year", downgrade="one_step")
RUN = dt.date(2027, 1, 12)


def verdict(standing, terms=YEAR, run_date=RUN):
    found = judge(
        standing,
        terms,
        run_date=run_date,
        ranks=[0, 1, 2, 3],
        until_now=dt.date(2028, 12, 31),
        until_before=dt.date(2027, 12, 31),
    )
    return (found.kind, found.rank, found.until, found.source) if found else None


ENDED = dt.date(2026, 12, 31)


@pytest.mark.parametrize(
    ("standing", "terms", "expected"),
    [
        (Standing(0, reached=2), YEAR, ("upgrade", 2, dt.date(2028, 12, 31), "earned")),
        (Standing(0), YEAR, None),
        (Standing(2, ENDED), YEAR, ("downgrade", 0, None, "earned")),
        (Standing(2, dt.date(2027, 1, 2)), YEAR, None),
        (Standing(2, dt.date(2027, 1, 1)), YEAR, ("downgrade", 0, None, "earned")),
        (Standing(2, ENDED, reached_before=1), YEAR, ("downgrade", 1, dt.date(2027, 12, 31), "earned")),
        (Standing(2, ENDED, reached_before=2), YEAR, ("renewal", 2, dt.date(2027, 12, 31), "earned")),
        (Standing(3, ENDED), STEP, ("downgrade", 2, dt.date(2027, 12, 31), "earned")),
        (Standing(3, ENDED, reached=1), STEP, ("downgrade", 2, dt.date(2027, 12, 31), "earned")),
        (Standing(3, ENDED, floor=1, floor_until=dt.date(2027, 5, 1)), YEAR, ("downgrade", 1, dt.date(2027, 5, 1), "floor")),
        (Standing(3, ENDED, protected_until=RUN), YEAR, None),
        (Standing(3, ENDED, protected_until=RUN - DAY), YEAR, ("downgrade", 0, None, "earned")),
        (Standing(3, None, "manual"), YEAR, None),
        (Standing(2, dt.date(2027, 12, 31), reached=2), YEAR, ("renewal", 2, dt.date(2028, 12, 31), "earned")),
        (Standing(2, dt.date(2028, 12, 31), reached=2), YEAR, None),
        (Standing(3, dt.date(2027, 12, 31), for_life=3), YEAR, ("renewal", 3, None, "lifetime")),
        (Standing(3, None, "lifetime", for_life=3), YEAR, None),
        (Standing(1, None), PolicyTerms(validity="while_held"), ("downgrade", 0, None, "earned")),
        (Standing(1, None, reached=1), PolicyTerms(validity="while_held"), None),
        (Standing(1, None, "manual"), PolicyTerms(validity="while_held"), None),
    ],
)  # fmt: skip
def test_a_review_decides_by_the_policy(standing, terms, expected):
    assert verdict(standing, terms) == expected


@given(
    rank=st.integers(0, 3),
    reached=st.integers(0, 3),
    before=st.integers(0, 3),
    floor=st.integers(0, 3),
    until=st.none() | days,
    step=st.booleans(),
)
def test_nobody_falls_below_what_is_reached_or_granted_or_by_more_than_the_step(
    rank, reached, before, floor, until, step
):
    terms = PolicyTerms(window="calendar_year", validity="next_year", downgrade="one_step" if step else "reached")
    found = judge(
        Standing(rank, until, reached=reached, reached_before=before, floor=floor),
        terms, run_date=RUN, ranks=[0, 1, 2, 3], until_now=None, until_before=None,
    )  # fmt: skip

    after = found.rank if found else rank
    assert after >= min(rank, max(reached, before, floor))
    assert after >= max(reached, before, floor) or found is None
    assert not step or after >= rank - 1


def test_without_end_is_the_latest_end():
    assert later(None, RUN) is None
    assert later(RUN, ENDED) == RUN
