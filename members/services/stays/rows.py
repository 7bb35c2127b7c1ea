"""The set-based statements behind the services: one row or thousands take the same path."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from decimal import Decimal

from django.db import connection

from members.models import FolioLine, Stay
from members.services.stays.inputs import (
    FolioLineConflict,
    FolioLineInput,
    Outcome,
    StayInput,
    StayResult,
    content_hash,
    key_of,
    line_content,
)

_INSERT_STAYS = """
INSERT INTO members_stay (
    public_id, property_id, source_system, source_reference, guest_id, arrival_date, departure_date,
    room_type_id, room_number, rate_plan, channel, market_segment, is_group, reservation_id, status, net_total,
    currency, checked_out_at, content_hash, created_at, updated_at)
SELECT gen_random_uuid(), r.*, now(), now()
FROM unnest(
    %s::bigint[], %s::text[], %s::text[], %s::bigint[], %s::date[], %s::date[],
    %s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::boolean[], %s::bigint[], %s::text[], %s::numeric[],
    %s::text[], %s::timestamptz[], %s::text[]) AS r
ON CONFLICT (source_system, property_id, source_reference) DO NOTHING
RETURNING id, property_id, source_system, source_reference
"""

_FIND_STAYS = """
SELECT s.id, s.property_id, s.source_system, s.source_reference, s.content_hash
FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS r (property_id, source_system, source_reference)
JOIN members_stay s USING (property_id, source_system, source_reference)
"""

_INSERT_LINES = """
INSERT INTO members_folioline (
    stay_id, line_reference, business_date, category, description, net_amount, tax_amount, currency, is_eligible)
SELECT * FROM unnest(
    %s::bigint[], %s::text[], %s::date[], %s::text[], %s::text[], %s::numeric[], %s::numeric[], %s::text[],
    %s::boolean[])
"""

# The guests are locked in the order of their ids, so that two bulk calls cannot block each other.
_ADVANCE_LAST_STAY = """
WITH newest AS (
    SELECT guest_id, max(departure_date) AS departure_date
    FROM unnest(%s::bigint[], %s::date[]) AS r (guest_id, departure_date)
    GROUP BY guest_id
), locked AS (
    SELECT g.id, n.departure_date
    FROM members_guest g JOIN newest n ON n.guest_id = g.id
    WHERE g.last_stay_date IS NULL OR g.last_stay_date < n.departure_date
    ORDER BY g.id
    FOR NO KEY UPDATE OF g
)
UPDATE members_guest g SET last_stay_date = l.departure_date FROM locked l WHERE l.id = g.id
"""


def _columns(rows: Iterable[Sequence[object]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]


def store_stays(rows: Sequence[StayInput]) -> list[StayResult]:
    """Insert what is new with its lines, find what was there; one result per row, in their order."""
    hashes = {key_of(row): content_hash(row) for row in rows}
    stays = _columns(
        (
            row.place_id,
            row.source_system,
            row.source_reference,
            row.guest_id,
            row.arrival_date,
            row.departure_date,
            row.room_type_id,
            row.room_number,
            row.rate_plan,
            row.channel,
            row.market_segment,
            row.is_group,
            row.reservation_id,
            row.status,
            sum((line.net_amount for line in row.lines), Decimal(0)),
            row.currency,
            row.checked_out_at if row.status == Stay.Status.CHECKED_OUT else None,
            hashes[key_of(row)],
        )
        for row in rows
    )
    with connection.cursor() as cursor:
        cursor.execute(_INSERT_STAYS, stays)
        created = {(place, system, number): pk for pk, place, system, number in cursor.fetchall()}
        results = {key: StayResult(pk, Outcome.CREATED) for key, pk in created.items()}
        known = [row for row in rows if key_of(row) not in created]
        if known:
            cursor.execute(_FIND_STAYS, _columns(key_of(row) for row in known))
            for pk, place, system, number, stored in cursor.fetchall():
                same = stored == hashes[place, system, number]
                results[place, system, number] = StayResult(pk, Outcome.UNCHANGED if same else Outcome.CONFLICT)
        new_rows = [row for row in rows if key_of(row) in created]
        lines = [_line_values(created[key_of(row)], row.currency, line) for row in new_rows for line in row.lines]
        if lines:
            cursor.execute(_INSERT_LINES, _columns(lines))
    advance_last_stay(
        [
            (row.guest_id, row.departure_date)
            for row in new_rows
            if row.guest_id is not None and row.status == Stay.Status.CHECKED_OUT
        ]
    )
    return [results[key_of(row)] for row in rows]


def _line_values(stay_id: int, currency: str, line: FolioLineInput) -> tuple[object, ...]:
    return (
        stay_id,
        line.line_reference,
        line.business_date,
        line.category,
        line.description[:120],
        line.net_amount,
        line.tax_amount,
        currency,
        line.is_eligible,
    )


def add_lines(stay: Stay, lines: Sequence[FolioLineInput]) -> list[FolioLineInput]:
    """Insert the lines a locked stay does not have yet, and return them."""
    stored = {
        line.line_reference: line
        for line in FolioLine.objects.filter(stay=stay, line_reference__in=[line.line_reference for line in lines])
    }
    added = []
    for line in lines:
        if line.line_reference not in stored:
            added.append(line)
        elif line_content(stored[line.line_reference]) != line_content(line):
            raise FolioLineConflict(line.line_reference)
    if added:
        with connection.cursor() as cursor:
            cursor.execute(_INSERT_LINES, _columns(_line_values(stay.pk, stay.currency, line) for line in added))
    return added


def advance_last_stay(pairs: Sequence[tuple[int, dt.date]]) -> None:
    """Move each guest's last stay forward to the newest of the departures given."""
    if not pairs:
        return
    with connection.cursor() as cursor:
        cursor.execute(_ADVANCE_LAST_STAY, _columns(pairs))
