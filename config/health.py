"""Whether the process lives, and whether it can do its work."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from config.celery import app

logger = structlog.get_logger(__name__)


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _migrations() -> None:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        message = "migrations are waiting"
        raise RuntimeError(message)


def _broker() -> None:
    with app.connection_for_write(connect_timeout=2) as broker:
        broker.ensure_connection(max_retries=1, timeout=2)


def _cache() -> None:
    cache.get("ready")


CHECKS: dict[str, Callable[[], None]] = {
    "database": _database,
    "migrations": _migrations,
    "broker": _broker,
    "cache": _cache,
}


@never_cache
@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """200 as long as the process answers; touches nothing else, so that a restart is asked for only when it helps."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """200 when database, migrations, broker and cache are usable, else 503 naming what is not.

    Causes go to the log, not into the answer: anybody may ask.
    """
    result = {}
    for name, check in CHECKS.items():
        try:
            check()
        except (DatabaseError, KombuError, RedisError, OSError, RuntimeError) as error:
            logger.warning("not_ready", part=name, error=str(error))
            result[name] = "failed"
        else:
            result[name] = "ok"
    failed = "failed" in result.values()
    return JsonResponse({"status": "failed" if failed else "ok", "checks": result}, status=503 if failed else 200)
