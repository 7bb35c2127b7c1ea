"""Finding a guest from one box, in two statements whatever was typed.

The first statement collects candidates. Each reading of the query has a branch, and each branch is
bounded, because an index delivers its hits in the order of the ranking (last stay, newest first) or
because it stops after a fixed number:

| reading | index |
|---|---|
| whole phone, e-mail, document, membership number | `members_identity_value` (blind index) |
| last four digits, the end of a number, name + last four | `members_identity_last4`; longer ends are decrypted and compared |
| start of a membership number | `members_identity_number` |
| surname | `members_guest_surname` (first character, rank) |
| first two characters of a name | `members_guest_name2` (first two characters, rank) |
| pinyin initials | `members_guest_initials` (initials, rank) |
| characters anywhere in a name, Latin words | `members_guest_grams` (GIN on pairs of characters) |
| start of the pinyin | `members_guest_pinyin` |
| either of the last two with very many hits | `members_guest_recent` (rank; carries name and pinyin) |
| room in house or arriving today | `members_stay_in_house`, `members_reservation_in_house`, `…_arrival` |
| booking number | `members_reservation_reference`, `members_stay_reference` |

Guests who are at the property or arrive today are few; each name reading is tried on all of them, so
that they are never crowded out by others of the same name. The second statement ranks and describes.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.db import connection

from hotels.models import Property
from members.models import GuestIdentity
from members.rules import identity as identity_rules
from members.rules.search import SearchTerms, grams, prefix_end, read_query
from members.services import vault

Kind = GuestIdentity.Kind
Matched = Literal[
    "phone", "email", "document", "membership", "external", "room", "reservation", "name", "pinyin", "name_and_phone"
]

# Rows of one last-four index that are looked at; ten million guests have about 2,000 of each.
LAST4_CAP = 3000
# Hits that are sorted; with more, the guests are walked along in the order of the ranking.
GRAM_CAP = 1500
PINYIN_CAP = 8000
# Few enough that the walk is planned along its index in a table of any size and state.
WALK_CAP = 20_000
RANK = "last_stay_date DESC NULLS LAST, id DESC"
TWO_CHARACTERS = 2
MIN_LATIN_WORD = 3
MAX_INITIALS = 12
MIN_NUMBER_PREFIX = 3


@dataclass(frozen=True)
class GuestHit:
    """One guest found.

    Attributes:
        guest_id: Primary key.
        public_id: For addresses.
        name: As registered.
        gender: Value of `Guest.Gender`.
        phone: Masked; empty if there is none.
        has_alert: Whether an allergy, a medical note or another alert is noted.
        birthday: Date of birth, if known.
        room: Room of the visit, empty if none is given.
        status: `in_house`, `due_out` (in house, leaving today or overdue), `due_in` (a booking from today on)
            or empty without a visit at the property.
        status_date: Arrival of a booking, departure of a visit in house; local to the property.
        last_stay_date: Departure of the newest stay.
        matched: What the query met.
    """

    guest_id: int
    public_id: uuid.UUID
    name: str
    gender: str
    phone: str
    has_alert: bool
    birthday: dt.date | None
    room: str
    status: str
    status_date: dt.date | None
    last_stay_date: dt.date | None
    matched: Matched


@dataclass(frozen=True)
class _Branch:
    """One part of the first statement, with its parameters."""

    sql: str
    params: Sequence[Any]


def search_guests(*, query: str, place: Property | None = None, today: dt.date, limit: int = 20) -> list[GuestHit]:
    """Guests that the text may mean, best first.

    A whole phone number, room, document, e-mail address, membership or booking number ranks first; then
    who is in house at `place`, then who arrives there today, then by the newest stay.

    Args:
        query: As typed.
        place: Where the user works; without it nobody counts as present and rooms are not searched.
        today: Local date of the property.
        limit: Hits at most.

    Returns:
        At most `limit` guests, each once; two statements, none for an empty query.
    """
    terms = read_query(query)
    if not terms.text:
        return []
    candidates = _candidates(terms, place, today, limit)
    return _describe(candidates, place, today, limit)


def _candidates(
    terms: SearchTerms, place: Property | None, today: dt.date, limit: int
) -> dict[int, tuple[bool, Matched]]:
    """Guests by id, with whether the match is exact and what it met."""
    branches = [*_number_branches(terms, place, limit), *_name_branches(terms, limit)]
    if place is not None and terms.name and not terms.tail:
        branches.append(_present_names(terms))
    if not branches:
        return {}
    # Columns of every branch: guest, matched, exact, value to decrypt and compare (or null).
    body = " UNION ALL ".join(f"({branch.sql})" for branch in branches)
    params: list[Any] = [param for branch in branches for param in branch.params]
    if place is not None:
        body = f"WITH {_PRESENT} {body}"
        params = [place.pk, today, place.pk, place.pk, *params]
    with connection.cursor() as cursor:
        cursor.execute(body, params)
        rows = cursor.fetchall()
    found: dict[int, tuple[bool, Matched]] = {}
    for guest_id, matched, is_exact, value in rows:
        if value is not None and not vault.decrypt(value).endswith(terms.digits.encode()):
            continue
        if guest_id not in found or (is_exact and not found[guest_id][0]):
            found[guest_id] = (is_exact, matched)
    return found


# Who is at the property (standing 0) or arrives today (1): some hundreds, by their own indexes.
_PRESENT = """
present AS MATERIALIZED (
    SELECT guest_id, room_number, 0 AS standing FROM members_stay
    WHERE property_id = %s AND status = 'in_house' AND guest_id IS NOT NULL
    UNION ALL
    SELECT guest_id, room_number, 1 FROM members_reservation
    WHERE arrival_date = %s AND property_id = %s AND status = 'reserved' AND guest_id IS NOT NULL
    UNION ALL
    SELECT guest_id, room_number, 0 FROM members_reservation
    WHERE property_id = %s AND status = 'in_house' AND guest_id IS NOT NULL
)
"""
_NOBODY_PRESENT = "present AS (SELECT NULL::bigint AS guest_id, NULL::int AS standing WHERE false)"


def _number_branches(terms: SearchTerms, place: Property | None, limit: int) -> Iterable[_Branch]:
    phone = (
        _normal(identity_rules.normalize_phone, terms.text, place.country if place else "CN") if terms.digits else ""
    )
    exact = _exact_indexes(terms, phone)
    if exact:
        yield _Branch(
            "SELECT guest_id, kind, true, NULL::bytea FROM members_guestidentity WHERE value_index = ANY(%s)", [exact]
        )
    if place is not None and terms.code:
        yield _Branch(
            "SELECT guest_id, 'room', true, NULL::bytea FROM present WHERE room_number = ANY(%s)",
            [[terms.code, terms.text]],
        )
    if terms.code:
        for table in ("members_reservation", "members_stay"):
            yield _Branch(
                f"SELECT guest_id, 'reservation', true, NULL::bytea FROM {table} "  # noqa: S608 - two constants
                "WHERE source_reference = ANY(%s) AND guest_id IS NOT NULL LIMIT %s",
                [[terms.code, terms.text], limit],
            )
    if len(terms.code) >= MIN_NUMBER_PREFIX:
        yield _Branch(
            "SELECT guest_id, 'membership', false, NULL::bytea FROM members_guestidentity "
            "WHERE kind = 'membership' AND value >= %s AND value < %s ORDER BY value LIMIT %s",
            [terms.code.encode(), prefix_end(terms.code).encode(), limit],
        )
    # Nobody who types a whole number looks for those who share its last four digits.
    if not terms.name and not phone:
        value = "value" if len(terms.digits) > len("6621") else "NULL::bytea"
        for tail in _tail_indexes(terms):
            yield _Branch(
                f"SELECT guest_id, kind, false, {value} FROM members_guestidentity "  # noqa: S608 - two constants
                "WHERE last4_index = %s ORDER BY id DESC LIMIT %s",
                [tail, LAST4_CAP],
            )


def _exact_indexes(terms: SearchTerms, phone: str) -> list[bytes]:
    """Blind indexes of everything the text is a whole number of."""
    return [
        vault.blind_index(kind, normal)
        for kind, normal in (
            (Kind.PHONE, phone),
            (Kind.EMAIL, _normal(identity_rules.normalize_email, terms.text) if "@" in terms.text else ""),
            (Kind.DOCUMENT, _normal(identity_rules.normalize_document, "other", terms.text) if terms.code else ""),
            (Kind.MEMBERSHIP, _normal(identity_rules.normalize_membership_number, terms.text)),
            (Kind.EXTERNAL, _normal(identity_rules.normalize_external_id, terms.text)),
        )
        if normal
    ]


def _normal(normalize: Any, *args: str) -> str:
    try:
        normal: str = normalize(*args)
    except identity_rules.IdentityError:
        return ""
    return normal


def _tail_indexes(terms: SearchTerms) -> list[bytes]:
    tail = terms.tail or terms.digits
    kinds = [Kind.PHONE, Kind.DOCUMENT]
    if not tail and len(terms.code) == len("002X") and terms.code[:3].isdigit() and terms.code[3] == "X":
        tail, kinds = terms.code, [Kind.DOCUMENT]
    return [vault.last4_index(kind, tail) for kind in kinds] if tail else []


def _name_branches(terms: SearchTerms, limit: int) -> Iterable[_Branch]:
    if not terms.name:
        return
    if terms.tail:
        condition, params = _name_condition(terms)
        yield _Branch(
            "SELECT identity.guest_id, 'name_and_phone', false, NULL::bytea FROM members_guestidentity AS identity "  # noqa: S608
            f"JOIN members_guest AS guest ON guest.id = identity.guest_id WHERE last4_index = ANY(%s) AND {condition}",
            [_tail_indexes(terms), *params],
        )
        return
    first = "SELECT id, 'name', false, NULL::bytea FROM members_guest"
    if not terms.pinyin and len(terms.name) == 1:
        # One branch for each case: an index delivers the order of the ranking for one value only.
        for character in sorted({terms.name, terms.name.upper()}):
            yield _Branch(f"{first} WHERE left(name, 1) = %s ORDER BY {RANK} LIMIT %s", [character, limit])
    elif not terms.pinyin and grams(terms.name):
        yield from _gram_branches(terms, limit)
    if terms.pinyin:
        if len(terms.pinyin) <= MAX_INITIALS:
            yield _Branch(
                f"SELECT id, 'pinyin', false, NULL::bytea FROM members_guest WHERE name_initials = %s "  # noqa: S608
                f"ORDER BY {RANK} LIMIT %s",
                [terms.pinyin, limit],
            )
        yield from _pinyin_branches(terms.pinyin, limit)
        if max(map(len, terms.name.split())) >= MIN_LATIN_WORD:
            yield from _gram_branches(terms, limit)


def _gram_branches(terms: SearchTerms, limit: int) -> Iterable[_Branch]:
    words = terms.name.split()
    contains = " AND ".join(["strpos(lower(name), %s) > 0"] * len(words))
    yield from _bounded(
        "name",
        condition=f"members_name_grams(name) @> %s::text[] AND {contains}",
        condition_params=[grams(terms.name), *words],
        walk_condition=contains,
        walk_params=words,
        cap=GRAM_CAP,
        limit=limit,
        # Names that start with the two characters come in the order of the ranking. If they fill
        # the list, those that have them further back are not wanted.
        start=terms.name if len(terms.name) == TWO_CHARACTERS else "",
    )


def _pinyin_branches(pinyin: str, limit: int) -> Iterable[_Branch]:
    in_range = "name_pinyin ~>=~ %s AND name_pinyin ~<~ %s"
    bounds = [pinyin, prefix_end(pinyin)]
    yield from _bounded(
        "pinyin",
        condition=in_range,
        condition_params=bounds,
        walk_condition=in_range,
        walk_params=bounds,
        cap=PINYIN_CAP,
        limit=limit,
    )


def _bounded(
    matched: Matched,
    *,
    condition: str,
    condition_params: Sequence[Any],
    walk_condition: str,
    walk_params: Sequence[Any],
    cap: int,
    limit: int,
    start: str = "",
) -> Iterable[_Branch]:
    """Hits of a condition whose index knows nothing of the ranking.

    Up to `cap` hits are sorted. More cannot be sorted in time, but then they are so common that a walk
    along the ranking soon meets enough of them. Neither happens where names that start with the two
    characters of `start` fill the list.
    """
    columns = f"id, '{matched}', false, NULL::bytea"
    first = f"SELECT id FROM members_guest WHERE left(name, 2) = %s ORDER BY {RANK} LIMIT %s"  # noqa: S608
    hits = (
        f"SELECT id, last_stay_date FROM members_guest "  # noqa: S608 - built of constants
        f"WHERE (SELECT count(*) < %s FROM first) AND {condition} LIMIT {cap}"
    )
    walk = f"SELECT id, name, name_pinyin FROM members_guest ORDER BY {RANK} LIMIT {WALK_CAP}"  # noqa: S608
    yield _Branch(
        f"WITH first AS MATERIALIZED ({first}), hit AS MATERIALIZED ({hits}) "  # noqa: S608 - built of constants
        f"(SELECT {columns} FROM first) UNION ALL "
        f"(SELECT {columns} FROM hit ORDER BY {RANK} LIMIT %s) UNION ALL "
        f"(SELECT {columns} FROM ({walk}) AS newest "
        f"WHERE (SELECT count(*) = {cap} FROM hit) AND {walk_condition} LIMIT %s)",
        [start, limit, limit, *condition_params, limit, *walk_params, limit],
    )


def _name_condition(terms: SearchTerms) -> tuple[str, list[str]]:
    """What a guest beside the query must fulfil, whichever index would have found them."""
    words = terms.name.split()
    contains = " AND ".join(["strpos(lower(guest.name), %s) > 0"] * len(words))
    if not terms.pinyin:
        return ("starts_with(lower(guest.name), %s)", words) if len(terms.name) == 1 else (contains, words)
    return (
        f"(starts_with(guest.name_pinyin, %s) OR guest.name_initials = %s OR ({contains}))",
        [terms.pinyin, terms.pinyin, *words],
    )


def _present_names(terms: SearchTerms) -> _Branch:
    condition, params = _name_condition(terms)
    matched = "pinyin" if terms.pinyin else "name"
    return _Branch(
        f"SELECT guest.id, '{matched}', false, NULL::bytea FROM present "  # noqa: S608 - built of constants
        f"JOIN members_guest AS guest ON guest.id = present.guest_id WHERE {condition}",
        params,
    )


# Rank first, describe the few that are left.
_DESCRIBE = """
WITH {present},
ranked AS MATERIALIZED (
    SELECT guest.id, guest.public_id, guest.name, guest.gender, guest.birthday, guest.last_stay_date,
           candidate.is_exact, candidate.matched, coalesce(here.standing, 2) AS standing
    FROM unnest(%s::bigint[], %s::boolean[], %s::text[]) AS candidate (id, is_exact, matched)
    JOIN members_guest AS guest ON guest.id = candidate.id AND guest.merged_into_id IS NULL
    LEFT JOIN (SELECT guest_id, min(standing) AS standing FROM present GROUP BY guest_id) AS here
        ON here.guest_id = candidate.id
    ORDER BY is_exact DESC, standing, last_stay_date DESC NULLS LAST, id DESC
    LIMIT %s
)
SELECT ranked.id, ranked.public_id, ranked.name, ranked.gender,
       coalesce((SELECT masked FROM members_guestidentity AS phone
                 WHERE phone.guest_id = ranked.id AND phone.kind = 'phone'
                 ORDER BY phone.is_primary DESC, phone.id LIMIT 1), ''),
       EXISTS (SELECT FROM members_preference AS preference
               WHERE preference.guest_id = ranked.id AND preference.severity = 'alert'),
       ranked.birthday, coalesce(visit.room_number, ''),
       CASE WHEN visit.is_booking THEN 'due_in'
            WHEN visit.date <= %s THEN 'due_out'
            WHEN visit.date IS NOT NULL THEN 'in_house' ELSE '' END,
       visit.date, ranked.last_stay_date, ranked.matched
