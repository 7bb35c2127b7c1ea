"""Both servers, for as long as something needs them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from config.embedded.broker import start_valkey
from config.embedded.folders import (
    VAR,
    make_folder,
    only_one,
    state_folder,
)
from config.embedded.postgresql import (
    clear_postmaster,
    start_postgres,
)
from config.embedded.processes import (
    STOP_SECONDS,
    EmbeddedError,
    Server,
)

THROWAWAY_PREFIX = "guike-servers-"
SWEEP_SECONDS = 600


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
            make_folder(folder)
            stack.enter_context(only_one(folder))
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
                with only_one(folder):
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
        with only_one(folder):
            clear_postmaster(folder / "postgres")
            shutil.rmtree(folder)
