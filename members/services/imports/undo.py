"""Taking back a whole import: what it made is removed, what it changed is as it was before.

Applying keeps for each row what it did to the guest. Undoing goes guest by guest, in chunks that are each one
transaction: it may be broken off anywhere and goes on where it stood. A guest whom somebody changed or used since
the import is left alone whole, and the row says why.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from django.db import connection, transaction
from django.db.models import Count, Model, Q
from django.utils.translation import gettext_lazy as _

from hotels.models import AuditEntry, User
from members.models import Guest, GuestIdentity, ImportBatch, ImportRow, Preference
from members.services import vault
from members.services.guests import PROFILE_COLUMNS, GuestTrace, write_profiles
from members.services.imports.batches import ImportRefused, Status, audit_batch, locked_batch

UNDO_WITHIN = dt.timedelta(hours=24)
UNDOABLE = (Status.APPLIED, Status.CANCELED, Status.FAILED)
Kept = ImportRow.Kept


def stored_trace(trace: GuestTrace | None, note: tuple[str, str] | None) -> tuple[bytes | None, int | None]:
    """What a row did to its guest, encrypted (the values before may be personal), and the guest's version after it."""
    if trace is None and note is None:
        return None, None
    facts: dict[str, Any] = {"note": note}
    if trace is not None:
        facts |= {
            "created": trace.created,
            "origin": trace.version - 1,
            "before": {name: _plain(value) for name, value in trace.before.items()},
            "identities": [(kind, issuer, index.hex()) for kind, issuer, index in trace.identities],
        }
    content = vault.encrypt(json.dumps(facts, ensure_ascii=False).encode())
    return content, trace.version if trace else None


@dataclass(frozen=True, slots=True)
class UndoPreview:
    """What undoing an import is about: rows that made a guest, and rows that changed one."""

    created: int
    updated: int

    @property
    def total(self) -> int:
        """Rows that can be taken back."""
        return self.created + self.updated


def preview_undo(batch: ImportBatch) -> UndoPreview:
    """How many rows of an applied import can be taken back; one query."""
    counts = batch.rows.filter(trace__isnull=False).aggregate(
        created=Count("pk", filter=Q(action=ImportRow.Action.CREATE)),
        updated=Count("pk", filter=Q(action=ImportRow.Action.UPDATE)),
    )
    return UndoPreview(counts["created"], counts["updated"])


def check_undo(batch: ImportBatch, *, now: dt.datetime) -> None:
    """Refuse to undo an import that cannot be undone (any more).

    Raises:
        ImportRefused: `not_open`: it is running, undone or was never applied; `too_late`.
    """
    if batch.status not in UNDOABLE or batch.finished_at is None:
        raise ImportRefused(
            code="not_open", message=_("This import cannot be undone: it is running, undone, or brought nothing in.")
        )
    if now - batch.finished_at >= UNDO_WITHIN:
        raise ImportRefused(
            code="too_late",
            message=_(
                "This import ended more than 24 hours ago and cannot be undone as a whole. Correct single guests."
            ),
        )


@transaction.atomic
def undo_import(*, actor: User | None, now: dt.datetime, batch_id: int) -> ImportBatch:
    """Have a whole import taken back; a second call changes nothing.

    Args:
        actor: Who undoes it.
        now: Aware instant; an import can be undone for `UNDO_WITHIN` after its end.
        batch_id: The import.

    Raises:
        ImportRefused: `not_open`, `too_late` or `nothing_to_undo`.
    """
    batch = locked_batch(batch_id, *UNDOABLE, Status.UNDOING, Status.UNDONE)
    if batch.status in {Status.UNDOING, Status.UNDONE}:
        return batch
    check_undo(batch, now=now)
    preview = preview_undo(batch)
    if not preview.total:
        raise ImportRefused(code="nothing_to_undo", message=_("This import changed nothing, so nothing can be undone."))
    before = batch.status
    batch.status = Status.UNDOING
    batch.undone_by = actor
    batch.claimed_until = None
    # The progress counts the rows that are left to take back.
    batch.done_count = max(batch.row_count - preview.total, 0)
    batch.started_at = now
    batch.save(update_fields=["status", "undone_by", "claimed_until", "done_count", "started_at"])
    audit_batch(
        batch,
        actor=actor,
        now=now,
        action="import.undo_requested",
        before={"status": before},
        after={"created": preview.created, "updated": preview.updated},
    )
    return batch


