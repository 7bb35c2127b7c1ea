"""Tickets: logged from the guest card, listed, closed and reopened."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from feedback import services
from feedback.forms import (
    AssignForm,
    AttachForm,
    ClassifyForm,
    CloseForm,
    JoinForm,
    MoveForm,
    NoteForm,
    RecoveryForm,
    ReplyForm,
    SplitForm,
    TicketForm,
)
from feedback.models import Ticket
from feedback.selectors.desk import ticket_context
from feedback.selectors.roster import open_handovers
from feedback.selectors.tickets import FILTERS, ticket_row, ticket_rows
from hotels.models import Department, Draft, Property, User
from hotels.selectors import draft_of, others_present
from hotels.services.drafts import discard_draft
from hotels.services.presence import leave_record, note_presence
from hotels.views import staff_required
from members.forms import DeskForm
from members.models import Guest, Stay
from members.selectors.desk import current_visit
from members.views.sheets import back_to_card, guest_or_404, place_of, refuse_on_card, render_sheet, staff_user

PAGE_SIZE = 30


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("feedback.add_ticket")
def open_ticket(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Log a complaint or request of a guest."""
    guest = guest_or_404(request, public_id)
    place, now = place_of(request), timezone.now()
    user = staff_user(request)
    draft = draft_of(user=user, now=now, form="feedback.ticket", object_id=guest.public_id)
    form = TicketForm(request.POST or None, place=place, initial=draft.content if draft else {})
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            ticket = services.open_ticket(
                actor=user,
                now=now,
                guest_id=guest.pk,
                place=place,
                category=data["category"],
                severity=data["severity"],
                subject=data["subject"],
                description=data["description"],
                department=data["department"],
                stay_id=stay_in_house(guest, place),
                key=form.key,
            )
        except services.TicketError as error:
            form.add_error(None, str(error))
        else:
            discard_draft(actor=user, now=now, form="feedback.ticket", object_id=guest.public_id, key=form.key)
            row = ticket_row(ticket, now)
            text = _("Ticket logged: %(subject)s, due %(due)s.") % {
                "subject": ticket.subject,
                "due": f"{row.due_at:%H:%M}"
                if row.due_at.date() == place.local_date(now)
                else f"{row.due_at:%m-%d %H:%M}",
            }
            return back_to_card(request, guest, text, undo=reverse("feedback:withdraw", args=[ticket.public_id]))
    visit = current_visit(guest, place.local_date(now))
    context = {
        "form": form,
        "guest": guest,
        "visit": visit,
        "draft_at": _draft_time(draft, place) if draft and not form.is_bound else None,
        "today": place.local_date(now),
    }
    return render_sheet(request, "feedback/open.html", context)


def stay_in_house(guest: Guest, place: Property) -> int | None:
    """The guest's stay at the property, if they are in the house."""
    found = Stay.objects.filter(guest=guest, property=place, status=Stay.Status.IN_HOUSE).order_by("-pk")
    return found.values_list("pk", flat=True).first()


def _draft_time(draft: Draft, place: Property) -> dt.datetime:
    return draft.updated_at.astimezone(zoneinfo.ZoneInfo(place.time_zone))


def tickets_of(request: HttpRequest) -> QuerySet[Ticket]:
    """The tickets of the user’s properties, with what their pages name."""
    return Ticket.objects.visible_to(staff_user(request)).select_related(
        "guest", "property__brand", "assignee", "department", "case__owner", "merged_into", "stay"
    )


