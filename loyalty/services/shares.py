"""Social shares: claimed by a member or for one at the desk, decided by staff, undone."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from hotels.services.audit import record_audit
from loyalty.models import Membership, SharePolicy, SocialShare
from loyalty.rules.shares import link_key, link_of
from loyalty.services.events import Happening, award_happenings, take_back_happenings

if TYPE_CHECKING:
    from hotels.models import Property, User

EVENT = "social_share"


class ShareError(Exception):
    """A share cannot be claimed or decided as asked; `code` is stable, `field` the form's."""

    code = "share_error"
    field: str | None = None


class SharesNotTaken(ShareError):
    """The programme takes no shares today, or the membership is not active."""

    code = "shares_not_taken"

    def __init__(self) -> None:
        super().__init__(_("The program takes no shares of this member at present."))


class NothingShown(ShareError):
    """Neither a link nor a note, or no link where the programme wants one."""

    code = "share_nothing_shown"
    field = "link"

    def __init__(self, *, needs_link: bool) -> None:
        super().__init__(_("Give the link of the post.") if needs_link else _("Give a link, or say where to find it."))


class LinkClaimed(ShareError):
    """The same post was claimed before."""

    code = "share_link_claimed"
    field = "link"

    def __init__(self) -> None:
        super().__init__(_("This post was claimed already."))


class ShareLimitReached(ShareError):
    """The member has claimed as many as count in the month."""

    code = "share_limit_reached"

    def __init__(self, limit: int) -> None:
        text = ngettext(
            "%(limit)d share counts in a month, and this member has claimed it.",
            "%(limit)d shares count in a month, and this member has claimed them.",
            limit,
        )
        super().__init__(text % {"limit": limit})


class OwnShare(ShareError):
    """Nobody decides about their own share."""

    code = "share_own"

    def __init__(self) -> None:
        super().__init__(_("This is your own share; somebody else decides about it."))


class ShareDecided(ShareError):
    """Somebody decided already, or the decision was taken back."""

    code = "share_decided"

    def __init__(self, share: SocialShare) -> None:
        super().__init__(_("This share is %(state)s already.") % {"state": share.get_state_display()})


class ReasonMissing(ShareError):
    """A refusal says why."""

    code = "share_reason_missing"
    field = "reason"

    def __init__(self) -> None:
        super().__init__(_("Say why."))


@transaction.atomic
def submit_share(
    *,
    actor: User | None,
    now: dt.datetime,
    membership_id: int,
    platform: str,
    link: str = "",
    note: str = "",
    place: Property | None = None,
) -> SocialShare:
    """Claim points for a post.

    Args:
        actor: Who enters it; None for the member.
        now: Aware instant.
        membership_id: Whose post.
        platform: A value of `SocialShare.Platform`.
        link: Where it can be read.
        note: How to find it, where there is no link.
        place: The property where it was entered, if at one.

    Raises:
        SharesNotTaken, NothingShown, LinkClaimed, ShareLimitReached: See the classes.
    """
    # The limit holds against a second claim at the same moment.
    membership = (
        Membership.objects.select_for_update(no_key=True, of=("self",))
        .select_related("programme")
        .get(pk=membership_id)
    )
    programme = membership.programme
    today = programme.local_date(now)
    policy = SharePolicy.objects.filter(programme=programme).in_force(today).first()
    if policy is None or not policy.month_limit or membership.status != Membership.Status.ACTIVE:
        raise SharesNotTaken
    link, note = link_of(link), " ".join(note.split())
    if not link and (policy.needs_link or not note):
        raise NothingShown(needs_link=policy.needs_link)
    shares = SocialShare.objects.exclude(state=SocialShare.State.REJECTED)
    key = link_key(link)
    if key and shares.filter(programme=programme, link_key=key).exists():
        raise LinkClaimed
    claimed = shares.filter(membership=membership, submitted_on__gte=today.replace(day=1), submitted_on__lte=today)
    if claimed.count() >= policy.month_limit:
        raise ShareLimitReached(policy.month_limit)
    try:
        with transaction.atomic():
            share = SocialShare.objects.create(
                programme=programme,
                membership=membership,
                platform=platform,
                link=link,
                link_key=key,
                note=note,
                submitted_at=now,
                submitted_on=today,
                submitted_by=actor,
                property=place,
            )
    except IntegrityError as error:
        raise LinkClaimed from error
    record_audit(
        actor=actor,
        now=now,
        action="share.submitted",
        target=share,
        label=membership.number,
        place=place,
        after={"platform": platform, "link": link, "note": note},
    )
    return share


