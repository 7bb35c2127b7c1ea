"""Rewards at the desk: redeeming them, what is to be handed over, receipts, and what will be asked for."""

from __future__ import annotations

import io
import zoneinfo
from decimal import Decimal, InvalidOperation
from uuid import UUID

from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path, reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from openpyxl import Workbook

from hotels.resources import neutralize
from hotels.services.audit import record_audit
from hotels.views import staff_required
from loyalty.forms import CancelRedemptionForm, FulfilmentFilterForm, RedeemForm
from loyalty.models import ApprovalRequest, MovementKind, Redemption, Reward
from loyalty.rules.explain import UNDONE_AT_DESK
from loyalty.rules.rewards import UNDO_WITHIN, picture_type
from loyalty.selectors.demand import DemandRow, demand
from loyalty.selectors.redemptions import TABS, fulfilments
from loyalty.selectors.rewards import offers
from loyalty.services.approvals import (
    ApprovalError,
    CancelRedemption,
    Performed,
    RedeemReward,
    Requested,
    perform_or_request,
)
from loyalty.services.ledger import LedgerError
from loyalty.services.redemptions import (
    RedemptionError,
    cancel_redemption,
    fulfil_redemption,
    mark_no_show,
    quote_reward,
    reopen_redemption,
)
from loyalty.views.approvals import say_requested
from loyalty.views.desk import member_summary_or_404, programme_or_404
from members.views.sheets import (
    back_to_card,
    guest_or_404,
    in_dialog,
    place_of,
    refuse_on_card,
    render_sheet,
    staff_user,
)

PAGE_SIZE = 30
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


# Redeeming


