"""What is done with a ticket on its page, one service call each; the page answers with the sentence and the undo."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from feedback import services
from feedback.forms import (
    AssignForm,
    AttachForm,
    BulkForm,
    ClassifyForm,
    JoinForm,
    MoveForm,
    RecoveryForm,
    ReplyForm,
    SplitForm,
)
from feedback.models import Attachment, Recovery, Ticket
from feedback.selectors.roster import people_of
from feedback.views.tickets import done, on_ticket, ticket_page, tickets_of
from hotels.models import User
from hotels.views import staff_required
from members.views.sheets import staff_user

Perform = Callable[[User, dt.datetime], object]


def _do(request: HttpRequest, found: Ticket, perform: Perform, message: str, *, undo: str = "") -> HttpResponse:
    try:
        perform(staff_user(request), timezone.now())
    except services.TicketError as error:
        messages.error(request, str(error))
        return redirect("feedback:ticket", found.public_id)
    return done(request, found, message, undo=undo)


@on_ticket
def take(request: HttpRequest, found: Ticket) -> HttpResponse:
    """Make a ticket one's own; the form says who had it when the page was drawn."""
    owner = request.POST.get("owner", "")
    owner_id = int(owner[:15]) if owner.isdecimal() else None
    return _do(
        request,
        found,
        lambda user, now: services.take_ticket(actor=user, now=now, ticket_id=found.pk, from_user_id=owner_id),
        _("The ticket is yours."),
    )


@on_ticket
def assign(request: HttpRequest, found: Ticket) -> HttpResponse:
    """Give a ticket to a colleague on duty."""
    people = people_of(found.property, timezone.now())
    form = AssignForm(request.POST, people=people)
    if not form.is_valid():
        return ticket_page(request, found.public_id, assign_form=form)
    chosen = next(person for person in people if str(person.pk) == form.cleaned_data["user"])
    return _do(
        request,
        found,
        lambda user, now: services.assign_ticket(actor=user, now=now, ticket_id=found.pk, user=chosen),
        _("The ticket is given to %(name)s.") % {"name": chosen},
    )


@on_ticket
def reply(request: HttpRequest, found: Ticket) -> HttpResponse:
    """Record what the guest was told, or with `message` in the form, what the guest said."""
    form = ReplyForm(request.POST)
    if not form.is_valid():
        return ticket_page(request, found.public_id, reply_form=form)
    data = form.cleaned_data
    if "message" in request.POST:
        return _do(
            request,
            found,
            lambda user, now: services.record_message(
                actor=user, now=now, ticket_id=found.pk, text=data["text"], channel=data["channel"], key=form.key
            ),
            _("What the guest said is recorded; an answer is due."),
        )
    return _do(
        request,
        found,
        lambda user, now: services.record_reply(
            actor=user,
            now=now,
            ticket_id=found.pk,
            text=data["text"],
            channel=data["channel"],
            waits=data["waits"],
            seen_event_id=data["seen"],
            key=form.key,
        ),
        _("The reply is recorded."),
    )


@on_ticket
def wait(request: HttpRequest, found: Ticket) -> HttpResponse:
    """Let the clock stand until the guest answers."""
    return _do(
        request,
        found,
        lambda user, now: services.wait_for_guest(actor=user, now=now, ticket_id=found.pk),
        _("The clock stands until the guest answers."),
        undo=reverse("feedback:resume", args=[found.public_id]),
    )


@on_ticket
def resume(request: HttpRequest, found: Ticket) -> HttpResponse:
    """Let the clock run again."""
    return _do(
        request,
        found,
        lambda user, now: services.stop_waiting(actor=user, now=now, ticket_id=found.pk),
        _("The clock runs again."),
    )


@on_ticket
def classify(request: HttpRequest, found: Ticket) -> HttpResponse:
    """Say anew what it is about and how bad it is."""
    form = ClassifyForm(request.POST)
    if not form.is_valid():
        return ticket_page(request, found.public_id, classify_form=form)
    data = form.cleaned_data
    return _do(
        request,
        found,
        lambda user, now: services.classify_ticket(
            actor=user, now=now, ticket_id=found.pk, category=data["category"], severity=data["severity"]
        ),
        _("The ticket is changed; its clock goes by what is promised for it."),
    )


@on_ticket
def move(request: HttpRequest, found: Ticket) -> HttpResponse:
    """Give a ticket to another department."""
    form = MoveForm(request.POST, place=found.property)
    if not form.is_valid():
        return ticket_page(request, found.public_id, move_form=form)
    department = form.cleaned_data["department"]
    return _do(
        request,
        found,
        lambda user, now: services.move_ticket(actor=user, now=now, ticket_id=found.pk, department=department),
        _("The ticket is given to: %(department)s.") % {"department": department.local_name},
    )


@on_ticket
def split(request: HttpRequest, found: Ticket) -> HttpResponse:
    """Open a further ticket of the same case for another department."""
    form = SplitForm(request.POST, place=found.property)
    if not form.is_valid():
        return ticket_page(request, found.public_id, split_form=form)
    data = form.cleaned_data
    return _do(
        request,
        found,
        lambda user, now: services.split_ticket(
            actor=user,
            now=now,
            ticket_id=found.pk,
            department=data["department"],
            subject=data["subject"],
            category=data["category"],
            severity=data["severity"],
        ),
        _("A ticket for the other department is opened."),
    )


