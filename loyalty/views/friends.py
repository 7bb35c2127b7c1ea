"""Referral codes entered at the desk, and social shares: claimed there, decided in a queue, undone."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hotels.views import staff_required
from loyalty.forms import ReferralForm, RejectShareForm, ShareFilterForm, ShareForm
from loyalty.models import Referral, SocialShare
from loyalty.rules.explain import UNDONE_AT_DESK
from loyalty.selectors.referrals import what_became_of
from loyalty.selectors.shares import FILTERS, share_rows
from loyalty.services import referrals as referral_services
from loyalty.services import shares as share_services
from loyalty.services.ledger import LedgerError
from loyalty.views.desk import membership_or_404, programme_or_404
from members.views.sheets import back_to_card, guest_or_404, place_of, refuse_on_card, render_sheet, staff_user

PAGE_SIZE = 30


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("loyalty.enter_referral")
def enter_referral(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Enter the code of the member who sent a guest."""
    guest = guest_or_404(request, public_id)
    form = ReferralForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            referral = referral_services.enter_referral(
                actor=staff_user(request),
                now=timezone.now(),
                programme=programme_or_404(),
                guest_id=guest.pk,
                code=form.cleaned_data["code"],
                place=place_of(request),
            )
        except referral_services.ReferralError as error:
            form.add_error("code", str(error))
        else:
            if referral.state == Referral.State.REJECTED:
                return refuse_on_card(request, guest, what_became_of(referral))
            undo = reverse("loyalty:withdraw_referral", args=[referral.public_id])
            return back_to_card(request, guest, what_became_of(referral), undo=undo)
    return render_sheet(request, "loyalty/referral.html", {"form": form, "guest": guest})


@require_POST
@staff_required("loyalty.enter_referral")
def withdraw_referral(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Take a referral back, with its points."""
    user = staff_user(request)
    found = Referral.objects.visible_to(user).select_related("guest")
    referral = get_object_or_404(found, public_id=public_id)
    try:
        referral_services.withdraw_referral(
            actor=user, now=timezone.now(), referral_id=referral.pk, reason=UNDONE_AT_DESK
        )
    except (referral_services.ReferralError, LedgerError) as error:
        return refuse_on_card(request, referral.guest, str(error))
    return back_to_card(request, referral.guest, _("The referral is withdrawn."))


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("loyalty.submit_share")
def submit_share(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Enter a member's post on a social platform; somebody decides about it later."""
    guest = guest_or_404(request, public_id)
    membership = membership_or_404(guest)
    form = ShareForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            share = share_services.submit_share(
                actor=staff_user(request),
                now=timezone.now(),
                membership_id=membership.pk,
                platform=data["platform"],
                link=data["link"],
                note=data["note"],
                place=place_of(request),
            )
        except share_services.ShareError as error:
            form.add_error(error.field, str(error))
        else:
            undo = reverse("loyalty:withdraw_share", args=[share.public_id])
            return back_to_card(request, guest, _("The share is noted and waits to be decided."), undo=undo)
    return render_sheet(request, "loyalty/share.html", {"form": form, "guest": guest})


def _share(request: HttpRequest, public_id: UUID, **fields: Any) -> SocialShare:
    shares = SocialShare.objects.visible_to(staff_user(request)).select_related("membership__guest")
    return get_object_or_404(shares, public_id=public_id, **fields)


@require_POST
@staff_required("loyalty.submit_share")
def withdraw_share(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Take back a share that the user entered by mistake."""
    user = staff_user(request)
    share = _share(request, public_id, submitted_by=user)
    try:
        share_services.reject_share(actor=user, now=timezone.now(), share_id=share.pk, reason=UNDONE_AT_DESK)
    except share_services.ShareError as error:
        return refuse_on_card(request, share.membership.guest, str(error))
    return back_to_card(request, share.membership.guest, _("The share is withdrawn."))


@never_cache
@require_safe
@staff_required("loyalty.view_socialshare")
def shares(request: HttpRequest) -> HttpResponse:
    """The shares that wait for a decision, the oldest first, and those decided."""
    user = staff_user(request)
    place = place_of(request)
    state = request.GET.get("show", FILTERS[0])
    state = state if state in FILTERS else FILTERS[0]
    form = ShareFilterForm(request.GET)
    platform = form.cleaned_data["platform"] if form.is_valid() else ""
    after = request.GET.get("after", "")
    rows, mark = share_rows(
        user=user,
        state=state,
        platform=platform,
        after=int(after[:18]) if after.isdecimal() else None,
        limit=PAGE_SIZE,
    )
    today = place.local_date(timezone.now())
    context = {
        "rows": rows,
        "state": state,
        "platform": platform,
        "form": form,
        "tabs": [
            (FILTERS[0], pgettext("shares", "To decide")),
            (FILTERS[1], pgettext("shares", "Approved")),
            (FILTERS[2], pgettext("shares", "Refused")),
        ],
        "kept": urlencode({"platform": platform}) if platform else "",
        "next": mark,
        "is_later_page": bool(after),
        "may_decide": user.has_perm("loyalty.decide_share", place),
        "today": today,
    }
    return render(request, "loyalty/shares.html", context)


@require_POST
@staff_required("loyalty.decide_share")
def approve_share(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Approve a share; its points follow at once."""
    share = _share(request, public_id)
    try:
        points = share_services.approve_share(actor=staff_user(request), now=timezone.now(), share_id=share.pk)
    except (share_services.ShareError, LedgerError) as error:
        return _refused(request, str(error))
    text = ngettext("Approved: %(points)s point for %(name)s.", "Approved: %(points)s points for %(name)s.", points) % {
        "points": f"{points:,}",
        "name": share.membership.guest.name,
    }
    return _done(request, share, text)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("loyalty.decide_share")
def reject_share(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Refuse a share, saying why."""
    share = _share(request, public_id)
    form = RejectShareForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            share_services.reject_share(
                actor=staff_user(request),
                now=timezone.now(),
                share_id=share.pk,
                reason=form.cleaned_data["reason"],
            )
        except share_services.ShareError as error:
            return _refused(request, str(error))
        return _done(request, share, _("The share of %(name)s is refused.") % {"name": share.membership.guest.name})
    context = {"form": form, "guest": share.membership.guest, "share": share}
    return render_sheet(request, "loyalty/reject_share.html", context)


@require_POST
@staff_required("loyalty.decide_share")
def undo_decision(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Take a decision back; points return through a reversal."""
    share = _share(request, public_id)
    try:
        share_services.undo_decision(
            actor=staff_user(request), now=timezone.now(), share_id=share.pk, reason=UNDONE_AT_DESK
        )
    except (share_services.ShareError, LedgerError) as error:
        return _refused(request, str(error))
    messages.success(request, _("The decision is taken back; the share waits again."))
    return redirect("loyalty:shares")


def _done(request: HttpRequest, share: SocialShare, text: str) -> HttpResponse:
    messages.success(request, text, extra_tags=reverse("loyalty:undo_share", args=[share.public_id]))
    return redirect("loyalty:shares")


def _refused(request: HttpRequest, text: str) -> HttpResponse:
    messages.error(request, text)
    return redirect("loyalty:shares")
