"""Tiers that are given, not earned: by hand, matched, won in a challenge, bought; and protection from reviews.

A grant is a floor while it lasts: no review goes below it, and a member who earns more keeps both.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils.translation import gettext as _

from hotels.services.audit import record_audit
from loyalty.models import ChallengeEntry, Membership, Tier, TierChallenge, TierChange, TierGrant, TierSource
from loyalty.rules.qualification import TARGET
from loyalty.rules.tiers import Figures, add_months, facts_of, later, period_of, valid_until
from loyalty.selectors.standing import Judging, Span, figures_between, policy_of
from loyalty.services.tiers import Move, change_tiers
from members.rules.conditions import matches, read

if TYPE_CHECKING:
    from hotels.models import Property, User
    from loyalty.models import Programme

DAY = dt.timedelta(days=1)


class TierGrantError(Exception):
    """A tier cannot be given or taken back; `code` is stable."""

    code = "tier_grant_error"


class ReasonRequired(TierGrantError):
    """A grant has to say why, a status match what proves it."""

    code = "reason_required"

    def __init__(self) -> None:
        super().__init__(_("Say why."))


class NoHigherTier(TierGrantError):
    """The member has this tier or a higher one already, for at least as long."""

    code = "no_higher_tier"

    def __init__(self) -> None:
        super().__init__(_("The member has this tier or a higher one already."))


class EndsTooEarly(TierGrantError):
    """The last day has passed."""

    code = "ends_too_early"

    def __init__(self) -> None:
        super().__init__(_("Choose a last day that is not over yet."))


class NotPurchasable(TierGrantError):
    """The tier has to be earned."""

    code = "not_purchasable"

    def __init__(self, tier: Tier) -> None:
        super().__init__(_("%(tier)s cannot be bought.") % {"tier": tier.local_name})


class AlreadyRevoked(TierGrantError):
    """The grant was taken back before."""

    code = "already_revoked"

    def __init__(self) -> None:
        super().__init__(_("This grant was taken back already."))


class ChallengeClosed(TierGrantError):
    """The challenge cannot be started now, or was started before."""

    code = "challenge_closed"

    def __init__(self) -> None:
        super().__init__(_("This challenge cannot be started for the member now."))


@transaction.atomic
def grant_tier(
    *,
    actor: User | None,
    now: dt.datetime,
    membership_id: int,
    tier_id: int,
    until_date: dt.date | None,
    reason: str,
    source: str = TierSource.MANUAL,
    proof: str = "",
    proof_reference: str = "",
    reference: str = "",
    place: Property | None = None,
) -> TierGrant:
    """Give a member a tier up to a last day.

    Args:
        actor: Who decides; None for the system.
        now: Aware instant.
        membership_id: Who gets it.
        tier_id: A tier of the member's programme.
        until_date: The last day; None for no end.
        reason: Why, in the actor's words.
        source: Why in kind: by hand, matched, challenge, purchased, promotional.
        proof: What proves it.
        proof_reference: Where the proof is kept, such as the name of a scan.
        reference: What makes a repeat the same; sent again it returns the same grant.
        place: Where it happens.

    Raises:
        ReasonRequired: There is no reason.
        EndsTooEarly: The last day has passed.
        NoHigherTier: It would give the member nothing.
    """
    membership = _locked(membership_id)
    if reference:
        known = TierGrant.objects.filter(membership=membership, source=source, reference=reference).first()
        if known is not None:
            return known
    if not reason.strip():
        raise ReasonRequired
    today = membership.programme.local_date(now)
    if until_date is not None and until_date < today:
        raise EndsTooEarly
    tier = Tier.objects.get(pk=tier_id, programme=membership.programme)
    before = membership.tier
    ends_no_later = membership.tier_until_date is None or (
        until_date is not None and until_date <= membership.tier_until_date
    )
    # Somebody in a higher tier may get a floor that lasts longer than it.
    if tier.rank <= before.rank and ends_no_later:
        raise NoHigherTier
    grant = TierGrant.objects.create(
        membership=membership,
        tier=tier,
        source=source,
        from_date=today,
        until_date=until_date,
        reason=reason.strip(),
        proof=proof,
        proof_reference=proof_reference,
        reference=reference,
        granted_by=actor,
        granted_at=now,
        before_tier=before,
        before_until_date=membership.tier_until_date,
        before_source=membership.tier_source,
        before_grant_id=membership.tier_grant_id,
    )
    if tier.rank >= before.rank:
        is_new = tier.rank > before.rank
        move = Move(
            membership_id=membership.pk,
            kind=TierChange.Kind.GRANT,
            from_tier_id=before.pk,
            to_tier_id=tier.pk,
            effective_date=today,
            decided_at=now,
            until_date=until_date,
            source=source,
            figures=_figures_now(membership, today),
            reason=reason.strip(),
            grant_id=grant.pk,
            zero_from=today + DAY if is_new and policy_of(membership.programme, today).zero_on_change else None,
        )
        change_tiers(actor=actor, now=now, moves=[move])
    record_audit(
        actor=actor,
        now=now,
        action="tier.granted",
        target=membership,
        label=membership.number,
        place=place,
        before={"tier": before.code, "until_date": _iso(membership.tier_until_date)},
        after={
            "tier": tier.code,
            "until_date": _iso(until_date),
            "source": source,
            "reason": reason.strip(),
            "grant": grant.pk,
        },
    )
    return grant


def match_status(
    *,
    actor: User,
    now: dt.datetime,
    membership_id: int,
    tier_id: int,
    until_date: dt.date,
    proof: str,
    proof_reference: str = "",
    reason: str = "",
    place: Property | None = None,
) -> TierGrant:
    """Give a member the tier that matches a status elsewhere, on proof.

    Args:
        actor: Who checked the proof.
        now: Aware instant.
        membership_id: Who gets it.
        tier_id: The tier.
        until_date: The last day; a match always ends.
        proof: Which status of which programme was shown, and how.
        proof_reference: Where the copy is kept.
        reason: A remark.
        place: Where it happens.

    Raises:
        ReasonRequired: There is no proof.
        TierGrantError: As for `grant_tier`.
    """
    if not proof.strip():
        raise ReasonRequired
    return grant_tier(
        actor=actor,
        now=now,
        membership_id=membership_id,
        tier_id=tier_id,
        until_date=until_date,
        reason=reason.strip() or _("Status match"),
        source=TierSource.MATCHED,
        proof=proof.strip(),
        proof_reference=proof_reference.strip(),
        place=place,
    )


@transaction.atomic
def purchase_tier(
    *,
    actor: User | None,
    now: dt.datetime,
    membership_id: int,
    tier_id: int,
    reference: str,
    until_date: dt.date | None = None,
    place: Property | None = None,
) -> TierGrant:
    """Give a member a tier that was paid for.

    Args:
        actor: Who sells; None for the member themself.
        now: Aware instant.
        membership_id: Who gets it.
        tier_id: The tier; only those marked as purchasable.
        reference: Number of the payment; sent again it returns the same grant.
        until_date: The last day; as when it is earned today if None.
        place: Where it was sold.

    Raises:
        NotPurchasable: The tier has to be earned.
        ReasonRequired: There is no number of a payment.
        TierGrantError: As for `grant_tier`.
    """
    if not reference.strip():
        raise ReasonRequired
    membership = _locked(membership_id)
    tier = Tier.objects.get(pk=tier_id, programme=membership.programme)
    if not tier.is_purchasable:
        raise NotPurchasable(tier)
    return grant_tier(
        actor=actor,
        now=now,
        membership_id=membership_id,
        tier_id=tier_id,
        until_date=until_date or _earned_until(membership, now),
        reason=_("Paid upgrade %(reference)s") % {"reference": reference.strip()},
        source=TierSource.PURCHASED,
        reference=reference.strip(),
        place=place,
    )


@transaction.atomic
def revoke_grant(
    *, actor: User, now: dt.datetime, grant_id: int, reason: str, place: Property | None = None
) -> TierGrant:
    """Take a grant back: the member goes to the tier of before, if that still lasts, or to what is reached.

    A tier that was earned above the grant stays.

    Raises:
        ReasonRequired: There is no reason.
        AlreadyRevoked: It was taken back before.
    """
    if not reason.strip():
        raise ReasonRequired
    grant = TierGrant.objects.select_related("before_tier", "tier").get(pk=grant_id)
    membership = _locked(grant.membership_id)
    grant.refresh_from_db(fields=["revoked_at"])
    if grant.revoked_at is not None:
        raise AlreadyRevoked
    grant.revoked_at, grant.revoked_by, grant.revoke_reason = now, actor, reason.strip()
    grant.save(update_fields=["revoked_at", "revoked_by", "revoke_reason"])
    today = membership.programme.local_date(now)
    before = membership.tier
    if membership.tier_grant_id == grant.pk:
        move = _back(grant, membership, now, today, reason.strip())
        change_tiers(actor=actor, now=now, moves=[move])
    record_audit(
        actor=actor,
        now=now,
        action="tier.grant_revoked",
        target=membership,
        label=membership.number,
        place=place,
        before={"tier": before.code, "grant": grant.pk},
        after={"tier": Membership.objects.get(pk=membership.pk).tier.code, "reason": reason.strip()},
    )
    return grant


def _back(grant: TierGrant, membership: Membership, now: dt.datetime, today: dt.date, reason: str) -> Move:
    """Where a member stands without a grant: the best of what was before, what figures reach, and other grants."""
    facts: dict[str, Any] = {"until_date": None, "source": TierSource.EARNED, "grant_id": None}
    tier = Tier.objects.get(programme=membership.programme, rank=0)
    others = (
        TierGrant.objects.filter(membership=membership, revoked_at=None, from_date__lte=today)
        .exclude(pk=grant.pk)
        .select_related("tier")
        .order_by("-tier__rank", "-until_date", "-pk")
    )
    standing = next((other for other in others if other.until_date is None or other.until_date >= today), None)
    candidates: list[tuple[Tier, dict[str, Any]]] = []
    if standing is not None:
        candidates.append(
            (
                standing.tier,
                {"until_date": standing.until_date, "source": standing.source, "grant_id": standing.pk},
            )
        )
    before_ends = grant.before_until_date
    if grant.before_grant_id is None and (before_ends is None or before_ends >= today):
        candidates.append((grant.before_tier, {"until_date": before_ends, "source": grant.before_source}))
    judging = Judging(membership.programme, today)
    rank, until = judging.reached(membership.pk)
    candidates.append((Tier.objects.get(pk=judging.tiers[rank]), {"until_date": until}))
    for candidate, rests_on in candidates:
        if candidate.rank > tier.rank or (
            candidate.rank == tier.rank and later(rests_on["until_date"], facts["until_date"]) != facts["until_date"]
        ):
            tier, facts = candidate, {"source": TierSource.EARNED, "grant_id": None, **rests_on}
    return Move(
        membership_id=membership.pk,
        kind=TierChange.Kind.UNDO,
        from_tier_id=membership.tier_id,
        to_tier_id=tier.pk,
        effective_date=today,
        decided_at=now,
        figures=_figures_now(membership, today),
        reason=reason,
        **facts,
    )


@transaction.atomic
def protect_member(
    *, actor: User, now: dt.datetime, membership_id: int, until_date: dt.date | None, reason: str
) -> Membership:
    """Keep reviews from moving a member down up to and including a day; None ends the protection.

    Raises:
        ReasonRequired: There is no reason.
    """
    if not reason.strip():
        raise ReasonRequired
    membership = _locked(membership_id)
    before = {"until_date": _iso(membership.protected_until_date), "reason": membership.protected_reason}
    membership.protected_until_date = until_date
    membership.protected_reason = reason.strip() if until_date else ""
    membership.save(update_fields=["protected_until_date", "protected_reason"])
    record_audit(
        actor=actor,
        now=now,
        action="tier.protected",
        target=membership,
        label=membership.number,
        before=before,
        after={"until_date": _iso(until_date), "reason": reason.strip()},
    )
    return membership


# Challenges


@transaction.atomic
def start_challenge(
    *, actor: User | None, now: dt.datetime, membership_id: int, challenge_id: int, place: Property | None = None
) -> ChallengeEntry:
    """Let a member try a challenge from today on; what counted before today does not.

    Raises:
        ChallengeClosed: It is not open today, of another programme, or the member took it before.
    """
    membership = _locked(membership_id)
    today = membership.programme.local_date(now)
    challenge = TierChallenge.objects.get(pk=challenge_id)
    is_open = challenge.opens_on <= today and (challenge.closes_on is None or challenge.closes_on >= today)
    taken = ChallengeEntry.objects.filter(membership=membership, challenge=challenge).exists()
    if challenge.programme_id != membership.programme_id or not is_open or taken:
        raise ChallengeClosed
    entry = ChallengeEntry.objects.create(
        membership=membership,
        challenge=challenge,
        from_date=today,
        until_date=today + (challenge.days - 1) * DAY,
        started_by=actor,
        started_at=now,
    )
    record_audit(
        actor=actor,
        now=now,
        action="tier.challenge_started",
        target=membership,
        label=membership.number,
        place=place,
        after={"challenge": challenge.code, "until_date": _iso(entry.until_date)},
    )
    return entry


@transaction.atomic
def evaluate_challenges(
    *,
    actor: User | None,
    now: dt.datetime,
    programme: Programme,
    membership_ids: Sequence[int] | None = None,
    limit: int | None = None,
) -> int:
    """Decide running challenges: won as soon as the conditions hold, not won when the last day is over.

    Args:
        actor: Who caused it; None for the system.
        now: Aware instant.
        programme: The programme.
        membership_ids: Only these members'; all if None.
        limit: At most so many, for work in batches.

    Returns:
        How many were decided.
    """
    today = programme.local_date(now)
    running = ChallengeEntry.objects.filter(challenge__programme=programme, state=ChallengeEntry.State.RUNNING)
    if membership_ids is not None:
        running = running.filter(membership__in=membership_ids)
    entries = list(running.select_related("challenge", "membership").order_by("membership_id", "pk")[:limit])
    if not entries:
        return 0
    counted = figures_between(
        [Span(entry.pk, entry.membership_id, entry.from_date, entry.until_date) for entry in entries]
    )
    decided = 0
    for entry in entries:
        figures = counted.get(entry.pk, (Figures(), Figures()))
        node = read(entry.challenge.conditions, TARGET)
        if matches(node, facts_of(*figures)):
            entry.state = ChallengeEntry.State.WON
            entry.grant = _prize(entry, actor, now, today)
        elif entry.until_date < today:
            entry.state = ChallengeEntry.State.FAILED
        else:
            continue
        entry.figures, entry.decided_at = figures[0].as_json(), now
        entry.save(update_fields=["state", "grant", "figures", "decided_at"])
        decided += 1
    return decided


def _prize(entry: ChallengeEntry, actor: User | None, now: dt.datetime, today: dt.date) -> TierGrant | None:
    months = entry.challenge.valid_months
    membership = _locked(entry.membership_id)
    until = add_months(today, months) - DAY if months else _earned_until(membership, now)
    try:
        return grant_tier(
            actor=actor,
            now=now,
            membership_id=membership.pk,
            tier_id=entry.challenge.tier_id,
            until_date=until,
            reason=_("Challenge won: %(name)s") % {"name": entry.challenge.local_name},
            source=TierSource.CHALLENGE,
            reference=f"challenge-{entry.pk}",
        )
    except NoHigherTier:
        # Whoever earned the tier in the meantime has won all the same.
        return None


# What the services share


def _locked(membership_id: int) -> Membership:
    return (
        Membership.objects.select_for_update(no_key=True, of=("self",))
        .select_related("programme", "tier")
        .get(pk=membership_id)
    )


def _figures_now(membership: Membership, today: dt.date) -> dict[str, Any]:
    """What counts today, for the record of a change."""
    programme = membership.programme
    terms = policy_of(programme, today)
    enrolled = programme.local_date(membership.enrolled_at)
    period = period_of(terms, today, enrolled, membership.counts_from_date)
    figures = figures_between([Span(membership.pk, membership.pk, period.start, today)])
    return figures.get(membership.pk, (Figures(), Figures()))[0].as_json()


def _earned_until(membership: Membership, now: dt.datetime) -> dt.date | None:
    """The last day of a tier that is earned today."""
    programme = membership.programme
    today = programme.local_date(now)
    return valid_until(policy_of(programme, today), today, programme.local_date(membership.enrolled_at))


def _iso(day: dt.date | None) -> str | None:
    return day.isoformat() if day else None