@on_ticket
def merge(request: HttpRequest, found: Ticket) -> HttpResponse:
    """End a ticket that says the same as another one."""
    return _join(request, found, services.merge_tickets, "into_id", _("The ticket is merged."))


@on_ticket
def link(request: HttpRequest, found: Ticket) -> HttpResponse:
    """Say that two tickets have to do with each other."""
    return _join(request, found, services.link_tickets, "other_id", _("The tickets are linked."))


def _join(request: HttpRequest, found: Ticket, service: Callable[..., object], name: str, message: str) -> HttpResponse:
    form = JoinForm(request.POST)
    other = tickets_of(request).filter(pk=form.cleaned_data["number"]).first() if form.is_valid() else None
    if other is None:
        if form.is_valid():
            form.add_error("number", _("There is no such ticket."))
        return ticket_page(request, found.public_id, join_form=form)
    undo = reverse("feedback:reopen", args=[found.public_id]) if name == "into_id" else ""
    return _do(
        request,
        found,
        lambda user, now: service(actor=user, now=now, ticket_id=found.pk, **{name: other.pk}),
        message,
        undo=undo,
    )


@on_ticket
def attach(request: HttpRequest, found: Ticket) -> HttpResponse:
    """Put a file on a ticket."""
    form = AttachForm(request.POST, request.FILES)
    if not form.is_valid():
        return ticket_page(request, found.public_id, attach_form=form)
    upload = form.cleaned_data["file"]
    try:
        services.attach_file(
            actor=staff_user(request), now=timezone.now(), ticket_id=found.pk, name=upload.name, content=upload
        )
    except services.FileRefused as error:
        form.add_error("file", str(error))
        return ticket_page(request, found.public_id, attach_form=form)
    return done(request, found, _("The file is added."))


@never_cache
@require_safe
@staff_required("feedback.view_ticket")
def attachment(request: HttpRequest, public_id: UUID, file_id: UUID) -> FileResponse:
    """A file of a ticket that the user may see; pictures are shown, all else is saved."""
    found = get_object_or_404(Attachment, public_id=file_id, ticket__in=tickets_of(request).filter(public_id=public_id))
    if not found.file or not found.file.storage.exists(found.file.name):
        raise Http404
    response = FileResponse(
        found.file.open("rb"),
        content_type=found.content_type,
        as_attachment=not found.content_type.startswith("image/"),
        filename=found.name,
    )
    # The browser takes it for what it was found to be, and runs nothing in it.
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


@on_ticket
def recover(request: HttpRequest, found: Ticket) -> HttpResponse:
    """Give the guest something for what went wrong."""
    form = RecoveryForm(request.POST, place=found.property)
    if not form.is_valid():
        return ticket_page(request, found.public_id, recovery_form=form)
    data = form.cleaned_data
    try:
        recovery = services.recover_service(
            actor=staff_user(request),
            now=timezone.now(),
            ticket_id=found.pk,
            kind=data["kind"],
            text=data["text"],
            points=data["points"],
            voucher_type_id=data["voucher"].pk if data["voucher"] else None,
            amount=data["amount"],
            key=form.key,
        )
    except services.TicketError as error:
        form.add_error(None, str(error))
        return ticket_page(request, found.public_id, recovery_form=form)
    undo = reverse("feedback:undo_recovery", args=[found.public_id, recovery.public_id])
    return done(request, found, _("Recorded: %(what)s.") % {"what": recovery.get_kind_display()}, undo=undo)


@on_ticket
def undo_recovery(request: HttpRequest, found: Ticket, recovery_id: UUID) -> HttpResponse:
    """Take back what the guest was given."""
    recovery = get_object_or_404(Recovery, public_id=recovery_id, ticket=found)
    return _do(
        request,
        found,
        lambda user, now: services.undo_recovery(actor=user, now=now, recovery_id=recovery.pk),
        _("It is taken back."),
    )


@require_POST
@staff_required("feedback.change_ticket")
def bulk(request: HttpRequest) -> HttpResponse:
    """Take several tickets at once; what others had taken meanwhile stays theirs."""
    form = BulkForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose some tickets first."))
        return redirect("feedback:tickets")
    user, now = staff_user(request), timezone.now()
    chosen = [
        ticket
        for ticket in tickets_of(request).filter(public_id__in=form.cleaned_data["tickets"])
        if user.has_perm("feedback.change_ticket", ticket.property)
    ]
    if form.cleaned_data["action"] == "handover":
        taken, missed = services.take_over(actor=user, now=now, ticket_ids=[ticket.pk for ticket in chosen])
    else:
        taken, missed = services.take_tickets(
            actor=user, now=now, tickets=[(ticket.pk, ticket.assignee_id) for ticket in chosen]
        )
    text = ngettext("%(count)d ticket is yours.", "%(count)d tickets are yours.", taken) % {"count": taken}
    messages.success(request, text)
    if missed:
        text = ngettext(
            "%(count)d ticket was taken by somebody else.", "%(count)d tickets were taken by somebody else.", missed
        )
        messages.warning(request, text % {"count": missed})
    return redirect("feedback:handover" if form.cleaned_data["action"] == "handover" else "feedback:tickets")