FROM ranked
LEFT JOIN LATERAL (
    SELECT room_number, departure_date AS date, false AS is_booking
    FROM members_stay
    WHERE guest_id = ranked.id AND status = 'in_house' AND property_id = coalesce(%s, property_id)
    UNION ALL
    SELECT room_number, CASE WHEN status = 'in_house' THEN departure_date ELSE arrival_date END, status = 'reserved'
    FROM members_reservation
    WHERE guest_id = ranked.id AND property_id = coalesce(%s, property_id)
          AND (status = 'in_house' OR (status = 'reserved' AND arrival_date >= %s))
    ORDER BY is_booking, date LIMIT 1
) AS visit ON true
ORDER BY ranked.is_exact DESC, ranked.standing, ranked.last_stay_date DESC NULLS LAST, ranked.id DESC
"""


def _describe(
    candidates: dict[int, tuple[bool, Matched]], place: Property | None, today: dt.date, limit: int
) -> list[GuestHit]:
    if not candidates:
        return []
    here = place.pk if place else None
    with connection.cursor() as cursor:
        cursor.execute(
            _DESCRIBE.format(present=_PRESENT if place else _NOBODY_PRESENT),
            [
                *([here, today, here, here] if place else []),
                list(candidates),
                [is_exact for is_exact, _matched in candidates.values()],
                [matched for _is_exact, matched in candidates.values()],
                limit,
                today,
                here,
                here,
                today,
            ],
        )
        return [GuestHit(*row) for row in cursor.fetchall()]
