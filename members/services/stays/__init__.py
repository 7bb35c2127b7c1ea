"""Writing stays and their folios: post, correct, check out, void, claim, move.

A stay is known by its property, source system and number there. Posting the same content again
returns the stored stay; other content under the same number is refused. Money already on a folio
is never changed: a correction is a further line, a rebate a negative one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from hotels.services.audit import record_audit
from members.models import Guest, Stay
from members.services.stays.inputs import (
    CENT,
    FolioLineConflict,
    FolioLineInput,
    Outcome,
    StayAlreadyClaimed,
    StayConflict,
    StayError,
    StayInput,
    StayInputError,
    StayIsVoided,
    StayResult,
    check_lines,
    check_stay,
    key_of,
)
from members.services.stays.rows import add_lines, advance_last_stay, store_stays
from members.signals import stay_completed, stay_corrected, stay_leaving, stay_voided, stays_completed

if TYPE_CHECKING:
    from hotels.models import Property, RoomType, User
    from members.models import Reservation

__all__ = [
    "FolioLineConflict",
    "FolioLineInput",
    "Outcome",
    "StayAlreadyClaimed",
    "StayConflict",
    "StayError",
    "StayInput",
    "StayInputError",
    "StayIsVoided",
    "StayResult",
    "add_folio_lines",
    "check_out_stay",
    "claim_stay",
    "move_stay",
    "post_stay",
    "post_stays",
    "void_stay",
]


@transaction.atomic
def post_stay(
    *,
    actor: User | None,
    now: dt.datetime,
    place: Property,
    source_system: str,
    source_reference: str,
    guest_id: int | None,
    arrival_date: dt.date,
    departure_date: dt.date,
    lines: Sequence[FolioLineInput],
    currency: str,
    room_number: str = "",
    room_type: RoomType | None = None,
    rate_plan: str = "",
    channel: str = "",
    market_segment: str = "",
    is_group: bool = False,
    reservation: Reservation | None = None,
    checked_out_at: dt.datetime | None = None,
    status: str = Stay.Status.CHECKED_OUT,
) -> Stay:
    """Store one stay with its folio and announce it when it is finished.

    Args:
        actor: Who posts; None for the system.
        now: Aware instant; what the stay brings a member is judged as on this day.
        place: The property; dates are local to it.
        source_system: Where the stay comes from, such as `desk` or a connection's code.
        source_reference: Its number there; with property and system the key of the stay.
        guest_id: Whose stay it is; None keeps it until somebody claims it.
        arrival_date: First night.
        departure_date: Day of departure, not a night stayed; equal to the arrival for day use.
        lines: Charges; may be empty.
        currency: ISO 4217 code of every line.
        room_number: As the house numbers it.
        room_type: The room type stayed in.
        rate_plan: Code of the rate.
        channel: Through which the booking came.
        market_segment: The house's segment.
        is_group: Whether it belongs to the booking of a group.
        reservation: The booking, if there was one.
        checked_out_at: Aware instant of departure; `now` where the source does not say.
        status: `checked_out`, or `in_house` for a guest who is still there (see `check_out_stay`).

    Returns:
        The stored stay: the new one, or the one that the same content made before. A stay stored in
        house and sent again as checked out is checked out.

    Raises:
        StayInputError: The facts contradict each other, or a finished stay ends after today.
        StayConflict: The number was posted before with other content.
    """
    row = StayInput(
        place_id=place.pk,
        source_system=source_system,
        source_reference=source_reference,
        guest_id=guest_id,
        arrival_date=arrival_date,
        departure_date=departure_date,
        lines=tuple(lines),
        currency=currency,
        room_number=room_number,
        room_type_id=room_type.pk if room_type else None,
        rate_plan=rate_plan,
        channel=channel,
        market_segment=market_segment,
        is_group=is_group,
        reservation_id=reservation.pk if reservation else None,
        checked_out_at=checked_out_at or now,
        status=status,
    )
    check_stay(row)
    if status == Stay.Status.CHECKED_OUT:
        _check_ended(place, departure_date, now)
    (result,) = store_stays([row])
    stay = Stay.objects.select_related("property").get(pk=result.stay_id)
    if result.outcome is Outcome.CONFLICT:
        raise StayConflict(stay)
    if result.outcome is Outcome.CREATED:
        record_audit(
            actor=actor,
            now=now,
            action="stay.posted",
            target=stay,
            label=str(stay),
            place=place,
            after={"net_total": str(stay.net_total), "currency": currency, "lines": len(row.lines)},
        )
        if stay.status == Stay.Status.CHECKED_OUT and stay.guest_id is not None:
            stay_completed.send(Stay, stay_id=stay.pk, actor=actor, now=now)
    elif stay.status == Stay.Status.IN_HOUSE and status == Stay.Status.CHECKED_OUT:
        return check_out_stay(actor=actor, now=now, stay_id=stay.pk, departure_date=departure_date)
    return stay


@transaction.atomic
def post_stays(*, actor: User | None, now: dt.datetime, rows: Sequence[StayInput]) -> list[StayResult]:
    """Store many stays set-based; thousands in one call.

    A finished stay is judged as on its own day of departure, so that history loaded today brings
    what it would have brought then. A row with other content than the stored stay is reported as a
    conflict and changes nothing.

    Returns:
        One result per row, in the order of the rows.

    Raises:
        StayInputError: A row contradicts itself, or two rows have one number; nothing is stored.
    """
    for row in rows:
        check_stay(row)
    if len({key_of(row) for row in rows}) != len(rows):
        raise StayInputError({"source_reference": _("Two rows have the same number.")})
    if not rows:
        return []
    results = store_stays(rows)
    created = [(row, result) for row, result in zip(rows, results, strict=True) if result.outcome is Outcome.CREATED]
    if created:
        record_audit(
            actor=actor,
            now=now,
            action="stay.posted_many",
            object_type="members.stay",
            object_id=str(created[0][1].stay_id),
            label=f"{created[0][0].source_system} {created[0][0].source_reference} – {created[-1][0].source_reference}",
            after={"count": len(created)},
        )
    finished = [
        result.stay_id for row, result in created if row.status == Stay.Status.CHECKED_OUT and row.guest_id is not None
    ]
    if finished:
        stays_completed.send(Stay, stay_ids=finished, actor=actor, now=now)
    return results


@transaction.atomic
def add_folio_lines(
    *, actor: User | None, now: dt.datetime, stay_id: int, lines: Sequence[FolioLineInput], reason: str = ""
) -> Stay:
    """Put further lines on a folio: a late charge, or a rebate with a negative amount.

    A line that stands there already with the same content is passed over, so a retry is harmless.

    Raises:
        FolioLineConflict: A line has this reference and other content.
        StayIsVoided: The stay was voided.
        StayInputError: A line is wrong in itself.
    """
    check_lines(lines)
    stay = _locked(stay_id)
    if stay.status == Stay.Status.VOIDED:
        raise StayIsVoided
    added = add_lines(stay, lines)
    if not added:
        return stay
    before = stay.net_total
    stay.net_total += sum((line.net_amount for line in added), Decimal(0)).quantize(CENT)
    stay.save(update_fields=["net_total", "updated_at"])
    record_audit(
        actor=actor,
        now=now,
        action="stay.corrected",
        target=stay,
        label=str(stay),
        place=stay.property,
        before={"net_total": str(before)},
        after={"net_total": str(stay.net_total), "lines": [line.line_reference for line in added]},
        reason=reason,
    )
    if stay.status == Stay.Status.CHECKED_OUT and stay.guest_id is not None:
        stay_corrected.send(Stay, stay_id=stay.pk, actor=actor, now=now)
    return stay


@transaction.atomic
def check_out_stay(
    *, actor: User | None, now: dt.datetime, stay_id: int, departure_date: dt.date | None = None
) -> Stay:
    """Finish the stay of a guest who was in the house; a second call changes nothing.

    Raises:
        StayIsVoided: The stay was voided.
        StayInputError: The departure would be before the arrival or after today.
    """
    stay = _locked(stay_id)
    if stay.status == Stay.Status.VOIDED:
        raise StayIsVoided
    if stay.status == Stay.Status.CHECKED_OUT:
        return stay
    stay.departure_date = departure_date or stay.property.local_date(now)
    if stay.departure_date < stay.arrival_date:
        raise StayInputError({"departure_date": _("The departure is before the arrival.")})
    _check_ended(stay.property, stay.departure_date, now)
    stay.status = Stay.Status.CHECKED_OUT
    stay.checked_out_at = now
    stay.save(update_fields=["status", "departure_date", "checked_out_at", "updated_at"])
    record_audit(actor=actor, now=now, action="stay.checked_out", target=stay, label=str(stay), place=stay.property)
    if stay.guest_id is not None:
        advance_last_stay([(stay.guest_id, stay.departure_date)])
        stay_completed.send(Stay, stay_id=stay.pk, actor=actor, now=now)
    return stay


@transaction.atomic
def void_stay(*, actor: User | None, now: dt.datetime, stay_id: int, reason: str) -> Stay:
    """Declare that a stay did not take place; its lines stay readable, what it brought is taken back.

    A second call changes nothing.

    Raises:
        StayInputError: No reason was given.
    """
    if not reason.strip():
        raise StayInputError({"reason": _("Say why the stay is voided.")})
    stay = _locked(stay_id)
    if stay.status == Stay.Status.VOIDED:
        return stay
    before = stay.status
    stay.status = Stay.Status.VOIDED
    stay.save(update_fields=["status", "updated_at"])
    if stay.guest_id is not None:
        newest = Stay.objects.filter(guest=stay.guest_id, status=Stay.Status.CHECKED_OUT).aggregate(
            newest=Max("departure_date")
        )["newest"]
        Guest.objects.filter(pk=stay.guest_id).update(last_stay_date=newest)
    record_audit(
        actor=actor,
        now=now,
        action="stay.voided",
        target=stay,
        label=str(stay),
        place=stay.property,
        before={"status": before},
        after={"status": stay.status},
        reason=reason,
    )
    if before == Stay.Status.CHECKED_OUT and stay.guest_id is not None:
        stay_voided.send(Stay, stay_id=stay.pk, actor=actor, now=now, reason=reason)
    return stay


@transaction.atomic
def claim_stay(*, actor: User | None, now: dt.datetime, stay_id: int, guest_id: int) -> Stay:
    """Give a stay without a guest to a guest, once.

    Two guests who claim at the same moment: the database lets one through.

    Raises:
        StayAlreadyClaimed: Somebody has it, be it the same guest.
        StayIsVoided: The stay was voided.
    """
    claimed = Stay.objects.filter(pk=stay_id, guest=None).exclude(status=Stay.Status.VOIDED)
    if not claimed.update(guest_id=guest_id, updated_at=now):
        stay = Stay.objects.get(pk=stay_id)
        raise StayIsVoided if stay.status == Stay.Status.VOIDED else StayAlreadyClaimed
    stay = Stay.objects.select_related("property").get(pk=stay_id)
    record_audit(
        actor=actor,
        now=now,
        action="stay.claimed",
        target=stay,
        label=str(stay),
        place=stay.property,
        after={"guest": guest_id},
    )
    if stay.status == Stay.Status.CHECKED_OUT:
        advance_last_stay([(guest_id, stay.departure_date)])
        stay_completed.send(Stay, stay_id=stay.pk, actor=actor, now=now)
    return stay


@transaction.atomic
def move_stay(*, actor: User | None, now: dt.datetime, stay_id: int, guest_id: int, reason: str) -> Stay:
    """Give a stay that was posted to the wrong guest to the right one; what it brought goes with it.

    A second call changes nothing.

    Args:
        actor: Who moves it; None for the system.
        now: Aware instant.
        stay_id: A stay that has a guest; one without is claimed (`claim_stay`).
        guest_id: Whose it is.
        reason: Why; stands with the points that are taken back.

    Raises:
        StayInputError: No reason was given, or the stay has no guest.
        StayIsVoided: The stay was voided.
    """
    if not reason.strip():
        raise StayInputError({"reason": _("Say why the stay is moved.")})
    stay = _locked(stay_id)
    if stay.status == Stay.Status.VOIDED:
        raise StayIsVoided
    before = stay.guest_id
    if before is None:
        raise StayInputError({"guest_id": _("This stay has no guest yet: it can be claimed.")})
    if before == guest_id:
        return stay
    is_finished = stay.status == Stay.Status.CHECKED_OUT
    if is_finished:
        stay_leaving.send(Stay, stay_id=stay.pk, actor=actor, now=now, reason=reason)
    stay.guest_id = guest_id
    stay.save(update_fields=["guest", "updated_at"])
    newest = Stay.objects.filter(guest=before, status=Stay.Status.CHECKED_OUT).aggregate(newest=Max("departure_date"))
    Guest.objects.filter(pk=before).update(last_stay_date=newest["newest"])
    record_audit(
        actor=actor,
        now=now,
        action="stay.moved",
        target=stay,
        label=str(stay),
        place=stay.property,
        before={"guest": before},
        after={"guest": guest_id},
        reason=reason,
    )
    if is_finished:
        advance_last_stay([(guest_id, stay.departure_date)])
        stay_completed.send(Stay, stay_id=stay.pk, actor=actor, now=now)
    return stay


def _locked(stay_id: int) -> Stay:
    return Stay.objects.select_for_update(no_key=True, of=("self",)).select_related("property").get(pk=stay_id)


def _check_ended(place: Property, departure_date: dt.date, now: dt.datetime) -> None:
    if departure_date > place.local_date(now):
        raise StayInputError({"departure_date": _("This stay has not ended yet.")})
