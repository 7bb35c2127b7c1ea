"""The desk's actions on membership, stays and points, and the points statement."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hotels.views import staff_required
from loyalty.forms import AdjustForm, BenefitForm, EnrolForm, MakeMemberForm, StayForm
from loyalty.models import EntitlementUse, Membership, MovementKind, Posting, Programme, TierBenefit
from loyalty.rules.explain import UNDONE_AT_DESK
from loyalty.selectors.benefits import benefits_left, visit_of
from loyalty.selectors.card import desk_programme, programme_today, summary_of
from loyalty.selectors.members import MemberSummary
from loyalty.selectors.postings import points_of_stays, statement
from loyalty.selectors.referrals import what_became_of
from loyalty.services.approvals import (
    AdjustPoints,
    ApprovalError,
    Requested,
    perform_or_request,
)
from loyalty.services.entitlements import EntitlementError, undo_entitlement_use, use_entitlement
from loyalty.services.ledger import LedgerError, PostingResult, reverse_posting
from loyalty.services.memberships import AlreadyMember, MembershipError, enrol_member
from loyalty.services.redemptions import RedemptionError
from loyalty.services.referrals import ReferralError, enter_referral, find_referrer
from loyalty.services.walk_ins import enrol_walk_in
from loyalty.views.approvals import say_requested
from members.models import Consent, Guest, Stay
from members.selectors.desk import current_visit
from members.selectors.duplicates import Likely, likely_guests
from members.services.guests import ConsentInput, GuestInputError, IdentityTaken, record_consent
from members.services.stays import FolioLineInput, StayConflict, StayError, StayInputError, post_stay, void_stay
from members.views.sheets import back_to_card, guest_or_404, place_of, refuse_on_card, render_sheet, staff_user

SOURCE = "desk"
# Version of the consent texts printed on the form; a changed text gets a new version.
CONSENT_TEXT = "desk-2026-11"
# As many as fit on one printed page.
STATEMENT_LINES = 18
# Whoever redeemed may undo it so long; after that it is a movement of its own, with its limits.
UNDO_WITHIN = dt.timedelta(minutes=15)


def programme_or_404() -> Programme:
    """The programme of the desk, if there is one yet."""
    programme = desk_programme()
    if programme is None:
        raise Http404
    return programme


def membership_or_404(guest: Guest) -> Membership:
    """The guest's membership of the desk's programme."""
    return get_object_or_404(Membership, programme=programme_or_404(), guest=guest)


def member_summary_or_404(guest: Guest, programme: Programme, request: HttpRequest, now: dt.datetime) -> MemberSummary:
    """The guest's membership at a glance."""
    summary = summary_of(guest, programme, place_of(request), now)
    if summary is None:
        raise Http404
    return summary


def _consents(data: dict[str, Any]) -> list[ConsentInput]:
    purposes = Consent.Purpose
    answers = [ConsentInput(purpose=purposes.PROGRAMME, granted=True, text_version=CONSENT_TEXT)]
    answers += [
        ConsentInput(
            purpose=purposes.MARKETING, granted=data["consent_marketing"], text_version=CONSENT_TEXT, channel=channel
        )
        for channel in (Consent.Channel.SMS, Consent.Channel.EMAIL, Consent.Channel.WECHAT)
    ]
    return answers


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("members.add_guest")
def enrol(request: HttpRequest) -> HttpResponse:
    """Enroll somebody who stands at the desk; shows who has the number already."""
    # Opened from a search that found nobody: its words come by POST, for they are often a phone number.
    is_sent = request.method == "POST" and "q" not in request.POST
    query = request.POST.get("q", "").strip()[:80]
    is_number = sum(character.isdigit() for character in query) * 2 > len(query)
    place, now = place_of(request), timezone.now()
    form = EnrolForm(
        request.POST if is_sent else None,
        place=place,
        today=place.local_date(now),
        initial={"phone" if is_number else "name": query},
    )
    context: dict[str, Any] = {"form": form}
    if is_sent and form.is_valid():
        data = form.cleaned_data
        try:
            if data["referral_code"]:
                find_referrer(programme=programme_or_404(), code=data["referral_code"])
            likely = _likely(data)
            told_apart = data["told_apart"].split(",")
            if any(row.is_strong and str(row.guest.public_id) not in told_apart for row in likely):
                return render_sheet(request, "loyalty/enrol.html", {**context, **_likely_context(likely)}, status=422)
            guest = enrol_walk_in(
                actor=staff_user(request),
                now=now,
                programme=programme_or_404(),
                place=place,
                name=data["name"],
                phone=data["phone"],
                email=data["email"],
                document_type=data["document_type"],
                document_number=data["document_number"],
                gender=data["gender"],
                birthday=data["birthday"],
                language=get_language() or "",
                company=data["company"],
                source=SOURCE,
                consents=_consents(data),
            )
        except ReferralError as error:
            form.add_error("referral_code", str(error))
        except GuestInputError as error:
            form.add_errors(error.errors)
        except IdentityTaken as error:
            field = {"document": "document_number"}.get(error.kind, error.kind)
            form.add_errors({field: error.message})
            context["known"] = error.guest
            context["known_is_member"] = Membership.objects.filter(guest=error.guest).exists()
        except MembershipError as error:
            form.add_error(None, str(error))
        else:
            membership = Membership.objects.get(guest=guest)
            text = _("%(name)s is a member now: %(number)s.") % {"name": guest.name, "number": membership.number}
            return back_to_card(request, guest, f"{text} {_referred(request, guest, data['referral_code'])}".strip())
    return render_sheet(request, "loyalty/enrol.html", context)


