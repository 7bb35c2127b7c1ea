"""Statements that a connection prepares once and runs often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper


def run_prepared(connection: BaseDatabaseWrapper, statement: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Run a statement as one that this connection has prepared; returns its rows.

    Django's own cursor writes the arguments into the text of each statement, so that the server has to read
    and plan it again. It is used where somebody listens to the connection's statements.
    """
    if connection.queries_logged or connection.execute_wrappers:
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cast("list[tuple[Any, ...]]", cursor.fetchall())
    connection.validate_thread_sharing()
    connection.validate_no_broken_transaction()
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    # With prepare_threshold None, for a pooler, psycopg prepares nothing.
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as prepared:
        return prepared.execute(statement, parameters, prepare=True, binary=True).fetchall()
