"""The ladder of escalation: who hears of a ticket at which share of its time, and whether they are there to hear."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from feedback.rules.clock import Calendar, add_working_time

ASSIGNEE, SUPERVISOR, DEPARTMENT_HEAD, DUTY_MANAGER, GROUP = (
    "assignee",
    "supervisor",
    "department_head",
    "duty_manager",
    "group",
)
# Share of the promised time in percent, and who hears. Twice the time is the group's.
LADDER = ((50, ASSIGNEE), (80, SUPERVISOR), (100, DEPARTMENT_HEAD), (150, DUTY_MANAGER), (200, GROUP))


@dataclass(frozen=True, slots=True)
class OnShift:
    """Somebody in the roster, at work now or later."""

    user_id: int
    level: str
    property_id: int | None
    department_id: int | None
    starts_at: dt.datetime
    ends_at: dt.datetime

    def is_at_work(self, now: dt.datetime) -> bool:
        """Whether the shift is running."""
        return self.starts_at <= now < self.ends_at


@dataclass(frozen=True, slots=True)
class Matter:
    """What the ladder has to know of a ticket.

    Attributes:
        property_id: Where it is.
        department_id: Whose it is.
        assignee_id: Its owner, if any.
        may_wake: A guest of note or in the house: a duty manager is told also when off duty.
    """

    property_id: int
    department_id: int | None
    assignee_id: int | None
    may_wake: bool


def rung_times(
    started: dt.datetime, counted: dt.timedelta, target: dt.timedelta, due: dt.datetime, calendar: Calendar
) -> dict[int, dt.datetime]:
    """When each rung is reached by a clock that has `counted` before `started` and runs on.

    Where departure brings the due time forward, the rungs lie at their share of the time that is left on the
    wall: a guest who leaves at noon is not helped by a reminder in the working time of tomorrow. A rung passed
    before `started` lies at `started`.
    """
    by_policy = add_working_time(started, target - counted, calendar)
    times = {}
    for percent, _audience in LADDER:
        if due < by_policy:
            at = started + (due - started) * percent / 100
        else:
            at = add_working_time(started, target * percent / 100 - counted, calendar)
        times[percent] = max(at, started)
    return times


def _belongs(shift: OnShift, audience: str, matter: Matter) -> bool:
    if shift.level != audience:
        return False
    if audience == GROUP:
        return True
    if shift.property_id != matter.property_id:
        return False
    return audience == DUTY_MANAGER or shift.department_id == matter.department_id


def hearers(
    audience: str, matter: Matter, shifts: Sequence[OnShift], now: dt.datetime
) -> tuple[set[int], dt.datetime | None]:
    """Who hears a rung now, or when somebody of it will be there to hear.

    Args:
        audience: The rung.
        matter: The ticket.
        shifts: Of the property and the group, running or to come.
        now: Aware instant.

    Returns:
        The users who hear now, and the begin of the rung's next shift if there are none. Nobody and None: the
        roster has nobody of this rung.
    """
    if audience == ASSIGNEE:
        if matter.assignee_id is None:
            return set(), None
        own = [shift for shift in shifts if shift.user_id == matter.assignee_id]
        # Who is not in the roster at all hears at once.
        if not own or any(shift.is_at_work(now) for shift in own):
            return {matter.assignee_id}, None
        return set(), _next(own, now)
    mine = [shift for shift in shifts if _belongs(shift, audience, matter)]
    present = {shift.user_id for shift in mine if shift.is_at_work(now)}
    if present:
        return present, None
    later = _next(mine, now)
    if audience == DUTY_MANAGER and matter.may_wake and later is not None:
        return {shift.user_id for shift in mine if shift.starts_at == later}, None
    return set(), later


def _next(shifts: Iterable[OnShift], now: dt.datetime) -> dt.datetime | None:
    return min((shift.starts_at for shift in shifts if shift.starts_at > now), default=None)


def pick(shifts: Sequence[tuple[int, Sequence[str]]], category: str, load: dict[int, int]) -> int | None:
    """Who of those on duty takes a ticket: skilled, then with the fewest open tickets, then the lowest number.

    Args:
        shifts: User and skills of each; no skills means all of them.
        category: Of the ticket.
        load: Open tickets of each user.
    """

    def rank(shift: tuple[int, Sequence[str]]) -> tuple[bool, int, int]:
        user_id, skills = shift
        return (bool(skills) and category not in skills, load.get(user_id, 0), user_id)

    return min(shifts, key=rank, default=(None, ()))[0] if shifts else None
