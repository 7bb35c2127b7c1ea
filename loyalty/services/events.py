"""Points for what is not a stay: enrollment, a completed profile, a survey, a referral, a share, a birthday.

`award_event` gives what the version of the rules in force on the day says, to one member or thousands
by the same statements, and once: each event stands in the ledger under `event.<event>` and its
reference, one line a member.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.db import transaction

from loyalty.models import Membership, Posting, Programme, SourceKey
from loyalty.rules.earning import Award, award_event_rules
from loyalty.rules.expiry import last_usable_day
from loyalty.selectors.member_facts import is_of_member, member_facts
from loyalty.selectors.profiles import completed_profiles
from loyalty.selectors.rule_books import rule_books
from loyalty.services.caps import CapBook
from loyalty.services.ledger import BY_PROGRAMME, Movement, SourceLine, Verb, post_movements
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
    given: dict[int, int] = {}
    ids = sorted(set(membership_ids))
    for start in range(0, len(ids), CHUNK):
        with transaction.atomic():
            batch = _Batch(actor, now, programme, event, reference, moments or {}, property_id, about or {})
            given |= batch.award(ids[start : start + CHUNK])
    return given


class _Batch:
    """Reads what the members of one transaction need, works each out, posts everything at once."""

    def __init__(
        self,
        actor: User | None,
        now: dt.datetime,
        programme: Programme,
        event: str,
        reference: str,
        moments: Mapping[int, dt.datetime],
        property_id: int | None,
        about: Mapping[str, Any],
    ) -> None:
        self.actor = actor
        self.now = now
        self.programme = programme
        self.event = event
        self.system = f"event.{event}"
        self.reference = reference
        self.moments = moments
        self.property_id = property_id
        self.about = about

    def award(self, membership_ids: Collection[int]) -> dict[int, int]:
        dates = {pk: self.programme.local_date(self._moment(pk)) for pk in membership_ids}
        book = rule_books(
            {self.programme.pk: self.programme},
            dates={self.programme.pk: set(dates.values())},
            today=self.programme.local_date(self.now),
        )[self.programme.pk]
        rules = [rule for version in book.versions for rule in version.rules if rule.event == self.event]
        if not rules:
            return {}
        members = self._members(membership_ids)
        facts = self._facts(members, frozenset().union(*(rule.fields for rule in rules)))
        caps = CapBook(((self.programme.pk, rule) for rule in rules), [member.pk for member in members])
        caps.load()
        movements: list[Movement] = []
        points: dict[int, int] = {}
        for member in members:
            version = book.in_force(dates[member.pk])
            if version is None:
                continue
            room = caps.room(self.programme.pk, member.pk, dates[member.pk], lambda _code: 0)
            award = award_event_rules(version.matching(facts(member, dates[member.pk]), event=self.event), room=room)
            for part in award.parts:
                caps.use(self.programme.pk, member.pk, part["rule"], dates[member.pk], part["points"])
            if award.points:
                points[member.pk] = award.points
                movements += self._movements(member, award, dates[member.pk], str(version.number))
        if movements:
            post_movements(movements)
        caps.save()
        return points

    def _moment(self, membership_id: int) -> dt.datetime:
        return self.moments.get(membership_id, self.now)

    def _members(self, membership_ids: Collection[int]) -> list[Membership]:
        """The active ones, locked, who have not had it."""
        members = list(
            Membership.objects.select_for_update(no_key=True, of=("self",))
            .filter(pk__in=membership_ids, programme=self.programme, status=Membership.Status.ACTIVE)
            .select_related("tier")
            .order_by("pk")
        )
        # After the lock: whoever held it before has posted by now.
        had = set(
            SourceKey.objects.filter(
                programme=self.programme,
                system=self.system,
                reference=self.reference,
                line__in=[str(member.pk) for member in members],
                kind=Posting.Kind.BONUS,
            ).values_list("line", flat=True)
        )
        members = [member for member in members if str(member.pk) not in had]
        for member in members:
            member.programme = self.programme
        return members

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

    def _movements(self, member: Membership, award: Award, day: dt.date, version: str) -> list[Movement]:
        """One for each property that pays; the first has the member alone as its line."""
        shares: dict[int | None, list[dict[str, Any]]] = defaultdict(list)
        for part in award.parts:
            shares[part.get("funded_by", self.property_id)].append(part)
        months = self.programme.bonus_expiry_months
        return [
            Movement(
                verb=Verb.EARN,
                now=self._moment(member.pk),
                membership_id=member.pk,
                points=points,
                kind=Posting.Kind.BONUS,
                lot_class="bonus",
                expires_on=BY_PROGRAMME
                if months is None
                else last_usable_day(day, months, self.programme.expiry_rounding),
                pending_until=None,
                unit_cost=self.programme.point_value,
                source=SourceLine(self.system, self.reference, f"{member.pk}.{number}" if number else str(member.pk)),
                explanation={
                    "kind": Posting.Kind.BONUS,
                    "event": self.event,
                    **({"about": dict(self.about)} if self.about else {}),
                    "programme_currency": self.programme.currency,
                    "decision": {"on": day.isoformat(), "version": version},
                    "parts": parts,
                    "total": points,
                },
                rule_version=version,
                business_date=day,
                property_id=funded_by,
                actor_id=self.actor.pk if self.actor else None,
            )
            for number, (funded_by, parts) in enumerate(shares.items())
            if (points := sum(part["points"] for part in parts))
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
