"""One run of the linkage: reads everybody, merges what is certain, leaves the rest to be looked at."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

import structlog
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.utils.translation import gettext as _

from hotels.services.audit import record_audit
from members.models import Guest, GuestIdentity, LinkageRun
from members.rules.linkage import Pair, email_identifies, phone_identifies
from members.services import vault
from members.services.merges import MergeRefused, merge_guests

if TYPE_CHECKING:
    from hotels.models import User

logger = structlog.get_logger(__name__)
CHUNK = 20_000
# A run whose worker was killed is taken over after this.
LOST_AFTER = dt.timedelta(hours=1)


class LinkageRunning(Exception):
    """A search is waiting or running already."""

    code = "linkage_running"

    @property
    def message(self) -> str:
        """A sentence for whoever asked."""
        return str(_("A search for duplicates is running already."))


@transaction.atomic
def request_linkage(*, actor: User | None, now: dt.datetime) -> LinkageRun:
    """Ask for a run; a worker claims it.

    Raises:
        LinkageRunning: There is one that has not ended.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('members.linkage'))")
    LinkageRun.objects.filter(
        state__in=[LinkageRun.State.WAITING, LinkageRun.State.RUNNING], requested_at__lt=now - LOST_AFTER
    ).update(state=LinkageRun.State.FAILED, finished_at=now, error="lost")
    if LinkageRun.objects.filter(state__in=[LinkageRun.State.WAITING, LinkageRun.State.RUNNING]).exists():
        raise LinkageRunning
    run = LinkageRun.objects.create(requested_by=actor, requested_at=now)
    record_audit(actor=actor, now=now, action="linkage.requested", target=run, label=str(run.pk))
    return run


def run_linkage(*, now: dt.datetime, threads: int = 2) -> LinkageRun | None:
    """Carry out the run that waits; returns it, or None where none waits or another worker has it.

    Committed step by step, so that its progress is seen. Merging is one transaction a pair.
    """
    run = LinkageRun.objects.filter(state=LinkageRun.State.WAITING).order_by("pk").first()
    if run is None:
        return None
    try:
        claimed = LinkageRun.objects.filter(pk=run.pk, state=LinkageRun.State.WAITING).update(
            state=LinkageRun.State.RUNNING, started_at=now, step="reading"
        )
    except IntegrityError:
        return None
    if not claimed:
        return None
    try:
        columns = read_profiles()
        _progress(run, step="comparing", guest_count=len(columns["unique_id"]))
        # The engine is loaded here alone: web processes do without it.
        pairs: list[Pair] = import_module("members.services.linkage.matching").find_pairs(columns, threads=threads)
        del columns
        _progress(run, step="merging")
        merged = _merge_certain([pair for pair in pairs if pair.is_certain], now)
        _progress(run, step="noting", merged_count=merged)
        noted = note_pairs(pairs, now=now)
    except Exception as error:
        logger.exception("linkage_failed", run=run.pk)
        _progress(run, state=LinkageRun.State.FAILED, finished_at=now, error=type(error).__name__)
        raise
    _progress(run, state=LinkageRun.State.DONE, step="", finished_at=now, review_count=noted)
    run.refresh_from_db()
    return run


def _progress(run: LinkageRun, **fields: Any) -> None:
    LinkageRun.objects.filter(pk=run.pk).update(**fields)


def read_profiles() -> dict[str, list[Any]]:
    """Everybody as the comparison wants it; personal numbers are decrypted into memory only.

    Numbers and addresses that several people share or that belong to an agency are left out.
    """
    columns: dict[str, list[Any]] = {
        name: []
        for name in ("unique_id", "name", "pinyin", "birthday", "phone", "document", "email", "gender", "company")
    }
    last = 0
    while True:
        guests = list(
            Guest.objects.current()
            .filter(pk__gt=last)
            .order_by("pk")
            .values_list("pk", "name", "name_pinyin", "birthday", "gender", "company")[:CHUNK]
        )
        if not guests:
            break
        last = guests[-1][0]
        values = dict(_identities(guests[0][0], last))
        for pk, name, pinyin, birthday, gender, company in guests:
            columns["unique_id"].append(pk)
            columns["name"].append(name)
            columns["pinyin"].append(pinyin or None)
            columns["birthday"].append(birthday.isoformat() if birthday else None)
            columns["gender"].append(gender or None)
            columns["company"].append(company or None)
            for kind in ("phone", "document", "email"):
                columns[kind].append(values.get((pk, kind)))
    for kind in ("phone", "email"):
        common = {value for value, count in Counter(filter(None, columns[kind])).items() if count > 5}  # noqa: PLR2004
        columns[kind] = [None if value in common else value for value in columns[kind]]
    return columns


