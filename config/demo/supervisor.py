"""Starts every process of the system, watches them, and stops them in order."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from config import embedded
from config.embedded import Child, EmbeddedError

READY_SECONDS = 60
STOP_SECONDS = 20
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(Exception):
    """Somebody pressed Ctrl-C or ended the demo from outside."""


LAST_PORT = 65_535


def check_port(host: str, port: int) -> None:
    """Refuse a web port that others listen on.

    Raises:
        EmbeddedError: The port cannot be had.
    """
    if not 0 < port <= LAST_PORT:
        message = f"{port} is no port: choose one from 1 to {LAST_PORT}."
        raise EmbeddedError(message)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            message = f"Port {port} of {host} cannot be used ({error.strerror}): try `make demo PORT={port + 1}`."
            raise EmbeddedError(message) from error


def start_child(name: str, command: Sequence[str], *, log: Path, environment: Mapping[str, str]) -> Child:
    """Start a process whose output goes to its log, apart from the terminal's Ctrl-C."""
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=embedded.PROJECT,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: embedded.die_with_parent(signal.SIGTERM),  # noqa: PLW1509
        )
    return Child(name, process, log)


def stop_child(child: Child) -> None:
    """Ask a process to end, and kill its whole group when it does not in time."""
    if child.process.poll() is None:
        child.process.terminate()
        try:
            child.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(child.process.pid, signal.SIGKILL)
            child.process.wait()


def run_step(command: Sequence[str], *, log: Path, environment: Mapping[str, str], what: str) -> None:
    """Run a command to its end.

    Raises:
        EmbeddedError: It failed; the message has the end of its output.
    """
    child = start_child(what, command, log=log, environment=environment)
    try:
        code = child.process.wait()
    finally:
        stop_child(child)
    if code != 0:
        message = f"{what} failed (log: {log}):\n{embedded.last_lines(log)}"
        raise EmbeddedError(message)


def check_alive(children: Sequence[Child]) -> None:
    """Look once at every process.

    Raises:
        EmbeddedError: One ended by itself.
    """
    for child in children:
        code = child.process.poll()
        if code is not None:
            message = (
                f"{child.name} ended unexpectedly (code {code}, log: {child.log}):\n{embedded.last_lines(child.log)}"
            )
            raise EmbeddedError(message)


def await_answer(url: str, still_alive: Callable[[], None]) -> None:
    """Wait until a page answers.

    Raises:
        EmbeddedError: It does not in time, or a process ended meanwhile.
    """
    deadline = time.monotonic() + READY_SECONDS
    while True:
        still_alive()
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own http address
                return
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > deadline:
                message = f"{url} does not answer after {READY_SECONDS} s: {error}."
                raise EmbeddedError(message) from error
            time.sleep(0.2)


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Turn the first signal to stop into `StopRequested`; further ones do not disturb the stopping."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        raise StopRequested

    previous = {number: signal.signal(number, stop) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def run_demo(
    *,
    host: str,
    port: int,
    folder: Path,
    say: Callable[[str], None],
    announce: Callable[[str], None],
    commands: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Run the system until somebody stops it.

    Args:
        host: Address to serve on.
        port: TCP port to serve on.
        folder: Where data and logs are kept.
        say: Gets a line for each step.
        announce: Gets the address once the system answers.
        commands: The long-running processes by name, instead of the usual ones.

    Raises:
        EmbeddedError: Something did not start or ended by itself; everything else is stopped.
        StopRequested: Somebody stopped it; everything is stopped.
    """
    with stop_on_signals(), ExitStack() as stack:
        check_port(host, port)
        logs = folder / "log"
        logs.mkdir(parents=True, exist_ok=True)
        state = embedded.state_folder(folder)
        say(f"Starting PostgreSQL and Valkey on {state} …")
        servers = stack.enter_context(embedded.servers(state))
        environment = {
            **os.environ,
            **servers.environment,
            "DJANGO_SETTINGS_MODULE": "config.settings.development",
            "PYTHONUNBUFFERED": "1",
        }
        manage = [sys.executable, str(embedded.PROJECT / "manage.py")]
        say("Bringing the database up to date …")
        run_step([*manage, "migrate", "--no-input"], log=logs / "migrate.log", environment=environment, what="migrate")
        say("Looking after the demo hotel group (the first time it is made, in about a minute) …")
        run_step([*manage, "seed_demo", "--if-empty"], log=logs / "seed.log", environment=environment, what="seed_demo")
        children: list[Child] = []
        for name, command in (commands or usual_commands(host, port)).items():
            child = start_child(name, command, log=logs / f"{name}.log", environment=environment)
            children.append(child)
            stack.callback(stop_child, child)

        def still_alive() -> None:
            check_alive([*servers.all(), *children])

        address = f"http://{host}:{port}"
        await_answer(f"{address}/ready/", still_alive)
        announce(address)
        while True:
            still_alive()
            time.sleep(0.5)


def usual_commands(host: str, port: int) -> dict[str, list[str]]:
    """The processes of a small installation: web, worker and beat."""
    python = [sys.executable, "-m"]
    return {
        "worker": [*python, "celery", "--app", "config.celery", "worker", "--concurrency", "2", "--loglevel", "info"],
        "beat": [*python, "celery", "--app", "config.celery", "beat", "--loglevel", "info", "--pidfile="],
        "web": [
            *python, "granian", "--interface", "wsgi", "--host", host, "--port", str(port),
            "--workers", "2", "--blocking-threads", "4", "--no-ws", "config.wsgi:application",
        ],
    }  # fmt: skip
