"""Points for what is not a stay: enrollment, a completed profile, a survey, a referral, a share, a birthday.

`award_event` gives what the version of the rules in force on the day says, to one member or thousands
by the same statements, and once: each event stands in the ledger under `event.<event>` and its
reference, one line a member. `award_happenings` does the same where each member has a reference of
their own, and `take_back_happenings` reverses it by the recorded amounts.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import transaction

from loyalty.models import Membership, Posting, Programme, SourceKey
from loyalty.rules.earning import Award, award_event_rules
from loyalty.rules.expiry import last_usable_day
from loyalty.selectors.member_facts import is_of_member, member_facts
from loyalty.selectors.profiles import completed_profiles
from loyalty.selectors.rule_books import rule_books
from loyalty.services.caps import CapBook
from loyalty.services.ledger import BY_PROGRAMME, AlreadyReversed, Movement, SourceLine, Verb, post_movements
from members.selectors.conditions import facts_of

if TYPE_CHECKING:
    from hotels.models import User

CHUNK = 5000
# A profile is completed once, whatever is changed in it afterwards.
PROFILE = "profile"


def award_event(
    *,
    actor: User | None,
    now: dt.datetime,
    programme: Programme,
    membership_ids: Sequence[int],
    event: str,
    reference: str,
    moments: Mapping[int, dt.datetime] | None = None,
    property_id: int | None = None,
    about: Mapping[str, Any] | None = None,
) -> dict[int, int]:
    """Give members what an event brings; who had it for this reference before gets nothing again.

    Args:
        actor: Who caused it; None for the system.
        now: Aware instant.
        programme: The programme.
        membership_ids: The members; those who are not active are passed over.
        event: A value of `EarningRule.Event`.
        reference: What makes it once for a member, such as `2026` of a birthday or the id of a survey.
        moments: Membership → aware instant, where it happened at another time than `now`; its date in
            the programme's time zone decides about the version.
        property_id: Where it happened; funds the points unless the rule names another property.
        about: JSON-ready facts that the explanation keeps, such as the friend's membership number.

    Returns:
        Membership → points given, for those who got any.
    """
    happenings = [
        Happening(pk, reference, moment=(moments or {}).get(pk), property_id=property_id, about=about or {})
        for pk in set(membership_ids)
    ]
    return award_happenings(actor=actor, now=now, programme=programme, event=event, happenings=happenings)


@dataclass(frozen=True, slots=True)
class Happening:
    """What happened to one member.

    Attributes:
        membership_id: Whom it happened to.
        reference: What makes it once for the member and event.
        moment: When, if not now; its date in the programme's time zone decides about the version.
        property_id: Where; funds the points unless the rule names another property.
        about: JSON-ready facts that the explanation keeps.
    """

    membership_id: int
    reference: str
    moment: dt.datetime | None = None
    property_id: int | None = None
    about: Mapping[str, Any] = field(default_factory=dict)


def award_happenings(
    *, actor: User | None, now: dt.datetime, programme: Programme, event: str, happenings: Sequence[Happening]
) -> dict[int, int]:
    """Give members what happened to them brings; what was given before for a reference is not given again.

    Returns:
        Membership → points given, for those who got any.
    """
    given: dict[int, int] = defaultdict(int)
    ordered = sorted(happenings, key=lambda happening: happening.membership_id)
    for start in range(0, len(ordered), CHUNK):
        with transaction.atomic():
            batch = _Batch(actor, now, programme, event, ordered[start : start + CHUNK])
            for pk, points in batch.award().items():
                given[pk] += points
    return dict(given)


@transaction.atomic
def take_back_happenings(
    *,
    actor: User | None,
    now: dt.datetime,
    programme: Programme,
    event: str,
    happenings: Sequence[Happening],
    reason: str,
) -> int:
    """Reverse what was given for some happenings, by the recorded amounts; its caps get room again.

    Args:
        actor: Who caused it; None for the system.
        now: Aware instant.
        programme: The programme.
        event: A value of `EarningRule.Event`.
        happenings: Membership and reference as they were given; what brought nothing is passed over.
        reason: Why, in the actor's words.

    Returns:
        The points taken back.
    """
    members = {happening.membership_id for happening in happenings}
    wanted = {(happening.reference, str(happening.membership_id)): happening for happening in happenings}
    list(Membership.objects.select_for_update(no_key=True).filter(pk__in=members).order_by("pk"))
    keys = SourceKey.objects.filter(
        programme=programme,
        system=f"event.{event}",
        reference__in={reference for reference, _line in wanted},
        kind=Posting.Kind.BONUS,
    )
    lines = {
        posting_id: (reference, line)
        for reference, line, posting_id in keys.values_list("reference", "line", "posting_id")
        # A member's further lines are those of further properties: 12, 12.1, 12.2.
        if (reference, line.partition(".")[0]) in wanted
    }
    postings = list(Posting.objects.filter(pk__in=lines).order_by("pk"))
    if not postings:
        return 0
    results = post_movements(
        [
            Movement(
                verb=Verb.REVERSE,
                now=now,
                account_id=posting.account_id,
                posting_id=posting.pk,
                source=SourceLine(f"event.{event}", *lines[posting.pk]),
                explanation={"kind": Posting.Kind.CLAWBACK, "event": event, "reason": reason},
                property_id=posting.property_id,
                actor_id=actor.pk if actor else None,
                reason=reason,
            )
            for posting in postings
        ],
        strict=False,
    )
    taken = []
    for posting, result in zip(postings, results, strict=True):
        if result.error is None:
            taken.append((int(lines[posting.pk][1].partition(".")[0]), posting))
        elif not isinstance(result.error, AlreadyReversed):
            raise result.error
    _give_caps_back(programme, now, taken)
    return -sum(result.points for result in results if result.error is None)


def _give_caps_back(programme: Programme, now: dt.datetime, postings: Sequence[tuple[int, Posting]]) -> None:
    days = {posting.pk: posting.business_date for _membership_id, posting in postings}
    book = rule_books(
        {programme.pk: programme}, dates={programme.pk: set(days.values())}, today=programme.local_date(now)
    )[programme.pk]
    rules = [(programme.pk, rule) for version in book.versions for rule in version.rules]
    caps = CapBook(rules, [membership_id for membership_id, _posting in postings])
    caps.load()
    for membership_id, posting in postings:
        for part in (posting.explanation or {}).get("parts", ()):
            caps.use(programme.pk, membership_id, part["rule"], days[posting.pk], -part["points"])
    caps.save()


class _Batch:
    """Reads what the members of one transaction need, works each out, posts everything at once."""

    def __init__(
        self,
        actor: User | None,
        now: dt.datetime,
        programme: Programme,
        event: str,
        happenings: Sequence[Happening],
    ) -> None:
        self.actor = actor
        self.now = now
        self.programme = programme
        self.event = event
        self.system = f"event.{event}"
        self.happenings = happenings

    def award(self) -> dict[int, int]:
        dates = [self.programme.local_date(self._moment(happening)) for happening in self.happenings]
        book = rule_books(
            {self.programme.pk: self.programme},
            dates={self.programme.pk: set(dates)},
            today=self.programme.local_date(self.now),
        )[self.programme.pk]
        rules = [rule for version in book.versions for rule in version.rules if rule.event == self.event]
        if not rules:
            return {}
        members = self._members()
        had = self._had(members)
        facts = self._facts(list(members.values()), frozenset().union(*(rule.fields for rule in rules)))
        caps = CapBook(((self.programme.pk, rule) for rule in rules), list(members))
        caps.load()
        movements: list[Movement] = []
        given: dict[int, int] = defaultdict(int)
        for happening, day in zip(self.happenings, dates, strict=True):
            member, version = members.get(happening.membership_id), book.in_force(day)
            if member is None or version is None or (happening.reference, str(member.pk)) in had:
                continue
            room = caps.room(self.programme.pk, member.pk, day, lambda _code: 0)
            award = award_event_rules(version.matching(facts(member, day), event=self.event), room=room)
            for part in award.parts:
                caps.use(self.programme.pk, member.pk, part["rule"], day, part["points"])
            if award.points:
                given[member.pk] += award.points
                movements += self._movements(happening, award, day, str(version.number))
        if movements:
            post_movements(movements)
        caps.save()
        return given

    def _moment(self, happening: Happening) -> dt.datetime:
        return happening.moment or self.now

    def _members(self) -> dict[int, Membership]:
        """The active ones, locked."""
        members = (
            Membership.objects.select_for_update(no_key=True, of=("self",))
            .filter(
                pk__in={happening.membership_id for happening in self.happenings},
                programme=self.programme,
                status=Membership.Status.ACTIVE,
            )
            .select_related("tier")
            .order_by("pk")
        )
        for member in members:
            member.programme = self.programme
        return {member.pk: member for member in members}

    def _had(self, members: Collection[int]) -> set[tuple[str, str]]:
        """Reference and member of what was given; asked after the lock, when whoever held it has posted."""
        keys = SourceKey.objects.filter(
            programme=self.programme,
            system=self.system,
            reference__in={happening.reference for happening in self.happenings},
            line__in=[str(pk) for pk in members],
            kind=Posting.Kind.BONUS,
        )
        return set(keys.values_list("reference", "line"))

    def _facts(self, members: Sequence[Membership], fields: frozenset[str]) -> Any:
        own = [name for name in fields if is_of_member(name)]
        asked = fields.difference(own)
        known: Mapping[int, dict[str, Any]] = {}
        if asked:
            guest_ids = [member.guest_id for member in members]
            known = facts_of("guest", guest_ids, fields=asked, today=self.programme.local_date(self.now))
        return lambda member, day: (
            known.get(member.guest_id, {}) | member_facts(member, member.tier, on_date=day, fields=own)
        )

    def _movements(self, happening: Happening, award: Award, day: dt.date, version: str) -> list[Movement]:
        """One for each property that pays; the first has the member alone as its line."""
        pk = happening.membership_id
        shares: dict[int | None, list[dict[str, Any]]] = defaultdict(list)
        for part in award.parts:
            shares[part.get("funded_by", happening.property_id)].append(part)
        sums = {funded_by: sum(part["points"] for part in parts) for funded_by, parts in shares.items()}
        months = self.programme.bonus_expiry_months
        return [
            Movement(
                verb=Verb.EARN,
                now=self._moment(happening),
                membership_id=pk,
                points=sums[funded_by],
                kind=Posting.Kind.BONUS,
                lot_class="bonus",
                expires_on=BY_PROGRAMME
                if months is None
                else last_usable_day(day, months, self.programme.expiry_rounding),
                pending_until=None,
                unit_cost=self.programme.point_value,
                source=SourceLine(self.system, happening.reference, f"{pk}.{number}" if number else str(pk)),
                explanation={
                    "kind": Posting.Kind.BONUS,
                    "event": self.event,
                    **({"about": dict(happening.about)} if happening.about else {}),
                    "programme_currency": self.programme.currency,
                    "decision": {"on": day.isoformat(), "version": version},
                    "parts": shares[funded_by],
                    "total": sums[funded_by],
                },
                rule_version=version,
                business_date=day,
                property_id=funded_by,
                actor_id=self.actor.pk if self.actor else None,
            )
            for number, funded_by in enumerate(payer for payer, points in sums.items() if points)
        ]


def award_enrolment(
    *,
    actor: User | None,
    now: dt.datetime,
    programme: Programme,
    memberships: Sequence[Membership],
    property_id: int | None = None,
) -> dict[int, int]:
    """Give new members what joining brings, as on the day they joined, and what their profile brings.

    Returns:
        Membership → points for joining.
    """
    moments = {membership.pk: membership.enrolled_at for membership in memberships}
    given = award_event(
        actor=actor,
        now=now,
        programme=programme,
        membership_ids=list(moments),
        event="enrolment",
        reference="enrolment",
        moments=moments,
        property_id=property_id,
    )
    award_completed_profiles(actor=actor, now=now, guest_ids=[membership.guest_id for membership in memberships])
    return given


@transaction.atomic
def award_completed_profiles(*, actor: User | None, now: dt.datetime, guest_ids: Sequence[int]) -> dict[int, int]:
    """Give the members among some guests what a complete profile brings, each once.

    A profile is complete when it has everything that the programme asks for (`Programme.profile_fields`).

    Returns:
        Membership → points given.
    """
    given: dict[int, int] = {}
    for programme in Programme.objects.exclude(profile_fields=[]).order_by("pk"):
        complete = completed_profiles(programme=programme, guest_ids=guest_ids)
        if complete:
            given |= award_event(
                actor=actor,
                now=now,
                programme=programme,
                membership_ids=complete,
                event="profile_completed",
                reference=PROFILE,
            )
    return given
