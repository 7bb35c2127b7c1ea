"""Where in a file each phone, address, document or number stood first.

A file may have millions of them, so they stand in a table rather than in the worker's memory; it is not logged, since a
check whose rows are lost begins anew, and holds blind indexes only, until the check ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.db import connection

from members.models import ImportBatch


def known_keys(batch: ImportBatch, keys: Sequence[bytes]) -> dict[bytes, int]:
    """Row numbers of those keys that earlier rows of the file have."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT key, row_number FROM members_importkey WHERE batch_id = %s AND key = ANY(%s::bytea[])",
            [batch.pk, list(keys)],
        )
        return {bytes(key): number for key, number in cursor.fetchall()}


def keep_keys(batch: ImportBatch, rows: Mapping[bytes, int]) -> None:
    """Note the row of each key; none of them is known yet."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO members_importkey (batch_id, key, row_number) SELECT %s::bigint, * FROM unnest(%s::bytea[], %s::int[])",
            [batch.pk, list(rows), list(rows.values())],
        )


def forget_keys(batch: ImportBatch) -> None:
    """Delete what was noted: the check has ended or begins anew."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM members_importkey WHERE batch_id = %s", [batch.pk])
