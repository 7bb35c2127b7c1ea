"""What becomes of each table of `loyalty` when two profiles become one."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.db.models import Model, Q
from django.utils.translation import gettext as _

from loyalty.models import (
    Account,
    ApprovalRequest,
    ChallengeEntry,
    Entitlement,
    ExpiryNotice,
    JobError,
    Membership,
    MovementRecord,
    PointsTransfer,
    QualificationEntry,
    Redemption,
    Referral,
    ReferralCode,
    RewardUse,
    RuleUse,
    SettlementItem,
    SocialShare,
    StoredValueMovement,
    TierChange,
    TierGrant,
    TierReviewRow,
    TierWarning,
    Voucher,
    VoucherEvent,
)
from loyalty.services.merging.points import Points
from loyalty.services.tiers import Move, change_tiers, review_tiers
from loyalty.services.vouchers.history import change_vouchers, event_values
from members.services.merges import Keeps, MergeRefused, MergeScope, MoveRows, register_merge_handler

if TYPE_CHECKING:
    from collections.abc import Sequence

MEMBERSHIP = Membership._meta.label_lower


class Memberships:
    """A membership goes along; where both have one of a programme, the one that goes is closed."""

    model: type[Model] = Membership
    field = "guest"

    def merge(self, scope: MergeScope) -> dict[str, Any]:
        """Move or close the memberships, and pair those that become one."""
        survivor, merged = scope.merge.survivor_id, scope.merge.merged_id
        # Locked in the order of their ids, as everything that posts for several members does.
        memberships = list(
            Membership.objects.select_for_update(no_key=True).filter(guest__in=[survivor, merged]).order_by("pk")
        )
        kept = {row.programme_id: row.pk for row in memberships if row.guest_id == survivor}
        going = [row for row in memberships if row.guest_id == merged]
        closed = {row.pk: row.status for row in going if row.programme_id in kept}
        alone = [row.pk for row in going if row.pk not in closed]
        scope.pairs[MEMBERSHIP] += [(row.pk, kept[row.programme_id]) for row in going if row.pk in closed]
        Membership.objects.filter(pk__in=alone).update(guest=survivor)
        Membership.objects.filter(pk__in=closed).update(status=Membership.Status.CLOSED)
        return {"alone": alone, "closed": {str(pk): status for pk, status in closed.items()}}

    def undo(self, scope: MergeScope, moved: dict[str, Any]) -> None:
        """Give the memberships back as they were."""
        Membership.objects.filter(pk__in=moved["alone"], guest=scope.merge.survivor_id).update(
            guest=scope.merge.merged_id
        )
        for pk, status in moved["closed"].items():
            Membership.objects.filter(pk=pk, status=Membership.Status.CLOSED).update(status=status)


_COPY_FIGURES = """
INSERT INTO loyalty_qualificationentry (
    membership_id, kind, reference, revision, business_date, nights, stays, amount, points, measure, quantity, created_at)
SELECT %(kept)s, 'manual', 'merge:' || %(merge)s || ':' || e.business_date || ':' || e.measure, 0, e.business_date,
    sum(e.nights), sum(e.stays), sum(e.amount), sum(e.points), e.measure, sum(e.quantity), %(now)s
FROM loyalty_qualificationentry e JOIN loyalty_membership m ON m.id = e.membership_id
WHERE e.membership_id = %(gone)s AND e.kind <> 'reset'
    AND (m.counts_from_date IS NULL OR e.business_date >= m.counts_from_date)
GROUP BY e.business_date, e.measure
HAVING sum(e.nights) <> 0 OR sum(e.stays) <> 0 OR sum(e.amount) <> 0 OR sum(e.points) <> 0 OR sum(e.quantity) <> 0
"""
_COUNTER_FIGURES = """
INSERT INTO loyalty_qualificationentry (
    membership_id, kind, reference, revision, business_date, nights, stays, amount, points, measure, quantity, created_at)
SELECT e.membership_id, 'manual', 'un' || e.reference, 0, e.business_date,
    -e.nights, -e.stays, -e.amount, -e.points, e.measure, -e.quantity, %(now)s