def forget_traces(*, now: dt.datetime) -> int:
    """Delete what was kept for an undo once it is too late for one.

    Returns:
        How many rows were cleared.
    """
    ended = ImportBatch.objects.filter(status__in=[*UNDOABLE, Status.UNDONE], finished_at__lte=now - UNDO_WITHIN)
    return ImportRow.objects.filter(batch__in=ended, trace__isnull=False).update(trace=None)


def undo_chunk(batch: ImportBatch, *, now: dt.datetime, limit: int) -> int:
    """Take back the next guests of a batch, inside the caller's transaction, in a fixed number of statements.

    Args:
        batch: The locked import; its counts are moved, saving is the caller's.
        now: Aware instant.
        limit: Guests at most.

    Returns:
        Rows dealt with; 0 when none is left.
    """
    waiting = batch.rows.filter(trace__isnull=False)
    guest_ids = list(
        waiting.filter(guest__isnull=False).order_by("guest").values_list("guest", flat=True).distinct()[:limit]
    )
    if not guest_ids:
        # Whoever was deleted meanwhile by other means.
        gone = waiting.filter(guest=None).update(trace=None, kept_reason=Kept.GONE)
        batch.kept_count += gone
        batch.done_count += gone
        return gone
    rows = list(waiting.filter(guest__in=guest_ids).order_by("guest", "row_number"))
    # The strong lock: nobody can book or enrol a guest who is about to go.
    guests = {guest.pk: guest for guest in Guest.objects.select_for_update().filter(pk__in=guest_ids).order_by("pk")}
    traces: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        told = json.loads(vault.decrypt(bytes(row.trace or b"")))
        traces[row.guest_id or 0].append(told | {"version": row.guest_version})
    kept = _kept(guests, traces)
    free = {pk: told for pk, told in traces.items() if pk not in kept}
    created = [pk for pk, told in free.items() if any(trace.get("created") for trace in told)]
    undone = [row.pk for row in rows if row.guest_id in free]
    _restore(batch, {pk: told for pk, told in free.items() if pk not in set(created)}, guests, now=now)
    # Before the guests go: that empties the rows' guest.
    ImportRow.objects.filter(pk__in=undone).update(trace=None, undone_at=now)
    for reason in set(kept.values()):
        of_reason = [row.pk for row in rows if kept.get(row.guest_id or 0) == reason]
        ImportRow.objects.filter(pk__in=of_reason).update(trace=None, kept_reason=reason)
    _remove(batch, [guests[pk] for pk in created], now=now)
    batch.undone_count += len(undone)
    batch.kept_count += len(rows) - len(undone)
    batch.done_count += len(rows)
    return len(rows)


def _kept(guests: Mapping[int, Guest], traces: Mapping[int, list[dict[str, Any]]]) -> dict[int, str]:
    """Guests to leave alone, and why."""
    kept: dict[int, str] = {}
    for pk, told in traces.items():
        versions = _versions(told)
        if pk not in guests:
            kept[pk] = Kept.GONE
        elif versions and guests[pk].version != max(versions):
            kept[pk] = Kept.CHANGED
    created = [pk for pk, told in traces.items() if pk not in kept and any(trace.get("created") for trace in told)]
    return kept | dict.fromkeys(_used(created, traces, guests), Kept.USED)


def _used(
    guest_ids: Sequence[int], traces: Mapping[int, list[dict[str, Any]]], guests: Mapping[int, Guest]
) -> set[int]:
    """Which of the guests that the import made have anything it did not give them, in any app."""
    used = {pk for pk in guest_ids if guests[pk].user_id is not None}
    for relation in Guest._meta.related_objects:
        model = cast("type[Model]", relation.related_model)
        if model in {ImportRow, GuestIdentity, Preference}:
            continue
        name = relation.field.name
        used |= set(model._base_manager.filter(**{f"{name}__in": guest_ids}).values_list(f"{name}_id", flat=True))
    given = {(pk, *identity) for pk in guest_ids for trace in traces[pk] for identity in _identities(trace)}
    identities = GuestIdentity.objects.filter(guest__in=guest_ids)
    used |= {
        pk
        for pk, kind, issuer, index in identities.values_list("guest", "kind", "issuer", "value_index")
        if (pk, kind, issuer, bytes(index)) not in given
    }
    notes = {(pk, *trace["note"]) for pk in guest_ids for trace in traces[pk] if trace.get("note")}
    preferences = Preference.objects.filter(guest__in=guest_ids)
    used |= {
        pk
        for pk, category, text, source in preferences.values_list("guest", "category", "text", "source")
        if (pk, category, text) not in notes or source != "import"
    }
    return used


