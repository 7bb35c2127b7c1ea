"""What each rule of a version would do with a stay, and what keeps the others from applying.

Nothing is written, and nothing that was given counts: the stay is judged as if it were new. Caps that
reach beyond the stay are not looked up.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from typing import Any

from django.utils.translation import gettext as _

from hotels.models import ExchangeRate, Property
from loyalty.models import EarningRule, EarningRuleSet, Membership, Programme, Tier, TierChange
from loyalty.rules.earning import Award, Bill, Charge, RuleTerms, award_stay, nights_of
from loyalty.rules.exchange import Quote, RateTable
from loyalty.rules.explain import explain_part
from loyalty.selectors.member_facts import is_of_member, member_facts
from loyalty.selectors.rule_books import target_of, version_of
from loyalty.selectors.rule_words import rules_in_words
from members.models import FolioLine, Reservation, RevenueCategory, Stay
from members.rules.conditions import ChoiceLists, Leaf, failing, read, sentence, used_fields
from members.rules.conditions.fields import Kind
from members.selectors.conditions import facts_of

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedStay:
    """A stay to be judged.

    Attributes:
        tier: The tier that it is judged by.
        bill: Charges, nights and currency.
        facts: What conditions may ask, field name → value; what is missing is not known.
    """

    tier: Tier
    bill: Bill
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one rule does.

    Attributes:
        rule: The stored rule.
        words: It as a sentence.
        points: What it gives; None where it does not apply.
        arithmetic: How it comes to them.
        reasons: Why it does not apply.
    """

    rule: EarningRule
    words: str
    points: int | None = None
    arithmetic: str = ""
    reasons: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Simulation:
    """All rules of a version and what they give together."""

    outcomes: list[Outcome]
    points: int
    qualifying_points: int


def simulate(rule_set: EarningRuleSet, stay: TriedStay, *, today: dt.date) -> Simulation:
    """Judge a stay by a version, published or not.

    Args:
        rule_set: With its programme loaded.
        stay: From `known_stay` or `entered_stay`.
        today: What “within the last days” counts from.
    """
    programme = rule_set.programme
    rows = list(rule_set.rules.select_related("funded_by").order_by("-priority", "code", "pk"))
    version = version_of(rule_set, rows, programme=programme, today=today)
    matched = version.matching(stay.facts)
    award = award_stay(stay.bill, matched)
    judge = _Judge(programme, stay, matched, award, today)
    return Simulation(
        outcomes=[judge.outcome(row, words) for row, words in rules_in_words(rows, programme=programme)],
        points=award.points,
        qualifying_points=award.qualifying_points,
    )


def known_stay(stay: Stay, membership: Membership, rule_set: EarningRuleSet, *, today: dt.date) -> TriedStay:
    """A stored stay as its folio stands, with the tier of its member on the day of departure."""
    programme = rule_set.programme
    fields = frozenset().union(
        *(used_fields(read(rule.condition, "stay")) for rule in rule_set.rules.exclude(basis=EarningRule.Basis.EVENT))
    )
    of_member = frozenset(name for name in fields if is_of_member(name))
    tier = _tier_on_departure(membership, stay)
    lines = FolioLine.objects.filter(stay=stay).values_list(
        "line_reference", "business_date", "category", "net_amount", "is_eligible"
    )
    return TriedStay(
        tier=tier,
        bill=Bill(
            charges=[Charge(*line) for line in lines],
            currency=stay.currency,
            nights=nights_of(stay.arrival_date, stay.departure_date),
            unit_value=_unit_value(stay.currency, programme, stay.departure_date),
        ),
        facts=facts_of("stay", [stay.pk], fields=fields - of_member, today=today).get(stay.pk, {})
        | member_facts(membership, tier, on_date=_activity_date(stay, programme), fields=of_member),
    )


def entered_stay(
    *,
    programme: Programme,
    place: Property,
    tier: Tier,
    arrival: dt.date,
    departure: dt.date,
    amounts: Mapping[str, Decimal],
    room_type: str = "",
    rate_plan: str = "",
    channel: str = "",
) -> TriedStay:
    """A stay that nobody had: the room is charged night by night, everything else on the first day.

    It is a single booking of a guest who has stayed before; what else is not entered is not known.

    Args:
        programme: Its currency is what points are counted in.
        place: Where; charges are in its currency.
        tier: The tier of who stays; nothing else is known of them.
        arrival: First night.
        departure: Not a night.
        amounts: Revenue category → amount.
        room_type: Code.
        rate_plan: As the source system calls it.
        channel: As the source system calls it.
    """
    nights = nights_of(arrival, departure)
    charges = []
    for category, amount in amounts.items():
        days = nights if category == RevenueCategory.ROOM and nights else [arrival]
        share = (amount / len(days)).quantize(CENT, ROUND_DOWN)
        for number, day in enumerate(days):
            last = amount - share * (len(days) - 1)
            charges.append(Charge(f"{category}-{number}", day, category, share if day != days[-1] else last))
    total = sum(amounts.values(), Decimal(0))
    facts = {
        "stay.property": place.code,
        "stay.brand": place.brand.code,
        "stay.city": place.city,
        "stay.room_type": room_type,
        "stay.rate_plan": rate_plan,
        "stay.channel": channel,
        "stay.is_group": False,
        "stay.arrival_date": arrival,
        "stay.departure_date": departure,
        "stay.arrival_weekday": arrival.isoweekday(),
        "stay.departure_weekday": departure.isoweekday(),
        "stay.arrival_month": arrival.month,
        "stay.nights": len(nights),
        "stay.net_total": total,
        "stay.currency": place.currency,
        "stay.is_paid": total > 0,
        "stay.is_first_stay": False,
        "stay.is_in_birth_month": False,
        "member.tier": tier.code,
        "member.tier_rank": tier.rank,
    }
    unit_value = _unit_value(place.currency, programme, departure)
    bill = Bill(charges=charges, currency=place.currency, nights=nights, unit_value=unit_value)
    return TriedStay(tier=tier, bill=bill, facts=facts)