FROM loyalty_qualificationentry e
WHERE e.membership_id = %(kept)s AND e.kind = 'manual' AND e.reference LIKE 'merge:' || %(merge)s || ':%%'
"""


class Figures:
    """What counted towards the tier of the one counts for the other; history is not altered, so undoing adds."""

    model: type[Model] = QualificationEntry
    field = "membership"

    def merge(self, scope: MergeScope) -> list[int]:
        """Count the figures of each day for the survivor."""
        return self._write(scope, _COPY_FIGURES)

    def undo(self, scope: MergeScope, moved: list[int]) -> None:  # noqa: ARG002 - the ledger itself says what
        """Write the same figures with the opposite sign."""
        self._write(scope, _COUNTER_FIGURES)

    @staticmethod
    def _write(scope: MergeScope, statement: str) -> list[int]:
        pairs = scope.pairs[MEMBERSHIP]
        with connection.cursor() as cursor:
            for gone, kept in pairs:
                facts: dict[str, int | str | dt.datetime] = {
                    "gone": gone,
                    "kept": kept,
                    "merge": str(scope.merge.pk),
                    "now": scope.now,
                }
                cursor.execute(statement, facts)
        return [gone for gone, _kept in pairs]


class Tiers:
    """The survivor has the better tier of the two, or a better one if the figures of both together reach it."""

    model: type[Model] = Membership
    field = "tier"

    def merge(self, scope: MergeScope) -> dict[str, Any]:
        """Lift the survivor; returns how its tier was, and what it became."""
        before = {}
        for gone_id, kept_id in scope.pairs[MEMBERSHIP]:
            gone, kept = self._read(gone_id), self._read(kept_id)
            lasts_longer = kept.tier_until_date is not None and (
                gone.tier_until_date is None or gone.tier_until_date > kept.tier_until_date
            )
            if gone.tier.rank > kept.tier.rank or (gone.tier_id == kept.tier_id and lasts_longer):
                is_higher = gone.tier_id != kept.tier_id
                self._move(
                    scope, kept, TierChange.Kind.GRANT if is_higher else TierChange.Kind.RENEWAL, self._state(gone)
                )
            review_tiers(actor=scope.actor, now=scope.now, programme=kept.programme, membership_ids=[kept_id])
            after = self._read(kept_id)
            if self._state(after) != self._state(kept):
                before[str(kept_id)] = {"before": self._state(kept), "after": self._state(after)}
        return before

    def undo(self, scope: MergeScope, moved: dict[str, Any]) -> None:
        """Bring the tier back where nothing has changed it since."""
        for _gone, kept_id in scope.pairs[MEMBERSHIP]:
            states = moved.get(str(kept_id))
            kept = self._read(kept_id)
            if states and self._state(kept) == states["after"]:
                self._move(scope, kept, TierChange.Kind.UNDO, states["before"])

    @staticmethod
    def _read(membership_id: int) -> Membership:
        return Membership.objects.select_related("tier", "programme").get(pk=membership_id)

    @staticmethod
    def _state(membership: Membership) -> dict[str, Any]:
        until = membership.tier_until_date
        return {
            "tier": membership.tier_id,
            "until": until.isoformat() if until else None,
            "source": membership.tier_source,
            "grant": membership.tier_grant_id,
        }

    @staticmethod
    def _move(scope: MergeScope, kept: Membership, kind: str, state: dict[str, Any]) -> None:
        until = state["until"]
        change_tiers(
            actor=scope.actor,
            now=scope.now,
            moves=[
                Move(
                    membership_id=kept.pk,
                    kind=kind,
                    from_tier_id=kept.tier_id,
                    to_tier_id=state["tier"],
                    effective_date=kept.programme.local_date(scope.now),
                    decided_at=scope.now,
                    until_date=type(scope.now.date()).fromisoformat(until) if until else None,
                    source=state["source"],
                    grant_id=state["grant"],
                )
            ],
        )


class Vouchers:
    """Vouchers in every state go along, each with an entry in its history."""

    model: type[Model] = Voucher
    field = "membership"

    def merge(self, scope: MergeScope) -> dict[str, list[int]]:
        """Move the vouchers; returns their keys by where they were."""
        moved = {}
        for gone, kept in scope.pairs[MEMBERSHIP]:
            ids = list(Voucher.objects.filter(membership=gone).order_by("pk").values_list("pk", flat=True))
            self._move(scope, ids, gone, kept)
            if ids:
                moved[str(gone)] = ids
        return moved

    def undo(self, scope: MergeScope, moved: dict[str, list[int]]) -> None:
        """Give the vouchers back that the survivor still has."""
        for gone, kept in scope.pairs[MEMBERSHIP]:
            self._move(scope, moved.get(str(gone), []), kept, gone)

    @staticmethod
    def _move(scope: MergeScope, ids: Sequence[int], source: int, target: int) -> None:
        states = Voucher.objects.filter(pk__in=ids, membership=source).values_list("state", flat=True)
        for state in sorted(set(states)):
            change_vouchers(
                ids=ids,
                state=state,
                sets={"membership_id": target},
                event=event_values(
                    VoucherEvent.Kind.TRANSFERRED,
                    at=scope.now,
                    actor_id=scope.actor.pk if scope.actor else None,
                    property_id=scope.place.pk if scope.place else None,
                    from_membership_id=source,
                    membership_id=target,
                ),
                still="AND v.membership_id = %(source)s",
                source=source,
            )


_ADD_USES = """
UPDATE loyalty_ruleuse kept SET used = least(kept.cap, kept.used + gone.used)
FROM loyalty_ruleuse gone
WHERE gone.membership_id = %s AND kept.membership_id = %s AND kept.programme_id = gone.programme_id
    AND kept.rule_code = gone.rule_code AND kept.scope = gone.scope AND kept.period IS NOT DISTINCT FROM gone.period
