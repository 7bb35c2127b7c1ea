"""Limits."""

import datetime as dt

import pytest

from hotels.models import AuditEntry
from loyalty.models import (
    DailyUse,
    MovementRecord,
)
from loyalty.services.approvals import (
    Performed,
    RequestConflict,
    Requested,
)
from loyalty.services.ledger import InsufficientPoints
from tests.factories import (
    NOW,
    make_property,
    make_staff,
)
from tests.loyalty.test_approvals.acts import adjust, asked, balances, make_limit

pytestmark = pytest.mark.django_db


def test_within_the_limits_it_is_carried_out_and_counted(programme, member, clerk, place):
    make_limit(programme)

    outcome = adjust(clerk, member, 1000, place)

    assert isinstance(outcome, Performed)
    assert balances(member) == (6000, 0)
    use = DailyUse.objects.get()
    assert (use.user, use.used, use.movements, use.day) == (clerk, 1000, 1, NOW.date())
    assert MovementRecord.objects.get().reference == f"loyalty.posting:{outcome.result.posting_id}"


def test_above_the_limit_nothing_moves_and_a_request_waits(programme, member, clerk, place):
    make_limit(programme)

    request = asked(clerk, member, 1001, place)

    assert balances(member) == (5000, 0)
    assert (request.state, request.approver_role, request.value) == ("pending", "property_manager", 1001)
    assert [ground["check"] for ground in request.grounds] == ["per_movement"]
    assert DailyUse.objects.get().used == 0
    assert AuditEntry.objects.filter(action="approval.requested", actor=clerk).count() == 1


def test_a_day_is_used_up_by_several_movements_and_the_next_day_begins_anew(programme, member, clerk, place):
    make_limit(programme)
    adjust(clerk, member, 1000, place)

    assert isinstance(adjust(clerk, member, 501, place), Requested)
    assert isinstance(adjust(clerk, member, 500, place), Performed)
    assert isinstance(adjust(clerk, member, 1, place), Requested)
    assert isinstance(adjust(clerk, member, 1000, place, now=NOW + dt.timedelta(days=1)), Performed)


def test_the_limit_that_has_begun_last_counts_and_a_property_has_its_own(programme, member, clerk, place):
    make_limit(programme)
    make_limit(programme, per_movement=50, effective_from=NOW.date())
    make_limit(programme, per_movement=7000, per_day=None, effective_from=NOW.date() + dt.timedelta(days=1))
    other = make_property()
    make_limit(programme, property=other, per_movement=None, per_day=None)

    assert isinstance(adjust(clerk, member, 51, place), Requested)
    assert isinstance(adjust(make_staff(place=other), member, 9000, other), Performed)


def test_without_a_limit_nothing_waits(member, clerk, place):
    assert isinstance(adjust(clerk, member, 10_000_000, place), Performed)


def test_the_same_form_sent_again_gets_the_same_answer(programme, member, clerk, place):
    make_limit(programme)

    first, again = (adjust(clerk, member, 500, place, key="k") for _ in range(2))
    assert (again.replayed, again.result.seq) == (True, first.result.seq)
    assert DailyUse.objects.get().used == 500
    one, two = (asked(clerk, member, 2000, place, key="j") for _ in range(2))
    assert one == two
    with pytest.raises(RequestConflict):
        adjust(clerk, member, 499, place, key="k")
    with pytest.raises(RequestConflict):
        adjust(clerk, member, 2001, place, key="j")
    assert balances(member) == (5500, 0)


def test_what_the_service_refuses_uses_up_nothing(programme, member, clerk, place):
    make_limit(programme, per_movement=9000, per_day=9000)

    with pytest.raises(InsufficientPoints):
        adjust(clerk, member, -5001, place)

    assert not DailyUse.objects.exists()
    assert not MovementRecord.objects.exists()