def _identities(first: int, last: int) -> Iterator[tuple[tuple[int, str], str]]:
    rows = (
        GuestIdentity.objects.filter(guest__gte=first, guest__lte=last, kind__in=["phone", "document", "email"])
        # The primary one comes last and stays in the dictionary.
        .order_by("guest_id", "kind", "is_primary", "pk")
        .values_list("guest_id", "kind", "value")
    )
    switchboards = frozenset(settings.GUIKE_SHARED_PHONES)
    relays = tuple(settings.GUIKE_RELAY_DOMAINS)
    for guest_id, kind, value in rows.iterator(chunk_size=CHUNK):
        plain = vault.decrypt(bytes(value)).decode()
        if kind == "phone" and not phone_identifies(plain, switchboards):
            continue
        if kind == "email" and not email_identifies(plain, relays):
            continue
        yield (guest_id, kind), plain


def _merge_certain(pairs: list[Pair], now: dt.datetime) -> int:
    """Merge pairs nobody has to look at; the profile with the newest stay is kept, of equals the older one."""
    merged = 0
    for pair in pairs:
        guests = {
            guest.pk: guest
            for guest in Guest.objects.filter(pk__in=[pair.first_id, pair.second_id]).only(
                "pk", "last_stay_date", "merged_into"
            )
        }
        ordered = sorted(guests.values(), key=lambda guest: (guest.last_stay_date or dt.date.min, -guest.pk))
        try:
            merge_guests(
                actor=None,
                now=now,
                survivor_id=ordered[-1].pk,
                merged_id=ordered[0].pk,
                reason=", ".join(pair.evidence)[:200],
            )
        except MergeRefused as error:
            # Somebody said that they are two people, or one of them is merged already: left to people.
            logger.info("linkage_left", first=pair.first_id, second=pair.second_id, code=error.code)
        else:
            merged += 1
    return merged


_NOTE = """
INSERT INTO members_mergecandidate (public_id, first_id, second_id, weight, evidence, state, found_at)
SELECT gen_random_uuid(), p.first_id, p.second_id, p.weight, to_jsonb(string_to_array(p.evidence, ',')), 'open', %s
FROM unnest(%s::bigint[], %s::bigint[], %s::float8[], %s::text[]) AS p (first_id, second_id, weight, evidence)
JOIN members_guest a ON a.id = p.first_id AND a.merged_into_id IS NULL
JOIN members_guest b ON b.id = p.second_id AND b.merged_into_id IS NULL
WHERE NOT EXISTS (
    SELECT FROM members_notsameperson n WHERE n.first_id = p.first_id AND n.second_id = p.second_id)
ON CONFLICT (first_id, second_id) DO UPDATE SET weight = EXCLUDED.weight, evidence = EXCLUDED.evidence
WHERE members_mergecandidate.state IN ('open', 'later')
RETURNING id
"""


def note_pairs(pairs: list[Pair], *, now: dt.datetime) -> int:
    """Put pairs into the queue of what is to be looked at; decided ones stay decided. Returns how many stand there."""
    noted = 0
    with transaction.atomic(), connection.cursor() as cursor:
        for start in range(0, len(pairs), CHUNK):
            part = pairs[start : start + CHUNK]
            cursor.execute(
                _NOTE,
                [
                    now,
                    [pair.first_id for pair in part],
                    [pair.second_id for pair in part],
                    [pair.weight for pair in part],
                    [",".join(pair.evidence) for pair in part],
                ],
            )
            noted += len(cursor.fetchall())
    return noted
