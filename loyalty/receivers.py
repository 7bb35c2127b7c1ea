"""What loyalty does when something happens to a stay or a guest; connected in `loyalty.apps`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.dispatch import receiver

from loyalty.services.earning import settle_stays
from loyalty.services.events import award_completed_profiles
from loyalty.services.merging import carry_leftovers
from loyalty.services.referrals import lock_referrals, settle_referrals
from members.models import Stay
from members.signals import (
    guests_changed,
    stay_completed,
    stay_corrected,
    stay_leaving,
    stay_voided,
    stays_completed,
)

if TYPE_CHECKING:
    from hotels.models import User


@receiver([stay_completed, stay_corrected], dispatch_uid="loyalty.settle_stay")
def settle_stay(*, stay_id: int, actor: User | None, now: dt.datetime, **_kwargs: Any) -> None:
    """Give or take what a finished or corrected stay is due, and what it means for who referred the guest."""
    lock_referrals(stay_ids=[stay_id])
    settle_stays(actor=actor, now=now, stay_ids=[stay_id])
    _carry_on(stay_id, actor, now)
    settle_referrals(actor=actor, now=now, stay_ids=[stay_id])


@receiver(stay_voided, dispatch_uid="loyalty.take_back_stay")
def take_back_stay(*, stay_id: int, actor: User | None, now: dt.datetime, reason: str, **_kwargs: Any) -> None:
    """Take back what a voided stay brought."""
    lock_referrals(stay_ids=[stay_id])
    settle_stays(actor=actor, now=now, stay_ids=[stay_id], reason=reason)
    _carry_on(stay_id, actor, now)
    settle_referrals(actor=actor, now=now, stay_ids=[stay_id], reason=reason)


@receiver(stay_leaving, dispatch_uid="loyalty.take_back_leaving_stay")
def take_back_leaving_stay(*, stay_id: int, actor: User | None, now: dt.datetime, reason: str, **_kwargs: Any) -> None:
    """Take back what a stay brought the guest whose it is not; their referral follows once it has moved."""
    lock_referrals(stay_ids=[stay_id])
    settle_stays(actor=actor, now=now, stay_ids=[stay_id], reason=reason, leaving=True)
    _carry_on(stay_id, actor, now)


def _carry_on(stay_id: int, actor: User | None, now: dt.datetime) -> None:
    """A stay that was earned under a profile merged since is corrected there; the survivor bears it."""
    guests = Stay.objects.filter(pk=stay_id, guest__isnull=False).values_list("guest_id", flat=True)
    carry_leftovers(actor=actor, now=now, guest_ids=[pk for pk in guests if pk is not None])


@receiver(stays_completed, dispatch_uid="loyalty.settle_many_stays")
def settle_many_stays(*, stay_ids: Sequence[int], actor: User | None, now: dt.datetime, **_kwargs: Any) -> None:
    """Award a night audit or a file of history, each stay as on its day of departure."""
    lock_referrals(stay_ids=stay_ids)
    settle_stays(actor=actor, now=now, stay_ids=stay_ids, as_of_departure=True)
    settle_referrals(actor=actor, now=now, stay_ids=stay_ids)


@receiver(guests_changed, dispatch_uid="loyalty.award_completed_profiles")
def award_profiles(*, guest_ids: Sequence[int], actor: User | None, now: dt.datetime, **_kwargs: Any) -> None:
    """Give members what a completed profile brings."""
    award_completed_profiles(actor=actor, now=now, guest_ids=guest_ids)
