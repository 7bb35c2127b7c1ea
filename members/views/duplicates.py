"""One guest, one profile: the queue of possible duplicates, two profiles side by side, undoing a merge."""

from __future__ import annotations

from uuid import UUID

import structlog
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from kombu.exceptions import OperationalError

from hotels.views import staff_required
from members import tasks
from members.forms import DeskForm
from members.models import Guest, GuestMerge, MergeCandidate
from members.rules.linkage import in_words
from members.selectors.duplicates import candidate_of, newest_run, next_candidate, queue_page, sides
from members.services.linkage import LinkageRunning, request_linkage
from members.services.merges import MergeRefused, mark_two_people, merge_guests, put_off, undo_merge
from members.views.sheets import back_to_card, guest_or_404, place_of, render_sheet, staff_user

PERMISSION = "members.merge_guests"
TABS = (
    (MergeCandidate.State.OPEN, pgettext_lazy("pairs", "To be decided")),
    (MergeCandidate.State.LATER, pgettext_lazy("pairs", "Put off")),
    (MergeCandidate.State.APART, pgettext_lazy("pairs", "Two people")),
    (MergeCandidate.State.MERGED, pgettext_lazy("pairs", "Merged")),
)
log = structlog.get_logger(__name__)


@never_cache
@require_safe
@staff_required(PERMISSION)
def duplicates(request: HttpRequest) -> HttpResponse:
    """Pairs of guests who may be one person, the surest first, page by page."""
    state = request.GET.get("show", "")
    state = state if state in MergeCandidate.State.values else MergeCandidate.State.OPEN
    after = request.GET.get("after", "")
    rows, end = queue_page(state, after)
    run = newest_run()
    return render(
        request,
        "members/duplicates/list.html",
        {
            "rows": rows,
            "next": end,
            "is_later_page": bool(after),
            "tabs": TABS,
            "which": state,
            "run": run,
            "is_running": run is not None and run.state in {"waiting", "running"},
        },
    )


@never_cache
@require_POST
@staff_required(PERMISSION)
def search_duplicates(request: HttpRequest) -> HttpResponse:
    """Start a search over everybody in the background."""
    try:
        request_linkage(actor=staff_user(request), now=timezone.now())
    except LinkageRunning as error:
        messages.error(request, error.message)
    else:
        try:
            tasks.link_guests.delay()
        except OperationalError:
            # It waits: `manage.py link_guests` carries it out, or the next search after an hour.
            log.warning("linkage_not_sent")
        messages.success(request, _("The search for duplicates has begun. This page tells how far it is."))
    return redirect("members:duplicates")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required(PERMISSION)
def pair(request: HttpRequest, first: UUID, second: UUID) -> HttpResponse:
    """Two profiles side by side; merge them, say that they are two people, or put the decision off."""
    guests = [guest_or_404(request, first), guest_or_404(request, second)]
    candidate = candidate_of(*guests)
    if request.method == "POST":
        answer = _decide(request, guests, candidate)
        if answer is not None:
            return answer
    is_over = any(guest.merged_into_id for guest in guests) or guests[0] == guests[1]
    return render(
        request,
        "members/duplicates/pair.html",
        {
            "sides": sides(guests),
            "candidate": candidate,
            "words": in_words(candidate.evidence) if candidate else [],
            "is_over": is_over,
        },
    )


def _decide(request: HttpRequest, guests: list[Guest], candidate: MergeCandidate | None) -> HttpResponse | None:
    """Carry out what was chosen; None where the page has to be shown again."""
    user, now = staff_user(request), timezone.now()
    choice = request.POST.get("choice", "")
    by_id = {str(guest.public_id): guest for guest in guests}
    following = next_candidate(candidate)
    onward = (
        reverse("members:duplicate", args=[following.first.public_id, following.second.public_id])
        if candidate is not None and following is not None
        else reverse("members:duplicates")
    )
    if choice == "apart":
        mark_two_people(actor=user, now=now, guest_ids=(guests[0].pk, guests[1].pk))
        messages.success(request, _("Noted: these are two people. They are not proposed again."))
        return redirect(onward)
    if choice == "later" and candidate is not None:
        put_off(actor=user, now=now, candidate_id=candidate.pk)
        return redirect(onward)
    survivor = by_id.get(choice)
    if survivor is None:
        messages.error(request, _("Choose which profile is kept."))
        return None
    merged = guests[0] if survivor == guests[1] else guests[1]
    try:
        merge = merge_guests(
            actor=user,
            now=now,
            survivor_id=survivor.pk,
            merged_id=merged.pk,
            reason=request.POST.get("reason", "").strip(),
            place=place_of(request),
        )
    except MergeRefused as error:
        messages.error(request, error.message)
        return None
    text = _("%(merged)s went into %(survivor)s.") % {"merged": merged.name, "survivor": survivor.name}
    return back_to_card(request, survivor, text, undo=reverse("members:undo_merge", args=[merge.public_id]))


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required(PERMISSION)
def undo_merge_page(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Make two profiles of one again."""
    merge = get_object_or_404(GuestMerge.objects.select_related("survivor", "merged"), public_id=public_id)
    form = DeskForm(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        try:
            undo_merge(
                actor=staff_user(request),
                now=timezone.now(),
                merge_id=merge.pk,
                reason=request.POST.get("reason", "").strip(),
                place=place_of(request),
            )
        except MergeRefused as error:
            messages.error(request, error.message)
            return redirect("members:guest", merge.survivor.public_id)
        text = _("%(merged)s and %(survivor)s are two profiles again.") % {
            "merged": merge.merged.name,
            "survivor": merge.survivor.name,
        }
        return back_to_card(request, merge.merged, text)
    return render_sheet(
        request, "members/duplicates/undo.html", {"form": form, "merge": merge, "guest": merge.survivor}
    )


urlpatterns = [
    path("duplicates/", duplicates, name="duplicates"),
    path("duplicates/search/", search_duplicates, name="search_duplicates"),
    path("duplicates/<uuid:first>/<uuid:second>/", pair, name="duplicate"),
    path("merges/<uuid:public_id>/undo/", undo_merge_page, name="undo_merge"),
]