def _chosen(value: str) -> tuple[int, int | None, tuple[int, Decimal] | None]:
    """What a radio button says: the reward, and the price as it was shown.

    Raises:
        Http404: It is none of ours.
    """
    pk, _sep, shown = value.partition(":")
    try:
        if not shown:
            return int(pk), None, None
        price_id, points, cash = shown.split(":")
        return int(pk), int(price_id), (int(points), Decimal(cash))
    except (ValueError, InvalidOperation) as error:
        raise Http404 from error


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("loyalty.redeem_points")
def redeem(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Take a reward: those that the guest can have first, with the price for the chosen day."""
    guest = guest_or_404(request, public_id)
    programme, now, place = programme_or_404(), timezone.now(), place_of(request)
    today = place.local_date(now)
    summary = member_summary_or_404(guest, programme, request, now)
    form = RedeemForm(
        request.POST or None,
        initial={
            "for_date": request.GET.get("for_date") or today,
            "quantity": request.GET.get("quantity") or 1,
            "reward": request.GET.get("reward", ""),
            "note": request.GET.get("note", ""),
        },
    )
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        reward_id, price_id, expected = _chosen(data["reward"])
        get_object_or_404(Reward, pk=reward_id, programme=programme)
        try:
            if expected is None:
                option = quote_reward(
                    now=now,
                    membership_id=summary.membership.pk,
                    reward_id=reward_id,
                    place=place,
                    for_date=data["for_date"],
                    quantity=data["quantity"] or 1,
                )
                price_id, expected = option.price_id, (option.points, option.cash)
            outcome = perform_or_request(
                kind=MovementKind.REDEEM,
                actor=staff_user(request),
                now=now,
                membership_id=summary.membership.pk,
                payload=RedeemReward(
                    membership_id=summary.membership.pk,
                    reward_id=reward_id,
                    points=expected[0],
                    cash=expected[1],
                    price_id=price_id,
                    for_date=data["for_date"],
                    quantity=data["quantity"] or 1,
                    note=data["note"],
                ),
                place=place,
                idempotency_key=str(form.key),
            )
        except (LedgerError, RedemptionError, ApprovalError) as error:
            form.add_error("reward", str(error))
        else:
            if isinstance(outcome, Requested):
                return say_requested(request, guest, outcome)
            redemption: Redemption = outcome.result
            undo = reverse("loyalty:cancel_redemption", args=[redemption.public_id])
            return back_to_card(request, guest, _told(redemption), undo=undo)
    date, quantity = form.asked(today)
    chosen = str(form["reward"].value() or "").partition(":")[0]
    context = {
        "form": form,
        "guest": guest,
        "summary": summary,
        "chosen": chosen,
        "quantity": quantity,
        "today": today,
        "for_date": date,
        "offers": offers(
            programme=programme,
            place=place,
            now=now,
            for_date=date,
            membership=summary.membership,
            available=summary.available,
            quantity=quantity,
        ),
    }
    return render_sheet(request, "loyalty/rewards/redeem.html", context)


def _told(redemption: Redemption) -> str:
    text = ngettext(
        "%(reward)s redeemed for %(points)s point.",
        "%(reward)s redeemed for %(points)s points.",
        redemption.points,
    ) % {"reward": redemption.reward.local_name, "points": f"{redemption.points:,}"}
    if redemption.cash:
        charge = _("Charge %(amount)s besides.") % {"amount": f"{redemption.currency} {redemption.cash:,.2f}"}
        text = f"{text} {charge}"
    return text


def _redemption(request: HttpRequest, public_id: UUID) -> Redemption:
    found = Redemption.objects.visible_to(staff_user(request)).select_related(
        "membership__guest", "membership__programme", "reward", "property", "actor"
    )
    return get_object_or_404(found, public_id=public_id, property=place_of(request))


@require_POST
@staff_required("loyalty.redeem_points")
def cancel_redemption_view(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Undo a redemption right after it was made; the ledger keeps both entries."""
    redemption, user, now = _redemption(request, public_id), staff_user(request), timezone.now()
    guest = redemption.membership.guest
    try:
        if redemption.actor_id == user.pk and now - redemption.redeemed_at <= UNDO_WITHIN:
            cancel_redemption(actor=user, now=now, redemption_id=redemption.pk, reason=UNDONE_AT_DESK)
        else:
            outcome = _ask_to_cancel(request, redemption, reason=UNDONE_AT_DESK)
            if isinstance(outcome, Requested):
                return say_requested(request, guest, outcome)
    except (LedgerError, RedemptionError, ApprovalError) as error:
        return refuse_on_card(request, guest, str(error))
    text = _("%(reward)s is canceled, the points are back.") % {"reward": redemption.reward.local_name}
    return back_to_card(request, guest, text)


def _ask_to_cancel(
    request: HttpRequest, redemption: Redemption, *, reason: str, against_rules: bool = False
) -> Performed | Requested:
    asked = ApprovalRequest.objects.filter(
        membership=redemption.membership_id,
        kind=MovementKind.CANCEL_REDEMPTION,
        idempotency_key__startswith=str(redemption.public_id),
    )
    # The same key for a second click; another one once an earlier request for it is over.
    key = f"{redemption.public_id}/{asked.exclude(state=ApprovalRequest.State.PENDING).count()}"
    return perform_or_request(
        kind=MovementKind.CANCEL_REDEMPTION,
        actor=staff_user(request),
        now=timezone.now(),
        membership_id=redemption.membership_id,
        payload=CancelRedemption(redemption_id=redemption.pk, against_rules=against_rules),
        place=redemption.property,
        reason=reason,
        idempotency_key=key,
    )


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("loyalty.fulfil_redemption")
def cancel_with_reason(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Cancel a redemption, saying why; a manager may do so against the reward's rules."""
    redemption, user = _redemption(request, public_id), staff_user(request)
    form = CancelRedemptionForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            outcome = _ask_to_cancel(
                request,
                redemption,
                reason=form.cleaned_data["reason"],
                against_rules=user.has_perm("loyalty.override_redemption", redemption.property),
            )
        except (LedgerError, RedemptionError, ApprovalError) as error:
            form.add_error("reason", str(error))
        else:
            if isinstance(outcome, Requested):
                say_requested(request, redemption.membership.guest, outcome)
                return _list_again(request)
            text = _("%(reward)s is canceled, the points are back.") % {"reward": redemption.reward.local_name}
            return _done(request, text)
    context = {"form": form, "guest": redemption.membership.guest, "redemption": redemption}
    return render_sheet(request, "loyalty/rewards/cancel.html", context)


@never_cache
@require_safe
@staff_required("loyalty.view_redemption")
def receipt(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """What was redeemed, for paper or a PDF printed from the browser, with its history."""
    redemption = _redemption(request, public_id)
    zone = zoneinfo.ZoneInfo(redemption.property.time_zone)
    events = redemption.events.select_related("actor")
    context = {
        "redemption": redemption,
        "guest": redemption.membership.guest,
        "place": redemption.property,
        "redeemed_at": redemption.redeemed_at.astimezone(zone),
        "vouchers": redemption.vouchers.select_related("type").order_by("pk"),
        "events": [(event, event.at.astimezone(zone)) for event in events],
    }
    return render(request, "loyalty/rewards/receipt.html", context)


# Handing over


@never_cache
@require_safe
@staff_required("loyalty.view_redemption")
def fulfilment_list(request: HttpRequest) -> HttpResponse:
    """What a property has to hand over: today, later, overdue, and what is done."""
    user, place = staff_user(request), place_of(request)
    today = place.local_date(timezone.now())
    tab = request.GET.get("show", TABS[0])
    tab = tab if tab in TABS else TABS[0]
    form = FulfilmentFilterForm(request.GET)
    category = form.cleaned_data["category"] if form.is_valid() else ""
    rows, mark = fulfilments(
        place=place, today=today, tab=tab, category=category, after=request.GET.get("after", ""), limit=PAGE_SIZE
    )
    context = {
        "rows": rows,
        "tab": tab,
        "tabs": [
            ("open", pgettext("redemptions", "To hand over")),
            ("later", pgettext("redemptions", "Later")),
            ("done", pgettext("redemptions", "Done")),
        ],
        "form": form,
        "category": category,
        "kept": urlencode({"category": category}) if category else "",
        "next": mark,
        "is_later_page": bool(request.GET.get("after")),
        "may_fulfil": user.has_perm("loyalty.fulfil_redemption", place),
        "today": today,
    }
    return render(request, "loyalty/rewards/fulfilments.html", context)


@require_POST
@staff_required("loyalty.fulfil_redemption")
def fulfil(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Say that the guest has it."""
    redemption = _redemption(request, public_id)
    try:
        fulfil_redemption(actor=staff_user(request), now=timezone.now(), redemption_id=redemption.pk)
    except RedemptionError as error:
        messages.error(request, str(error))
        return redirect("loyalty:fulfilments")
    text = _("%(reward)s for %(name)s is fulfilled.")
    return _done(request, text % _names(redemption), redemption)


@require_POST
@staff_required("loyalty.fulfil_redemption")
def no_show(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Say that the guest did not come for it."""
    redemption = _redemption(request, public_id)
    try:
        mark_no_show(actor=staff_user(request), now=timezone.now(), redemption_id=redemption.pk)
    except RedemptionError as error:
        messages.error(request, str(error))
        return redirect("loyalty:fulfilments")
    return _done(request, _("%(name)s did not come for %(reward)s.") % _names(redemption), redemption)


@require_POST
@staff_required("loyalty.fulfil_redemption")
def reopen(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Take a fulfillment or a no-show back."""
    redemption = _redemption(request, public_id)
    try:
        reopen_redemption(
            actor=staff_user(request), now=timezone.now(), redemption_id=redemption.pk, reason=UNDONE_AT_DESK
        )
    except RedemptionError as error:
        messages.error(request, str(error))
        return redirect("loyalty:fulfilments")
    return _done(request, _("%(reward)s for %(name)s waits again.") % _names(redemption))


def _names(redemption: Redemption) -> dict[str, str]:
    return {"reward": redemption.reward.local_name, "name": redemption.membership.guest.name}


def _done(request: HttpRequest, text: str, redemption: Redemption | None = None) -> HttpResponse:
    undo = reverse("loyalty:reopen_redemption", args=[redemption.public_id]) if redemption else ""
    messages.success(request, text, extra_tags=undo)
    return _list_again(request)


def _list_again(request: HttpRequest) -> HttpResponse:
    response = redirect("loyalty:fulfilments")
    if in_dialog(request):
        # The list around the dialog is drawn anew.
        return HttpResponse(status=204, headers={"HX-Redirect": response.url})
    return response


# What will be asked for


@never_cache
@require_safe
@staff_required("loyalty.view_redemption")
def demand_page(request: HttpRequest) -> HttpResponse:
    """Redemptions a week and what to expect of the next ones, for rosters and purchasing."""
    place = place_of(request)
    today = place.local_date(timezone.now())
    rows = demand(programme=programme_or_404(), place=place, today=today)
    return render(request, "loyalty/rewards/demand.html", {"rows": rows, "place": place, "today": today})


@never_cache
@require_safe
@staff_required("loyalty.view_redemption")
def demand_xlsx(request: HttpRequest) -> HttpResponse:
    """The same as a workbook; the audit trail keeps who took it."""
    user, place, now = staff_user(request), place_of(request), timezone.now()
    rows = demand(programme=programme_or_404(), place=place, today=place.local_date(now))
    record_audit(
        actor=user,
        now=now,
        action="redemption.demand_exported",
        object_type="loyalty.redemption",
        object_id="*",
        label=_("Demand for rewards"),
        place=place,
        after={"rows": len(rows)},
    )
    name = f"demand-{place.code}-{place.local_date(now):%Y%m%d}.xlsx"
    return HttpResponse(
        _workbook(rows), content_type=XLSX, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


def _workbook(rows: list[DemandRow]) -> bytes:
    book = Workbook(write_only=True)
    sheet = book.create_sheet(_("Demand for rewards"))
    sheet.append([_("Reward"), _("Category"), _("Week from"), _("Redeemed"), _("Expected"), _("At most")])
    for row in rows:
        for week, count in row.history:
            sheet.append([neutralize(row.name), str(row.category), week, count])
        for week, expected, most in row.forecast:
            sheet.append([neutralize(row.name), str(row.category), week, None, expected, most])
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


# Pictures


@require_safe
@cache_control(public=True, max_age=86400)
def picture(request: HttpRequest, pk: int) -> HttpResponseBase:  # noqa: ARG001
    """The picture of a reward: for everybody, as the catalogue is, and as nothing but a picture."""
    reward = get_object_or_404(Reward.objects.exclude(picture=""), pk=pk)
    try:
        file = reward.picture.open("rb")
    except FileNotFoundError as error:
        raise Http404 from error
    kind = picture_type(file.read(16))
    file.seek(0)
    if kind is None:
        raise Http404
    response = FileResponse(file, content_type=kind)
    response["X-Content-Type-Options"] = "nosniff"
    return response


urlpatterns = [
    path("guests/<uuid:public_id>/redeem/", redeem, name="redeem"),
    path("redemptions/", fulfilment_list, name="fulfilments"),
    path("redemptions/demand/", demand_page, name="demand"),
    path("redemptions/demand.xlsx", demand_xlsx, name="demand_xlsx"),
    path("redemptions/<uuid:public_id>/", receipt, name="receipt"),
    path("redemptions/<uuid:public_id>/cancel/", cancel_redemption_view, name="cancel_redemption"),
    path("redemptions/<uuid:public_id>/give-back/", cancel_with_reason, name="give_back"),
    path("redemptions/<uuid:public_id>/fulfill/", fulfil, name="fulfil_redemption"),
    path("redemptions/<uuid:public_id>/no-show/", no_show, name="no_show"),
    path("redemptions/<uuid:public_id>/reopen/", reopen, name="reopen_redemption"),
    path("rewards/<int:pk>/picture/", picture, name="reward_picture"),
]
