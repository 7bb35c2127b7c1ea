"""How many points a stay earns, and why.

**Versions.** A stay is decided once, on its first award: by the version of the rules in force on its
activity date, by the member's tier, and by the rules whose conditions its facts met on that day. All
three are kept with the points. Every correction – a late charge, a rebate, a refund, a void, the stay
of another member – asks the same rules again; only the amounts follow the folio. So what was given is
taken back, never what the rules of today would give.

**Units.** A stay has charges (folio lines that may earn, not negative), nights, and itself. A rule on
spend covers the charges of its categories, dates and days of the week; a rule on nights the nights of
its dates; a rule on stays everything.

**Results.** A *rate* gives points per unit of currency, per night, or once per stay. A *multiplier* of
m adds m − 1 times the unrounded base points of what it covers; the rules marked as base bring these,
and several multipliers add up: double and triple make (2 − 1) + (3 − 1) = 3 times on top. *Fixed*
points are given once. Nights, stays and fixed points need something paid for: a stay that was refunded
to nothing brings nothing. Each rule rounds down once per stay, so a stay split over several folios
brings the same points.

**Together.** Rules are asked by priority, the highest first, then by code.

- *add*: always.
- *exclusive*: each charge and night goes to the first rule of its group. A rule with fixed points or on
  stays is for the whole: it applies if nothing of its group was taken before, and takes everything.
- *best of*: each rule of the group is counted by itself, its cap per stay included; the one with most
  points applies, of equals the first. Base rules are compared first, the others by the base that results.
- *stops*: no rule of lower priority gets what this rule covers; a rule for the whole loses everything
  if a part was stopped. A rule of a best-of group does not stop others.

What a rule covers depends on the lines that are there, not on what rebates left of them, so a rebate
never lets another rule in.

**Caps.** A rule's points are cut by its cap per stay, then by what is left of its caps per day, month
and member (by the activity date) and of its budgets. A rule that is cut to nothing still covers.

**Rebates.** Negative lines lower charges: those of their own category first, the newest first, then
the others, the newest first, none below zero.
"""

from loyalty.rules.earning.award import (
    NOTHING,
    Award,
    Bill,
    Cut,
    Room,
    award_event_rules,
    award_stay,
    floor_points,
    format_rate,
    nights_of,
    points_for,
    rules_given_before,
)
from loyalty.rules.earning.folio import Charge, Folio, ledger_reference, read_folio
from loyalty.rules.earning.terms import Caps, RuleBook, RuleTerms, RuleVersion, always

__all__ = [
    "NOTHING",
    "Award",
    "Bill",
    "Caps",
    "Charge",
    "Cut",
    "Folio",
    "Room",
    "RuleBook",
    "RuleTerms",
    "RuleVersion",
    "always",
    "award_event_rules",
    "award_stay",
    "floor_points",
    "format_rate",
    "ledger_reference",
    "nights_of",
    "points_for",
    "read_folio",
    "rules_given_before",
]
