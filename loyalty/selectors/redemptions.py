"""Reads of redemptions: what is to be handed over, and a member's newest."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import Q
from django.urls import reverse

from hotels.models import Property, User
from loyalty.models import Redemption
from members.models import Guest

# `open`: for today and overdue; `later`: for another day; `done`: everything else, newest first.
TABS = ("open", "later", "done")
CARD_REDEMPTIONS = 4


def fulfilments(
    *, place: Property, today: dt.date, tab: str, category: str = "", after: str = "", limit: int
) -> tuple[list[Redemption], str]:
    """One page of a property's redemptions, by the day they are for.

    Args:
        place: The property.
        today: Its calendar date.
        tab: One of `TABS`.
        category: Only of this category of rewards.
        after: Mark of the last row seen, as returned; empty for the first page.
        limit: Rows on the page.

    Returns:
        The rows with reward, membership and guest, and the mark to ask for the next page, empty at the end.
    """
    rows = Redemption.objects.filter(property=place)
    is_done = tab == "done"
    if is_done:
        rows = rows.exclude(status=Redemption.Status.REDEEMED)
    else:
        rows = rows.filter(status=Redemption.Status.REDEEMED)
        rows = rows.filter(for_date__lte=today) if tab == "open" else rows.filter(for_date__gt=today)
    if category:
        rows = rows.filter(reward__category=category)
    if seen := _mark(after):
        date, pk = seen
        if is_done:
            rows = rows.filter(Q(for_date__lt=date) | Q(for_date=date, pk__lt=pk))
        else:
            rows = rows.filter(Q(for_date__gt=date) | Q(for_date=date, pk__gt=pk))
    order = ("-for_date", "-pk") if is_done else ("for_date", "pk")
    page = list(rows.select_related("reward", "membership__guest", "actor").order_by(*order)[: limit + 1])
    mark = f"{page[limit - 1].for_date:%Y%m%d}-{page[limit - 1].pk}" if len(page) > limit else ""
    return page[:limit], mark


def _mark(text: str) -> tuple[dt.date, int] | None:
    day, _sep, pk = text.partition("-")
    if not pk.isdecimal() or len(pk) > 18:  # noqa: PLR2004 – more digits than a key has
        return None
    try:
        return dt.datetime.strptime(day, "%Y%m%d").date(), int(pk)  # noqa: DTZ007 – a date without a time
    except ValueError:
        return None


def card_context(guest: Guest, user: User, place: Property, now: dt.datetime) -> dict[str, Any]:
    """The guest's newest redemptions for the guest card; one query."""
    if not user.has_perm("loyalty.view_redemption", place):
        return {"redemptions": [], "actions": []}
    rows = Redemption.objects.visible_to(user).filter(membership__guest=guest).select_related("reward", "property")
    return {
        "redemptions": list(rows.order_by("-pk")[:CARD_REDEMPTIONS]),
        "here": place.pk,
        "may_fulfil": user.has_perm("loyalty.fulfil_redemption", place),
        "list_url": reverse("loyalty:fulfilments"),
        "today": place.local_date(now),
        "actions": [],
    }
