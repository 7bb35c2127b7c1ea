"""Benefits used at the desk: as often as they are given for a stay or a year, and undone."""

import datetime as dt

import pytest
from django.db import IntegrityError, transaction

from hotels.models import AuditEntry
from loyalty.models import Entitlement, TierBenefit
from loyalty.services.entitlements import BenefitNotGiven, NoStay, UsedUp, undo_entitlement_use, use_entitlement
from loyalty.services.memberships import enrol_member
from tests.factories import NOW, make_guest, make_programme, make_property, make_staff

pytestmark = pytest.mark.django_db

DAY = dt.timedelta(days=1)


@pytest.fixture
def place():
    return make_property()


@pytest.fixture
def membership():
    return enrol_member(actor=None, now=NOW, programme=make_programme(), guest_id=make_guest().pk)


@pytest.fixture
def benefit(membership):
    def make(period="stay", quantity=1, **facts):
        facts = {"tier": membership.tier, "effective_from": dt.date(2020, 1, 1), **facts}
        return TierBenefit.objects.create(name="延迟退房", period=period, quantity=quantity, **facts)

    return make


@pytest.fixture
def use(membership, place):
    def take(benefit, key="1", *, now=NOW, visit="S1"):
        return use_entitlement(
            actor=make_staff("receptionist", place=place),
            now=now,
            membership_id=membership.pk,
            benefit_id=benefit.pk,
            place=place,
            idempotency_key=key,
            visit=visit,
        )

    return take


def test_a_benefit_of_a_stay_is_given_once_a_stay(benefit, use):
    late = benefit()
    first = use(late)

    assert use(late).pk == first.pk
    with pytest.raises(UsedUp):
        use(late, "2")
    use(late, "3", visit="S2")
    with pytest.raises(NoStay):
        use(late, "4", visit="")

    assert list(Entitlement.objects.order_by("pk").values_list("period", "used")) == [("stay:S1", 1), ("stay:S2", 1)]
    assert AuditEntry.objects.filter(action="entitlement.used").count() == 2


def test_undone_it_can_be_used_again(benefit, use):
    late = benefit()
    taken = use(late)

    undone = undo_entitlement_use(actor=None, now=NOW, use_id=taken.pk)
    undo_entitlement_use(actor=None, now=NOW, use_id=taken.pk)

    assert undone.undone_at == NOW
    assert Entitlement.objects.get().used == 0
    use(late, "2")
    assert Entitlement.objects.get().used == 1


def test_a_year_begins_on_new_years_day_at_the_property(benefit, use):
    upgrade = benefit("year", 2)
    last = dt.datetime(2026, 12, 31, 15, 59, tzinfo=dt.UTC)
    use(upgrade, "1", now=last)
    use(upgrade, "2", now=last)
    with pytest.raises(UsedUp):
        use(upgrade, "3", now=last)

    use(upgrade, "4", now=last + dt.timedelta(minutes=1))

    assert list(Entitlement.objects.order_by("pk").values_list("period", "used")) == [("2026", 2), ("2027", 1)]


def test_without_a_limit_every_use_is_noted(benefit, use):
    lounge = benefit("unlimited", None)
    for number in range(5):
        use(lounge, str(number), visit="")

    assert Entitlement.objects.get().used == 5


@pytest.mark.parametrize(("period", "quantity"), [("stay", None), ("year", None), ("stay", 0), ("unlimited", 1)])
def test_a_benefit_says_how_often_where_it_is_counted_and_only_there(benefit, period, quantity):
    with pytest.raises(IntegrityError), transaction.atomic():
        benefit(period, quantity)


@pytest.mark.parametrize(
    "facts",
    [
        {"period": "shown", "quantity": None},
        {"effective_until": NOW.date()},
        {"effective_from": NOW.date() + DAY},
    ],
)
def test_what_the_tier_does_not_give_today_cannot_be_used(benefit, use, facts):
    with pytest.raises(BenefitNotGiven):
        use(benefit(**facts))


def test_nor_what_another_tier_or_house_gives(benefit, use, membership):
    other = membership.programme.tiers.get(code="gold")
    with pytest.raises(BenefitNotGiven):
        use(benefit(tier=other))
    with pytest.raises(BenefitNotGiven):
        use(benefit(property=make_property()))