@require_POST
@staff_required("feedback.add_ticket")
def withdraw(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Take back a ticket that the user logged by mistake."""
    user = staff_user(request)
    ticket = get_object_or_404(tickets_of(request), public_id=public_id, opened_by=user)
    try:
        services.withdraw_ticket(actor=user, now=timezone.now(), ticket_id=ticket.pk)
    except services.TicketError as error:
        return refuse_on_card(request, ticket.guest, str(error))
    return back_to_card(request, ticket.guest, _("The ticket is withdrawn."))


@never_cache
@require_safe
@staff_required("feedback.view_ticket")
def tickets(request: HttpRequest) -> HttpResponse:
    """The property's tickets, the most urgent first."""
    user, place, now = staff_user(request), place_of(request), timezone.now()
    which = request.GET.get("show", "open")
    which = which if which in FILTERS else "open"
    after = request.GET.get("after", "")
    departments = list(Department.objects.filter(property=place).order_by("code"))
    chosen = next((d for d in departments if d.code == request.GET.get("department")), None)
    rows, mark = ticket_rows(
        user=user, place=place, now=now, which=which, after=after, limit=PAGE_SIZE, department=chosen
    )
    labels = {
        "mine": _("Mine"),
        "open": _("Open"),
        "unassigned": _("Unassigned"),
        "overdue": _("Overdue"),
        "waiting": _("Waiting for the guest"),
        "closed": _("Closed"),
    }
    context = {
        "rows": rows,
        "which": which,
        "tabs": labels.items(),
        "departments": departments,
        "department": chosen,
        "kept": urlencode({"department": chosen.code}) if chosen else "",
        "next": mark,
        "is_later_page": bool(after),
        "place": place,
        "today": place.local_date(now),
        "may_change": user.has_perm("feedback.change_ticket", place),
        "bulk_form": DeskForm(),
        "handovers": open_handovers(place),
    }
    template = "feedback/tickets.html#list" if request.headers.get("HX-Request") else "feedback/tickets.html"
    return render(request, template, context)


@never_cache
@require_safe
@staff_required("feedback.view_ticket")
def ticket(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """One ticket with what happened to it."""
    return ticket_page(request, public_id)


def ticket_page(
    request: HttpRequest, public_id: UUID, *, stale: services.StaleTicket | None = None, **forms: Any
) -> HttpResponse:
    """The page of a ticket; with a form that was refused it answers 422, with an old look at the ticket 409."""
    found = get_object_or_404(tickets_of(request), public_id=public_id)
    now = timezone.now()
    zone = zoneinfo.ZoneInfo(found.property.time_zone)
    user = staff_user(request)
    context = ticket_context(found, user=user, now=now)
    events = [event for event, _at, _text in context["events"]]
    own = [event for event in events if event.ticket_id == found.pk]
    seen: dict[str, Any] = {"seen": own[0].pk if own else 0}
    drafts: dict[str, dict[str, Any]] = {name: {} for name in ("feedback.close", "feedback.note")}
    draft_times: dict[str, dt.datetime] = {}
    for name in drafts:
        if draft := draft_of(user=user, now=now, form=name, object_id=found.public_id):
            drafts[name], draft_times[name] = draft.content, _draft_time(draft, found.property)
    context |= {
        "row": ticket_row(found, now),
        "ticket": found,
        "guest": found.guest,
        "others": others_present(user=user, now=now, target=found),
        "may_change": may_change(user, found),
        "today": found.property.local_date(now),
        "close_form": forms.get("close_form") or CloseForm(initial=seen | drafts["feedback.close"]),
        "note_form": forms.get("note_form") or NoteForm(initial=drafts["feedback.note"]),
        "close_draft_at": None if "close_form" in forms else draft_times.get("feedback.close"),
        "note_draft_at": None if "note_form" in forms else draft_times.get("feedback.note"),
        "reopen_form": DeskForm(),
    }
    kept = {"place": found.property}
    made: dict[str, DeskForm] = {
        "reply_form": ReplyForm(initial=seen),
        "classify_form": ClassifyForm(initial={"category": found.category, "severity": found.severity}),
        "assign_form": AssignForm(people=context["people"]),
        "move_form": MoveForm(**kept),
        "split_form": SplitForm(**kept, initial={"category": found.category, "severity": found.severity}),
        "join_form": JoinForm(),
        "attach_form": AttachForm(),
        "recovery_form": RecoveryForm(**kept),
    }
    context |= {name: forms.get(name) or form for name, form in made.items()}
    if stale is not None:
        context["stale"] = [(event, event.at.astimezone(zone)) for event in stale.events]
        sent = forms["close_form"].cleaned_data["resolution"]
        context["sent"] = sent
        # Sending it once more is a decision made with the others' doings in sight; on a ticket that they
        # closed the words become a note.
        cause = forms["close_form"].cleaned_data["root_cause"]
        context["close_form"] = CloseForm(initial={"resolution": sent, "root_cause": cause, **seen})
        if found.closed_at is not None:
            context["note_form"] = NoteForm(initial={"text": sent})
        return render(request, "feedback/ticket.html", context, status=409)
    return render(request, "feedback/ticket.html", context, status=422 if forms else 200)


@never_cache
@require_POST
@staff_required("feedback.view_ticket")
def presence(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Say that the user has the ticket open (or has closed it), and who else has."""
    found = get_object_or_404(tickets_of(request), public_id=public_id)
    user, now = staff_user(request), timezone.now()
    if "leave" in request.POST:
        leave_record(actor=user, target=found)
        return HttpResponse(status=204)
    if may_change(user, found):
        note_presence(actor=user, now=now, target=found)
    return render(request, "feedback/ticket.html#others", {"others": others_present(user=user, now=now, target=found)})


def may_change(user: User, found: Ticket) -> bool:
    """Whether the user works on tickets of the property, or logged this one."""
    return user.has_perm("feedback.change_ticket", found.property) or found.opened_by_id == user.pk


def changeable(request: HttpRequest, public_id: UUID) -> Ticket | None:
    """The ticket, if the user may change tickets there or logged it; None if the user may only read it."""
    found = get_object_or_404(tickets_of(request), public_id=public_id)
    return found if may_change(staff_user(request), found) else None


def refused(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Back to the ticket of somebody who may only read it."""
    messages.error(request, _("You may read this ticket but not change it."))
    return redirect("feedback:ticket", public_id)


def on_ticket(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponseBase]:
    """A form about one ticket is posted; who may only read the ticket is told so, and nothing is done."""

    @require_POST
    @staff_required("feedback.view_ticket")
    @wraps(view)
    def guarded(request: HttpRequest, /, public_id: UUID, **others: UUID) -> HttpResponse:
        found = changeable(request, public_id)
        return refused(request, public_id) if found is None else view(request, found, **others)

    return guarded


def done(request: HttpRequest, found: Ticket, message: str, *, undo: str = "") -> HttpResponse:
    """Back to the ticket with a sentence, and the address that undoes it."""
    messages.success(request, message, extra_tags=undo)
    return redirect("feedback:ticket", found.public_id)


@on_ticket
def close(request: HttpRequest, found: Ticket) -> HttpResponse:
    """Close a ticket, saying what was done."""
    form = CloseForm(request.POST)
    if not form.is_valid():
        return ticket_page(request, found.public_id, close_form=form)
    try:
        services.close_ticket(
            actor=staff_user(request),
            now=timezone.now(),
            ticket_id=found.pk,
            resolution=form.cleaned_data["resolution"],
            root_cause=form.cleaned_data["root_cause"],
            seen_event_id=form.cleaned_data["seen"],
            key=form.key,
        )
    except services.StaleTicket as error:
        return ticket_page(request, found.public_id, stale=error, close_form=form)
    except services.TicketError as error:
        messages.error(request, str(error))
        return redirect("feedback:ticket", found.public_id)
    _forget_draft(request, found, "feedback.close", form)
    return done(request, found, _("The ticket is closed."), undo=reverse("feedback:reopen", args=[found.public_id]))


@on_ticket
def reopen(request: HttpRequest, found: Ticket) -> HttpResponse:
    """Open a closed ticket again."""
    form = DeskForm(request.POST)
    # The undo beside a notice has no key; it is harmless to press it twice.
    key = form.key if form.is_valid() else None
    try:
        services.reopen_ticket(actor=staff_user(request), now=timezone.now(), ticket_id=found.pk, key=key)
    except services.TicketError as error:
        messages.error(request, str(error))
        return redirect("feedback:ticket", found.public_id)
    return done(request, found, _("The ticket is open again."))


@on_ticket
def note(request: HttpRequest, found: Ticket) -> HttpResponse:
    """Add an internal note."""
    form = NoteForm(request.POST)
    if not form.is_valid():
        return ticket_page(request, found.public_id, note_form=form)
    try:
        services.add_note(
            actor=staff_user(request),
            now=timezone.now(),
            ticket_id=found.pk,
            text=form.cleaned_data["text"],
            key=form.key,
        )
    except services.TicketConflict as error:
        form.add_error(None, str(error))
        return ticket_page(request, found.public_id, note_form=form)
    _forget_draft(request, found, "feedback.note", form)
    return done(request, found, _("The note is added."))


def _forget_draft(request: HttpRequest, found: Ticket, name: str, form: DeskForm) -> None:
    discard_draft(actor=staff_user(request), now=timezone.now(), form=name, object_id=found.public_id, key=form.key)
