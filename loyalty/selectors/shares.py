"""Reads of social shares: the list that staff decide from, and a member's newest."""

from __future__ import annotations

from hotels.models import User
from loyalty.models import SocialShare

FILTERS = (SocialShare.State.SUBMITTED, SocialShare.State.APPROVED, SocialShare.State.REJECTED)


def share_rows(
    *, user: User, state: str, platform: str = "", after: int | None = None, limit: int
) -> tuple[list[SocialShare], int | None]:
    """One page of claims: those to be decided oldest first, decided ones newest first.

    Args:
        user: Who reads.
        state: One of `FILTERS`.
        platform: Only of this platform.
        after: Mark of the last row seen, as returned; None for the first page.
        limit: Rows on the page.

    Returns:
        The rows with membership, guest and who decided, and the mark to ask for the next page.
    """
    shares = SocialShare.objects.visible_to(user).filter(state=state)
    if platform:
        shares = shares.filter(platform=platform)
    is_queue = state == SocialShare.State.SUBMITTED
    if after is not None:
        shares = shares.filter(pk__gt=after) if is_queue else shares.filter(pk__lt=after)
    related = shares.select_related("membership__guest", "programme", "property", "submitted_by", "decided_by")
    rows = list(related.order_by("pk" if is_queue else "-pk")[: limit + 1])
    return rows[:limit], rows[limit - 1].pk if len(rows) > limit else None
