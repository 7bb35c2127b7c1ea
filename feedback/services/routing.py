"""Who sees to a ticket: the department by rules, the person by roster, skill and load; never somebody absent."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models import Count, Q

from feedback.models import Handover, Notification, Shift, Ticket, TicketEvent
from feedback.models.tickets import OPEN
from feedback.rules.ladder import pick
from feedback.selectors.facts import departments_for
from feedback.services.errors import PersonIsAbsent, TicketIsClosed, TicketIsTaken
from feedback.services.journal import each, locked_open, write
from hotels.models import Department, Property, User

# Whoever of the department is there; agents before those who lead them.
_LEVELS = (Shift.Level.AGENT, Shift.Level.SUPERVISOR, Shift.Level.DEPARTMENT_HEAD)


def department_for(
    place: Property, facts: dict[str, Any], now: dt.datetime, chosen: Department | None
) -> Department | None:
    """The department that somebody chose, else the first that the rules name and the property has."""
    if chosen is not None:
        return chosen
    codes = departments_for(place, facts, now)
    found = {department.code: department for department in Department.objects.filter(property=place, code__in=codes)}
    return next((found[code] for code in codes if code in found), None)


def person_for(department: Department | None, category: str, now: dt.datetime) -> int | None:
    """Who on duty takes a ticket of a department; None if nobody of it is. Two queries at most."""
    if department is None:
        return None
    shifts = list(
        Shift.objects.on_duty(now)
        .filter(department=department, level__in=_LEVELS)
        .values_list("user_id", "skills", "level")
    )
    level = next((level for level in _LEVELS if any(shift[2] == level for shift in shifts)), None)
    if level is None:
        return None
    there: Sequence[tuple[int, Sequence[str]]] = [(user, skills) for user, skills, at in shifts if at == level]
    load = dict(
        Ticket.objects.filter(assignee__in=[user for user, _skills in there], status__in=OPEN)
        .values_list("assignee_id")
        .annotate(Count("pk"))
    )
    return pick(there, category, load)


def has_roster(place: Property) -> bool:
    """Whether the property plans shifts at all; where it does not, nobody is called absent."""
    return Shift.objects.filter(property=place).exists()


def tell(ticket: Ticket, user_id: int | None, kind: Notification.Kind, *, actor: User | None, now: dt.datetime) -> None:
    """Put a line under somebody's bell, unless they did it themselves."""
    if user_id is not None and (actor is None or actor.pk != user_id):
        Notification.objects.create(user_id=user_id, ticket=ticket, kind=kind, at=now)


@transaction.atomic
def take_ticket(*, actor: User, now: dt.datetime, ticket_id: int, from_user_id: int | None) -> Ticket:
    """Make a ticket one's own.

    Args:
        actor: Who takes it.
        now: Aware instant.
        ticket_id: The ticket.
        from_user_id: Its owner as the actor saw it; of many who take it from the same, one gets it.

    Raises:
        TicketIsClosed: It is not open.
        TicketIsTaken: It has another owner by now.
    """
    ticket = locked_open(ticket_id)
    if ticket.assignee_id == actor.pk and not ticket.is_provisional:
        return ticket
    if ticket.assignee_id not in {from_user_id, actor.pk}:
        raise TicketIsTaken(str(ticket.assignee))
    _give(ticket, actor.pk, actor=actor, now=now, kind=TicketEvent.Kind.TAKEN, text="")
    return ticket


@transaction.atomic
def take_tickets(*, actor: User, now: dt.datetime, tickets: Sequence[tuple[int, int | None]]) -> tuple[int, int]:
    """Make several tickets one's own, each with its owner as seen; how many, and how many others had taken."""
    owners = dict(tickets)

    def take(ticket_id: int) -> None:
        take_ticket(actor=actor, now=now, ticket_id=ticket_id, from_user_id=owners[ticket_id])

    return each(sorted(owners), take, TicketIsTaken, TicketIsClosed)


@transaction.atomic
def assign_ticket(*, actor: User | None, now: dt.datetime, ticket_id: int, user: User) -> Ticket:
    """Give a ticket to somebody on duty.

    Raises:
        TicketIsClosed: It is not open.
        PersonIsAbsent: The property has a roster, and the user is not on duty there now.
    """
    ticket = locked_open(ticket_id)
    if ticket.assignee_id == user.pk and not ticket.is_provisional:
        return ticket
    on_duty = Shift.objects.on_duty(now).filter(Q(property=ticket.property) | Q(level=Shift.Level.GROUP), user=user)
    if has_roster(ticket.property) and not on_duty.exists() and user != actor:
        raise PersonIsAbsent(str(user))
    _give(ticket, user.pk, actor=actor, now=now, kind=TicketEvent.Kind.ASSIGNED, text=str(user))
    tell(ticket, user.pk, Notification.Kind.ASSIGNED, actor=actor, now=now)
    return ticket