def _tier_on_departure(membership: Membership, stay: Stay) -> Tier:
    """The tier before a change on the day itself: a stay is judged before it moves its member up."""
    later = (
        TierChange.objects.filter(membership=membership, effective_date__gte=stay.departure_date)
        .order_by("effective_date", "pk")
        .select_related("from_tier")
        .first()
    )
    return (later and later.from_tier) or membership.tier


def _activity_date(stay: Stay, programme: Programme) -> dt.date:
    if programme.activity_date == Programme.ActivityDate.DEPARTURE:
        return stay.departure_date
    if programme.activity_date == Programme.ActivityDate.BOOKED and stay.reservation_id:
        booked = Reservation.objects.filter(pk=stay.reservation_id).values_list("booked_on_date", flat=True).first()
        return booked or stay.arrival_date
    return stay.arrival_date


def _unit_value(currency: str, programme: Programme, on_date: dt.date) -> Decimal | None:
    rows = ExchangeRate.objects.all() if currency != programme.currency else ()
    table = RateTable(Quote(row.currency, row.to_currency, row.effective_from, row.rate) for row in rows)
    return table.unit_value(currency, programme.currency, on_date)


class _Judge:
    """Says of each rule what it did or what kept it."""

    def __init__(
        self, programme: Programme, stay: TriedStay, matched: Sequence[RuleTerms], award: Award, today: dt.date
    ) -> None:
        self.stay = stay
        self.today = today
        self.matched = {rule.code: rule for rule in matched}
        self.parts = {part["rule"]: part for part in award.parts}
        self.choices = ChoiceLists()
        self.words = {
            "currency": stay.bill.currency,
            "programme_currency": programme.currency,
            "tier": {"zh": stay.tier.name, "en": stay.tier.name_en},
        }

    def outcome(self, row: EarningRule, words: str) -> Outcome:
        part = self.parts.get(row.code)
        if part is not None:
            return Outcome(row, words, points=part["points"], arithmetic=explain_part(part, self.words))
        if row.basis == EarningRule.Basis.EVENT:
            return Outcome(row, words, reasons=[_("It is for an event, not for stays.")])
        if row.code not in self.matched:
            return Outcome(row, words, reasons=self._failed(row))
        return Outcome(row, words, reasons=[self._kept(self.matched[row.code])])

    def _failed(self, row: EarningRule) -> list[str]:
        leaves = failing(read(row.condition, target_of(row)), self.stay.facts, today=self.today)
        if not leaves:
            return [_("Its condition can never be met.")]
        return [self._failed_part(leaf) for leaf in leaves]

    def _failed_part(self, leaf: Leaf) -> str:
        values = {"condition": sentence(leaf, choices=self.choices), "value": self._fact(leaf)}
        if leaf.problem:
            return _("Not understood any more: %(condition)s") % values
        if values["value"]:
            return _("Not met: %(condition)s (here: %(value)s)") % values
        return _("Not met: %(condition)s") % values

    def _fact(self, leaf: Leaf) -> str:
        """What it is instead; what a guest told about themself is not shown to who edits rules."""
        value = self.stay.facts.get(leaf.name)
        if leaf.field is None or leaf.name.startswith("guest.") or isinstance(value, bool):
            return ""
        if value is None or value == "":
            return _("not known")
        if leaf.field.kind == Kind.CHOICE:
            return str(self.choices.of(leaf.field).get(value, value))
        return str(value) if leaf.field.kind in {Kind.NUMBER, Kind.MONEY, Kind.TEXT, Kind.DATE} else ""

    def _kept(self, rule: RuleTerms) -> str:
        """What kept a rule whose condition is met: nothing of its own, or another rule."""
        if not award_stay(self.stay.bill, [rule]).parts:
            if rule.currency and rule.currency != self.stay.bill.currency:
                return _("Only for folios in %(currency)s.") % {"currency": rule.currency}
            if not rule.currency and self.stay.bill.unit_value is None:
                return _("There is no exchange rate for the day of departure.")
            return _("The stay has no charges or nights that it is for.")
        takers = [other for code, other in self.matched.items() if code in self.parts and self._takes(other, rule)]
        if not takers:
            return _("Other rules take what it is for.")
        names = _(", ").join(_("“%(rule)s”") % {"rule": self._name(other)} for other in takers)
        if any(other.group and other.group == rule.group for other in takers):
            return _("Taken by %(rules)s, of the same group.") % {"rules": names}
        return _("Stopped by %(rules)s.") % {"rules": names}

    def _takes(self, other: RuleTerms, rule: RuleTerms) -> bool:
        """Whether the other alone already leaves the rule nothing."""
        parts = award_stay(self.stay.bill, [other, rule]).parts
        return all(part["rule"] != rule.code for part in parts)

    def _name(self, rule: RuleTerms) -> str:
        return EarningRule(name=rule.name["zh"], name_en=rule.name["en"]).local_name
