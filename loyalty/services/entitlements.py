"""Using the benefits of a tier at the desk: never more often than they are given, and undone like anything else."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import F, Q
from django.utils.translation import gettext as _

from hotels.services.audit import record_audit
from loyalty.models import Entitlement, EntitlementUse, Membership, TierBenefit
from loyalty.rules.benefits import period_key

if TYPE_CHECKING:
    from hotels.models import Property, User


class EntitlementError(Exception):
    """A benefit cannot be used; `code` is stable."""

    code = "entitlement_error"


class BenefitNotGiven(EntitlementError):
    """The member's tier does not give this benefit here today, or it is only told."""

    code = "benefit_not_given"

    def __init__(self) -> None:
        super().__init__(_("This benefit is not given to the member here today."))


class NoStay(EntitlementError):
    """A benefit of a stay is asked for without one."""

    code = "no_stay"

    def __init__(self) -> None:
        super().__init__(_("This benefit belongs to a stay, and the guest has none here now."))


class UsedUp(EntitlementError):
    """The benefit was used as often as it is given."""

    code = "used_up"

    def __init__(self) -> None:
        super().__init__(_("This benefit is used up."))


@transaction.atomic
def use_entitlement(
    *,
    actor: User | None,
    now: dt.datetime,
    membership_id: int,
    benefit_id: int,
    place: Property,
    idempotency_key: str,
    visit: str = "",
) -> EntitlementUse:
    """Use a benefit once.

    Args:
        actor: Who gives it at the desk.
        now: Aware instant.
        membership_id: Who gets it.
        benefit_id: A benefit of the member's tier, in force here today.
        place: The property that gives it.
        idempotency_key: Made once per form; the same key again returns the same use.
        visit: What tells the guest's stay here from others; needed for benefits of a stay.

    Raises:
        BenefitNotGiven: The tier does not give it here today.
        NoStay: It belongs to a stay and there is none.
        UsedUp: It was used as often as it is given.
    """
    if not idempotency_key:
        raise ValueError(idempotency_key)
    membership = Membership.objects.select_related("programme").get(pk=membership_id)
    today = place.local_date(now)
    benefit = (
        TierBenefit.objects.filter(
            Q(property=None) | Q(property=place),
            Q(effective_until=None) | Q(effective_until__gt=today),
            pk=benefit_id,
            tier=membership.tier_id,
            effective_from__lte=today,
        )
        .exclude(period=TierBenefit.Period.SHOWN)
        .first()
    )
    if benefit is None or membership.status != Membership.Status.ACTIVE:
        raise BenefitNotGiven
    period = period_key(benefit.period, today, visit)
    if period is None:
        raise NoStay
    Entitlement.objects.bulk_create(
        [Entitlement(membership=membership, benefit=benefit, period=period, quantity=benefit.quantity)],
        ignore_conflicts=True,
    )
    # The row is the lock: of two at one moment the second sees what the first used.
    entitlement = Entitlement.objects.select_for_update().get(membership=membership, benefit=benefit, period=period)
    known = entitlement.uses.filter(idempotency_key=idempotency_key).first()
    if known is not None:
        return known
    if entitlement.quantity is not None and entitlement.used >= entitlement.quantity:
        raise UsedUp
    Entitlement.objects.filter(pk=entitlement.pk).update(used=F("used") + 1)
    use = EntitlementUse.objects.create(
        entitlement=entitlement, property=place, used_at=now, actor=actor, idempotency_key=idempotency_key
    )
    _audit(use, benefit, membership, actor, now, place, "used")
    return use


@transaction.atomic
def undo_entitlement_use(*, actor: User | None, now: dt.datetime, use_id: int) -> EntitlementUse:
    """Give a use back; a second call changes nothing."""
    use = EntitlementUse.objects.select_related("entitlement__benefit", "entitlement__membership", "property").get(
        pk=use_id
    )
    Entitlement.objects.select_for_update().get(pk=use.entitlement_id)
    if EntitlementUse.objects.filter(pk=use.pk, undone_at=None).update(undone_at=now, undone_by=actor):
        Entitlement.objects.filter(pk=use.entitlement_id).update(used=F("used") - 1)
        entitlement = use.entitlement
        _audit(use, entitlement.benefit, entitlement.membership, actor, now, use.property, "undone")
    use.refresh_from_db()
    return use


def _audit(
    use: EntitlementUse,
    benefit: TierBenefit,
    membership: Membership,
    actor: User | None,
    now: dt.datetime,
    place: Property,
    verb: str,
) -> None:
    record_audit(
        actor=actor,
        now=now,
        action=f"entitlement.{verb}",
        target=membership,
        label=f"{membership.number} {benefit.local_name}",
        place=place,
        after={"benefit": benefit.pk, "use": use.pk},
    )
