"""Writing reservations: one or thousands by the same set-based statement.

A reservation is known by its property, source system and number there. Sending it again with other
content changes it as far as its status allows: what was checked out stays as it was. A guest once
known stays when a later message of the source names none.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import Enum
from operator import attrgetter
from typing import TYPE_CHECKING

from django.db import connection, transaction
from django.utils.translation import gettext as _

from hotels.services.audit import record_audit
from members.models import Reservation

if TYPE_CHECKING:
    from hotels.models import User

Status = Reservation.Status

# From each status, what it may become; staying the same is always allowed except after check-out.
TRANSITIONS: dict[str, tuple[str, ...]] = {
    Status.RESERVED: (Status.RESERVED, Status.IN_HOUSE, Status.CHECKED_OUT, Status.CANCELED, Status.NO_SHOW),
    Status.IN_HOUSE: (Status.IN_HOUSE, Status.CHECKED_OUT),
    Status.CANCELED: (Status.CANCELED, Status.RESERVED),
    Status.NO_SHOW: (Status.NO_SHOW, Status.RESERVED, Status.IN_HOUSE),
    Status.CHECKED_OUT: (),
}


class ReservationError(Exception):
    """A reservation cannot be written as asked; `code` is stable."""

    code = "reservation_error"


class ReservationInputError(ReservationError):
    """Facts that contradict each other."""

    code = "reservation_invalid"


class IllegalTransition(ReservationError):
    """The stored reservation cannot become what was sent; `reservation_id` is the stored one."""

    code = "reservation_transition"

    def __init__(self, reservation_id: int) -> None:
        self.reservation_id = reservation_id
        super().__init__(_("The reservation's status does not allow this change."))


@dataclass(frozen=True, slots=True)
class ReservationInput:
    """One booking as its source states it now; dates are local to the property.

    `amount` is the whole price of the nights, in `currency`. Without a `guest_id` a stored guest stays.
    """

    place_id: int
    source_system: str
    source_reference: str
    guest_id: int | None
    arrival_date: dt.date
    departure_date: dt.date
    status: str
    currency: str
    amount: Decimal = Decimal(0)
    room_type_id: int | None = None
    room_number: str = ""
    rate_plan: str = ""
    channel: str = ""
    market_segment: str = ""
    is_group: bool = False
    booked_on_date: dt.date | None = None
    status_date: dt.date | None = None
    adults: int = 1
    children: int = 0


class Outcome(Enum):
    """What a call did with one reservation."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ReservationResult:
    """The stored reservation of a row and what became of the row."""

    reservation_id: int
    outcome: Outcome


_COLUMNS = {
    "property_id": "bigint",
    "source_system": "text",
    "source_reference": "text",
    "guest_id": "bigint",
    "arrival_date": "date",
    "departure_date": "date",
    "status": "text",
    "currency": "text",
    "amount": "numeric",
    "room_type_id": "bigint",
    "room_number": "text",
    "rate_plan": "text",
    "channel": "text",
    "market_segment": "text",
    "is_group": "boolean",
    "booked_on_date": "date",
    "status_date": "date",
    "adults": "smallint",
    "children": "smallint",
}
_VALUES = attrgetter(*(column.name for column in fields(ReservationInput)))
_KEY = ("property_id", "source_system", "source_reference")
_FACTS = [name for name in _COLUMNS if name not in _KEY]
_LEGAL = ", ".join(f"('{before}', '{after}')" for before, allowed in TRANSITIONS.items() for after in allowed)


def _facts(incoming: str) -> str:
    """What a row says. A source that does not name the guest does not deny the one known here."""
    return ", ".join(
        f"coalesce({incoming}.guest_id, r.guest_id)" if name == "guest_id" else f"{incoming}.{name}" for name in _FACTS
    )


_STORED = ", ".join(f"r.{name}" for name in _FACTS)

_UPSERT = f"""
INSERT INTO members_reservation AS r (public_id, {", ".join(_COLUMNS)}, created_at, updated_at)
SELECT gen_random_uuid(), u.*, now(), now()
FROM unnest({", ".join(f"%s::{kind}[]" for kind in _COLUMNS.values())}) AS u
ON CONFLICT (source_system, property_id, source_reference) DO UPDATE
SET ({", ".join(_FACTS)}) = ROW ({_facts("excluded")}), updated_at = now()
WHERE (r.status, excluded.status) IN ({_LEGAL})
  AND ({_STORED}) IS DISTINCT FROM ({_facts("excluded")})
RETURNING id, property_id, source_system, source_reference, xmax = 0
"""  # noqa: S608 - only names of this module's columns and statuses are put in

_FIND = f"""
SELECT r.id, r.property_id, r.source_system, r.source_reference,
    ({_STORED}) IS NOT DISTINCT FROM ({_facts("u")})
FROM unnest({", ".join(f"%s::{kind}[]" for kind in _COLUMNS.values())}) AS u ({", ".join(_COLUMNS)})
JOIN members_reservation r USING (property_id, source_system, source_reference)
"""  # noqa: S608


