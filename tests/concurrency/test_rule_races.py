"""Many desks and several managers at once: a budget is spent to the point, a version published once."""

import datetime as dt
from decimal import Decimal

import pytest

from loyalty.models import Account, EarningRule, EarningRuleSet, Posting, RuleUse
from loyalty.services.events import award_event
from loyalty.services.rules import RuleChangeRefused, create_draft, publish_rule_set, save_rule
from members.services.stays import FolioLineInput, post_stay, void_stay
from tests.concurrency.test_earning import at_once
from tests.factories import NOW, base_rule, make_member, make_programme, make_property, publish_rules

pytestmark = pytest.mark.django_db(transaction=True)

ARRIVAL, DEPARTURE = dt.date(2026, 6, 13), dt.date(2026, 6, 15)
JULY = dt.date(2026, 7, 1)


@pytest.fixture
def programme():
    return make_programme()


def post(place, member, number):
    return post_stay(
        actor=None,
        now=NOW,
        place=place,
        source_system="desk",
        source_reference=str(number),
        guest_id=member.guest_id,
        arrival_date=ARRIVAL,
        departure_date=DEPARTURE,
        lines=[FolioLineInput("1", ARRIVAL, "room", Decimal(100))],
        currency="CNY",
    )


def failures(outcomes):
    return [outcome for outcome in outcomes if isinstance(outcome, Exception)]


def bonus(**caps):
    return EarningRule(code="bonus", name="加赠", value=Decimal(1), **caps)


def test_twenty_desks_spend_exactly_the_budget(programme):
    publish_rules(programme, bonus(budget_points=1234), start=ARRIVAL)
    place = make_property()
    members = [make_member(programme, name=f"客{number}") for number in range(20)]

    outcomes = at_once(20, lambda index: post(place, members[index], index))

    assert failures(outcomes) == []
    assert sum(Posting.objects.values_list("points", flat=True)) == 1234
    assert RuleUse.objects.get().used == 1234
    assert sorted(Account.objects.values_list("available", flat=True)) == [0] * 7 + [34] + [100] * 12


def test_twenty_stays_of_one_member_keep_the_cap_of_the_month(programme):
    publish_rules(programme, bonus(cap_month=550), start=ARRIVAL)
    place, member = make_property(), make_member(programme)

    outcomes = at_once(20, lambda index: post(place, member, index))

    assert failures(outcomes) == []
    assert Account.objects.get().available == RuleUse.objects.get().used == 550


def test_what_a_void_gives_back_another_desk_may_give(programme):
    publish_rules(programme, bonus(budget_points=500, cap_day=100), start=ARRIVAL)
    place = make_property()
    members = [make_member(programme, name=f"客{number}") for number in range(10)]
    stays = [post(place, members[index], index) for index in range(5)]

    def work(index):
        if index < 5:
            return void_stay(actor=None, now=NOW, stay_id=stays[index].pk, reason="x")
        return post(place, members[index], index)

    outcomes = at_once(10, work)

    assert failures(outcomes) == []
    given = sum(Posting.objects.values_list("points", flat=True))
    assert given == RuleUse.objects.get(scope="points").used == sum(Account.objects.values_list("available", flat=True))
    assert given <= 500


def test_one_event_sent_ten_times_at_once_counts_once(programme):
    gift = EarningRule(
        code="gift", name="生日礼", basis="event", event="birthday", result="fixed", value=500, budget_points=5000
    )
    publish_rules(programme, gift, start=ARRIVAL)
    member = make_member(programme)

    outcomes = at_once(
        10,
        lambda _index: award_event(
            actor=None,
            now=NOW,
            programme=programme,
            membership_ids=[member.pk],
            event="birthday",
            reference="2026",
        ),
    )

    assert failures(outcomes) == []
    assert sorted(outcomes, key=len) == [{}] * 9 + [{member.pk: 500}]
    assert Account.objects.get().available == RuleUse.objects.get().used == 500


def test_a_draft_published_by_five_managers_at_once_is_published_once(programme):
    draft = create_draft(actor=None, now=NOW, programme=programme)

    outcomes = at_once(5, lambda _index: publish_rule_set(actor=None, now=NOW, rule_set_id=draft.pk, from_date=JULY).pk)

    refused = failures(outcomes)
    assert [outcome for outcome in outcomes if outcome not in refused] == [draft.pk]
    assert [error.code for error in refused] == ["not_draft"] * 4


def test_of_two_drafts_for_one_day_one_is_published(programme):
    drafts = [create_draft(actor=None, now=NOW, programme=programme) for _ in range(2)]

    outcomes = at_once(
        2, lambda index: publish_rule_set(actor=None, now=NOW, rule_set_id=drafts[index].pk, from_date=JULY)
    )

    (refused,) = failures(outcomes)
    assert isinstance(refused, RuleChangeRefused)
    assert refused.code == "day_taken"
    assert EarningRuleSet.objects.published().filter(effective_from=JULY).count() == 1


def test_a_rule_saved_while_the_draft_is_published_is_in_it_or_refused(programme):
    draft = create_draft(actor=None, now=NOW, programme=programme)

    def work(index):
        if index == 0:
            return publish_rule_set(actor=None, now=NOW, rule_set_id=draft.pk, from_date=JULY)
        return save_rule(actor=None, now=NOW, rule=base_rule(code=f"extra-{index}", rule_set=draft))

    outcomes = at_once(6, work)

    saved = sum(isinstance(outcome, EarningRule) for outcome in outcomes)
    assert {error.code for error in failures(outcomes)} <= {"not_draft"}
    assert draft.rules.count() == 4 + saved
    assert create_draft(actor=None, now=NOW, programme=programme).number == 3
