"""Friends who came by members' codes, and posts that members handed in."""

from __future__ import annotations

import datetime as dt
import random

from hotels.models import Property, User
from loyalty.models import Membership, Programme, ReferralCode, ReferralPolicy, SharePolicy, SocialShare
from loyalty.services.referrals import enter_referral
from loyalty.services.shares import approve_share, reject_share, submit_share

FRIENDS = 24
SHARES = 12
# A friend needs a little time to be persuaded.
AFTER = dt.timedelta(days=30)


def make_friends(
    rng: random.Random, programme: Programme, places: list[Property], users: dict[str, User], *, now: dt.datetime
) -> None:
    """Enter some codes of the newest members, good ones and those that are refused, and some shares.

    Args:
        rng: Chance.
        programme: The programme.
        places: Where it happens.
        users: The accounts, by name.
        now: Aware instant that counts as the present.
    """
    today = programme.local_date(now)
    ReferralPolicy.objects.create(
        programme=programme, effective_from=today - dt.timedelta(days=800), entry_days=60, month_limit=5
    )
    SharePolicy.objects.create(programme=programme, effective_from=today - dt.timedelta(days=800))
    members = list(Membership.objects.filter(programme=programme).order_by("-enrolled_at", "pk")[: 3 * FRIENDS])
    referrers = list(
        Membership.objects.filter(programme=programme, enrolled_at__lt=members[-1].enrolled_at - AFTER).order_by("pk")[
            :FRIENDS
        ]
    )
    if referrers:
        for friend in members[:FRIENDS]:
            code = ReferralCode.objects.values_list("code", flat=True).get(pk=rng.choice(referrers).pk)
            enter_referral(
                actor=users["reception"],
                now=min(now, friend.enrolled_at + dt.timedelta(days=rng.choice((0, 0, 3, 90)))),
                programme=programme,
                guest_id=friend.guest_id,
                code=code,
                place=rng.choice(places),
            )
    for number, member in enumerate(members[FRIENDS : FRIENDS + SHARES]):
        share = submit_share(
            actor=users["reception"] if number % 3 else None,
            now=now,
            membership_id=member.pk,
            platform=rng.choice(SocialShare.Platform.values),
            link=f"https://example.com/post/{1000 + number}" if number % 4 else "",
            note="" if number % 4 else "朋友圈，截图已给前台看过",
            place=rng.choice(places),
        )
        if number % 4 == 1:
            approve_share(actor=users["manager"], now=now, share_id=share.pk)
        elif number % 4 == 2:
            reject_share(actor=users["manager"], now=now, share_id=share.pk, reason="帖子里没有提到酒店")