@transaction.atomic
def store_reservations(
    *, actor: User | None, now: dt.datetime, rows: Sequence[ReservationInput]
) -> list[ReservationResult]:
    """Create or change many reservations; thousands in one call.

    Returns:
        One result per row, in the order of the rows; `REFUSED` where the stored status does not
        allow what the row says, which changes nothing.

    Raises:
        ReservationInputError: A row contradicts itself, or two rows have one number.
    """
    if not rows:
        return []
    for row in rows:
        if row.departure_date < row.arrival_date:
            raise ReservationInputError(_("The departure is before the arrival."))
        if row.status not in TRANSITIONS:
            raise ReservationInputError(_("%(status)s is no status of a reservation.") % {"status": row.status})
    keys = [(row.place_id, row.source_system, row.source_reference) for row in rows]
    if len(set(keys)) != len(rows):
        raise ReservationInputError(_("Two rows have the same number."))
    results: dict[tuple[int, str, str], ReservationResult] = {}
    with connection.cursor() as cursor:
        cursor.execute(_UPSERT, _columns(rows))
        for pk, place, system, number, is_new in cursor.fetchall():
            outcome = Outcome.CREATED if is_new else Outcome.CHANGED
            results[place, system, number] = ReservationResult(pk, outcome)
        touched = len(results)
        rest = [row for row, key in zip(rows, keys, strict=True) if key not in results]
        if rest:
            cursor.execute(_FIND, _columns(rest))
            for pk, place, system, number, is_same in cursor.fetchall():
                outcome = Outcome.UNCHANGED if is_same else Outcome.REFUSED
                results[place, system, number] = ReservationResult(pk, outcome)
    if touched:
        record_audit(
            actor=actor,
            now=now,
            action="reservation.stored",
            object_type="members.reservation",
            object_id=str(results[keys[0]].reservation_id),
            label=f"{rows[0].source_system} {rows[0].source_reference}",
            after={"count": touched},
        )
    return [results[key] for key in keys]


def store_reservation(*, actor: User | None, now: dt.datetime, row: ReservationInput) -> Reservation:
    """Create or change one reservation.

    Raises:
        ReservationInputError: The facts contradict each other.
        IllegalTransition: The stored status does not allow the change.
    """
    (result,) = store_reservations(actor=actor, now=now, rows=[row])
    if result.outcome is Outcome.REFUSED:
        raise IllegalTransition(result.reservation_id)
    return Reservation.objects.get(pk=result.reservation_id)


@transaction.atomic
def move_reservation(
    *, actor: User | None, now: dt.datetime, reservation_id: int, status: str, status_date: dt.date
) -> dict[str, str | None] | None:
    """Bring a reservation to where its guest is: in house, or checked out.

    Args:
        actor: Who acts.
        now: Aware instant.
        reservation_id: The reservation.
        status: Value of `Reservation.Status`.
        status_date: Since when, local to the property.

    Returns:
        What `restore_reservation` needs to take it back; None if the reservation stood there already, or
        was a no-show: what is charged for one makes nobody come.

    Raises:
        IllegalTransition: It cannot come there from its status.
    """
    reservation = _locked(reservation_id)
    if reservation.status in {status, Status.NO_SHOW}:
        return None
    if status not in TRANSITIONS[reservation.status]:
        raise IllegalTransition(reservation.pk)
    before = _standing(reservation)
    reservation.status, reservation.status_date = Status(status), status_date
    _save_standing(reservation, actor=actor, now=now, action=f"reservation.{status}", before=before)
    return before


@transaction.atomic
def restore_reservation(
    *, actor: User | None, now: dt.datetime, reservation_id: int, standing: Mapping[str, str | None], reason: str
) -> None:
    """Put a reservation back to where it stood before `move_reservation`.

    This takes back what did not happen, so it is no transition. A reservation that its source has moved
    on meanwhile stays as it is.
    """
    reservation = _locked(reservation_id)
    if reservation.status not in {Status.CHECKED_OUT, Status.IN_HOUSE}:
        return
    before = _standing(reservation)
    since = standing["status_date"]
    reservation.status = Status(standing["status"] or "")
    reservation.status_date = dt.date.fromisoformat(since) if since else None
    _save_standing(reservation, actor=actor, now=now, action="reservation.restored", before=before, reason=reason)


def _locked(reservation_id: int) -> Reservation:
    reservations = Reservation.objects.select_for_update(no_key=True, of=("self",)).select_related("property")
    return reservations.get(pk=reservation_id)


def _standing(reservation: Reservation) -> dict[str, str | None]:
    since = reservation.status_date
    return {"status": reservation.status, "status_date": since.isoformat() if since else None}


def _save_standing(
    reservation: Reservation,
    *,
    actor: User | None,
    now: dt.datetime,
    action: str,
    before: dict[str, str | None],
    reason: str = "",
) -> None:
    reservation.save(update_fields=["status", "status_date", "updated_at"])
    record_audit(
        actor=actor,
        now=now,
        action=action,
        target=reservation,
        label=str(reservation),
        place=reservation.property,
        before=before,
        after=_standing(reservation),
        reason=reason,
    )


def _columns(rows: Sequence[ReservationInput]) -> list[list[object]]:
    return [list(column) for column in zip(*map(_VALUES, rows), strict=True)]
