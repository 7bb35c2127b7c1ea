"""Limits and patterns as pure calculation."""

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.rules.approvals import (
    AUTHORITY,
    Allowance,
    Amount,
    Attempt,
    Limit,
    Lookback,
    Past,
    Pattern,
    allowance_of,
    find_patterns,
    grounds_of_limits,
    may_decide,
)
from tests.factories import NOW

HOUR = dt.timedelta(hours=1)


def limit(
    role="receptionist", per_movement=100, per_day=None, *, unit="points", breadth=2, approver="property_manager"
):
    def decimal(value):
        return None if value is None else Decimal(value)

    return Limit(role, unit, breadth, decimal(per_movement), decimal(per_day), approver)


def points(value):
    return Amount(Decimal(value), "points")


def pattern(check="same_pair", **fields):
    return Pattern(
        **{
            "rule_id": 1,
            "check": check,
            "kind": "",
            "count": 2,
            "window": 24 * HOUR,
            "percent": 90,
            "is_hold": True,
            "reviewer_role": "property_manager",
            **fields,
        }
    )


def past(record_id, hours=1, **fields):
    return Past(
        **{
            "record_id": record_id,
            "kind": "adjust",
            "actor_id": 7,
            "membership_id": 3,
            "value": Decimal(95),
            "unit": "points",
            "limit": Decimal(100),
            "at": NOW - hours * HOUR,
            **fields,
        }
    )


def attempt(**fields):
    return Attempt(
        **{
            "kind": "adjust",
            "actor_id": 7,
            "membership_id": 3,
            "amount": points(95),
            "limit": Decimal(100),
            "now": NOW,
            **fields,
        }
    )


def found(rule, rows, tried=None, phone=()):
    return find_patterns([rule], tried or attempt(), Lookback(rows, phone))


def test_the_limit_itself_is_allowed_and_one_more_is_not():
    allowance = allowance_of([limit()], ["receptionist"], points(100))

    assert grounds_of_limits(allowance, points(100), Decimal(0)) == []
    assert [ground["check"] for ground in grounds_of_limits(allowance, points(101), Decimal(0))] == ["per_movement"]


def test_a_day_counts_what_was_used():
    allowance = allowance_of([limit(per_day=150)], ["receptionist"], points(51))

    assert [g["check"] for g in grounds_of_limits(allowance, points(51), Decimal(100))] == ["per_day"]
    assert grounds_of_limits(allowance, points(50), Decimal(100)) == []


def test_the_narrowest_scope_counts_and_the_most_generous_role():
    limits = [limit(per_movement=100), limit(per_movement=10, breadth=0), limit("guest_service", 60)]

    assert allowance_of(limits, ["receptionist"], points(1)).per_movement == 10
    assert allowance_of(limits, ["receptionist", "guest_service"], points(1)).per_movement == 60


def test_a_role_without_limits_is_not_limited():
    assert allowance_of([limit()], ["group_manager"], points(10**9)) == Allowance(is_limited=False)


def test_a_limit_in_points_is_no_leave_for_money():
    allowance = allowance_of([limit()], ["receptionist"], Amount(Decimal(1), "USD"))

    assert grounds_of_limits(allowance, Amount(Decimal(1), "USD"), Decimal(0))


def test_more_than_the_approver_may_alone_goes_to_the_next_above():
    limits = [limit(), limit("property_manager", 1000, approver="group_manager")]

    assert allowance_of(limits, ["receptionist"], points(1000)).approver_role == "property_manager"
    assert allowance_of(limits, ["receptionist"], points(1001)).approver_role == "group_manager"


def test_who_asks_in_a_circle_gets_an_answer():
    limits = [limit("group_manager", 10, approver="group_manager")]

    assert allowance_of(limits, ["group_manager"], points(11)).approver_role == "group_manager"


@given(st.sampled_from(AUTHORITY), st.sampled_from(AUTHORITY))
def test_a_higher_role_decides_what_a_lower_one_may(mine, needed):
    assert may_decide([mine], needed) == (AUTHORITY.index(mine) >= AUTHORITY.index(needed))


@pytest.mark.parametrize("value", ["-1", "NaN", "Infinity"])
def test_an_amount_without_sense_is_refused(value):
    with pytest.raises(ValueError, match=value):
        Amount(Decimal(value), "points")


def test_the_same_pair_is_found_from_the_movement_after_those_allowed():
    assert found(pattern(), [past(1)]) == []
    (finding,) = found(pattern(), [past(1), past(2)])
    assert (finding.seen, finding.evidence) == (3, (1, 2))


@pytest.mark.parametrize("other", [{"actor_id": 8}, {"membership_id": 4}, {"hours": 24}, {"hours": -1}])
def test_others_and_what_is_long_ago_do_not_count(other):
    assert found(pattern(), [past(1), past(2, **other)]) == []


def test_a_member_alone_is_no_pair_but_is_counted():
    own = attempt(actor_id=None)
    rows = [past(1, actor_id=None), past(2, actor_id=None)]

    assert found(pattern(), rows, own) == []
    assert found(pattern("member_count"), rows, own)[0].seen == 3


def test_just_under_the_limit_is_found_over_all_members():
    rows = [past(1, membership_id=4), past(2, membership_id=5)]

    assert found(pattern("near_limit"), rows)[0].evidence == (1, 2)
    assert found(pattern("near_limit"), rows, attempt(amount=points(89))) == []
    assert found(pattern("near_limit"), [*rows[:1], past(3, value=Decimal(89))]) == []
    assert found(pattern("near_limit"), rows, attempt(limit=None)) == []


def test_only_what_follows_a_change_of_telephone_counts():
    rule = pattern("after_phone_change", count=1)

    assert found(rule, [past(1)], phone=[]) == []
    assert found(rule, [past(1, hours=3)], phone=[NOW - 2 * HOUR]) == []
    (finding,) = found(rule, [past(1, hours=1)], phone=[NOW - 2 * HOUR])
    assert finding.phone_changed_at == NOW - 2 * HOUR
    assert found(rule, [past(1)], phone=[NOW - 25 * HOUR]) == []


def test_a_rule_of_one_kind_neither_judges_nor_counts_another():
    rule = pattern(kind="redeem")

    assert found(rule, [past(1), past(2)]) == []
    assert found(rule, [past(1), past(2)], attempt(kind="redeem")) == []


def test_the_own_account_is_found_at_once():
    assert found(pattern("own_account"), [], attempt(is_own=True))
    assert found(pattern("own_account"), []) == []


@given(st.lists(st.integers(0, 30), max_size=12), st.integers(0, 5))
def test_a_pair_is_found_exactly_when_the_window_holds_as_many_as_allowed(hours, count):
    rows = [past(number, hours=age) for number, age in enumerate(hours)]

    inside = sum(age < 24 for age in hours)
    assert bool(found(pattern(count=count), rows)) == (inside >= count)
