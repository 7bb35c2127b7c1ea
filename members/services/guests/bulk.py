"""Thousands of guests at once: matched, checked and written in a fixed number of statements."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from django.db import IntegrityError, connection, transaction
from django.utils.translation import gettext_lazy as _

from hotels.models import Property, User
from hotels.services.audit import AuditFact, record_audits
from members.models import Guest, GuestIdentity
from members.services.guests.inputs import (
    PROFILE_FIELDS,
    CheckedGuest,
    GuestInput,
    GuestInputError,
    IdentityValue,
    Kind,
    Problem,
    check_guest,
    is_identity_taken,
)
from members.signals import guests_changed

Key = tuple[str, str, bytes]
Status = Literal["created", "updated", "unchanged", "taken", "conflict", "invalid"]
PROFILE_COLUMNS = (*PROFILE_FIELDS, "name_pinyin", "name_initials")
FIELD_OF_KIND = {
    str(Kind.PHONE): "phone",
    str(Kind.EMAIL): "email",
    str(Kind.DOCUMENT): "document_number",
    str(Kind.MEMBERSHIP): "membership_number",
}
# How often a file may lose the race for an identity against enrolments at the desk before it gives up.
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class GuestTrace:
    """What a call did to one guest, so that it can be taken back.

    Attributes:
        created: Whether the call made the guest.
        version: `Guest.version` after it.
        before: Profile columns that it changed, as they were.
        identities: Keys of the identities it added: kind, issuer, blind index.
    """

    created: bool
    version: int
    before: dict[str, Any]
    identities: list[Key]


@dataclass
class GuestResult:
    """What became of one row.

    Attributes:
        status: `created`, `updated`, `unchanged`, `taken` (a guest with one of the identities exists and
            `update_existing` is off), `conflict` (the identities belong to different guests) or `invalid`.
        guest_id: The guest created or found; None for a wrong row, and for a new guest in a dry run.
        problems: What is wrong, by field name.
        changed: Fields that were, or in a dry run would be, changed.
        trace: What was done to the guest; on the first row about each guest, None on others and if nothing was.
    """

    status: Status
    guest_id: int | None = None
    problems: dict[str, Problem] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    trace: GuestTrace | None = None


@dataclass(eq=False)
class _Target:
    """A guest that rows of the batch are about."""

    guest_id: int | None
    profile: dict[str, Any]
    # As stored before the call; 0 for a new guest.
    version: int = 0
    primary_kinds: set[str] = field(default_factory=set)
    before: dict[str, Any] = field(default_factory=dict)
    added: list[tuple[IdentityValue, bool]] = field(default_factory=list)
    is_listed: bool = False

    @property
    def is_new(self) -> bool:
        return self.guest_id is None

    def add(self, identity: IdentityValue) -> None:
        is_primary = identity.kind != Kind.MEMBERSHIP and identity.kind not in self.primary_kinds
        self.primary_kinds.add(identity.kind)
        self.added.append((identity, is_primary))

    def trace(self) -> GuestTrace:
        return GuestTrace(
            created=not self.version,
            version=self.version + 1,
            before=dict(self.before) if self.version else {},
            identities=[identity.key for identity, _is_primary in self.added],
        )


def check_guests(
    *, now: dt.datetime, rows: Iterable[GuestInput], place: Property | None = None
) -> list[CheckedGuest | GuestResult]:
    """The part of `create_guests` that needs no database: normal forms, blind indexes, and what is wrong.

    Args:
        now: Aware instant; birthdays lie before its day at the place.
        rows: The facts, as received.
        place: Where the guests are enrolled.

    Returns:
        What `create_guests` takes instead of the row; an `invalid` result for a wrong one.
    """
    today = place.local_date(now) if place else now.date()
    return [_check(row, today) for row in rows]


def create_guests(
    *,
    actor: User | None,
    now: dt.datetime,
    rows: Sequence[GuestInput | CheckedGuest | GuestResult],
    source: str,
    update_existing: bool = False,
    dry_run: bool = False,
    place: Property | None = None,
) -> list[GuestResult]:
    """Enrol many guests; a wrong row never blocks a right one.

    A row belongs to the guest who has its phone, document, e-mail address or membership number, be it
    stored or given by an earlier row. Two rows without any identity are two guests.

    Args:
        actor: Who imports; None for the system.
        now: Aware instant.
        rows: The facts, as received or as `check_guests` gave them back.
        source: Door or system, such as the import's id.
        update_existing: Bring a known guest up to date: a field that the row states replaces the stored
            one, an identity that the guest lacks is added. Otherwise known guests are left alone.
        dry_run: Only say what would happen.
        place: Where the guests are enrolled.

    Returns:
        One result for each row, in order.
    """
    today = place.local_date(now) if place else now.date()
    checked = [_check(row, today) if isinstance(row, GuestInput) else row for row in rows]
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with transaction.atomic():
                return _Batch(actor, now, source, place, update_existing=update_existing).run(checked, dry_run=dry_run)
        except IntegrityError as error:
            # Somebody enrolled one of these guests in the meantime: look again, and find them.
            if attempt == ATTEMPTS or not is_identity_taken(error):
                raise
    raise AssertionError  # pragma: no cover


def _check(row: GuestInput, today: dt.date) -> CheckedGuest | GuestResult:
    try:
        return check_guest(row, today=today)
    except GuestInputError as error:
        return GuestResult("invalid", problems=error.problems)


def write_profiles(profiles: Mapping[int, Mapping[str, Any]], *, now: dt.datetime) -> None:
    """Store the profile columns of many guests by one statement; each version goes up by one."""
    if not profiles:
        return
    assignments = ", ".join(f"{name} = new.{name}" for name in PROFILE_COLUMNS)
    types = ", ".join("%s::date[]" if name == "birthday" else "%s::text[]" for name in PROFILE_COLUMNS)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE members_guest AS guest
            SET {assignments}, version = guest.version + 1, updated_at = %s
            FROM unnest(%s::bigint[], {types}) AS new (id, {", ".join(PROFILE_COLUMNS)})
            WHERE guest.id = new.id
            """,  # noqa: S608 - column names are constants of this module
            [
                now,
                list(profiles),
                *([profile[name] for profile in profiles.values()] for name in PROFILE_COLUMNS),
            ],
        )