RETURNING kept.id, gone.id, least(gone.used, kept.cap)::text
"""


class Caps:
    """Caps of one member hold for both together: what each has used is added up, up to the cap."""

    model: type[Model] = RuleUse
    field = "membership"

    def merge(self, scope: MergeScope) -> dict[str, Any]:
        """Add up the counters that both have, move the others."""
        moved = {}
        for gone, kept in scope.pairs[MEMBERSHIP]:
            before = dict(RuleUse.objects.filter(membership=kept).values_list("pk", "used"))
            with connection.cursor() as cursor:
                cursor.execute(_ADD_USES, [gone, kept])
                both = cursor.fetchall()
            after = dict(RuleUse.objects.filter(membership=kept).values_list("pk", "used"))
            rows = RuleUse.objects.filter(membership=gone).exclude(pk__in=[pk for _kept, pk, _used in both])
            ids = sorted(rows.values_list("pk", flat=True))
            RuleUse.objects.filter(pk__in=ids).update(membership=kept)
            added = {str(pk): str(after[pk] - before[pk]) for pk, _gone, _used in both}
            if ids or added:
                moved[str(gone)] = {"moved": ids, "added": added}
        return moved

    def undo(self, scope: MergeScope, moved: dict[str, Any]) -> None:
        """Give the counters back, and take off what was added."""
        for gone, kept in scope.pairs[MEMBERSHIP]:
            back = moved.get(str(gone), {"moved": [], "added": {}})
            RuleUse.objects.filter(pk__in=back["moved"], membership=kept).update(membership=gone)
            with connection.cursor() as cursor:
                for pk, used in back["added"].items():
                    cursor.execute(
                        "UPDATE loyalty_ruleuse SET used = greatest(used - %s::numeric, 0) WHERE id = %s", [used, pk]
                    )


class StoredValueLeft:
    """Money of a member is not moved by a merge: it is spent or paid back before."""

    model: type[Model] = StoredValueMovement
    field = "membership"

    def merge(self, scope: MergeScope) -> None:
        """Refuse while the membership that goes has stored value.

        Raises:
            MergeRefused: `stored_value_left`.
        """
        gone = [pk for pk, _kept in scope.pairs[MEMBERSHIP]]
        accounts = Account.objects.filter(membership__in=gone).exclude(unit="points")
        if accounts.filter(Q(available__gt=0) | Q(pending__gt=0) | Q(held__gt=0)).exists():
            raise MergeRefused(
                code="stored_value_left",
                message=_("The profile that goes has stored value. Keep it, or pay the value back first."),
            )

    def undo(self, scope: MergeScope, moved: None) -> None:
        """Nothing moved."""


def register() -> None:
    """Register what becomes of the rows of `loyalty`; memberships first, for they make the pairs."""
    register_merge_handler(Memberships())
    register_merge_handler(Points())
    register_merge_handler(Figures())
    register_merge_handler(Vouchers())
    register_merge_handler(Caps())
    register_merge_handler(MoveRows(Redemption, "membership"))
    register_merge_handler(MoveRows(RewardUse, "membership", unique=[("reward", "period")]))
    register_merge_handler(StoredValueLeft())
    register_merge_handler(MoveRows(SocialShare, "membership"))
    register_merge_handler(MoveRows(TierGrant, "membership", unique=[("source", "reference")]))
    register_merge_handler(MoveRows(ChallengeEntry, "membership", unique=[("challenge",)]))
    register_merge_handler(MoveRows(Entitlement, "membership", unique=[("benefit", "period")]))
    register_merge_handler(MoveRows(TierWarning, "membership", unique=[("tier", "until_date")]))
    register_merge_handler(MoveRows(Referral, "guest", unique=[("programme",)]))
    register_merge_handler(MoveRows(Referral, "referrer"))
    register_merge_handler(MoveRows(Referral, "friend"))
    register_merge_handler(Tiers())
    register_merge_handler(Keeps(ReferralCode, "membership", "The code stays valid and leads to the survivor."))
    register_merge_handler(Keeps(TierChange, "membership", "What happened to a tier is not altered."))
    register_merge_handler(
        Keeps(ExpiryNotice, "membership", "A proof of what was told to whom; lots carried over are told again.")
    )
    register_merge_handler(Keeps(JobError, "membership", "The history of a run."))
    register_merge_handler(Keeps(TierReviewRow, "membership", "A review judges each row again before it applies it."))
    register_merge_handler(Keeps(ApprovalRequest, "membership", "What was asked for is not altered."))
    register_merge_handler(Keeps(MovementRecord, "membership", "What was done is not altered."))
    register_merge_handler(Keeps(SettlementItem, "account", "A closed month is not altered."))
    for side in ("giver", "receiver"):
        register_merge_handler(Keeps(PointsTransfer, side, "Who gave what to whom is not altered."))
    for field in ("from_membership", "membership"):
        register_merge_handler(Keeps(VoucherEvent, field, "The history of a voucher is not altered."))
