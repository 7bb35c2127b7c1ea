"""The demo's supervisor: what it refuses, what it notices, and that it leaves nothing running."""

import os
import socket
import subprocess
import sys

import psutil
import pytest

from config import embedded
from config.demo import supervisor
from config.embedded import EmbeddedError

PYTHON = [sys.executable, "-c"]
ENVIRONMENT = dict(os.environ)


def start(script, tmp_path, name="web"):
    return supervisor.start_child(name, [*PYTHON, script], log=tmp_path / f"{name}.log", environment=ENVIRONMENT)


def test_busy_port_is_refused_with_another_to_try():
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]

        with pytest.raises(EmbeddedError, match=f"Port {port} .*make demo PORT={port + 1}"):
            supervisor.check_port("127.0.0.1", port)


@pytest.mark.parametrize("port", [-1, 0, 65_536])
def test_a_number_that_is_no_port_is_refused(port):
    with pytest.raises(EmbeddedError, match=f"{port} is no port"):
        supervisor.check_port("127.0.0.1", port)


def test_crashed_child_is_named_with_its_last_words(tmp_path):
    child = start("raise SystemExit('no such table')", tmp_path, name="worker")
    child.process.wait()

    with pytest.raises(EmbeddedError, match=r"worker ended unexpectedly \(code 1, .*\):\nno such table"):
        supervisor.check_alive([child])


def test_deaf_child_is_killed_with_its_own_children(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "STOP_SECONDS", 0.5)
    script = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "subprocess.Popen(['sleep', '60'])\n"
        "print('deaf', flush=True)\n"
        "time.sleep(60)"
    )
    child = start(script, tmp_path)
    while "deaf" not in child.log.read_text():
        assert child.process.poll() is None
    below = psutil.Process(child.process.pid).children()

    supervisor.stop_child(child)

    assert child.process.returncode == -9
    gone, alive = psutil.wait_procs(below, timeout=5)
    assert (len(gone), alive) == (1, [])


def test_page_that_never_answers_ends_with_a_message(monkeypatch):
    monkeypatch.setattr(supervisor, "READY_SECONDS", 0)

    with pytest.raises(EmbeddedError, match="does not answer after 0 s"):
        supervisor.await_answer(f"http://127.0.0.1:{embedded.free_port()}/ready/", lambda: None)


def test_failed_step_shows_the_end_of_its_output(tmp_path):
    with pytest.raises(EmbeddedError, match=r"(?s)migrate failed .*the reason"):
        supervisor.run_step(
            [*PYTHON, "raise SystemExit('the reason')"],
            log=tmp_path / "migrate.log",
            environment=ENVIRONMENT,
            what="migrate",
        )


def test_demo_on_a_busy_port_exits_with_one_line_and_starts_nothing():
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        result = subprocess.run(
            [sys.executable, "manage.py", "demo", "--port", str(busy.getsockname()[1])],
            cwd=embedded.PROJECT,
            capture_output=True,
            text=True,
            check=False,
        )

    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