@transaction.atomic
def approve_share(*, actor: User, now: dt.datetime, share_id: int) -> int:
    """Approve a claim; its points follow from the earning rules in force today.

    Returns:
        The points given.

    Raises:
        OwnShare, ShareDecided: See the classes.
    """
    share = _locked(share_id)
    _check_decision(share, actor, SocialShare.State.SUBMITTED)
    share.grants += 1
    given = award_happenings(
        actor=actor, now=now, programme=share.programme, event=EVENT, happenings=[_happening(share)]
    )
    points = sum(given.values())
    _decide(share, actor, now, SocialShare.State.APPROVED, after={"points": points})
    return points


@transaction.atomic
def reject_share(*, actor: User, now: dt.datetime, share_id: int, reason: str) -> SocialShare:
    """Refuse a claim, saying why; it counts for no limit and its link can be claimed again.

    Raises:
        ReasonMissing, OwnShare, ShareDecided: See the classes.
    """
    if not reason.strip():
        raise ReasonMissing
    share = _locked(share_id)
    _check_decision(share, actor, SocialShare.State.SUBMITTED)
    _decide(share, actor, now, SocialShare.State.REJECTED, reason=reason.strip()[:200])
    return share


@transaction.atomic
def undo_decision(*, actor: User, now: dt.datetime, share_id: int, reason: str) -> SocialShare:
    """Take an approval or a refusal back: points return through a reversal, and the claim waits again.

    Raises:
        OwnShare, ShareDecided: See the classes.
        LinkClaimed: The post of a refused claim was claimed anew meanwhile.
    """
    share = _locked(share_id)
    if share.state == SocialShare.State.SUBMITTED:
        raise ShareDecided(share)
    _check_decision(share, actor, share.state)
    taken = 0
    if share.state == SocialShare.State.APPROVED:
        taken = take_back_happenings(
            actor=actor,
            now=now,
            programme=share.programme,
            event=EVENT,
            happenings=[_happening(share)],
            reason=reason,
        )
    try:
        with transaction.atomic():
            _decide(share, actor, now, SocialShare.State.SUBMITTED, after={"points": -taken})
    except IntegrityError as error:
        raise LinkClaimed from error
    return share


def _locked(share_id: int) -> SocialShare:
    return (
        SocialShare.objects.select_for_update(no_key=True, of=("self",))
        .select_related("membership__guest", "programme", "property")
        .get(pk=share_id)
    )


def _check_decision(share: SocialShare, actor: User, state: str) -> None:
    if share.membership.guest.user_id is not None and share.membership.guest.user_id == actor.pk:
        raise OwnShare
    if share.state != state:
        raise ShareDecided(share)


def _happening(share: SocialShare) -> Happening:
    """The newest approval: its line in the ledger."""
    return Happening(
        share.membership_id,
        f"{share.public_id}/{share.grants}",
        property_id=share.property_id,
        about={"platform": share.platform},
    )


def _decide(
    share: SocialShare,
    actor: User,
    now: dt.datetime,
    state: str,
    *,
    reason: str = "",
    after: dict[str, int] | None = None,
) -> None:
    before = share.state
    is_open = state == SocialShare.State.SUBMITTED
    share.state, share.reason = state, reason
    share.decided_at, share.decided_by = (None, None) if is_open else (now, actor)
    share.save(update_fields=["state", "reason", "decided_at", "decided_by", "grants"])
    record_audit(
        actor=actor,
        now=now,
        action="share.reopened" if is_open else f"share.{state}",
        target=share,
        label=share.membership.number,
        place=share.property,
        before={"state": before},
        after={"state": state, **(after or {})},
        reason=reason,
    )
