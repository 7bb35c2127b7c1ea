"""A programme from a document: made whole, or compared with what is there.

A document makes a programme once. Read again, it changes nothing; with other rules it becomes a new draft,
which people look at, test against the past and publish from a date. Whatever else it says otherwise than the
programme does is refused with its place: tiers, policies and ledger terms of a living programme change on
their own pages, each from a date on.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection, models, transaction
from django.utils.translation import gettext as _

from hotels.models import Property, User
from hotels.services.audit import record_audit
from loyalty.models import EarningRule, EarningRuleSet, Programme, Tier, TierBenefit, TierCriteria, TierPolicy
from loyalty.rules.programme_documents import (
    InvalidProgramme,
    Problem,
    ProgrammeDocument,
    TierDocument,
    condition_problems,
    parse_programme,
)
from loyalty.selectors.rule_books import target_of
from loyalty.services.rules import InvalidRule, create_draft, publish_rule_set, rename_draft, save_rule
from members.rules.conditions import InvalidCondition, parse, tree_of


class ProgrammeDiffers(InvalidProgramme):
    """The programme exists, and the document says other things than rules otherwise."""

    code = "programme_differs"


@dataclass(frozen=True, slots=True)
class LoadedProgramme:
    """What a document came to: `created`, `drafted` (its rules wait as a draft) or `unchanged`."""

    programme: Programme
    rule_set: EarningRuleSet
    outcome: str


@transaction.atomic
def load_programme(
    *, actor: User | None, now: dt.datetime, document: object, programme_code: str = ""
) -> LoadedProgramme:
    """Make a programme of a document, or a draft of its rules where the programme exists.

    Args:
        actor: Who loads it; None for the system.
        now: Aware instant.
        document: The decoded JSON; see `loyalty.rules.programme_documents`.
        programme_code: Code of the programme in place of that in the document.

    Returns:
        The programme, the version with the document's rules, and what was done.

    Raises:
        InvalidProgramme: Everything that is wrong, each at its path; nothing is written.
        ProgrammeDiffers: It exists, and not only its rules differ; nothing is written.
    """
    read = parse_programme(document)
    code = programme_code or read.programme["code"]
    # One load of a code at a time: there is no row to lock before the first, and the second finds what it made.
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"programme/{code}"])
    programme = Programme.objects.select_for_update(no_key=True).filter(code=code).first()
    if programme is None:
        writer = _Writer(actor, now, read)
        programme = writer.programme_of(code)
        rule_set = writer.draft_of(programme)
        publish_rule_set(actor=actor, now=now, rule_set_id=rule_set.pk, from_date=read.effective_from, fills_past=True)
        rule_set.refresh_from_db()
        return LoadedProgramme(programme, rule_set, "created")
    found = _differences(programme, read)
    if found:
        raise ProgrammeDiffers(found)
    version = _version_of(programme, read)
    if version is not None:
        return LoadedProgramme(programme, version, "unchanged")
    return LoadedProgramme(programme, _Writer(actor, now, read).draft_of(programme), "drafted")


class _Writer:
    """Writes the parts of one document; gathers what is wrong with a part and refuses it as a whole."""

    def __init__(self, actor: User | None, now: dt.datetime, document: ProgrammeDocument) -> None:
        self.actor, self.now, self.document = actor, now, document
        self.problems: list[Problem] = []

    def programme_of(self, code: str) -> Programme:
        """The programme with its tiers, without rules."""
        read = self.document
        exempt = read.programme.get("inactivity_exempt_tier")
        programme = Programme(
            **{name: value for name, value in read.programme.items() if name != "inactivity_exempt_tier"}
            | {"code": code}
        )
        self.save(programme, "programme")
        self.refuse()
        tiers = {tier.fields["code"]: self.tier_of(programme, tier) for tier in read.tiers}
        self.refuse()
        if exempt:
            programme.inactivity_exempt_tier = tiers[exempt]
            self.save(programme, "programme")
        policy = dict(read.policy)
        carried = policy.pop("carry_over_tier", None)
        policy["stay_conditions"] = self.tree(policy.get("stay_conditions"), "tier_policy.stay_conditions", "stay")
        self.save(
            TierPolicy(
                programme=programme,
                effective_from=read.effective_from,
                carry_over_tier=tiers[carried] if carried else None,
                **policy,
            ),
            "tier_policy",
        )
        self.refuse()
        record_audit(
            actor=self.actor,
            now=self.now,
            action="programme.created",
            target=programme,
            label=programme.name,
            after={"effective_from": read.effective_from.isoformat(), "tiers": list(tiers)},
        )
        return programme

    def tier_of(self, programme: Programme, read: TierDocument) -> Tier:
        """A tier with what reaches it and what it gives."""
        start = self.document.effective_from
        tier = Tier(programme=programme, **read.fields)
        if self.save(tier, read.path):
            if read.conditions is not None:
                criteria = TierCriteria(tier=tier, effective_from=start, conditions=read.conditions)
                self.save(criteria, f"{read.path}.conditions")
            for index, facts in enumerate(read.benefits):
                path = f"{read.path}.benefits[{index}]"
                values = {**facts, "property": self.place(facts.get("property"), f"{path}.property")}
                self.save(TierBenefit(tier=tier, effective_from=start, **values), path)
        return tier

    def draft_of(self, programme: Programme) -> EarningRuleSet:
        """A draft with the document's rules, and no others."""
        facts = self.document.rule_set
        draft = create_draft(actor=self.actor, now=self.now, programme=programme, name=facts["name"])
        draft.rules.all().delete()
        if facts.get("note"):
            draft = rename_draft(
                actor=self.actor, now=self.now, rule_set_id=draft.pk, name=facts["name"], note=facts["note"]
            )
        rules = list(enumerate(self.document.rules))
        # A multiple needs base points to stand there already.
        for index, values in sorted(rules, key=lambda one: one[1].get("result") == EarningRule.Result.MULTIPLIER):
            self.rule_of(draft, values, f"rules[{index}]")
        self.refuse()
        return draft

    def rule_of(self, draft: EarningRuleSet, values: Mapping[str, Any], path: str) -> None:
        place = self.place(values.get("funded_by"), f"{path}.funded_by")
        rule = EarningRule(rule_set=draft, **{**values, "funded_by": place})
        before = len(self.problems)
        rule.condition = self.tree(values.get("condition"), f"{path}.condition", target_of(rule))
        if len(self.problems) > before:
            return
        try:
            save_rule(actor=self.actor, now=self.now, rule=rule)
        except InvalidRule as error:
            self.problems += [(f"{path}.{one.field}", one.code, str(one.message)) for one in error.problems]

    def place(self, code: str | None, path: str) -> Property | None:
        if code is None:
            return None
        place = Property.objects.filter(code=code).first()
        if place is None:
            message = _("There is no property “%(code)s”.") % {"code": code}
            self.problems.append((path, "unknown_property", message))
        return place

    def tree(self, tree: object, path: str, target: str) -> dict[str, Any]:
        try:
            return tree_of(parse({"all": []} if tree is None else tree, target))
        except InvalidCondition as error:
            self.problems += condition_problems(error, path)
            return {"all": []}

    def save(self, row: models.Model, path: str) -> bool:
        """Check a row as a form would and store it."""
        try:
            row.full_clean()
        except ValidationError as error:
            for name, texts in error.message_dict.items():
                place = path if name == "__all__" else f"{path}.{name}"
                self.problems += [(place, "invalid", text) for text in texts]
            return False
        row.save()
        return True

    def refuse(self) -> None:
        if self.problems:
            raise InvalidProgramme(self.problems)


