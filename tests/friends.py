"""What tests of referrals and shares stand on."""

import datetime as dt
import itertools
from decimal import Decimal

from loyalty.models import Account, EarningRule, ReferralCode, ReferralPolicy, SharePolicy
from loyalty.services.memberships import enrol_member
from loyalty.services.referrals import enter_referral
from members.services.stays import FolioLineInput, StayInput, post_stay
from tests.factories import NOW, base_rule, make_guest, make_programme, publish_rules

_number = itertools.count(1)
TODAY = NOW.date()
POINTS = {"referral_made": 500, "referral_joined": 300, "social_share": 100, "birthday": 500}


def friendly_programme(**policy):
    """A programme that takes referrals and shares since 2020, with points for both sides."""
    programme = make_programme()
    publish_rules(
        programme,
        base_rule(),
        *(event_rule(event, points) for event, points in POINTS.items()),
        start=dt.date(2020, 1, 2),
    )
    ReferralPolicy.objects.create(
        **{"programme": programme, "effective_from": dt.date(2020, 1, 1), "entry_days": 30, **policy}
    )
    SharePolicy.objects.create(programme=programme, effective_from=dt.date(2020, 1, 1))
    return programme


def event_rule(event, points, **fields):
    """Fixed points for an event; not stored yet."""
    return EarningRule(
        **{"code": event, "name": event, "basis": "event", "event": event, "result": "fixed", "value": points, **fields}
    )


def member_of(programme, name="陈思远", *, at=NOW, guest=None):
    """A member since an instant."""
    guest = guest or make_guest(name)
    return enrol_member(actor=None, now=at, programme=programme, guest_id=guest.pk)


def code_of(membership):
    """The member's own code."""
    return ReferralCode.objects.get(membership=membership).code


def refer(referrer, guest, *, now=NOW, **fields):
    """Enter the referrer's code for a guest."""
    return enter_referral(
        actor=None,
        now=now,
        programme=referrer.programme,
        guest_id=guest.pk,
        code=code_of(referrer),
        **fields,
    )


def stay(place, guest, amount="800.00", *, departure=TODAY, number="", room="", now=NOW, nights=1):
    """A finished stay through the service, at once with what it brings."""
    return post_stay(
        actor=None,
        now=now,
        place=place,
        source_system="pms",
        source_reference=number or f"F{next(_number)}",
        guest_id=guest.pk,
        arrival_date=departure - dt.timedelta(days=nights),
        departure_date=departure,
        lines=[FolioLineInput("1", departure, "room", Decimal(amount))] if Decimal(amount) else [],
        currency="CNY",
        room_number=room,
    )


def stay_input(place, guest, amount="800.00", *, departure=TODAY):
    """The same for a night audit."""
    return StayInput(
        place_id=place.pk,
        source_system="audit",
        source_reference=f"A{next(_number)}",
        guest_id=guest.pk,
        arrival_date=departure - dt.timedelta(days=1),
        departure_date=departure,
        lines=[FolioLineInput("1", departure, "room", Decimal(amount))],
        currency="CNY",
    )


def balance(membership):
    """What the member can spend, less the debt."""
    account = Account.objects.get(membership=membership, unit="points")
    return account.available - account.debt