def _likely(data: dict[str, Any]) -> list[Likely]:
    return likely_guests(
        name=data["name"], phone=data["phone"], birthday=data["birthday"], company=data.get("company", "")
    )


def _likely_context(likely: list[Likely]) -> dict[str, Any]:
    return {
        "likely": likely,
        "must_answer": any(row.is_strong for row in likely),
        "likely_ids": ",".join(str(row.guest.public_id) for row in likely),
    }


@never_cache
@require_POST
@staff_required("members.add_guest")
def enrol_likely(request: HttpRequest) -> HttpResponse:
    """Guests whom the one being entered may be, shown under the form before a second profile is made."""
    form = EnrolForm(request.POST, place=place_of(request), today=place_of(request).local_date(timezone.now()))
    form.is_valid()
    data = {"name": "", "phone": "", "birthday": None, "company": "", **form.cleaned_data}
    return render(request, "loyalty/enrol_likely.html", _likely_context(_likely(data)))


def _referred(request: HttpRequest, guest: Guest, code: str) -> str:
    """Enter the code of who sent a new member; says what became of it, nothing without a code."""
    if not code:
        return ""
    try:
        referral = enter_referral(
            actor=staff_user(request),
            now=timezone.now(),
            programme=programme_or_404(),
            guest_id=guest.pk,
            code=code,
            place=place_of(request),
        )
    except ReferralError as error:
        return str(error)
    return what_became_of(referral)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("members.add_guest")
