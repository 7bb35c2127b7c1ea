"""The life of a ticket: opened, answered, waiting, closed, reopened; each change is an event and an audit entry."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.db import IntegrityError, transaction

from feedback.models import Case, Notification, Ticket, TicketClock, TicketEvent
from feedback.models.tickets import OPEN
from feedback.selectors.facts import VIP, facts_of, facts_of_ticket
from feedback.services.clocks import (
    change_terms,
    drop_clocks,
    meet_clocks,
    pause_clocks,
    resume_clocks,
    start_clocks,
    terms_for,
)
from feedback.services.errors import (
    DepartmentHasTicket,
    RootCauseMissing,
    TicketConflict,
    TicketIsOpen,
)
from feedback.services.journal import check_seen, locked, locked_open, once, write
from feedback.services.routing import department_for, has_roster, person_for, tell
from feedback.signals import ticket_closed, ticket_opened, ticket_reopened
from hotels.models import Department, Property, User
from members.models import Stay

Metric = TicketClock.Metric
Kind = TicketEvent.Kind


@transaction.atomic
def open_ticket(
    *,
    actor: User | None,
    now: dt.datetime,
    guest_id: int,
    place: Property,
    category: str,
    severity: str,
    subject: str,
    description: str = "",
    stay_id: int | None = None,
    department: Department | None = None,
    key: uuid.UUID | None = None,
    case: Case | None = None,
    source: str = Ticket.Source.DESK,
    source_reference: str = "",
) -> Ticket:
    """Log what a guest complains of or asks for; it goes to a department and to somebody on duty, with its clocks.

    Args:
        actor: Who logs it, and looks after it until somebody of the department does; None for the system.
        now: Aware instant at which the clocks begin.
        guest_id: The guest.
        place: Where it happened.
        category: Value of `Ticket.Category`.
        severity: Value of `Ticket.Severity`.
        subject: One line.
        description: Anything more.
        stay_id: The stay it is about.
        department: Who should see to it; None leaves it to the routing rules.
        key: Becomes the ticket's public id; sending the same key again returns the ticket it made.
        case: Of which matter it is a part; None opens a new one.
        source: Value of `Ticket.Source`.
        source_reference: Names the letter, answer or review it came from; one gives one ticket a department.

    Raises:
        TicketConflict: The key made another ticket.
        DepartmentHasTicket: The department has an open ticket of the case.
    """
    facts: dict[str, Any] = {
        "property": place,
        "guest_id": guest_id,
        "category": category,
        "severity": severity,
        "subject": subject,
        "description": description,
        "stay_id": stay_id,
    }
    if key is not None and (made := Ticket.objects.filter(public_id=key).select_related("property").first()):
        return _same(made, facts)
    stay = Stay.objects.get(pk=stay_id) if stay_id else None
    asked = facts_of(
        place=place,
        guest_id=guest_id,
        stay=stay,
        category=category,
        severity=severity,
        source=source,
        text=f"{subject}\n{description}",
        now=now,
    )
    department = department_for(place, asked, now, department)
    if source_reference:
        known = Ticket.objects.filter(source=source, source_reference=source_reference, department=department)
        if made := known.select_related("property").first():
            return made
    person = person_for(department, category, now)
    terms = terms_for(place, asked, now)
    is_provisional = person is None and actor is not None and department is not None and has_roster(place)
    owner_id = person or (actor.pk if actor else None)
    try:
        with transaction.atomic():
            case = case or Case.objects.create(guest_id=guest_id, property=place, owner_id=owner_id, opened_at=now)
            ticket = Ticket.objects.create(
                **facts,
                public_id=key or uuid.uuid4(),
                case=case,
                department=department,
                assignee_id=owner_id,
                is_provisional=is_provisional,
                source=source,
                source_reference=source_reference,
                is_urgent_at_night=bool(asked["ticket.in_house"]) or VIP in asked["ticket.tags"],
                opened_by=actor,
                opened_at=now,
                # Set by the clocks below.
                due_at=now,
            )
    except IntegrityError as error:
        # Somebody sent the same at the same time.
        return _made_meanwhile(error, key, facts, source, source_reference, department)
    write(ticket, Kind.OPENED, actor=actor, now=now, after={"severity": severity, "category": category})
    start_clocks(ticket, terms, (Metric.FIRST_RESPONSE, Metric.RESOLUTION), now=now)
    tell(ticket, person, Notification.Kind.ASSIGNED, actor=actor, now=now)
    ticket_opened.send(Ticket, actor=actor, now=now, ticket_id=ticket.pk, guest_id=guest_id)
    return ticket


def _same(ticket: Ticket, facts: dict[str, Any]) -> Ticket:
    if any(getattr(ticket, name) != value for name, value in facts.items()):
        raise TicketConflict
    return ticket


def _made_meanwhile(
    error: IntegrityError,
    key: uuid.UUID | None,
    facts: dict[str, Any],
    source: str,
    source_reference: str,
    department: Department | None,
) -> Ticket:
    tickets = Ticket.objects.select_related("property")
    if key is not None and (made := tickets.filter(public_id=key).first()):
        return _same(made, facts)
    if source_reference:
        made = tickets.filter(source=source, source_reference=source_reference, department=department).first()
        if made:
            return made
    if "feedback_ticket_one_per_department" in str(error):
        raise DepartmentHasTicket from error
    raise error


@transaction.atomic
def withdraw_ticket(*, actor: User | None, now: dt.datetime, ticket_id: int) -> Ticket:
    """Take back a ticket that was logged by mistake; it stays on record as withdrawn, and its clocks do not count.

    Raises:
        TicketIsClosed: It was closed or withdrawn before.
    """
    ticket = locked_open(ticket_id)
    drop_clocks(ticket, now=now)
    _end(ticket, Ticket.Status.WITHDRAWN, Kind.WITHDRAWN, actor=actor, now=now, text="")
    return ticket


@transaction.atomic
def close_ticket(
    *,
    actor: User | None,
    now: dt.datetime,
    ticket_id: int,
    root_cause: str,
    resolution: str = "",
    seen_event_id: int | None = None,
    key: uuid.UUID | None = None,
) -> Ticket:
    """Close a ticket.

    Args:
        actor: Who closes it.
        now: Aware instant; a clock that runs is kept if it is not later than its due time.
        ticket_id: The ticket.
        root_cause: Why it happened; value of `Ticket.RootCause`.
        resolution: What was done for the guest.
        seen_event_id: The newest event that the actor has read; None does not ask.
        key: Of the form; sending it again changes nothing more.

    Raises:
        StaleTicket: Others did something with it since.
        TicketIsClosed: It was closed or withdrawn before.
        TicketConflict: The key closed it with another resolution.
        RootCauseMissing: There is none.
    """
    if root_cause not in Ticket.RootCause.values:
        raise RootCauseMissing

    def close() -> None:
        check_seen(ticket_id, seen_event_id, actor)
        ticket = locked_open(ticket_id)
        meet_clocks(ticket, Metric.values, now=now)
        ticket.root_cause = root_cause
        _end(ticket, Ticket.Status.CLOSED, Kind.CLOSED, actor=actor, now=now, text=resolution)
        ticket_closed.send(Ticket, actor=actor, now=now, ticket_id=ticket.pk, guest_id=ticket.guest_id)

    once("close", ticket_id, resolution, close, actor=actor, now=now, key=key)
    return Ticket.objects.select_related("property").get(pk=ticket_id)


@transaction.atomic
def reopen_ticket(
    *, actor: User | None, now: dt.datetime, ticket_id: int, reason: str = "", key: uuid.UUID | None = None
) -> Ticket:
    """Open a closed, withdrawn or merged ticket again, with new clocks; how the old ones ended stays.

    Args:
        actor: Who opens it.
        now: Aware instant.
        ticket_id: The ticket.
        reason: Why, in the actor's words.
        key: Of the form; sending it again changes nothing more.

    Raises:
        TicketIsOpen: It is not closed.
        TicketConflict: The key was used for something else.
        DepartmentHasTicket: Its department has another open ticket of the case meanwhile.
    """
    once(
        "reopen",
        ticket_id,
        reason,
        lambda: _reopen(ticket_id, actor=actor, now=now, reason=reason),
        actor=actor,
        now=now,
        key=key,
    )
    return Ticket.objects.select_related("property").get(pk=ticket_id)


def _reopen(ticket_id: int, *, actor: User | None, now: dt.datetime, reason: str) -> None:
    ticket = locked(ticket_id)
    if ticket.closed_at is None:
        raise TicketIsOpen
    others = Ticket.objects.filter(case=ticket.case_id, department=ticket.department_id, status__in=OPEN)
    if ticket.department_id is not None and others.exists():
        raise DepartmentHasTicket
    before = {"status": ticket.status}
    # Whoever had it keeps it if they are there; else somebody on duty gets it.
    person = None
    if has_roster(ticket.property):
        person = person_for(ticket.department, ticket.category, now)
    ticket.assignee_id = person or ticket.assignee_id
    ticket.status, ticket.closed_at, ticket.merged_into = Ticket.Status.OPEN, None, None
    ticket.save(update_fields=["status", "closed_at", "merged_into", "assignee"])
    terms = terms_for(ticket.property, facts_of_ticket(ticket, now), now)
    start_clocks(ticket, terms, (Metric.RESOLUTION,), now=now)
    write(
        ticket,
        Kind.REOPENED,
        actor=actor,
        now=now,
        text=reason,
        before=before,
        after={"status": ticket.status},
        reason=reason,
    )
    tell(ticket, person, Notification.Kind.ASSIGNED, actor=actor, now=now)
    ticket_reopened.send(Ticket, actor=actor, now=now, ticket_id=ticket.pk, guest_id=ticket.guest_id)


def _end(
    ticket: Ticket, status: Ticket.Status, kind: TicketEvent.Kind, *, actor: User | None, now: dt.datetime, text: str
) -> None:
    before = {"status": ticket.status}
    ticket.status, ticket.closed_at, ticket.waiting_since = status, now, None
    ticket.save(update_fields=["status", "closed_at", "waiting_since", "root_cause"])
    write(ticket, kind, actor=actor, now=now, text=text, before=before, after={"status": status}, reason=text)


@transaction.atomic
def add_note(
    *, actor: User | None, now: dt.datetime, ticket_id: int, text: str, key: uuid.UUID | None = None
) -> TicketEvent:
    """Add an internal note, on open and closed tickets alike; the guest never sees it.

    Args:
        actor: Who writes it.
        now: Aware instant.
        ticket_id: The ticket.
        text: The note.
        key: Of the form; sending it again returns the note it made.

    Raises:
        TicketConflict: The key made another note.
    """

    def add() -> int:
        return write(locked(ticket_id), Kind.NOTE, actor=actor, now=now, text=text, action="noted").pk

    return TicketEvent.objects.get(pk=once("note", ticket_id, text, add, actor=actor, now=now, key=key))


@transaction.atomic
def record_reply(
    *,
    actor: User | None,
    now: dt.datetime,
    ticket_id: int,
    text: str,
    channel: str,
    waits: bool = False,
    seen_event_id: int | None = None,
    key: uuid.UUID | None = None,
) -> TicketEvent:
    """Record what the guest was told, and by which channel; it answers the guest's last question.

    Args:
        actor: Who spoke to the guest.
        now: Aware instant.
        ticket_id: The ticket.
        text: What was said.
        channel: Value of `TicketEvent.Channel`.
        waits: Whether the guest is asked something, so that the clocks stand until the answer.
        seen_event_id: The newest event that the actor has read; None does not ask.
        key: Of the form; sending it again returns the reply it made.

    Raises:
        StaleTicket: Others did something with it since.
        TicketIsClosed: It is not open.
        TicketConflict: The key made another reply.
    """

    def reply() -> int:
        check_seen(ticket_id, seen_event_id, actor)
        ticket = locked_open(ticket_id)
        event = write(ticket, Kind.REPLY, actor=actor, now=now, text=text, channel=channel, action="replied")
        meet_clocks(ticket, (Metric.FIRST_RESPONSE, Metric.NEXT_RESPONSE), now=now)
        if ticket.status == Ticket.Status.OPEN:
            ticket.status = Ticket.Status.IN_PROGRESS
            ticket.save(update_fields=["status"])
        if waits and ticket.status != Ticket.Status.WAITING:
            _wait(ticket, actor=actor, now=now)
        return event.pk

    data = {"text": text, "channel": channel, "waits": waits}
    return TicketEvent.objects.get(pk=once("reply", ticket_id, data, reply, actor=actor, now=now, key=key))


def _wait(ticket: Ticket, *, actor: User | None, now: dt.datetime) -> None:
    pause_clocks(ticket, now=now)
    ticket.status, ticket.waiting_since = Ticket.Status.WAITING, now
    ticket.save(update_fields=["status", "waiting_since"])
    write(ticket, Kind.WAITING, actor=actor, now=now)


def _resume(ticket: Ticket, *, actor: User | None, now: dt.datetime) -> None:
    ticket.status, ticket.waiting_since = Ticket.Status.IN_PROGRESS, None
    ticket.save(update_fields=["status", "waiting_since"])
    resume_clocks(ticket, now=now)
    write(ticket, Kind.RESUMED, actor=actor, now=now)


@transaction.atomic
def wait_for_guest(*, actor: User | None, now: dt.datetime, ticket_id: int) -> Ticket:
    """Let the clocks stand until the guest answers; nothing changes if they do already.

    Raises:
        TicketIsClosed: It is not open.
    """
    ticket = locked_open(ticket_id)
    if ticket.status != Ticket.Status.WAITING:
        _wait(ticket, actor=actor, now=now)
    return ticket


@transaction.atomic
def stop_waiting(*, actor: User | None, now: dt.datetime, ticket_id: int) -> Ticket:
    """Let the clocks run again with what they had left; nothing changes if they do already.

    Raises:
        TicketIsClosed: It is not open.
    """
    ticket = locked_open(ticket_id)
    if ticket.status == Ticket.Status.WAITING:
        _resume(ticket, actor=actor, now=now)
    return ticket


@transaction.atomic
def record_message(
    *,
    actor: User | None,
    now: dt.datetime,
    ticket_id: int,
    text: str,
    channel: str,
    key: uuid.UUID | None = None,
) -> TicketEvent:
    """Record what the guest said: the waiting is over, and an answer is due; a closed ticket is reopened.

    The clock of the first response goes on if it still runs: a second message neither restarts nor replaces it.

    Raises:
        TicketConflict: The key made another message.
    """

    def record() -> int:
        ticket = locked(ticket_id)
        event = write(ticket, Kind.MESSAGE, actor=actor, now=now, text=text, channel=channel, action="message")
        if ticket.closed_at is not None:
            _reopen(ticket_id, actor=actor, now=now, reason="")
            ticket = locked(ticket_id)
        elif ticket.status == Ticket.Status.WAITING:
            _resume(ticket, actor=actor, now=now)
        owed = (Metric.FIRST_RESPONSE, Metric.NEXT_RESPONSE)
        if not TicketClock.objects.filter(ticket=ticket, metric__in=owed, ended_at=None).exists():
            terms = terms_for(ticket.property, facts_of_ticket(ticket, now), now)
            start_clocks(ticket, terms, (Metric.NEXT_RESPONSE,), now=now)
        tell(ticket, ticket.assignee_id, Notification.Kind.REPLIED, actor=actor, now=now)
        return event.pk

    data = {"text": text, "channel": channel}
    return TicketEvent.objects.get(pk=once("message", ticket_id, data, record, actor=actor, now=now, key=key))


@transaction.atomic
def classify_ticket(*, actor: User | None, now: dt.datetime, ticket_id: int, category: str, severity: str) -> Ticket:
    """Say anew what it is about and how bad it is; the clocks go on by what is promised for that.

    Raises:
        TicketIsClosed: It is not open.
    """
    ticket = locked_open(ticket_id)
    before = {"category": ticket.category, "severity": ticket.severity}
    after = {"category": category, "severity": severity}
    if before == after:
        return ticket
    ticket.category, ticket.severity = category, severity
    ticket.save(update_fields=["category", "severity"])
    change_terms(ticket, terms_for(ticket.property, facts_of_ticket(ticket, now), now), now=now)
    text = f"{ticket.get_category_display()}, {ticket.get_severity_display()}"
    write(ticket, Kind.CHANGED, actor=actor, now=now, text=text, before=before, after=after)
    return ticket
