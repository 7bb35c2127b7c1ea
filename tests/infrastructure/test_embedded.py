"""The embedded servers: half-made data, left-over servers, versions, ports, cleaning up."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from config import embedded
from config.embedded import EmbeddedError, postgresql


@pytest.fixture
def folder():
    """A folder that the servers' user can reach; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory(prefix="guike-test-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


def ask(url: str, query: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(query).fetchone()[0]


def run_on_servers(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "config.embedded", "run", "--", sys.executable, "-c", script],
        cwd=embedded.PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_data_survive_a_restart_and_sort_alike_everywhere(folder):
    with embedded.servers(folder) as running:
        with psycopg.connect(running.postgres.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT '归客' AS word")
        assert redis.Redis.from_url(running.valkey.url).ping()

    with embedded.servers(folder) as again:
        word = ask(again.postgres.url, "SELECT word FROM kept")
        locale = ask(again.postgres.url, "SELECT datlocale FROM pg_database WHERE datname = current_database()")

    assert (word, locale) == ("归客", "C.UTF-8")
    assert [server.process.returncode for server in again.all()] == [0, 0]


def test_half_made_data_folder_is_made_again(folder):
    half = folder / "postgres"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    (folder / "postgres.making").mkdir()

    with embedded.servers(folder, throwaway=True) as running:
        assert ask(running.postgres.url, "SELECT 1") == 1

    assert not (folder / "postgres.making").exists()


def test_data_of_another_version_are_left_alone(folder):
    data = folder / "postgres"
    (data / "global").mkdir(parents=True)
    (data / "global" / "pg_control").touch()
    (data / "PG_VERSION").write_text("15\n")

    with pytest.raises(EmbeddedError, match="made by PostgreSQL 15"), embedded.servers(folder):
        pass

    assert (data / "PG_VERSION").read_text() == "15\n"


def test_second_start_on_the_same_data_is_refused(folder):
    with (
        embedded.servers(folder, throwaway=True),
        pytest.raises(EmbeddedError, match="running already"),
        embedded.servers(folder),
    ):
        pass


def test_pid_file_of_a_vanished_server_does_not_stop_the_next(folder):
    with embedded.servers(folder, throwaway=True):
        pass
    (folder / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{folder / 'postgres'}\n")

    with embedded.servers(folder, throwaway=True) as running:
        assert ask(running.postgres.url, "SELECT 1") == 1


def test_full_disk_is_named(folder, monkeypatch):
    monkeypatch.setattr(postgresql, "NEEDED_BYTES", 10**18)

    with pytest.raises(EmbeddedError, match="is full"), embedded.servers(folder):
        pass


def test_command_gets_the_servers_and_its_exit_code_is_passed_on():
    result = run_on_servers(
        "import os, sys, psycopg\n"
        "with psycopg.connect(os.environ['DATABASE_URL']) as c: print(c.execute('SELECT 6 * 7').fetchone()[0])\n"
        "print(os.environ['CELERY_BROKER_URL'][:8])\n"
        "sys.exit(3)"
    )

    assert (result.returncode, result.stdout.split()) == (3, ["42", "redis://"])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent was killed")
def test_killed_runner_leaves_no_server_behind():
    script = (
        "import json, os, psutil, time\n"
        "print(json.dumps([c.pid for c in psutil.Process(os.getppid()).children()]), flush=True)\n"
        "time.sleep(60)"
    )
    runner = subprocess.Popen(
        [sys.executable, "-m", "config.embedded", "run", "--", sys.executable, "-c", script],
        cwd=embedded.PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )
    children = [psutil.Process(pid) for pid in json.loads(runner.stdout.readline())]

    runner.send_signal(signal.SIGKILL)
    runner.wait()
    runner.stdout.close()
    servers = [child for child in children if "python" not in child.name()]
    deadline = time.monotonic() + 20
    while any(server.is_running() and server.status() != psutil.STATUS_ZOMBIE for server in servers):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    for child in set(children) - set(servers):
        child.kill()
    assert len(servers) == 2