def _restore(
    batch: ImportBatch, free: Mapping[int, list[dict[str, Any]]], guests: Mapping[int, Guest], *, now: dt.datetime
) -> None:
    """Give guests back the profile, the identities and the notes they had."""
    profiles: dict[int, dict[str, Any]] = {}
    # The version of each guest before the import.
    origins: dict[int, int] = {}
    entries = []
    for pk, told in free.items():
        before: dict[str, Any] = {}
        for trace in told:
            # The oldest value stands: a later row changed what an earlier one had changed.
            before = {**trace.get("before", {}), **before}
        if _versions(told):
            origins[pk] = min(trace["origin"] for trace in told if "origin" in trace)
            now_stored = {name: getattr(guests[pk], name) for name in PROFILE_COLUMNS}
            profiles[pk] = now_stored | {name: _value(name, value) for name, value in before.items()}
        entries.append(
            _entry(
                batch,
                guests[pk],
                "guest.import_undone",
                now,
                before={name: _plain(getattr(guests[pk], name)) for name in before},
                after=dict(before),
            )
        )
    write_profiles(profiles, now=now)
    _renew_versions(origins, guests)
    _delete_identities(
        (pk, *identity) for pk, told in free.items() for trace in told for identity in _identities(trace)
    )
    _delete_notes((pk, *trace["note"]) for pk, told in free.items() for trace in told if trace.get("note"))
    AuditEntry.objects.bulk_create(entries)


def _renew_versions(origins: Mapping[int, int], guests: Mapping[int, Guest]) -> None:
    """Let an earlier import be undone too: its guests are as it left them, under a new version."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE members_importrow AS row SET guest_version = given.version
            FROM unnest(%s::bigint[], %s::int[], %s::int[]) AS given (guest_id, origin, version)
            WHERE row.guest_id = given.guest_id AND row.guest_version = given.origin AND row.trace IS NOT NULL
            """,
            [list(origins), list(origins.values()), [guests[pk].version + 1 for pk in origins]],
        )


def _versions(told: Iterable[Mapping[str, Any]]) -> list[int]:
    return [trace["version"] for trace in told if trace["version"] is not None]


def _remove(batch: ImportBatch, guests: Sequence[Guest], *, now: dt.datetime) -> None:
    """Remove guests the import made, with their identities and notes."""
    AuditEntry.objects.bulk_create([_entry(batch, guest, "guest.removed", now) for guest in guests])
    Guest.objects.filter(pk__in=[guest.pk for guest in guests]).delete()


def _entry(batch: ImportBatch, guest: Guest, action: str, now: dt.datetime, **facts: Any) -> AuditEntry:
    return AuditEntry(
        at=now,
        actor=batch.undone_by,
        action=action,
        object_type=Guest._meta.label_lower,
        object_id=str(guest.pk),
        object_label=guest.name,
        property=batch.property,
        reason=f"import {batch.public_id}",
        **facts,
    )


def _identities(trace: Mapping[str, Any]) -> list[tuple[str, str, bytes]]:
    return [(kind, issuer, bytes.fromhex(index)) for kind, issuer, index in trace.get("identities", [])]


def _delete_identities(keys: Iterable[tuple[int, str, str, bytes]]) -> None:
    if columns := [list(column) for column in zip(*keys, strict=True)]:
        with connection.cursor() as cursor:
            cursor.execute(
                """
                DELETE FROM members_guestidentity AS held
                USING unnest(%s::bigint[], %s::text[], %s::text[], %s::bytea[]) AS given (guest_id, kind, issuer, value)
                WHERE (held.guest_id, held.kind, held.issuer, held.value_index)
                    = (given.guest_id, given.kind, given.issuer, given.value)
                """,
                columns,
            )


def _delete_notes(keys: Iterable[tuple[int, str, str]]) -> None:
    """Delete the notes that nobody has taken over since: noting the same at the desk changes the source."""
    if columns := [list(column) for column in zip(*keys, strict=True)]:
        with connection.cursor() as cursor:
            cursor.execute(
                """
                DELETE FROM members_preference AS held
                USING unnest(%s::bigint[], %s::text[], %s::text[]) AS given (guest_id, category, text)
                WHERE (held.guest_id, held.category, held.text) = (given.guest_id, given.category, given.text)
                  AND held.source = 'import'
                """,
                columns,
            )


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, dt.date) else value


def _value(name: str, value: Any) -> Any:
    return dt.date.fromisoformat(value) if name == "birthday" and value else value
