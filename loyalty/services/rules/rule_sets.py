"""Versions of the earning rules: draft, publish from a date, withdraw before it begins.

Every change of a programme's versions holds the programme's row, so two managers who publish at the
same moment come one after the other. What is published stays as it is: the database refuses the rest.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from hotels.models import User
from hotels.services.audit import record_audit
from loyalty.models import EarningRule, EarningRuleSet, Membership, Programme
from loyalty.rules.earning.checks import Problem, problems_of
from loyalty.selectors.rule_books import target_of
from loyalty.services.rules.dated import RuleChangeRefused, check_start, last_begun_date
from members.rules.conditions import InvalidCondition, parse, tree_of

Status = EarningRuleSet.Status


class InvalidRule(Exception):
    """A rule cannot mean what it says; `problems` tells what is wrong at which field."""

    code = "invalid_rule"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        super().__init__(" ".join(problem.message for problem in problems))


@transaction.atomic
def create_draft(
    *,
    actor: User | None,
    now: dt.datetime,
    programme: Programme,
    based_on: EarningRuleSet | None = None,
    name: str = "",
) -> EarningRuleSet:
    """Begin a version with the rules of another one.

    Args:
        actor: Who begins it; None for the system.
        now: Aware instant.
        programme: Whose rules.
        based_on: The version to copy, of the same programme; the one in force if None. Empty where
            none is in force.
        name: What the managers call it; “Version 3” if empty.

    Returns:
        The draft; its number is the next of the programme.
    """
    _lock(programme.pk)
    source = based_on or EarningRuleSet.objects.filter(programme=programme).in_force(programme.local_date(now)).first()
    if source is not None and source.programme_id != programme.pk:
        raise RuleChangeRefused(
            code="other_programme", field="based_on", message=_("This version belongs to another programme.")
        )
    newest = EarningRuleSet.objects.filter(programme=programme).aggregate(Max("number"))["number__max"] or 0
    draft = EarningRuleSet.objects.create(
        programme=programme,
        number=newest + 1,
        name=name or _("Version %(number)s") % {"number": newest + 1},
        # A draft may be discarded, so nothing is based on one for good.
        based_on=source if source is None or not source.is_draft else source.based_on,
        created_at=now,
    )
    if source is not None:
        EarningRule.objects.bulk_create(_copy(rule, draft) for rule in source.rules.order_by("pk"))
    _audit(actor, now, draft, "drafted", after={"based_on": source.number if source else None})
    return draft


def _copy(rule: EarningRule, draft: EarningRuleSet) -> EarningRule:
    values = {
        f.attname: f.value_from_object(rule) for f in rule._meta.concrete_fields if f.name not in {"id", "rule_set"}
    }
    return EarningRule(rule_set=draft, **values)


@transaction.atomic
def rename_draft(
    *, actor: User | None, now: dt.datetime, rule_set_id: int, name: str, note: str = ""
) -> EarningRuleSet:
    """Give a draft another name and note.

    Raises:
        RuleChangeRefused: It is no draft any more.
    """
    draft = _draft(rule_set_id)
    before = {"name": draft.name, "note": draft.note}
    draft.name, draft.note = name, note
    if before != {"name": name, "note": note}:
        draft.save(update_fields=["name", "note"])
        _audit(actor, now, draft, "renamed", before=before, after={"name": name, "note": note})
    return draft


@transaction.atomic
def save_rule(*, actor: User | None, now: dt.datetime, rule: EarningRule) -> EarningRule:
    """Store a new or a changed rule of a draft.

    Args:
        actor: Who decides; None for the system.
        now: Aware instant.
        rule: As it is to be, with its set; its condition is stored in the one form of `tree_of`.

    Raises:
        InvalidRule: What is wrong, at which field.
        RuleChangeRefused: The set is no draft any more.
    """
    draft = _draft(rule.rule_set_id)
    rule.rule_set = draft
    before = EarningRule.objects.filter(pk=rule.pk, rule_set=draft).first() if rule.pk else None
    problems = check_rule(rule, draft.rules.exclude(pk=rule.pk))
    if problems:
        raise InvalidRule(problems)
    rule.condition = tree_of(parse(rule.condition, target_of(rule)))
    try:
        rule.full_clean()
    except ValidationError as error:
        raise InvalidRule(
            [
                Problem(name, "invalid", str(text), rule.code)
                for name, texts in error.message_dict.items()
                for text in texts
            ]
        ) from error
    rule.save()
    rule.refresh_from_db()
    old, new = _terms(before) if before else {}, _terms(rule)
    changed = [name for name in new if old.get(name) != new[name]]
    if changed:
        record_audit(
            actor=actor,
            now=now,
            action="earningrule.changed" if before else "earningrule.added",
            target=rule,
            label=f"{draft}: {rule.code}",
            before={name: old[name] for name in changed} if before else None,
            after={name: new[name] for name in changed},
        )
    return rule


def check_rule(rule: EarningRule, others: Iterable[EarningRule]) -> list[Problem]:
    """What is wrong with a rule among the others of its version, its condition included."""
    problems = problems_of(rule, others)
    try:
        parse(rule.condition, target_of(rule))
    except InvalidCondition as error:
        problems += [Problem("condition", code, message, rule.code) for _path, code, message in error.errors]
    return problems


@transaction.atomic
def delete_rule(*, actor: User | None, now: dt.datetime, rule_id: int) -> None:
    """Take a rule out of a draft.

    Raises:
        RuleChangeRefused: The set is no draft any more.
    """
    rule = EarningRule.objects.get(pk=rule_id)
    draft = _draft(rule.rule_set_id)
    record_audit(
        actor=actor,
        now=now,
        action="earningrule.deleted",
        target=rule,
        label=f"{draft}: {rule.code}",
        before=_terms(rule),
    )
    rule.delete()


@transaction.atomic
def publish_rule_set(
    *, actor: User | None, now: dt.datetime, rule_set_id: int, from_date: dt.date, fills_past: bool = False
) -> EarningRuleSet:
    """Let a draft begin on a date; until then everything stays as it is.

    Args:
        actor: Who decides; None for the system.
        now: Aware instant.
        rule_set_id: The draft.
        from_date: First activity date judged by it; in the future at every property. A programme
            that has no members yet may be set up with rules that begin in the past.
        fills_past: Let it begin in the past, before every other version: what no version was there
            for can still be judged. Only for bringing in history.

    Raises:
        InvalidRule: A rule cannot mean what it says.
        RuleChangeRefused: It is no draft, it is empty, or the date has begun or is taken.
    """
    draft = _draft(rule_set_id)
    programme = draft.programme
    published = EarningRuleSet.objects.published().filter(programme=programme)
    is_first = fills_past and not published.filter(effective_from__lte=from_date).exists()
    if not is_first and Membership.objects.filter(programme=programme).exists():
        check_start(from_date, today=last_begun_date(programme, now))
    taken = published.filter(effective_from=from_date).first()
    if taken is not None:
        raise RuleChangeRefused(
            code="day_taken",
            field="effective_from",
            message=_("“%(version)s” begins on this date already.") % {"version": taken},
        )
    rules = list(draft.rules.order_by("pk"))
    if not rules:
        raise RuleChangeRefused(code="empty", field="effective_from", message=_("This version has no rules."))
    problems = [
        problem for rule in rules for problem in check_rule(rule, [other for other in rules if other is not rule])
    ]
    if problems:
        raise InvalidRule(problems)
    draft.status = Status.PUBLISHED
    draft.effective_from = from_date
    draft.published_at = now
    draft.published_by = actor
    draft.save(update_fields=["status", "effective_from", "published_at", "published_by"])
    _audit(
        actor,
        now,
        draft,
        "published",
        after={"effective_from": from_date.isoformat(), "rules": {rule.code: _terms(rule) for rule in rules}},
    )
    return draft


@transaction.atomic
def withdraw_rule_set(*, actor: User | None, now: dt.datetime, rule_set_id: int, reason: str = "") -> EarningRuleSet:
    """Take a published version back before it begins anywhere.

    Raises:
        RuleChangeRefused: It is not published, or it has begun.
    """
    rule_set = _locked(rule_set_id)
    if rule_set.status != Status.PUBLISHED or rule_set.effective_from is None:
        raise RuleChangeRefused(
            code="not_published", field="effective_from", message=_("Only a published version is withdrawn.")
        )
    if rule_set.effective_from <= last_begun_date(rule_set.programme, now):
        raise RuleChangeRefused(
            code="begun",
            field="effective_from",
            message=_("In force since %(date)s: publish another version instead.") % {"date": rule_set.effective_from},
        )
    rule_set.status = Status.WITHDRAWN
    rule_set.withdrawn_at = now
    rule_set.save(update_fields=["status", "withdrawn_at"])
    _audit(actor, now, rule_set, "withdrawn", reason=reason)
    return rule_set


@transaction.atomic
def discard_draft(*, actor: User | None, now: dt.datetime, rule_set_id: int) -> None:
    """Delete a draft with its rules.

    Raises:
        RuleChangeRefused: It is no draft any more.
    """
    draft = _draft(rule_set_id)
    _audit(actor, now, draft, "discarded", before={"rules": {rule.code: _terms(rule) for rule in draft.rules.all()}})
    draft.delete()


def _lock(programme_id: int) -> None:
    Programme.objects.select_for_update(no_key=True).get(pk=programme_id)


def _locked(rule_set_id: int) -> EarningRuleSet:
    """The set, after its programme, so that every change of versions waits in the same order."""
    _lock(EarningRuleSet.objects.values_list("programme_id", flat=True).get(pk=rule_set_id))
    return (
        EarningRuleSet.objects.select_for_update(no_key=True, of=("self",))
        .select_related("programme")
        .get(pk=rule_set_id)
    )


def _draft(rule_set_id: int) -> EarningRuleSet:
    rule_set = _locked(rule_set_id)
    if not rule_set.is_draft:
        raise RuleChangeRefused(
            code="not_draft",
            field="status",
            message=_("A published version stays as it is: create a draft from it."),
        )
    return rule_set


def _terms(rule: EarningRule) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for field in rule._meta.concrete_fields:
        value = field.value_from_object(rule)
        if field.name not in {"id", "rule_set"} and value not in (None, "", [], False):
            plain[field.name] = value if isinstance(value, int | str | list | dict) else str(value)
    return plain


def _audit(
    actor: User | None,
    now: dt.datetime,
    rule_set: EarningRuleSet,
    verb: str,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    reason: str = "",
) -> None:
    record_audit(
        actor=actor,
        now=now,
        action=f"earningruleset.{verb}",
        target=rule_set,
        label=f"{rule_set.programme.code} {rule_set}",
        before=before,
        after=after,
        reason=reason,
    )
