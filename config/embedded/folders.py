"""The operating system's user for the servers, and the folders it can reach."""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypedDict

from config.embedded.processes import (
    EmbeddedError,
)

PROJECT = Path(__file__).resolve().parents[2]
VAR = PROJECT / "var"
# Where root keeps the data of a project that the servers' user cannot reach.
ROOT_STATE = Path("/var/lib/guike")


class AsUser(TypedDict, total=False):
    """The arguments that make subprocess run a command as another user; none leave it as it is."""

    user: int
    group: int
    extra_groups: list[int]


def server_user() -> pwd.struct_passwd | None:
    """The unprivileged user for PostgreSQL when this is root, which it refuses to run as."""
    if os.geteuid() != 0:
        return None
    for name in ("nobody", "daemon"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    message = "PostgreSQL does not run as root and there is no user 'nobody': run this as a normal user."
    raise EmbeddedError(message)


def run_as(command: Sequence[str | Path], user: pwd.struct_passwd | None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end as a user."""
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
            **as_user(user),
        )
    except PermissionError as error:
        message = f"Root may not start processes as '{user.pw_name if user else ''}' here: run this as a normal user."
        raise EmbeddedError(message) from error


def as_user(user: pwd.struct_passwd | None) -> AsUser:
    """The arguments of subprocess that run a command as a user."""
    return AsUser() if user is None else AsUser(user=user.pw_uid, group=user.pw_gid, extra_groups=[])


def reaches(path: Path, user: pwd.struct_passwd | None) -> bool:
    """Whether a user can read and enter a path."""
    if user is None:
        return True
    script = 'test -r "$1" && test -x "$1"'
    return run_as(["/bin/sh", "-c", script, "sh", path], user).returncode == 0


def state_folder(folder: Path) -> Path:
    """Where the data for a project folder lie: in it, or in /var/lib/guike when root's is closed to others."""
    folder.mkdir(parents=True, exist_ok=True)
    user = server_user()
    if user is None:
        return folder
    folder.chmod(0o755)
    if reaches(folder, user):
        return folder
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:10]
    return ROOT_STATE / f"{folder.parent.name}-{digest}"


def make_folder(folder: Path) -> None:
    """Make a folder that the servers' user can reach."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        for part in (folder, *folder.parents):
            if ROOT_STATE in (part, part.parent):
                part.chmod(0o755)


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Keep others off the data in a folder while the block runs."""
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"The demo is running already on the data in {folder}: stop that one first."
            raise EmbeddedError(message) from None
        yield