def _matching_key(kind: str, issuer: str, index: bytes) -> Key:
    # A sheet does not say which programme gave a membership number.
    return (str(kind), "" if kind == Kind.MEMBERSHIP else issuer, index)


class _Batch:
    """One attempt at one batch inside one transaction."""

    def __init__(
        self, actor: User | None, now: dt.datetime, source: str, place: Property | None, *, update_existing: bool
    ) -> None:
        self.actor = actor
        self.now = now
        self.source = source
        self.place = place
        self.update_existing = update_existing
        self.owners: dict[Key, _Target] = {}
        self.targets: list[_Target] = []

    def run(self, checked: Sequence[CheckedGuest | GuestResult], *, dry_run: bool) -> list[GuestResult]:
        self._find_owners([row for row in checked if isinstance(row, CheckedGuest)], lock=not dry_run)
        outcomes = [row if isinstance(row, GuestResult) else self._place(row) for row in checked]
        if not dry_run:
            self._write()
        results = []
        untold = set() if dry_run else {id(target) for target in self.targets}
        for outcome in outcomes:
            if isinstance(outcome, GuestResult):
                results.append(outcome)
                continue
            target, status, changed = outcome
            trace = target.trace() if id(target) in untold else None
            untold.discard(id(target))
            results.append(GuestResult(status, guest_id=target.guest_id, changed=changed, trace=trace))
        known = [result.guest_id for result in results if result.changed and result.guest_id is not None]
        if known and not dry_run:
            guests_changed.send(Guest, guest_ids=known, actor=self.actor, now=self.now)
        return results

    def _find_owners(self, rows: Iterable[CheckedGuest], *, lock: bool) -> None:
        indexes = sorted({identity.index for row in rows for identity in row.identities})
        found = list(
            GuestIdentity.objects.filter(value_index__in=indexes).values_list(
                "kind", "issuer", "value_index", "guest_id"
            )
        )
        guests = Guest.objects.filter(pk__in={guest_id for *_key, guest_id in found}).order_by("pk")
        if lock and self.update_existing:
            guests = guests.select_for_update(no_key=True)
        targets = {
            guest["pk"]: _Target(guest["pk"], {name: guest[name] for name in PROFILE_COLUMNS}, guest["version"])
            for guest in guests.values("pk", "version", *PROFILE_COLUMNS)
        }
        primaries = GuestIdentity.objects.filter(guest__in=targets, is_primary=True)
        for guest_id, kind in primaries.values_list("guest_id", "kind"):
            targets[guest_id].primary_kinds.add(kind)
        for kind, issuer, index, guest_id in found:
            if guest_id in targets:
                self.owners[_matching_key(kind, issuer, bytes(index))] = targets[guest_id]

    def _place(self, row: CheckedGuest) -> GuestResult | tuple[_Target, Status, list[str]]:
        """Decide which guest a row is about, and note what it changes."""
        keys = [_matching_key(*identity.key) for identity in row.identities]
        owners = {id(self.owners[key]): self.owners[key] for key in keys if key in self.owners}
        if len(owners) > 1:
            return GuestResult("conflict", problems=self._conflicts(row, keys))
        if not owners:
            target = _Target(None, dict(row.profile), is_listed=True)
            self.targets.append(target)
            self._add_identities(target, row, keys)
            return target, "created", []
        (target,) = owners.values()
        if not self.update_existing:
            return target, "taken", []
        changed = self._update(target, row) + self._add_identities(target, row, keys)
        if changed and not target.is_listed:
            target.is_listed = True
            self.targets.append(target)
        return target, "updated" if changed else "unchanged", changed

    def _conflicts(self, row: CheckedGuest, keys: Sequence[Key]) -> dict[str, Problem]:
        """Name the fields whose owner is not the owner of the row's first known identity."""
        known = [
            (identity, self.owners[key])
            for identity, key in zip(row.identities, keys, strict=True)
            if key in self.owners
        ]
        first, owner = known[0]
        return {
            FIELD_OF_KIND[identity.kind]: Problem(
                "identity_conflict", _("Belongs to another guest than %(value)s."), {"value": first.masked}
            )
            for identity, other in known
            if other is not owner
        }

    def _update(self, target: _Target, row: CheckedGuest) -> list[str]:
        stated = {name: value for name, value in row.profile.items() if value and target.profile[name] != value}
        for name, value in stated.items():
            target.before.setdefault(name, target.profile[name])
            target.profile[name] = value
        return [name for name in stated if name in PROFILE_FIELDS]

    def _add_identities(self, target: _Target, row: CheckedGuest, keys: Sequence[Key]) -> list[str]:
        added = []
        for identity, key in zip(row.identities, keys, strict=True):
            if key not in self.owners:
                self.owners[key] = target
                target.add(identity)
                added.append(FIELD_OF_KIND[identity.kind])
        return added

    def _write(self) -> None:
        new = [target for target in self.targets if target.is_new]
        changed = [target for target in self.targets if not target.is_new]
        self._insert_guests(new)
        self._update_guests(changed)
        self._insert_identities()
        if self.targets:
            facts = (
                self._audit_fact("guest.enrolled" if target.version == 0 else "guest.changed", target)
                for target in (*new, *changed)
            )
            record_audits(actor=self.actor, now=self.now, place=self.place, facts=facts)

    def _insert_guests(self, targets: Sequence[_Target]) -> None:
        if not targets:
            return
        columns = ("id", "public_id", *PROFILE_COLUMNS, "version", "created_at", "updated_at")
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT nextval(pg_get_serial_sequence('members_guest', 'id')) FROM generate_series(1, %s)",
                [len(targets)],
            )
            for target, (guest_id,) in zip(targets, cursor.fetchall(), strict=True):
                target.guest_id = guest_id
            with cursor.copy(f"COPY members_guest ({', '.join(columns)}) FROM STDIN") as copy:
                for target in targets:
                    profile = [target.profile[name] for name in PROFILE_COLUMNS]
                    copy.write_row((target.guest_id, uuid.uuid4(), *profile, 1, self.now, self.now))

    def _update_guests(self, targets: Sequence[_Target]) -> None:
        write_profiles({target.guest_id: target.profile for target in targets if target.guest_id}, now=self.now)

    def _insert_identities(self) -> None:
        values = [
            (identity.key, target.guest_id, identity, is_primary)
            for target in self.targets
            for identity, is_primary in target.added
        ]
        # In one order, so that two batches with the same identities wait for each other and never deadlock.
        if not values:
            return
        values.sort(key=lambda value: value[0])
        columns = "guest_id, kind, issuer, value, value_index, last4_index, masked, is_primary, created_at"
        with (
            # Django does not translate the errors of COPY by itself.
            connection.wrap_database_errors,
            connection.cursor() as cursor,
            cursor.copy(f"COPY members_guestidentity ({columns}) FROM STDIN") as copy,
        ):
            for _key, guest_id, identity, is_primary in values:
                copy.write_row(
                    (
                        guest_id,
                        identity.kind,
                        identity.issuer,
                        identity.stored,
                        identity.index,
                        identity.last4,
                        identity.masked,
                        is_primary,
                        self.now,
                    )
                )

    def _audit_fact(self, action: str, target: _Target) -> AuditFact:
        fields = [name for name in target.before if name in PROFILE_FIELDS]
        return AuditFact(
            action=action,
            object_type=Guest._meta.label_lower,
            object_id=str(target.guest_id),
            label=target.profile["name"],
            before={name: _plain(target.before[name]) for name in fields} or None,
            after={
                "source": self.source,
                **{name: _plain(target.profile[name]) for name in fields},
                **{identity.kind: identity.masked for identity, _is_primary in target.added},
            },
        )


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, dt.date) else value
