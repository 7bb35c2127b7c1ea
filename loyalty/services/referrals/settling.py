"""What a friend's stays mean for the referral: points for both, points taken back, a refusal, or still waiting.

As with stays, one function serves a check-out, a late charge, a rebate, a void and a night audit: it
looks at the stays as they stand and brings each referral in line with them, so it can run again at any
time. What was granted stays granted as long as its stay still counts.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Q, QuerySet

from hotels.models import ExchangeRate
from hotels.services.audit import record_audit
from loyalty.models import Membership, Programme, Referral
from loyalty.models.referral import any_stay
from loyalty.rules.exchange import Quote, RateTable
from loyalty.rules.referrals import (
    FriendStay,
    Occupied,
    Reason,
    Verdict,
    by_room_of,
    first_paid_stay,
    limit_refusal,
    rooms_shared,
)
from loyalty.selectors.referrals import rooms_of
from loyalty.services.events import Happening, award_happenings, take_back_happenings
from members.models import Stay
from members.rules.conditions import compile_condition, read, used_fields
from members.selectors.conditions import facts_of

if TYPE_CHECKING:
    from hotels.models import User

MADE = "referral_made"
JOINED = "referral_joined"
_OPEN = (Referral.State.JOINED, Referral.State.QUALIFIED)
_CHANGED = ["state", "reason", "stay", "qualified_on", "grants", "decided_at", "decided_by"]


@dataclass(frozen=True, slots=True)
class Settled:
    """How many referrals a call granted, took back and refused."""

    granted: int = 0
    taken_back: int = 0
    refused: int = 0


def lock_referrals(*, stay_ids: Sequence[int]) -> None:
    """Lock the memberships of the guests of some stays and of those who referred them, by id.

    Called before anything is posted for the stays: later, a lock on a referrer could cross the one that
    the referrer's own stay holds on the way to somebody else. Free where nobody was referred.
    """
    referrals = _of_stays(stay_ids).values_list("referrer_id", "programme_id")
    referrers = {referrer_id for referrer_id, _programme_id in referrals}
    if not referrers:
        return
    guests = Stay.objects.filter(pk__in=stay_ids, guest__isnull=False).values("guest_id")
    memberships = Membership.objects.filter(Q(guest__in=guests) | Q(pk__in=referrers))
    list(memberships.select_for_update(no_key=True, of=("self",)).order_by("pk").values_list("pk", flat=True))


@transaction.atomic
def settle_referrals(
    *,
    actor: User | None,
    now: dt.datetime,
    stay_ids: Sequence[int] = (),
    guest_ids: Sequence[int] = (),
    reason: str = "",
) -> Settled:
    """Bring the referrals of some guests in line with their stays; safe to repeat.

    The number of queries does not depend on how many referrals there are.

    Args:
        actor: Who caused it; None for the system.
        now: Aware instant.
        stay_ids: Stays whose guests may have been referred.
        guest_ids: Friends, instead or besides.
        reason: Why, where points are taken back.
    """
    found = Referral.objects.filter(state__in=_OPEN)
    referrals = found.filter(guest__in=guest_ids) if guest_ids else _of_stays(stay_ids)
    known = list(referrals.values_list("pk", "referrer_id", "friend_id"))
    if not known:
        return Settled()
    members = {referrer for _pk, referrer, _friend in known} | {friend for _pk, _referrer, friend in known if friend}
    memberships = Membership.objects.select_for_update(no_key=True, of=("self",)).filter(pk__in=members).order_by("pk")
    batch = _Batch(actor, now, [pk for pk, _referrer, _friend in known], {member.pk: member for member in memberships})
    return batch.settle(reason)


def _of_stays(stay_ids: Sequence[int]) -> QuerySet[Referral]:
    guests = Stay.objects.filter(pk__in=stay_ids, guest__isnull=False).values("guest_id")
    return Referral.objects.filter(Q(guest__in=guests) | Q(stay__in=list(stay_ids)), state__in=_OPEN)


def take_back(*, actor: User | None, now: dt.datetime, referrals: Sequence[Referral], reason: str) -> None:
    """Reverse the newest grant of locked referrals, on both sides, by the recorded amounts."""
    for programme, some in _by_programme(referrals):
        for event, happenings in _happenings(some).items():
            take_back_happenings(
                actor=actor, now=now, programme=programme, event=event, happenings=happenings, reason=reason
            )


class _Batch:
    """Reads what the referrals of one transaction need, judges each, writes everything at once."""

    def __init__(
        self, actor: User | None, now: dt.datetime, ids: Sequence[int], members: dict[int, Membership]
    ) -> None:
        self.actor, self.now, self.members = actor, now, members
        locked = Referral.objects.select_for_update(no_key=True, of=("self",)).select_related("policy", "programme")
        # Another transaction may have decided some of them before the lock.
        self.referrals = list(locked.filter(pk__in=ids, state__in=_OPEN).order_by("pk"))
        self.granted: list[tuple[Referral, int, dt.date]] = []
        self.taken: list[Referral] = []
        self.refused: list[tuple[Referral, Reason]] = []

    def settle(self, reason: str) -> Settled:
        if not self.referrals:
            return Settled()
        self._load_stays()
        self._load_conditions()
        self._load_counted()
        verdicts = [(referral, self._verdict(referral)) for referral in self.referrals]
        # What stops counting makes room under a limit, then those who count come by the day of their stay.
        for referral, verdict in verdicts:
            if referral.qualified_on is not None and verdict.stay_id != referral.stay_id:
                self.taken.append(referral)
                self.counted[referral.referrer_id].remove(referral.qualified_on)
        order = sorted(verdicts, key=lambda pair: (pair[1].departure or dt.date.max, pair[1].stay_id or 0, pair[0].pk))
        for referral, verdict in order:
            self._decide(referral, verdict)
        self._write(reason)
        return Settled(len(self.granted), len(self.taken), len(self.refused))

    def _load_stays(self) -> None:
        guests = {referral.guest_id for referral in self.referrals}
        since = min(referral.joined_on for referral in self.referrals if referral.joined_on)
        stays = Stay.objects.filter(guest__in=guests, status=Stay.Status.CHECKED_OUT, departure_date__gte=since)
        self.stays: dict[int, list[Stay]] = defaultdict(list)
        for stay in stays.order_by("departure_date", "pk"):
            self.stays[stay.guest_id or 0].append(stay)
        self.rates = RateTable(
            Quote(row.currency, row.to_currency, row.effective_from, row.rate) for row in ExchangeRate.objects.all()
        )
        referrers = {self.members[referral.referrer_id].guest_id for referral in self.referrals}
        self.rooms = {guest: by_room_of(rooms) for guest, rooms in rooms_of(referrers, since=since).items()}

    def _load_conditions(self) -> None:
        """What policies ask of the stays besides, and the facts for it; no query where they ask nothing."""
        today = max(referral.programme.local_date(self.now) for referral in self.referrals)
        self.conditions: dict[int, Callable[[Mapping[str, Any]], bool]] = {}
        fields: set[str] = set()
        for policy in {referral.policy_id: referral.policy for referral in self.referrals}.values():
            if policy.condition != any_stay():
                node = read(policy.condition, "stay")
                fields |= used_fields(node)
                self.conditions[policy.pk] = compile_condition(node, today=today)
        stay_ids = [stay.pk for stays in self.stays.values() for stay in stays]
        self.facts = facts_of("stay", stay_ids, fields=fields, today=today) if self.conditions else {}

    def _load_counted(self) -> None:
        """The days on which friends count for each referrer, those of this batch included."""
        referrers = {referral.referrer_id for referral in self.referrals}
        counted = Referral.objects.filter(referrer__in=referrers, state=Referral.State.QUALIFIED)
        self.counted: dict[int, list[dt.date]] = defaultdict(list)
        for referrer_id, day in counted.values_list("referrer_id", "qualified_on"):
            if day is not None:
                self.counted[referrer_id].append(day)

    def _verdict(self, referral: Referral) -> Verdict:
        terms = referral.policy.terms
        referrer = self.members[referral.referrer_id]
        friend = self.members[referral.friend_id or 0]
        stays = [self._facts(stay, referral, referrer) for stay in self.stays.get(referral.guest_id, ())]
        verdict = first_paid_stay(stays, terms, joined_on=referral.joined_on or dt.date.max, kept=referral.stay_id)
        if verdict.stay_id is None or verdict.stay_id == referral.stay_id:
            return verdict
        if referrer.status != Membership.Status.ACTIVE:
            return Verdict(reason=Reason.REFERRER_INACTIVE)
        if friend.status != Membership.Status.ACTIVE:
            return Verdict(reason=Reason.FRIEND_INACTIVE)
        return verdict

    def _facts(self, stay: Stay, referral: Referral, referrer: Membership) -> FriendStay:
        currency = referral.programme.currency
        room = Occupied(stay.property_id, stay.room_number, stay.arrival_date, stay.departure_date)
        return FriendStay(
            id=stay.pk,
            departure=stay.departure_date,
            amount=self.rates.convert(stay.net_total, stay.currency, currency, stay.departure_date),
            meets_condition=self._meets(stay, referral.policy_id),
            shares_room=rooms_shared([room], self.rooms.get(referrer.guest_id, {})),
        )

    def _meets(self, stay: Stay, policy_id: int) -> bool:
        condition = self.conditions.get(policy_id)
        return condition is None or condition(self.facts.get(stay.pk, {}))

    def _decide(self, referral: Referral, verdict: Verdict) -> None:
        if verdict.stay_id is not None and verdict.stay_id == referral.stay_id:
            return
        reason = verdict.reason
        if verdict.stay_id is not None and verdict.departure is not None:
            reason = limit_refusal(self.counted[referral.referrer_id], verdict.departure, referral.policy.terms)
        if reason is not None:
            self.refused.append((referral, reason))
        elif verdict.stay_id is not None and verdict.departure is not None:
            self.counted[referral.referrer_id].append(verdict.departure)
            self.granted.append((referral, verdict.stay_id, verdict.departure))

    def _write(self, reason: str) -> None:
        take_back(actor=self.actor, now=self.now, referrals=self.taken, reason=reason)
        for referral in self.taken:
            referral.state, referral.stay_id, referral.qualified_on = Referral.State.JOINED, None, None
        for referral, refusal in self.refused:
            referral.state, referral.reason = Referral.State.REJECTED, refusal
        for referral, stay_id, day in self.granted:
            referral.state, referral.stay_id, referral.qualified_on = Referral.State.QUALIFIED, stay_id, day
            referral.grants += 1
        places = {stay.pk: stay.property_id for stays in self.stays.values() for stay in stays}
        for programme, some in _by_programme(referral for referral, _stay, _day in self.granted):
            for event, happenings in _happenings(some, places).items():
                award_happenings(
                    actor=self.actor, now=self.now, programme=programme, event=event, happenings=happenings
                )
        self._save()

    def _save(self) -> None:
        changed = {referral.pk: referral for referral in self.taken}
        changed |= {referral.pk: referral for referral, _reason in self.refused}
        changed |= {referral.pk: referral for referral, _stay, _day in self.granted}
        if not changed:
            return
        for referral in changed.values():
            is_waiting = referral.state == Referral.State.JOINED
            referral.decided_at = None if is_waiting else self.now
            referral.decided_by = None if is_waiting else self.actor
        Referral.objects.bulk_update(changed.values(), _CHANGED)
        one = next(iter(changed.values())) if len(changed) == 1 else None
        record_audit(
            actor=self.actor,
            now=self.now,
            action="referral.settled",
            target=one,
            object_type="" if one else Referral._meta.label_lower,
            label=one.code if one else str(len(changed)),
            after={
                "granted": [str(referral.public_id) for referral, _stay, _day in self.granted],
                "taken_back": [str(referral.public_id) for referral in self.taken],
                "refused": {str(referral.public_id): reason for referral, reason in self.refused},
            },
        )


def _by_programme(referrals: Iterable[Referral]) -> list[tuple[Programme, list[Referral]]]:
    groups: dict[int, list[Referral]] = defaultdict(list)
    for referral in referrals:
        groups[referral.programme_id].append(referral)
    return [(some[0].programme, some) for some in groups.values()]


def _happenings(referrals: Iterable[Referral], places: Mapping[int, int] | None = None) -> dict[str, list[Happening]]:
    """The newest grant of each referral, its line in the ledger for both sides."""
    made, joined = [], []
    for referral in referrals:
        reference = f"{referral.public_id}/{referral.grants}"
        place = (places or {}).get(referral.stay_id or 0)
        about = {"referral": referral.pk}
        made.append(Happening(referral.referrer_id, reference, property_id=place, about=about))
        joined.append(Happening(referral.friend_id or 0, reference, property_id=place, about=about))
    return {MADE: made, JOINED: joined}