def _give(
    ticket: Ticket, user_id: int, *, actor: User | None, now: dt.datetime, kind: TicketEvent.Kind, text: str
) -> None:
    before = {"assignee": ticket.assignee_id}
    ticket.assignee_id = user_id
    ticket.is_provisional = False
    if kind == TicketEvent.Kind.TAKEN and ticket.status == Ticket.Status.OPEN:
        ticket.status = Ticket.Status.IN_PROGRESS
    ticket.save(update_fields=["assignee", "is_provisional", "status"])
    Handover.objects.filter(ticket=ticket, accepted_at=None).update(accepted_at=now, accepted_by_id=user_id)
    write(ticket, kind, actor=actor, now=now, text=text, before=before, after={"assignee": user_id})


@transaction.atomic
def move_ticket(*, actor: User | None, now: dt.datetime, ticket_id: int, department: Department) -> Ticket:
    """Give a ticket to another department of the property and to somebody on duty there."""
    ticket = locked_open(ticket_id)
    if ticket.department_id == department.pk:
        return ticket
    before = {"department": ticket.department_id}
    ticket.department = department
    user_id = person_for(department, ticket.category, now)
    ticket.assignee_id = user_id or ticket.assignee_id
    ticket.is_provisional = user_id is None and ticket.assignee_id is not None
    ticket.save(update_fields=["department", "assignee", "is_provisional"])
    write(
        ticket,
        TicketEvent.Kind.MOVED,
        actor=actor,
        now=now,
        text=department.local_name,
        before=before,
        after={"department": department.pk},
    )
    tell(ticket, user_id, Notification.Kind.ASSIGNED, actor=actor, now=now)
    return ticket


def assign_waiting(*, now: dt.datetime, limit: int = 500) -> int:
    """Give tickets without an owner, or with one who only looks after them, to people on duty; how many.

    The tick calls it, and so does a change of the roster. Of each ticket two workers try at once, one does it.
    """
    departments = Shift.objects.on_duty(now).filter(level__in=_LEVELS).values("department")
    waiting = (
        Ticket.objects.filter(Q(assignee=None) | Q(is_provisional=True), status__in=OPEN, department__in=departments)
        .order_by("due_at", "pk")
        .values_list("pk", flat=True)[:limit]
    )
    count = 0
    for ticket_id in list(waiting):
        count += _assign_one(ticket_id, now)
    return count


@transaction.atomic
def _assign_one(ticket_id: int, now: dt.datetime) -> int:
    ticket = (
        Ticket.objects.select_for_update(no_key=True, of=("self",), skip_locked=True)
        .select_related("property", "department")
        .filter(Q(assignee=None) | Q(is_provisional=True), pk=ticket_id, status__in=OPEN)
        .first()
    )
    user_id = person_for(ticket.department, ticket.category, now) if ticket else None
    if ticket is None or user_id is None:
        return 0
    name = str(User.objects.get(pk=user_id))
    _give(ticket, user_id, actor=None, now=now, kind=TicketEvent.Kind.ASSIGNED, text=name)
    tell(ticket, user_id, Notification.Kind.ASSIGNED, actor=None, now=now)
    return 1


def close_shifts(*, now: dt.datetime, limit: int = 200) -> int:
    """Make the list of what is to be handed over for each shift that has ended; how many tickets."""
    ended = Shift.objects.filter(closed_at=None, ends_at__lte=now).order_by("ends_at", "pk")
    return sum(_close_shift(shift_id, now) for shift_id in list(ended.values_list("pk", flat=True)[:limit]))


@transaction.atomic
def _close_shift(shift_id: int, now: dt.datetime) -> int:
    shift = Shift.objects.select_for_update(skip_locked=True).filter(pk=shift_id, closed_at=None).first()
    if shift is None:
        return 0
    shift.closed_at = now
    shift.save(update_fields=["closed_at"])
    # Who goes straight on with the next shift keeps their tickets.
    if Shift.objects.on_duty(now).filter(user=shift.user_id).exists():
        return 0
    held = Ticket.objects.filter(assignee=shift.user_id, status__in=OPEN)
    if shift.property_id is not None:
        held = held.filter(property=shift.property_id)
    rows = [Handover(shift=shift, ticket_id=ticket_id, made_at=now) for ticket_id in held.values_list("pk", flat=True)]
    return len(Handover.objects.bulk_create(rows, ignore_conflicts=True))


@transaction.atomic
def take_over(*, actor: User, now: dt.datetime, ticket_ids: Sequence[int]) -> tuple[int, int]:
    """Take tickets from the lists of shifts that have ended; how many, and how many others had taken."""

    def take(ticket_id: int) -> None:
        ticket = locked_open(ticket_id)
        if not Handover.objects.filter(ticket=ticket, accepted_at=None).exists():
            raise TicketIsTaken(str(ticket.assignee))
        _give(ticket, actor.pk, actor=actor, now=now, kind=TicketEvent.Kind.TAKEN, text="")

    return each(sorted(ticket_ids), take, TicketIsTaken, TicketIsClosed)