# An existing programme


def _differences(programme: Programme, read: ProgrammeDocument) -> list[Problem]:
    """What the document states otherwise than the programme does on its first day, rules aside."""
    day = read.effective_from
    found = _unlike(programme, read.programme, "programme", skip={"code"})
    policy = TierPolicy.objects.filter(programme=programme, effective_from__lte=day).order_by("-effective_from").first()
    found += _unlike(policy, _policy_terms(read), "tier_policy")
    tiers = {tier.code: tier for tier in programme.tiers.all()}
    for told in read.tiers:
        tier = tiers.pop(told.fields["code"], None)
        found += _unlike(tier, told.fields, told.path)
        if tier is not None:
            found += _unlike_terms(tier, told, day)
    found += [
        ("tiers", "differs", _("The programme has a tier “%(code)s”, too.") % {"code": code}) for code in sorted(tiers)
    ]
    return found


def _policy_terms(read: ProgrammeDocument) -> dict[str, Any]:
    """The policy with its tree in the one form in which it is stored."""
    terms = dict(read.policy)
    if "stay_conditions" in terms:
        try:
            terms["stay_conditions"] = tree_of(parse(terms["stay_conditions"], "stay"))
        except InvalidCondition as error:
            raise InvalidProgramme(condition_problems(error, "tier_policy.stay_conditions")) from error
    return terms


