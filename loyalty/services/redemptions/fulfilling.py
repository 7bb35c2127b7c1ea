"""Handing rewards over, taking that back, and what becomes of those that nobody asked for."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from django.db import connection, transaction

from loyalty.models import Redemption, RedemptionEvent
from loyalty.services.redemptions.history import locked, move
from loyalty.services.redemptions.refusals import StateRefused

if TYPE_CHECKING:
    from hotels.models import User

Status = Redemption.Status

# The calendar date is the property's own.
_EXPIRE = """
WITH due AS (
    SELECT t.id FROM loyalty_redemption t
    JOIN loyalty_reward r ON r.id = t.reward_id
    JOIN hotels_property p ON p.id = t.property_id
    WHERE t.status = 'redeemed' AND r.open_days IS NOT NULL
        AND t.for_date + r.open_days < (%(now)s AT TIME ZONE p.time_zone)::date
    ORDER BY t.id LIMIT %(limit)s FOR NO KEY UPDATE OF t SKIP LOCKED
), expired AS (
    UPDATE loyalty_redemption t SET status = 'expired' FROM due WHERE t.id = due.id RETURNING t.id
)
INSERT INTO loyalty_redemptionevent (redemption_id, kind, at, actor_id, reason)
SELECT id, 'expired', %(now)s, NULL, '' FROM expired
"""
_BATCH = 2000


@transaction.atomic
def fulfil_redemption(*, actor: User, now: dt.datetime, redemption_id: int, note: str = "") -> Redemption:
    """Say that the guest has it; a second call changes nothing.

    Args:
        actor: Who handed it over.
        now: Aware instant.
        redemption_id: The redemption.
        note: In the actor's words, such as the number of a partner's card.

    Raises:
        StateRefused: It is canceled or has lapsed.
    """
    redemption = locked(redemption_id)
    if redemption.status == Status.FULFILLED:
        return redemption
    _expect(redemption, Status.REDEEMED)
    kind = RedemptionEvent.Kind.FULFILLED
    move(redemption, Status.FULFILLED, kind, actor=actor, now=now, reason=note, fulfilled_at=now)
    return redemption


@transaction.atomic
def reopen_redemption(*, actor: User, now: dt.datetime, redemption_id: int, reason: str = "") -> Redemption:
    """Take a fulfillment or a no-show back: the guest still waits for it. A second call changes nothing.

    Raises:
        StateRefused: It is canceled, has expired, or was fulfilled by a voucher.
    """
    redemption = locked(redemption_id)
    if redemption.status == Status.REDEEMED:
        return redemption
    if redemption.status != Status.NO_SHOW:
        _expect(redemption, Status.FULFILLED)
    if redemption.vouchers.exists():
        raise StateRefused(redemption.status, redemption.get_status_display())
    kind = RedemptionEvent.Kind.REOPENED
    move(redemption, Status.REDEEMED, kind, actor=actor, now=now, reason=reason, fulfilled_at=None)
    return redemption


@transaction.atomic
def mark_no_show(*, actor: User, now: dt.datetime, redemption_id: int, reason: str = "") -> Redemption:
    """Say that the guest did not come for it: points and stock stay taken. A second call changes nothing.

    Raises:
        StateRefused: It is not open.
    """
    redemption = locked(redemption_id)
    if redemption.status == Status.NO_SHOW:
        return redemption
    _expect(redemption, Status.REDEEMED)
    move(redemption, Status.NO_SHOW, RedemptionEvent.Kind.NO_SHOW, actor=actor, now=now, reason=reason)
    return redemption


def expire_redemptions(*, now: dt.datetime, batch: int = _BATCH) -> int:
    """Expire what nobody asked for within its days, set by set; may be broken off and run again.

    Returns:
        How many expired.
    """
    total = 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_EXPIRE, {"now": now, "limit": batch})
            count: int = cursor.rowcount
        total += count
        if count < batch:
            return total


def _expect(redemption: Redemption, status: Redemption.Status) -> None:
    if redemption.status != status:
        raise StateRefused(redemption.status, redemption.get_status_display())
