"""Changing a redemption together with its history and the audit trail."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from hotels.services.audit import record_audit
from loyalty.models import Redemption, RedemptionEvent

if TYPE_CHECKING:
    from hotels.models import User


def locked(redemption_id: int) -> Redemption:
    """The redemption, held until the transaction ends: whoever comes second sees what the first did."""
    return (
        Redemption.objects.select_for_update(no_key=True, of=("self",))
        .select_related("reward", "membership__guest", "property")
        .get(pk=redemption_id)
    )


def move(
    redemption: Redemption,
    status: Redemption.Status,
    kind: RedemptionEvent.Kind,
    *,
    actor: User | None,
    now: dt.datetime,
    reason: str,
    **fields: dt.datetime | None,
) -> None:
    """Bring a redemption into another state, with an entry in its history and in the audit trail."""
    before = redemption.status
    redemption.status = status
    for name, value in fields.items():
        setattr(redemption, name, value)
    redemption.save(update_fields=["status", *fields])
    RedemptionEvent.objects.create(redemption=redemption, kind=kind, at=now, actor=actor, reason=reason[:300])
    record_audit(
        actor=actor,
        now=now,
        action=f"redemption.{kind.value}",
        target=redemption,
        label=f"{redemption.reward.code} {redemption.membership.number}",
        place=redemption.property,
        before={"status": str(before)},
        after={"status": status.value},
        reason=reason,
    )