def enrol_guest(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Make a guest who is known already a member."""
    guest = guest_or_404(request, public_id)
    programme = programme_or_404()
    form = MakeMemberForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        actor, now, place = staff_user(request), timezone.now(), place_of(request)
        code = form.cleaned_data["referral_code"]
        try:
            if code:
                find_referrer(programme=programme, code=code)
            membership = enrol_member(actor=actor, now=now, programme=programme, guest_id=guest.pk, place=place)
        except ReferralError as error:
            form.add_error("referral_code", str(error))
        except AlreadyMember as error:
            return refuse_on_card(request, guest, str(error))
        except MembershipError as error:
            form.add_error(None, str(error))
        else:
            for consent in _consents(form.cleaned_data):
                record_consent(actor=actor, now=now, guest_id=guest.pk, consent=consent, source=SOURCE, place=place)
            text = _("%(name)s is a member now: %(number)s.") % {"name": guest.name, "number": membership.number}
            return back_to_card(request, guest, f"{text} {_referred(request, guest, code)}".strip())
    return render_sheet(request, "loyalty/make_member.html", {"form": form, "guest": guest, "programme": programme})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("members.post_stay")
def post_stay_view(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Post a stay that ended; the toast says what it brought and why."""
    guest = guest_or_404(request, public_id)
    place, now = place_of(request), timezone.now()
    today = place.local_date(now)
    visit = current_visit(guest, today)
    initial: dict[str, Any] = {"arrival_date": today - dt.timedelta(days=1), "departure_date": today}
    if visit and visit.place == place and visit.night:
        initial = {"arrival_date": visit.arrival_date, "departure_date": today, "room_number": visit.room}
    form = StayForm(request.POST or None, guest=guest, place=place, today=today, initial=initial)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            stay = post_stay(
                actor=staff_user(request),
                now=now,
                place=place,
                source_system=SOURCE,
                source_reference=f"D{today:%y%m%d}-{form.key.hex[:6].upper()}",
                guest_id=guest.pk,
                arrival_date=data["arrival_date"],
                departure_date=data["departure_date"],
                lines=[
                    FolioLineInput(
                        line_reference=code,
                        business_date=data["departure_date"],
                        category=code,
                        net_amount=amount,
                    )
                    for code, amount in form.amounts.items()
                ],
                currency=place.currency,
                room_number=data["room_number"],
                room_type=data["room_type"],
                reservation=form.reservation,
            )
        except StayInputError as error:
            form.add_errors(error.errors)
        except StayConflict:
            form.add_error(None, _("This form was sent before with other content; open a new one."))
        except StayError as error:
            form.add_error(None, str(error))
        else:
            undo = reverse("loyalty:void_stay", args=[stay.public_id])
            text = f"{_what_it_brought(stay)} {_booking_checked_out(stay)}".strip()
            return back_to_card(request, guest, text, undo=undo)
    return render_sheet(request, "loyalty/stay.html", {"form": form, "guest": guest, "place": place})


def _what_it_brought(stay: Stay) -> str:
    membership = Membership.objects.filter(guest=stay.guest_id).select_related("programme").first()
    if membership is None:
        return _("The stay is posted; the guest is no member, so it brought no points.")
    line = points_of_stays(membership=membership, stays=[stay])[0]
    text = ngettext("The stay is posted: %(points)s point.", "The stay is posted: %(points)s points.", line.points) % {
        "points": f"{line.points:,}"
    }
    return f"{text} {line.sentence}".strip()


def _booking_checked_out(stay: Stay) -> str:
    if stay.reservation is None:
        return ""
    return _("Booking %(number)s is checked out.") % {"number": stay.reservation.source_reference}


@require_POST
@staff_required("members.post_stay")
def void_stay_view(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Take back a stay that was posted at the desk."""
    place = place_of(request)
    stays = Stay.objects.visible_to(staff_user(request)).select_related("guest")
    stay = get_object_or_404(stays, public_id=public_id, property=place, source_system=SOURCE)
    if stay.guest is None:
        raise Http404
    try:
        voided = void_stay(actor=staff_user(request), now=timezone.now(), stay_id=stay.pk, reason=UNDONE_AT_DESK)
    except (StayError, LedgerError) as error:
        return refuse_on_card(request, stay.guest, str(error))
    text = _("The stay is voided and its points are taken back.")
    if stay.reservation_id and not voided.reservation_id:
        restored = _("Its booking is open again.")
        text = f"{text} {restored}"
    return back_to_card(request, stay.guest, text)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("loyalty.use_entitlement")
def use_benefit(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Give a member a benefit of the tier, as often as it is there."""
    guest = guest_or_404(request, public_id)
    now, place = timezone.now(), place_of(request)
    today = place.local_date(now)
    summary = member_summary_or_404(guest, programme_or_404(), request, now)
    visit = visit_of(guest, place, today)
    left = benefits_left(membership=summary.membership, benefits=summary.benefits, today=today, visit=visit)
    rows = [row for row in left if row.is_countable]
    form = BenefitForm(
        request.POST or None,
        benefits=[row.benefit for row in rows],
        initial={"benefit": request.GET.get("benefit", "")},
    )
    if request.method == "POST" and form.is_valid():
        benefit: TierBenefit = form.cleaned_data["benefit"]
        try:
            use = use_entitlement(
                actor=staff_user(request),
                now=now,
                membership_id=summary.membership.pk,
                benefit_id=benefit.pk,
                place=place,
                idempotency_key=str(form.key),
                visit=visit,
            )
        except EntitlementError as error:
            form.add_error("benefit", str(error))
        else:
            text = _("%(benefit)s: used once more.") % {"benefit": benefit.local_name}
            return back_to_card(request, guest, text, undo=reverse("loyalty:undo_benefit", args=[use.public_id]))
    chosen = str(form["benefit"].value() or "")
    context = {
        "form": form,
        "guest": guest,
        "summary": summary,
        "rows": [(row, str(row.benefit.pk) == chosen) for row in rows],
    }
    return render_sheet(request, "loyalty/benefit.html", context)


@require_POST
@staff_required("loyalty.use_entitlement")
def undo_benefit(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Give a use of a benefit back."""
    uses = EntitlementUse.objects.select_related("entitlement__membership__guest", "entitlement__benefit")
    use = get_object_or_404(uses, public_id=public_id, property=place_of(request))
    undo_entitlement_use(actor=staff_user(request), now=timezone.now(), use_id=use.pk)
    text = _("%(benefit)s is given back.") % {"benefit": use.entitlement.benefit.local_name}
    return back_to_card(request, use.entitlement.membership.guest, text)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("loyalty.adjust_points")
def adjust(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Correct points by hand, with a reason."""
    guest = guest_or_404(request, public_id)
    now, place = timezone.now(), place_of(request)
    summary = member_summary_or_404(guest, programme_or_404(), request, now)
    form = AdjustForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            outcome = perform_or_request(
                kind=MovementKind.ADJUST,
                actor=staff_user(request),
                now=now,
                membership_id=summary.membership.pk,
                payload=AdjustPoints(membership_id=summary.membership.pk, points=data["points"]),
                reason=data["reason"],
                place=place,
                idempotency_key=str(form.key),
            )
        except (LedgerError, RedemptionError, ApprovalError) as error:
            form.add_error("points", str(error))
        else:
            if isinstance(outcome, Requested):
                return say_requested(request, guest, outcome)
            result: PostingResult = outcome.result
            text = _("Points adjusted by %(points)s: %(reason)s") % {
                "points": f"{result.points:+,}",
                "reason": data["reason"],
            }
            undo = reverse("loyalty:reverse_adjustment", args=[guest.public_id, result.seq])
            return back_to_card(request, guest, text, undo=undo)
    return render_sheet(request, "loyalty/adjust.html", {"form": form, "guest": guest, "summary": summary})


@require_POST
@staff_required("loyalty.adjust_points")
def reverse_adjustment(request: HttpRequest, public_id: UUID, seq: int) -> HttpResponse:
    """Take an adjustment back; the ledger keeps both entries."""
    guest = guest_or_404(request, public_id)
    posting = get_object_or_404(
        Posting, account__membership__guest=guest, account__unit="points", seq=seq, kind=Posting.Kind.ADJUST
    )
    place = place_of(request)
    if posting.property_id != place.pk:
        raise PermissionDenied
    try:
        reverse_posting(
            actor=staff_user(request),
            now=timezone.now(),
            posting_id=posting.pk,
            property_id=place.pk,
            reason=UNDONE_AT_DESK,
        )
    except LedgerError as error:
        return refuse_on_card(request, guest, str(error))
    return back_to_card(request, guest, _("The adjustment is taken back."))


@never_cache
@require_safe
@staff_required("loyalty.view_posting")
def points_statement(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """A member's points, newest first, each with its sentence; prints on one page."""
    guest = guest_or_404(request, public_id)
    programme, now, place = programme_or_404(), timezone.now(), place_of(request)
    summary = member_summary_or_404(guest, programme, request, now)
    before = request.GET.get("before", "")
    lines = statement(
        membership_id=summary.membership.pk,
        before_seq=int(before[:18]) if before.isdecimal() else None,
        limit=STATEMENT_LINES + 1,
    )
    zone = zoneinfo.ZoneInfo(place.time_zone)
    return render(
        request,
        "loyalty/statement.html",
        {
            "guest": guest,
            "place": place,
            "programme": programme,
            "summary": summary,
            "lines": [(line, line.posting.occurred_at.astimezone(zone).date()) for line in lines[:STATEMENT_LINES]],
            "next": lines[STATEMENT_LINES - 1].posting.seq if len(lines) > STATEMENT_LINES else None,
            "is_later_page": bool(before),
            "today": programme_today(programme, now),
        },
    )