def _unlike_terms(tier: Tier, told: TierDocument, day: dt.date) -> list[Problem]:
    criteria = tier.criteria.filter(effective_from__lte=day).order_by("-effective_from").first()
    found: list[Problem] = []
    if (criteria.conditions if criteria else None) != told.conditions:
        found.append(_differs(f"{told.path}.conditions", criteria.conditions if criteria else None))
    benefits = list(
        tier.benefits.filter(effective_from__lte=day).exclude(effective_until__lte=day).select_related("property")
    )
    for index, facts in enumerate(told.benefits):
        path = f"{told.path}.benefits[{index}]"
        same = [row for row in benefits if not _unlike(row, facts, path)]
        if same:
            benefits.remove(same[0])
        else:
            found.append(_differs(path, None))
    found += [_differs(f"{told.path}.benefits", row.local_name) for row in benefits]
    return found


def _unlike(
    row: models.Model | None, told: Mapping[str, Any], path: str, *, skip: frozenset[str] | set[str] = frozenset()
) -> list[Problem]:
    """The stated fields of a row that differ; references are stated by code."""
    if row is None:
        return [_differs(path, None)]
    found: list[Problem] = []
    for name, value in told.items():
        here = getattr(row, name)
        here = here.code if isinstance(here, Tier | Property) else here
        if name not in skip and here != value:
            found.append(_differs(f"{path}.{name}", here))
    return found


def _differs(path: str, here: object) -> Problem:
    if here is None:
        return path, "differs", _("The programme has nothing here. Change it on its page, from a date on.")
    return path, "differs", _("The programme says “%(here)s”. Change it on its page, from a date on.") % {"here": here}


def _version_of(programme: Programme, read: ProgrammeDocument) -> EarningRuleSet | None:
    """The version that the document made: the one of its date, else the newest, where the rules are the same."""
    told = {values["code"]: _stated(values) for values in read.rules}
    versions = programme.earning_rule_sets.exclude(status=EarningRuleSet.Status.WITHDRAWN).order_by("-number")
    candidates: list[EarningRuleSet] = [*versions.filter(effective_from=read.effective_from), *versions[:1]]
    for version in candidates:
        if {rule.code: _facts(rule) for rule in version.rules.select_related("funded_by")} == told:
            return version
    return None


def _stated(values: Mapping[str, Any]) -> dict[str, Any]:
    facts = dict(values)
    rule = EarningRule(**{name: value for name, value in facts.items() if name not in {"funded_by", "condition"}})
    if "condition" in facts:
        try:
            rule.condition = tree_of(parse(facts["condition"], target_of(rule)))
        except InvalidCondition:
            rule.condition = facts["condition"]
    return {**_facts(rule), "funded_by": facts.get("funded_by")}


def _facts(rule: EarningRule) -> dict[str, Any]:
    names = [f.name for f in rule._meta.concrete_fields if f.name not in {"id", "rule_set", "funded_by"}]
    facts = {name: getattr(rule, name) for name in names}
    return {**facts, "funded_by": rule.funded_by.code if rule.funded_by else None}
