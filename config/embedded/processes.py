"""Processes that are started here and stop with this one."""

from __future__ import annotations

import ctypes
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
START_SECONDS = 120
STOP_SECONDS = 30


class EmbeddedError(Exception):
    """Something a person has to act on; the message is one line that says what."""


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


def reason(output: str) -> str:
    """The line of a server's output that tells a person most."""
    if re.search("no space left on device", output, re.IGNORECASE):
        return "the disk is full."
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for mark in ("PANIC:", "FATAL:", "error:", "ERROR:"):
        for line in lines:
            if mark in line:
                return line.split(mark, 1)[1].strip()
    return lines[-1] if lines else "it said nothing."


def free_port() -> int:
    """A TCP port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
