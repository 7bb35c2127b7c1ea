"""Bringing everything that is encrypted under the newest key, so that an old key can leave the ring.

Whoever stores ciphertext of `members.services.vault` registers here how it is renewed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.files.base import ContentFile
from django.db import connection, transaction

from members.models import GuestIdentity, ImportBatch, ImportRow
from members.services import vault
from members.services.guests.inputs import ENCRYPTED_KINDS

# Renews all values of one place in transactions of at most so many values; returns how many were renewed.
Renew = Callable[[int], int]

_places: dict[str, Renew] = {}


def register_ciphertexts(name: str, renew: Renew) -> None:
    """Name a place that holds ciphertext; registering a name again replaces it."""
    _places[name] = renew


def rotate_keys(*, batch_size: int = 5000) -> dict[str, int]:
    """Encrypt again, under the first key of the ring, what another key encrypted.

    Safe while the program runs and after an interruption: each value is read and replaced under its
    lock, in short transactions, and a value under the newest key is left alone.

    Args:
        batch_size: Values in one transaction.

    Returns:
        For each place how many values were renewed.

    Raises:
        vault.UnreadableCiphertext: a value belongs to no key of the ring; what was renewed before stays so.
    """
    return {name: renew(batch_size) for name, renew in _places.items()}


def is_outdated(ciphertext: bytes | memoryview) -> bool:
    """Whether another key than the first of the ring wrote the value."""
    return not bytes(ciphertext).startswith(vault.current_header())


def renewed(ciphertext: bytes | memoryview) -> bytes:
    """The same plaintext under the first key of the ring."""
    return vault.encrypt(vault.decrypt(ciphertext))


def _renew_column(table: str, column: str, condition: str, params: list[Any], batch_size: int) -> int:
    header = vault.current_header()
    count, last = 0, 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                f"""
                SELECT id, {column} FROM {table}
                WHERE id > %s AND {condition} AND substring({column} FROM 1 FOR %s) <> %s
                ORDER BY id LIMIT %s FOR NO KEY UPDATE
                """,  # noqa: S608 - names are constants of this module
                [last, *params, len(header), header, batch_size],
            )
            rows = cursor.fetchall()
            if not rows:
                return count
            cursor.execute(
                f"""
                UPDATE {table} SET {column} = new.value
                FROM unnest(%s::bigint[], %s::bytea[]) AS new (id, value) WHERE {table}.id = new.id
                """,  # noqa: S608 - names are constants of this module
                [[pk for pk, _value in rows], [renewed(value) for _pk, value in rows]],
            )
        count += len(rows)
        last = rows[-1][0]


def _renew_identities(batch_size: int) -> int:
    kinds = sorted(str(kind) for kind in ENCRYPTED_KINDS)
    return _renew_column(GuestIdentity._meta.db_table, "value", "kind = ANY(%s)", [kinds], batch_size)


def _renew_import_rows(batch_size: int) -> int:
    return _renew_column(ImportRow._meta.db_table, "cells", "true", [], batch_size)


def _renew_import_files(_batch_size: int) -> int:
    count = 0
    for batch in ImportBatch.objects.exclude(file="").order_by("pk").iterator():
        old = batch.file.name
        with batch.file.open("rb") as stored:
            content = stored.read()
        if not is_outdated(content):
            continue
        # A new file first: a crash in between leaves a file too many, never one too few.
        batch.file.save(f"{batch.public_id}.bin", ContentFile(renewed(content)), save=False)
        batch.save(update_fields=["file"])
        batch.file.storage.delete(old)
        count += 1
    return count


register_ciphertexts("guests' identities", _renew_identities)
register_ciphertexts("rows of imports", _renew_import_rows)
register_ciphertexts("files of imports", _renew_import_files)
